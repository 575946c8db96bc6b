"""
The amounts of budgets, as both dialects spell them: dollars if the budget measures money, otherwise tokens, runs or
seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mission_core.errors import InvalidField
from mission_core.usage.amounts import MAX_DOLLARS, NANOS_PER_DOLLAR
from mission_core.values import ABSENT

MONEY: Final = "money"
MOST: Final = 1_000_000_000
"""The largest amount of dollars, runs or seconds; of tokens it is a thousand times as much."""
LARGEST_AMOUNT: Final = 1_000 * MOST
LARGEST_CEILING: Final = MAX_DOLLARS


def shown_amount(measure: str, amount: int) -> float:
    """
    The amount as a response shows it.
    """
    return amount / NANOS_PER_DOLLAR if measure == MONEY else amount


def exact_amount(measure: str, amount: int) -> int | None:
    """
    The amount in nano-dollars; None if the budget does not measure money.
    """
    return amount if measure == MONEY else None


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
