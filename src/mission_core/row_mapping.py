"""
The mapping of entities to rows, generated from the fields of the entity class.

A column holds an integer, a double, a text, bytes or null. Ids are stored as 16 bytes, times and durations as
microseconds, booleans as 0 and 1, enumerations by value, and tuples as JSON text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from enum import Enum
from functools import cached_property
from itertools import groupby
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, Final, Generic, TypeVar, Union, cast, get_args, get_origin, get_type_hints
from uuid import UUID, SafeUUID

from attrs import evolve, field

from mission_core.lazy_attrs import define, field_names, frozen
from mission_core.values import canonical, micros, moment

T = TypeVar("T")
RowT = TypeVar("RowT")
Conversion = Callable[[Any], Any]
EMPTY_LIST: Final = canonical([])
NOT_NULL: Final = object()
"""Stands for no value: the column is not nullable."""
_entity: Final = re.compile(r"\bentity\b")


@frozen
class ColumnCodec:
    """
    The type of a column (`int`, `float`, `str` or `bytes`), and the conversions between field values and column values.

    Args:
        null: The field value that is stored as null, or `NOT_NULL`.
    """

    type: type
    to_column: Conversion | None = None
    from_column: Conversion | None = None
    null: Any = NOT_NULL

    @property
    def nullable(self) -> bool:
        """
        Whether the column may be null.
        """
        return self.null is not NOT_NULL

    def column_value(self, value: Any) -> Any:
        """
        Return the column value of a field value that is not stored as null.
        """
        return value if self.to_column is None else self.to_column(value)


@frozen
class NestedValue:
    """
    A value of an attrs class whose fields are columns of the entity's own row.

    Args:
        prefix: The prefix of the column names.
        columns: The names of columns that have other names. A name that is no field of the class is a property, whose
            column is written and not read.
        null: The field value that is stored as nulls, or `NOT_NULL`.
    """

    cls: type
    prefix: str = ""
    columns: Mapping[str, str] = field(factory=dict)
    null: Any = NOT_NULL


@frozen(eq=False)
class RowMapping(Generic[T]):
    """
    The mapping of an entity class to rows.

    Args:
        columns: The codecs of the stored columns, by name.
        looked_up: The columns that are not stored: a reader selects them after the stored ones.
        separate: The columns that `save` leaves alone, because they have updates of their own.
        entity: The class.
        values: The source of each field's value when an entity is read: the column x is the variable `x_`.
        fields: The field whose value each column holds, if it depends on no other field.
        expressions: The source of each column's value, for generated code.
        scope: The names that generated code uses.
    """

    columns: Mapping[str, ColumnCodec]
    looked_up: Mapping[str, ColumnCodec]
    separate: tuple[str, ...]
    entity: type[T]
    values: Mapping[str, str]
    expressions: Mapping[str, str]
    scope: Mapping[str, Any]
    fields: Mapping[str, str]

    @cached_property
    def entity_from(self) -> Callable[[Any], T]:
        """
        Returns the entity in a driver row of the stored columns and those looked up. It skips validation.
        """
        setters = {f"set_{name}": getattr(self.entity, name).__set__ for name in self.values}
        lines = [
            "def entity_from(row):",
            f"    {', '.join(f'{column}_' for column in (*self.columns, *self.looked_up))}, *_ = row",
            "    made = new(cls)",
            *(f"    set_{name}(made, {value})" for name, value in self.values.items()),
            "    return made",
        ]
        made: Callable[[Any], T] = _run("\n".join(lines), self.scope, new=object.__new__, cls=self.entity, **setters)
        return made

    @cached_property
    def row_from(self) -> Callable[[T], dict[str, Any]]:
        """
        Returns the values of the stored columns of an entity, by name.
        """
        return self.columns_from(self.columns)

    @cached_property
    def changes(self) -> Callable[[T, T], dict[str, Any]]:
        """
        Returns the values of the columns that differ between two states of an entity, by name, without the separate
        ones.
        """
        lines = ["def changes(before, after):", "    found = {}"]
        columns = [name for name in self.columns if name not in self.separate]
        for name, group in groupby(columns, key=self.fields.get):
            # A copy of an entity has the very values of the fields that were not changed.
            lines += [f"    if before.{name} is not after.{name}:"] if name else []
            for column in group:
                expression = self.expressions[column]
                was, now = (_entity.sub(state, expression) for state in ("before", "after"))
                lines += [f"{' ' * 8 if name else ' ' * 4}if (now := {now}) != {was}: found[{column!r}] = now"]
        made: Callable[[T, T], dict[str, Any]] = _run("\n".join([*lines, "    return found"]), self.scope)
        return made

    def columns_from(self, names: Iterable[str]) -> Callable[[T], dict[str, Any]]:
        """
        Return a function that returns the values of these columns of an entity, by name.
        """
        values = ", ".join(f"{name!r}: {self.expressions[name]}" for name in names)
        made: Callable[[T], dict[str, Any]] = _run(f"def row_from(entity):\n    return {{{values}}}", self.scope)
        return made

    def builder(self, row: type[RowT]) -> Callable[..., RowT]:
        """
        Return a function that makes a row of this `NamedTuple` class from an entity. Fields of the class that are no
        columns are keyword arguments.
        """
        names, defaults = cast(Any, row)._fields, cast(Any, row)._field_defaults
        values = [self.expressions.get(name, name) for name in names]
        others = [name for name in names if name not in self.expressions]
        parameters = ["entity", *(["*"] if others else [])]
        parameters += [f"{name}=defaults[{name!r}]" if name in defaults else name for name in others]
        source = f"def build({', '.join(parameters)}):\n    return row(({', '.join(values)},))"
        made: Callable[..., RowT] = _run(source, self.scope, row=cast(Any, row)._make, defaults=defaults)
        return made


def row_mapping(
    entity: type[T],
    *,
    codecs: Mapping[str, ColumnCodec] = {},
    nested: Mapping[str, NestedValue] = {},
    derived: Mapping[str, Mapping[str, str]] = {},
    looked_up: tuple[str, ...] = (),
    separate: tuple[str, ...] = (),
) -> RowMapping[T]:
    """
    Generate the mapping of an entity class. The columns are its fields, in their order.

    Args:
        codecs: The codecs of columns that are not stored by the type of their field.
        nested: The fields whose values have columns of their own.
        derived: The columns that follow a field and hold the value of a property: for the field's name, the names of
            the columns, each with the name of the property.
        looked_up: The columns that are read and not stored.
        separate: The columns that `save` leaves alone.
    """
    source, hints, values = _MappingSource(codecs), get_type_hints(entity), {}
    for name in field_names(entity):
        if name in nested:
            values[name] = source.add_nested(name, nested[name])
        else:
            values[name] = source.add_column(name, f"entity.{name}", hints[name])
        source.fields |= dict.fromkeys(source.columns.keys() - source.fields.keys(), name)
        for column, property_name in derived.get(name, {}).items():
            source.add_column(column, f"entity.{property_name}", _type_of_property(entity, property_name))
            source.fields[column] = ""
    stored = {column: codec for column, codec in source.columns.items() if column not in looked_up}
    others = {column: source.columns[column] for column in looked_up}
    return RowMapping(
        columns=stored,
        looked_up=others,
        separate=separate,
        entity=entity,
        values=values,
        expressions=source.expressions,
        scope=source.scope,
        fields=source.fields,
    )


@define
class _MappingSource:
    """
    The source of a generated mapping: for each column the expression that computes it from `entity`, and the objects
    that the expressions name. While an entity is read, the column x is the variable `x_`.
    """

    codecs: Mapping[str, ColumnCodec]
    columns: dict[str, ColumnCodec] = field(factory=dict)
    expressions: dict[str, str] = field(factory=dict)
    scope: dict[str, Any] = field(factory=dict)
    fields: dict[str, str] = field(factory=dict)

    def add_column(self, column: str, path: str, hint: Any) -> str:
        """
        Add a column that stores the value at *path*. Return the expression that reads it.
        """
        codec = self.columns[column] = self.codecs[column] if column in self.codecs else codec_of_type(hint)
        self.scope |= {f"to_{column}": codec.to_column, f"from_{column}": codec.from_column, f"no_{column}": codec.null}
        written, read = path, f"{column}_" if codec.from_column is None else f"from_{column}({column}_)"
        if codec.to_column is not None and codec.nullable:
            absent = "is None" if codec.null is None else f"== no_{column}"
            written = f"(None if (value := {path}) {absent} else to_{column}(value))"
        elif codec.to_column is not None:
            written = f"to_{column}({path})"
        if codec.from_column is not None and codec.nullable:
            read = f"(no_{column} if {column}_ is None else {read})"
        self.expressions[column] = written
        return read

    def add_nested(self, name: str, value: NestedValue) -> str:
        """
        Add the columns of a nested value. Return the expression that reads it.
        """
        hints, own = get_type_hints(value.cls), field_names(value.cls)
        names = {each: value.columns.get(each, value.prefix + each) for each in (*own, *value.columns)}
        read = [
            self.add_column(
                column, f"entity.{name}.{each}", hints[each] if each in own else _type_of_property(value.cls, each)
            )
            for each, column in names.items()
        ]
        self.scope |= {f"make_{name}": trusted_constructor(value.cls), f"null_{name}": value.null}
        made = f"make_{name}({', '.join(read[: len(own)])})"
        if value.null is NOT_NULL:
            return made
        required = [names[each] for each in own if not self.columns[names[each]].nullable]
        if not isinstance(value.null, value.cls):  # a null of the class itself is stored as its fields, all None
            present = f"entity.{name} is not None"
            if value.null is not None:
                self.scope[f"class_{name}"], present = value.cls, f"isinstance(entity.{name}, class_{name})"
            for column in names.values():
                written = self.expressions[column]
                self.expressions[column] = f"({written} if {present} else None)"
                if not self.columns[column].nullable:
                    self.columns[column] = evolve(self.columns[column], null=None)
        absent = " and ".join(f"{column}_ is None" for column in required[:1] or names.values())
        return f"(null_{name} if {absent} else {made})"


def _run(source: str, scope: Mapping[str, Any], **more: Any) -> Any:
    """
    Return the function that generated source defines.
    """
    made: dict[str, Any] = {}
    exec(source, {**scope, **more}, made)  # attrs generates its constructors in the same way
    (function,) = made.values()
    return function


def trusted_constructor(cls: type[T]) -> Callable[..., T]:
    """
    Return a constructor of an attrs class that takes every field, by position or name, and skips validation.
    """
    names = field_names(cls)
    setters = {f"set_{name}": getattr(cls, name).__set__ for name in names}
    source = [f"def make({', '.join(names)}):", "    made = new(cls)"]
    source += [f"    set_{name}(made, {name})" for name in names]
    made: Callable[..., T] = _run("\n".join([*source, "    return made"]), setters, new=object.__new__, cls=cls)
    return made


def codec_of_type(hint: Any) -> ColumnCodec:
    """
    Return the codec for a field type.

    Raises:
        TypeError: If the type has no codec.
    """
    hint = _without_new_types(hint)
    parts = get_args(hint)
    if get_origin(hint) in (Union, UnionType) and NoneType in parts:
        (inner,) = (each for each in parts if each is not NoneType)
        return evolve(codec_of_type(inner), null=None)
    if get_origin(hint) is tuple and len(parts) == 2 and parts[1] is Ellipsis:
        return _codec_of_tuple(UUID if _without_new_types(parts[0]) is UUID else str)
    if isinstance(hint, type) and issubclass(hint, Enum):
        # `value` itself is a property written in Python.
        return ColumnCodec(str, attrgetter("_value_"), {member.value: member for member in hint}.__getitem__)
    if hint not in CODECS:
        raise TypeError(f"{hint} is not a type that a stored entity may have")
    return CODECS[hint]


def _codec_of_tuple(make: Conversion) -> ColumnCodec:
    return ColumnCodec(
        str,
        lambda values: canonical([str(each) for each in values]) if values else EMPTY_LIST,
        lambda text: () if text == EMPTY_LIST else tuple(make(each) for each in json.loads(text)),
    )


def _without_new_types(hint: Any) -> Any:
    while hasattr(hint, "__supertype__"):
        hint = hint.__supertype__
    return hint


def _type_of_property(cls: type, name: str) -> Any:
    return get_type_hints(getattr(cls, name).fget)["return"]


_set_int: Final = UUID.__dict__["int"].__set__
_set_is_safe: Final = UUID.__dict__["is_safe"].__set__
_unknown_safety: Final = SafeUUID.unknown


def uuid_of_bytes(value: bytes) -> Any:
    """
    Return the UUID in 16 bytes. It is typed `Any` because the column decides which id type it is.
    """
    # The constructor checks what is certain here, and takes three times as long.
    made = UUID.__new__(UUID)
    _set_int(made, int.from_bytes(value, "big"))
    _set_is_safe(made, _unknown_safety)
    return made


def duration_of_micros(value: int) -> timedelta:
    return timedelta(microseconds=value)


def micros_of_duration(value: timedelta) -> int:
    """
    Return a duration in microseconds, without rounding.
    """
    return (value.days * 86_400 + value.seconds) * 1_000_000 + value.microseconds


CODECS: Final = {
    UUID: ColumnCodec(bytes, attrgetter("bytes"), uuid_of_bytes),
    datetime: ColumnCodec(int, micros, moment),
    timedelta: ColumnCodec(int, micros_of_duration, duration_of_micros),
    bool: ColumnCodec(int, int, bool),
    int: ColumnCodec(int),
    float: ColumnCodec(float, float),
    str: ColumnCodec(str),
    bytes: ColumnCodec(bytes),
}
