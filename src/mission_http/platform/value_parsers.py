"""
Parsers of single values: `STRICT` accepts JSON types only, `LAX` also accepts the usual text forms, as pydantic does.

A `ValueParsers` has one function per type of value. Each returns the value or raises `FieldsInvalid`. A dialect that
parses one type differently replaces that function with `attrs.evolve`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from mission_core.lazy_attrs import frozen
from mission_core.values import EPOCH
from mission_http.platform.errors import FieldsInvalid, single_value_error

BOOLEAN_WORDS: Final = dict.fromkeys(("true", "1", "yes", "y", "on", "t"), True) | dict.fromkeys(
    ("false", "0", "no", "n", "off", "f"), False
)
INTEGER: Final = re.compile(r"\s*[+-]?\d{1,40}(?:\.0*)?\s*", re.ASCII)
NUMBER: Final = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?\s*", re.ASCII)
UUID_TEXT: Final = re.compile(
    r"(?:urn:uuid:)?(?:[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
    r"|\{[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\}",
    re.IGNORECASE | re.ASCII,
)
MILLISECONDS_FROM: Final = 20_000_000_000
"""Unix numbers beyond this are milliseconds."""


@frozen
class ValueParsers:
    """
    A set of parser functions, one for each type of single value.
    """

    text: Callable[[object], str]
    integer: Callable[[object], int]
    number: Callable[[object], float]
    boolean: Callable[[object], bool]
    uuid: Callable[[object], UUID]
    moment: Callable[[object], datetime]


def text(value: object) -> str:
    """
    Parse a JSON string without NUL characters, which PostgreSQL cannot store.
    """
    if not isinstance(value, str):
        raise single_value_error("string_type", "Input should be a valid string", value)
    if "\x00" in value:
        raise single_value_error(
            "value_error", "Value error, must not hold NUL characters", value, {"error": "must not hold NUL characters"}
        )
    return value


def integer(value: object) -> int:
    """
    Parse a JSON number without a fraction.
    """
    if type(value) is int:
        return value
    if isinstance(value, float):
        if value.is_integer():
            return int(value)
        raise single_value_error(
            "int_from_float", "Input should be a valid integer, got a number with a fractional part", value
        )
    raise single_value_error("int_type", "Input should be a valid integer", value)


def lax_integer(value: object) -> int:
    """
    Parse a number without a fraction, also from a string.
    """
    if isinstance(value, bool):
        return int(value)
    if not isinstance(value, str):
        return integer(value)
    if INTEGER.fullmatch(value):
        return int(value.strip().partition(".")[0])
    raise single_value_error(
        "int_parsing", "Input should be a valid integer, unable to parse string as an integer", value
    )


def number(value: object) -> float:
    """
    Parse a finite JSON number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise single_value_error("float_type", "Input should be a valid number", value)
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        raise single_value_error("finite_number", "Input should be a finite number", value)
    return found


def lax_number(value: object) -> float:
    """
    Parse a finite number, also from a string.
    """
    if isinstance(value, bool):
        return float(value)
    if not isinstance(value, str):
        return number(value)
    if not NUMBER.fullmatch(value):
        raise single_value_error(
            "float_parsing", "Input should be a valid number, unable to parse string as a number", value
        )
    return number(float(value))


def boolean(value: object) -> bool:
    """
    Parse a JSON boolean.
    """
    if isinstance(value, bool):
        return value
    raise single_value_error("bool_type", "Input should be a valid boolean", value)


def lax_boolean(value: object) -> bool:
    """
    Parse a boolean, also from 0, 1 or a word such as `yes` or `off`.
    """
    if isinstance(value, bool):
        return value
    found = None
    if isinstance(value, int | float) and value in (0, 1):
        found = value == 1
    elif isinstance(value, str):
        found = BOOLEAN_WORDS.get(value.lower())
    elif not isinstance(value, int | float):
        raise single_value_error("bool_type", "Input should be a valid boolean", value)
    if found is None:
        raise single_value_error("bool_parsing", "Input should be a valid boolean, unable to interpret input", value)
    return found


def uuid(value: object) -> UUID:
    """
    Parse a UUID: hyphenated or plain, in braces, or as a URN.
    """
    if not isinstance(value, str):
        raise single_value_error("uuid_type", "UUID input should be a string, bytes or UUID object", value)
    if UUID_TEXT.fullmatch(value):
        return UUID(value.lower())
    reason = _why_no_uuid(value)
    raise single_value_error("uuid_parsing", f"Input should be a valid UUID, {reason}", value, {"error": reason})


def _why_no_uuid(value: str) -> str:
    bare = value.removeprefix("urn:uuid:")
    for position, character in enumerate(bare, start=len(value) - len(bare) + 1):
        if character not in "0123456789abcdefABCDEF-{}":
            return (
                "invalid character: expected an optional prefix of `urn:uuid:` followed by [0-9a-fA-F-], "
                f"found `{character}` at {position}"
            )
    groups = bare.strip("{}").split("-")
    if len(groups) == 1:
        return f"invalid length: expected length 32 for simple format, found {len(groups[0])}"
    if len(groups) != 5:
        return f"invalid group count: expected 5, found {len(groups)}"
    for index, (group, expected) in enumerate(zip(groups, (8, 4, 4, 4, 12), strict=True)):
        if len(group) != expected:
            return f"invalid group length in group {index}: expected {expected}, found {len(group)}"
    return "invalid use of braces"


def unix_moment(value: object) -> datetime:
    """
    Parse a moment from whole Unix seconds.
    """
    return _after_epoch(integer(value), value)


def lax_moment(value: object) -> datetime:
    """
    Parse a moment from ISO 8601 (UTC by default), from a date, or from Unix seconds or milliseconds.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise single_value_error("datetime_type", "Input should be a valid datetime", value)
    if not isinstance(value, str) or NUMBER.fullmatch(value):
        since = lax_number(value)
        return _after_epoch(since / 1000 if abs(since) > MILLISECONDS_FROM else since, value)
    try:
        found = datetime.fromisoformat(value)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _no_moment("invalid character in year" if value else "input is too short", value) from None


def _after_epoch(seconds: float, value: object) -> datetime:
    try:
        return EPOCH + timedelta(seconds=seconds)
    except (OverflowError, ValueError):
        raise _no_moment("dates beyond year 9999 are not supported", value) from None


def _no_moment(reason: str, value: object) -> FieldsInvalid:
    return single_value_error(
        "datetime_from_date_parsing", f"Input should be a valid datetime or date, {reason}", value, {"error": reason}
    )


STRICT: Final = ValueParsers(text, integer, number, boolean, uuid, unix_moment)
LAX: Final = ValueParsers(text, lax_integer, lax_number, lax_boolean, uuid, lax_moment)
