"""
The amounts of prices as both dialects spell them: in dollars per million tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from mission_core.usage.amounts import MAX_DOLLARS, NANOS_PER_DOLLAR
from mission_core.usage.prices import RATES
from mission_core.values import ABSENT
from mission_http.platform.field_annotations import NumberRange

Dollars = Annotated[float, NumberRange(0, MAX_DOLLARS)]
Percent = Annotated[int, NumberRange(0, 100)]


def dollars_of(nanos: int | None) -> float | None:
    """
    An amount of nano-dollars in dollars.
    """
    return None if nanos is None else nanos / NANOS_PER_DOLLAR


def told_prices(given: Mapping[str, Any]) -> dict[str, Any]:
    """
    The values of a request with its prices in nano-dollars. Values that were not sent are left out.
    """
    told = {name: value for name, value in given.items() if value is not ABSENT}
    return told | {name: round(told[name] * NANOS_PER_DOLLAR) for name in RATES if told.get(name) is not None}
