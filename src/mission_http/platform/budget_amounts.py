"""
The values of budgets that both dialects spell alike. Amounts are dollars if the budget measures money, otherwise
tokens, runs or seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from mission_core.errors import InvalidField
from mission_core.usage.amounts import MAX_DOLLARS, NANOS_PER_DOLLAR
from mission_core.values import ABSENT

if TYPE_CHECKING:
    from mission_core.tasks.ports import BudgetReached
    from mission_core.usage.budget_accounts import BudgetAccount

MONEY: Final = "money"
MOST: Final = 1_000_000_000
"""The largest amount of dollars, runs or seconds; of tokens it is a thousand times as much."""
LARGEST_AMOUNT: Final = 1_000 * MOST
LARGEST_CEILING: Final = MAX_DOLLARS
SAME_VALUES: Final = (
    "name", "scope", "measure", "hard", "period", "time_zone", "unknown_prices", "list_price", "version",
)  # fmt: skip
"""The fields of a budget that a response shows as they are."""


def budget_values(account: BudgetAccount) -> dict[str, Any]:
    """
    The values of a budget that a response shows, by its fields: all but ids and times.
    """
    budget, money = account.budget, account.budget.measure == MONEY
    amounts = {
        "limit": budget.limit, "per_run": budget.per_run, "spent": account.spent, "reserved": account.reserved,
        "available": account.available,
    }  # fmt: skip
    ceiling = budget.ceiling_price
    return {
        **{name: getattr(budget, name) for name in SAME_VALUES},
        **{name: _shown(budget.measure, amount) for name, amount in amounts.items()},
        "ceiling_price": None if ceiling is None else _shown(MONEY, ceiling),
        "spent_nano": account.spent if money else None,
        "reserved_nano": account.reserved if money else None,
        "unpriced_tokens": account.total.unpriced_tokens,
    }


def refusal_amounts(refusal: BudgetReached) -> dict[str, float]:
    """
    The amounts of a refusal that an error shows, by its fields.
    """
    names = ("limit", "spent", "reserved", "needed")
    return {name: _shown(refusal.measure, getattr(refusal, name)) for name in names}


def _shown(measure: str, amount: int) -> float:
    return amount / NANOS_PER_DOLLAR if measure == MONEY else amount


def told_amounts(measure: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """
    The values of a request with its amounts as the core has them. Values that were not sent are left out.

    Raises:
        InvalidField: If an amount is a fraction of a token, a run or a second, or too large.
    """
    told = {name: value for name, value in given.items() if value is not ABSENT}
    for name in ("limit", "per_run"):
        if name in told:
            told[name] = _amount(name, measure, told[name])
    if told.get("ceiling_price") is not None:
        told["ceiling_price"] = round(told["ceiling_price"] * NANOS_PER_DOLLAR)
    return told


def _amount(name: str, measure: str, value: float) -> int:
    if measure == MONEY:
        if value > MOST:
            raise InvalidField(name, f"must be at most {MOST} dollars", value)
        return round(value * NANOS_PER_DOLLAR)
    if value != int(value):
        unit = "seconds" if measure == "time" else measure
        raise InvalidField(name, f"must be a whole number of {unit}", value)
    return int(value)
