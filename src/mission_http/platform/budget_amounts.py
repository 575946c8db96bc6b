"""
The amounts of budgets, as both dialects spell them: dollars if the budget measures money, otherwise tokens, runs or
seconds.
"""

from __future__ import annotations

from mission_core.errors import InvalidField
from mission_core.usage.amounts import NANOS_PER_DOLLAR

MONEY = "money"


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


def amount_of(field: str, measure: str, told: float) -> int:
    """
    The amount that a request tells.

    Raises:
        InvalidField: If it is a fraction of a token, a run or a second.
    """
    if measure == MONEY:
        return round(told * NANOS_PER_DOLLAR)
    if told != int(told):
        raise InvalidField(field, f"must be a whole number of {'seconds' if measure == 'time' else measure}", told)
    return int(told)
