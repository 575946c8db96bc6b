"""
The amounts of prices as both dialects spell them: in dollars per million tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from mission_core.usage.amounts import LONGEST_MODEL, LONGEST_PROVIDER, MAX_DOLLARS, NANOS_PER_DOLLAR
from mission_core.usage.prices import RATES
from mission_core.values import ABSENT, Absent
from mission_http.platform.field_annotations import Body, Length, NumberRange

Model = Annotated[str, Length(1, LONGEST_MODEL)]
Provider = Annotated[str | None, Length(1, LONGEST_PROVIDER)]
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


class NewPrice(Body):
    """
    The fields of a new price that both dialects spell alike.
    """

    model: Model
    provider: Provider = None
    input: Dollars
    output: Dollars
    cache_read: Dollars | None = None
    cache_write: Dollars | None = None
    reasoning: Dollars | None = None
    input_audio: Dollars | None = None
    output_audio: Dollars | None = None
    batch: Percent = 100


class ChangedPrice(Body):
    """
    The fields of a changed price that both dialects spell alike.
    """

    model: Model | Absent = ABSENT
    provider: Provider | Absent = ABSENT
    input: Dollars | Absent = ABSENT
    output: Dollars | Absent = ABSENT
    cache_read: Dollars | Absent | None = ABSENT
    cache_write: Dollars | Absent | None = ABSENT
    reasoning: Dollars | Absent | None = ABSENT
    input_audio: Dollars | Absent | None = ABSENT
    output_audio: Dollars | Absent | None = ABSENT
    batch: Percent | Absent = ABSENT
