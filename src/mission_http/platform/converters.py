"""
Converters from JSON values to attrs classes, which validate a whole body in one pass and report every wrong field.

They are cattrs converters, so a dialect may register hooks for its own types. The reader of an attrs class is built
once, as one loop over its fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from types import NoneType
from typing import Any, Final, Literal, TypeVar, get_args, get_origin
from uuid import UUID

import attrs
from attrs import NOTHING, Attribute
from cattrs import Converter

from mission_core.errors import Invalid
from mission_core.lazy_attrs import frozen
from mission_core.values import MAX_INTEGER
from mission_http.platform.constraints import ValueReader, with_constraints, with_range
from mission_http.platform.errors import FieldError, FieldsInvalid, single_value_error
from mission_http.platform.field_annotations import (
    Length,
    NumberRange,
    annotations_of,
    bare_type,
    fields_of,
    present_type,
    union_members,
    wire_name,
)
from mission_http.platform.value_parsers import ValueParsers

T = TypeVar("T")
INTEGER_RANGE: Final = NumberRange(-MAX_INTEGER - 1, MAX_INTEGER)
NOT_AN_OBJECT: Final = "Input should be a valid dictionary or object to extract fields from"


def converter_of(reading: ValueParsers) -> Converter:
    """
    Build a converter that parses single values with the functions of *reading*.
    """
    converter = Converter(detailed_validation=True)
    single: Mapping[type, ValueReader] = {
        str: reading.text,
        int: reading.integer,
        float: reading.number,
        bool: reading.boolean,
        UUID: reading.uuid,
        datetime: reading.moment,
    }
    for kind, read in single.items():
        converter.register_structure_hook(kind, SingleValueHook(read))
    converter.register_structure_hook_factory(attrs.has, lambda cls: ClassReader.of(cls, converter).hook)
    return converter


@frozen
class SingleValueHook:
    """
    The cattrs hook of a single value. Readers of attrs classes call its *read* directly.
    """

    read: ValueReader

    def __call__(self, value: object, _: object) -> Any:
        return self.read(value)


@frozen
class FieldReader:
    """
    The reader of one field of an attrs class.
    """

    name: str
    key: str
    required: bool
    read: ValueReader
    absent: str = "Field required"

    @classmethod
    def of(cls, field: Attribute[Any], converter: Converter) -> FieldReader:
        says = [
            word.says for word in annotations_of(present_type(field.type)) if isinstance(word, Length) and word.says
        ]
        return cls(
            name=field.alias or field.name,
            key=wire_name(field),
            required=field.default is NOTHING,
            read=reader_of(field.type, converter),
            absent=says[0] if says else "Field required",
        )


@frozen
class ClassReader:
    """
    The reader of an attrs class from a JSON object.
    """

    cls: type
    fields: tuple[FieldReader, ...]
    known: frozenset[str] | None

    @classmethod
    def of(cls, shape: type, converter: Converter) -> ClassReader:
        fields = tuple(FieldReader.of(field, converter) for field in fields_of(shape))
        strict = getattr(shape, "forbids_unknown", False)
        return cls(shape, fields, frozenset(field.key for field in fields) if strict else None)

    def hook(self, value: object, _: object = None) -> Any:
        """
        Build the instance that the JSON object describes.

        Raises:
            FieldsInvalid: With every wrong field.
        """
        if not isinstance(value, dict):
            raise single_value_error("model_attributes_type", NOT_AN_OBJECT, value)
        mistakes: list[FieldError] = []
        found: dict[str, Any] = {}
        for field in self.fields:
            key = field.key
            if key in value:
                try:
                    found[field.name] = field.read(value[key])
                except (Invalid, ValueError) as reason:
                    mistakes += field_errors_at(reason, value[key], key)
            elif field.required:
                mistakes.append(FieldError((key,), "missing", field.absent, value))
        if self.known is not None:
            mistakes += [
                FieldError((key,), "extra_forbidden", "Extra inputs are not permitted", value[key])
                for key in value
                if key not in self.known
            ]
        if mistakes:
            raise FieldsInvalid(tuple(mistakes))
        try:
            return self.cls(**found)
        except (Invalid, ValueError) as reason:
            raise FieldsInvalid(tuple(field_errors_at(reason, value))) from None


def field_errors_at(reason: Exception, value: object, *loc: str | int) -> list[FieldError]:
    """
    The field errors behind an exception that reading the value at this location raised.
    """
    if isinstance(reason, FieldsInvalid):
        return [error.within(*loc) for error in reason.errors]
    return [FieldError(loc, "value_error", f"Value error, {reason}", value, {"error": str(reason)})]


def reader_of(kind: Any, converter: Converter) -> ValueReader:
    """
    Build a function that reads values of a type and raises `FieldsInvalid` or `ValueError` for invalid ones.
    """
    several = union_members(bare_type(kind))
    read = _any_of([choice for choice in several if choice is not NoneType], converter)
    read = with_constraints(read, bare_type(present_type(bare_type(kind))), annotations_of(kind))
    return _nullable(read) if NoneType in several else read


def _any_of(kinds: Any, converter: Converter) -> ValueReader:
    reads = [_one(kind, converter) if not annotations_of(kind) else reader_of(kind, converter) for kind in kinds]
    if len(reads) == 1:
        return reads[0]

    def read(value: object) -> Any:
        refusals = []
        for attempt in reads:
            try:
                return attempt(value)
            except (Invalid, ValueError) as reason:
                refusals.append(reason)
        raise refusals[0]

    return read


def _nullable(read: ValueReader) -> ValueReader:
    return lambda value: None if value is None else read(value)


def _one(kind: Any, converter: Converter) -> ValueReader:
    kind = bare_type(kind)
    origin = get_origin(kind) or kind
    if kind is Any or kind is object:
        return lambda value: value
    if origin is Literal:
        return _one_of({value: value for value in get_args(kind)}, "literal_error")
    if origin in (list, tuple):
        item = (get_args(kind) or (Any,))[0]
        return _items(reader_of(item, converter), origin)
    if origin is dict or origin is Mapping:
        return _object(reader_of((get_args(kind) or (Any, Any))[1], converter))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _one_of({member.value: member for member in kind}, "enum")
    hook = converter.get_structure_hook(kind)
    if isinstance(hook, SingleValueHook):
        return with_range(hook.read, INTEGER_RANGE) if kind is int else hook.read
    return lambda value: hook(value, kind)


def _one_of(values: Mapping[Any, Any], kind: str) -> ValueReader:
    quoted = [repr(value) for value in values]
    expected = " or ".join(filter(None, (", ".join(quoted[:-1]), quoted[-1])))

    def read(value: object) -> Any:
        # True equals 1 in Python but not in JSON.
        if isinstance(value, str | int) and value in values and not isinstance(value, bool):
            return values[value]
        raise single_value_error(kind, f"Input should be {expected}", value, {"expected": expected})

    return read


def _items(read: ValueReader, collection: type) -> ValueReader:
    def read_all(value: object) -> Any:
        if not isinstance(value, list):
            raise single_value_error("list_type", "Input should be a valid list", value)
        mistakes: list[FieldError] = []
        found = []
        for position, item in enumerate(value):
            try:
                found.append(read(item))
            except (Invalid, ValueError) as reason:
                mistakes += field_errors_at(reason, item, position)
        if mistakes:
            raise FieldsInvalid(tuple(mistakes))
        return collection(found)

    return read_all


def _object(read: ValueReader) -> ValueReader:
    def read_all(value: object) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise single_value_error("dict_type", "Input should be a valid dictionary", value)
        mistakes: list[FieldError] = []
        found = {}
        for key, item in value.items():
            try:
                found[key] = read(item)
            except (Invalid, ValueError) as reason:
                mistakes += field_errors_at(reason, item, key)
        if mistakes:
            raise FieldsInvalid(tuple(mistakes))
        return found

    return read_all
