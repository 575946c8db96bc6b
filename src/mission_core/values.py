"""
Small values, validators and conversions that all areas share.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, NewType, TypeVar

from mission_core.errors import InvalidField
from mission_core.lazy_attrs import frozen

if TYPE_CHECKING:
    from attrs import Attribute

T = TypeVar("T")
Validator = Callable[[Any, "Attribute[Any]", Any], None]

JsonText = NewType("JsonText", str)
"""A JSON value as its canonical text: sorted keys, no spaces."""
Encrypted = NewType("Encrypted", bytes)
"""A secret encrypted by the vault. Fields of this type are encrypted again when the vault's key changes."""

EMPTY_OBJECT: Final = JsonText("{}")
CANONICAL: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
_make_encoder: Final[Callable[..., Callable[[object, int], Iterable[str]]] | None] = getattr(
    json.encoder, "c_make_encoder", None
)
_json_chunks: Final = _make_encoder and _make_encoder(
    None, CANONICAL.default, json.encoder.encode_basestring, None, ":", ",", True, False, False
)
"""The encoder that `CANONICAL` makes anew for each value, but without its check for circular references. It is None on
a Python without the accelerator."""
MAX_INTEGER: Final = 2**63 - 1
MAX_JSON_NESTING: Final = 64
"""The greatest nesting depth of JSON. Deeper values are refused before any recursive code reads them."""
MAX_JSON_LENGTH: Final = 4 * 2**20
MAX_CACHED_JSON_LENGTH: Final = 10_000
"""The greatest length of a JSON text whose check is cached."""
UNSTORABLE_TEXT: Final = "must not hold NUL or lone surrogates"
TOO_DEEP: Final = f"must not nest deeper than {MAX_JSON_NESTING} levels"
HUGE_NUMBER: Final = re.compile(r"[0-9]{300}|[eE]\+?[0-9]{3}")
UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
ESCAPED_NUL: Final = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


class Absent(Enum):
    """
    The value of a field that an update does not name. It differs from None, which clears the field.
    """

    ABSENT = "absent"

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final[Literal[Absent.ABSENT]] = Absent.ABSENT


def value_or(value: T | Absent, otherwise: T) -> T:
    """
    The value if the update names it, otherwise the current value.
    """
    return otherwise if isinstance(value, Absent) else value


@frozen
class PageRequest:
    """
    A request for part of a list: at most *limit* rows, after skipping *offset* rows or after the row numbered *after*.
    """

    limit: int = 50
    offset: int = 0
    after: int | None = None


class PageOfRows(NamedTuple):
    """
    A page of rows, and the total count before paging.
    """

    rows: list[Any]
    total: int


def utc_moment(instance: object, attribute: Attribute[Any], value: datetime) -> None:
    """
    Validator: a datetime in UTC.
    """
    if value.__class__ is not datetime or value.tzinfo is not UTC:
        checked_moment(attribute.name, value)


def checked_moment(field: str, value: object) -> None:
    """
    Require a datetime in UTC.

    Raises:
        InvalidField: If it is not a datetime with the offset of UTC.
    """
    if not isinstance(value, datetime) or value.utcoffset() != timedelta(0):
        raise InvalidField(field, "must be a datetime in UTC", value)


def text(*, least: int = 0, most: int) -> Validator:
    """
    A validator of text from *least* to *most* characters that every store can hold.
    """

    def check(instance: object, attribute: Attribute[Any], value: object) -> None:
        checked_text(attribute.name, value, least=least, most=most)

    return check


def checked_text(field: str, value: object, *, least: int = 0, most: int) -> str:
    """
    Require a text that every store can hold, and return it.

    Raises:
        InvalidField: If the value is not text, is too short or too long, or holds NUL or a lone surrogate.
    """
    if not isinstance(value, str):
        raise InvalidField(field, "must be text", value)
    if len(value) < least:
        raise InvalidField(field, f"must have at least {least} character{'s' if least > 1 else ''}", value)
    if len(value) > most:
        raise InvalidField(field, f"must have at most {most} characters", value)
    if UNSTORABLE.search(value):
        raise InvalidField(field, UNSTORABLE_TEXT, value)
    return value


