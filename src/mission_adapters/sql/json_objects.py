"""
The SQL expression that makes the JSON object of a row, by a projection, with the JSON functions of SQLite.

Its bytes are those that the projection renders. A value that SQLite would write differently makes it null, and the row
must be rendered. On PostgreSQL such an expression costs more than it saves, so it has none.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, Final

from sqlalchemy import ColumnElement, Integer, and_, case, cast, func, literal_column, null, or_

from mission_core.projections import (
    Choice,
    Constant,
    EncodedField,
    JsonEncoding,
    JsonMember,
    JsonValue,
    Nested,
    Projection,
)

Convert = Callable[[ColumnElement[Any]], ColumnElement[Any]]
JsonColumn = Callable[[Any], ColumnElement[Any]]
"""An expression for a field of a row, converted by a `Convert`; for a nested row, its JSON object of these members."""
MOST_MEMBERS: Final = 50
"""SQLite's functions take at least 100 arguments, two for each member."""


def makes_json(dialect: str, shown: Projection) -> bool:
    """
    Whether the database makes the JSON objects of a projection.
    """
    return dialect == "sqlite" and 0 < len(shown.members) <= MOST_MEMBERS


def column(expression: ColumnElement[Any]) -> JsonColumn:
    """
    Return a field that is a column, or an expression of one value.
    """
    return lambda convert: convert(expression)


def json_object(members: Iterable[JsonMember], fields: Mapping[str, JsonColumn]) -> ColumnElement[Any]:
    """
    Return the expression for a JSON object, from the expressions for the fields of the row. Whether fields without an
    expression are empty is left to the statement.
    """
    members = tuple(members)
    pairs: list[ColumnElement[Any]] = []
    for each in members:
        pairs += [_text(each.name), _value(each.value, fields)]
    must_be_empty = dict.fromkeys(name for each in members for name in each.while_empty)
    conditions = [fields[name](_is_empty) for name in must_be_empty if name in fields]
    shown = [(each, field) for each in members for field in _encoded_fields(each.value)]
    conditions += [fields[field.field](_is_present) for each, field in shown if each.required]
    exact = dict.fromkeys((field.field, EXACT[field.encoding]) for _, field in shown if field.encoding in EXACT)
    conditions += [fields[name](is_exact) for name, is_exact in exact]
    made = func.json_object(*pairs)
    return case((and_(*conditions), made)) if conditions else made


def _value(value: JsonValue, fields: Mapping[str, JsonColumn]) -> ColumnElement[Any]:
    if isinstance(value, Constant):
        return _constant(value.value)
    if isinstance(value, EncodedField):
        return fields[value.field](CONVERSIONS[value.encoding])
    if isinstance(value, Nested):
        return fields[value.field](value.members)
    cases = [(_text(key), _value(each, fields)) for key, each in value.values.items()]
    return fields[value.field](
        lambda each: case(*((each == key, shown) for key, shown in cases), else_=_value(value.otherwise, fields))
    )


def _encoded_fields(value: JsonValue) -> Iterable[EncodedField]:
    if isinstance(value, EncodedField):
        yield value
    elif isinstance(value, Choice):
        for each in (*value.values.values(), value.otherwise):
            yield from _encoded_fields(each)


# Literals are written into the statement: as parameters they would be bound at each execution.


@cache
def _text(text: str) -> ColumnElement[Any]:
    return literal_column("'" + text.replace("'", "''") + "'")


def _number(number: float) -> ColumnElement[Any]:
    return literal_column(repr(number))


def _constant(value: Any) -> ColumnElement[Any]:
    if value is None:
        return null()
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return _number(value)
    return func.json(_text(json.dumps(value)))


def _boolean(value: ColumnElement[Any]) -> ColumnElement[Any]:
    return case((value.is_(None), null()), (value == _number(0), _constant(False)), else_=_constant(True))


def _ten_thousandths(value: ColumnElement[Any]) -> ColumnElement[Any]:
    return cast(func.round(value.op("*")(_number(10_000))), Integer)


def _float(value: ColumnElement[Any]) -> ColumnElement[Any]:
    whole, fraction = (_ten_thousandths(value).op(sign)(_number(10_000)) for sign in "/%")
    digits = func.rtrim(func.printf(_text("%04d"), fraction), _text("0"))
    shown = case((fraction == _number(0), _text("0")), else_=digits)
    return case((value.is_not(None), func.json(func.printf(_text("%d.%s"), whole, shown))))


def _unix_seconds(value: ColumnElement[Any]) -> ColumnElement[Any]:
    return value.op("/")(MICROSECONDS)


def _naive_time(value: ColumnElement[Any]) -> ColumnElement[Any]:
    second = func.strftime(_text("%Y-%m-%dT%H:%M:%S"), _unix_seconds(value), _text("unixepoch"))
    fraction = value.op("%")(MICROSECONDS)
    shown = case((fraction == _number(0), _text("")), else_=func.printf(_text(".%06d"), fraction))
    return case((value.is_not(None), second.op("||")(shown)))


def _uuid(value: ColumnElement[Any]) -> ColumnElement[Any]:
    parts = [func.hex(func.substr(value, _number(start), _number(size))) for start, size in UUID_PARTS]
    return case((value.is_not(None), func.lower(func.printf(_text("%s-%s-%s-%s-%s"), *parts))))


def _is_empty(value: ColumnElement[Any]) -> ColumnElement[bool]:
    return func.ifnull(func.length(value), _number(0)) == _number(0)


def _is_present(value: ColumnElement[Any]) -> ColumnElement[bool]:
    return value.is_not(None)


def _is_short_decimal(value: ColumnElement[Any]) -> ColumnElement[bool]:
    # A float that is the quotient of these integers is written as their decimal fraction, which is exact. SQLite's own
    # text of a float has too few or too many digits, depending on its version.
    quotient = _ten_thousandths(value).op("/")(_number(10_000.0))
    return or_(value.is_(None), and_(value.between(_number(0), _number(1_000_000_000)), quotient == value))


def _is_since_1970(value: ColumnElement[Any]) -> ColumnElement[bool]:
    # SQLite divides towards zero.
    return or_(value.is_(None), value >= _number(0))


def _is_compact_json(value: ColumnElement[Any]) -> ColumnElement[bool]:
    return or_(value.is_(None), func.json(value) == value)


MICROSECONDS: Final = _number(1_000_000)
UUID_PARTS: Final = ((1, 4), (5, 2), (7, 2), (9, 2), (11, 6))
CONVERSIONS: Final[Mapping[JsonEncoding, Convert]] = {
    JsonEncoding.TEXT: lambda value: value,
    JsonEncoding.INTEGER: lambda value: value,
    JsonEncoding.FLOAT: _float,
    JsonEncoding.BOOLEAN: _boolean,
    JsonEncoding.JSON: lambda value: func.json(value),
    JsonEncoding.UNIX_SECONDS: _unix_seconds,
    JsonEncoding.NAIVE_TIME: _naive_time,
    JsonEncoding.UUID: _uuid,
}
EXACT: Final[Mapping[JsonEncoding, Callable[[ColumnElement[Any]], ColumnElement[bool]]]] = {
    JsonEncoding.FLOAT: _is_short_decimal,
    JsonEncoding.JSON: _is_compact_json,
    JsonEncoding.UNIX_SECONDS: _is_since_1970,
    JsonEncoding.NAIVE_TIME: _is_since_1970,
}
"""The conditions under which a conversion gives the same bytes as Python."""