def number_between(least: float, most: float = MAX_INTEGER) -> Validator:
    """
    A validator of numbers from *least* to *most*.
    """

    def check(instance: object, attribute: Attribute[Any], value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise InvalidField(attribute.name, f"must be a number from {least} to {most}", value)

    return check


def whole_number(least: int, most: int = MAX_INTEGER) -> Validator:
    """
    A validator of integers from *least* to *most*.
    """

    def check(instance: object, attribute: Attribute[Any], value: Any) -> None:
        if value.__class__ is int and least <= value <= most:
            return
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise InvalidField(attribute.name, f"must be a whole number from {least} to {most}", value)

    return check


def storable_json(instance: object, attribute: Attribute[Any], value: JsonText) -> None:
    """
    Validator: JSON as text that every store and dialect can hold.
    """
    checked_json(attribute.name, value)


def json_object(instance: object, attribute: Attribute[Any], value: JsonText) -> None:
    """
    Validator: a JSON object as text.
    """
    checked_object(attribute.name, value)


def checked_object(field: str, value: JsonText) -> JsonText:
    """
    Require a JSON object as text, and return it.

    Raises:
        InvalidField: If it is not a JSON object.
    """
    checked_json(field, value)
    if not value.lstrip().startswith("{"):
        raise InvalidField(field, "must be a JSON object as text", value)
    return value


def checked_json(field: str, value: object) -> None:
    """
    Require JSON as text that every store and dialect can hold.

    Raises:
        InvalidField: If it is not JSON as text, nests too deeply, is too long, or holds NUL or lone surrogates.
    """
    if value == EMPTY_OBJECT:
        return
    if not isinstance(value, str):
        raise InvalidField(field, "must be JSON as text", value)
    if len(value) > MAX_JSON_LENGTH:
        raise InvalidField(field, f"must have at most {MAX_JSON_LENGTH} characters")
    fault = _fault_of(value) if len(value) <= MAX_CACHED_JSON_LENGTH else _fault_of.__wrapped__(value)
    if fault is not None:
        raise InvalidField(field, fault)


@lru_cache(maxsize=1024)  # an entity is validated again whenever one of its fields changes
def _fault_of(text: str) -> str | None:
    """
    The reason why a text is not JSON that every store and dialect can hold; None if it is.
    """
    if UNSTORABLE.search(text):
        return UNSTORABLE_TEXT
    try:
        value = json.loads(text, parse_constant=_no_number) if "N" in text or "I" in text else json.loads(text)
        if HUGE_NUMBER.search(text) or "\\u" in text:
            canonical(value)
    except RecursionError:
        return TOO_DEEP
    except InvalidField as refusal:
        return refusal.reason
    except ValueError as e:
        return f"must be JSON: {e}"
    return TOO_DEEP if text.count("{") + text.count("[") > MAX_JSON_NESTING and nests_too_deeply(value) else None


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")


def nests_too_deeply(value: object) -> bool:
    """
    Whether a JSON value nests deeper than `MAX_JSON_NESTING` levels.
    """
    level = [value]
    for _ in range(MAX_JSON_NESTING):
        level = [
            child
            for outer in level
            for child in (outer.values() if isinstance(outer, dict) else outer if isinstance(outer, list) else ())
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True


def json_text(value: JsonText | Mapping[str, object]) -> JsonText:
    """
    The canonical text of a JSON object. Text is returned unchanged.

    Raises:
        InvalidField: If it holds a value that JSON or a store cannot represent.
    """
    if isinstance(value, str):
        return value
    return canonical(value)


def canonical(value: object) -> JsonText:
    """
    The canonical encoding of a JSON value: sorted keys, no spaces, no escapes that JSON does not require.

    Raises:
        InvalidField: If it holds a value that JSON or a store cannot represent.
    """
    try:
        encoded = "".join(_json_chunks(value, 0)) if _json_chunks else CANONICAL.encode(value)
    except RecursionError:
        raise InvalidField("value", TOO_DEEP) from None
    except (TypeError, ValueError) as e:
        raise InvalidField("value", f"is not JSON: {e}") from e
    if UNSTORABLE.search(encoded) or ("\\u0000" in encoded and ESCAPED_NUL.search(encoded)):
        raise InvalidField("value", UNSTORABLE_TEXT)
    return JsonText(encoded)


def name_key(name: str) -> str:
    """
    The form in which names are compared: NFC, then case folded.
    """
    return unicodedata.normalize("NFC", name).casefold()


def seconds(value: float) -> timedelta:
    """
    A duration of this many seconds.
    """
    return timedelta(seconds=value)


EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def micros(moment: datetime) -> int:
    """
    The exact number of microseconds since 1970.
    """
    delta = moment - EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def moment(value: int) -> datetime:
    """
    The datetime this many microseconds after 1970.
    """
    return EPOCH + timedelta(microseconds=value)
