"""
Projections of payload classes: the attributes of the row that a payload shows, and its JSON members for databases that
make the JSON of a list.
"""

from __future__ import annotations

from functools import cache
from types import NoneType
from typing import Any, Final

from attrs import NOTHING
from msgspec import Raw

from mission_core.projections import Constant, EncodedField, JsonEncoding, JsonMember, JsonValue, Nested, Projection
from mission_http.platform.field_annotations import present_type, union_members
from mission_http.platform.shapes import (
    Computed,
    DatabaseValue,
    Fixed,
    Given,
    Inline,
    Of,
    PayloadField,
    RendererSource,
    annotations_of_field,
    is_payload,
    types_of,
    without_annotations,
)

UNCHANGED_ENCODINGS: Final = {str: JsonEncoding.TEXT, int: JsonEncoding.INTEGER, float: JsonEncoding.FLOAT}
"""The encodings of values that need no conversion, by their type in the row."""


@cache
def projection_of(cls: Any, **given: Of) -> Projection:
    """
    The projection of a payload class. *given* has an `Of` for each of its `Given` fields that is read from the row.
    """
    source = RendererSource(cls, given)
    members = [_member(source, one) for one in source.fields.values() if not _is_omitted(source, one)]
    described = tuple(each for each in members if each is not None)
    return Projection(
        render=source.compiled(),
        fields=_attributes_read(source),
        members=described if len(described) == len(members) else (),
        of_json=_raw,
    )


def _raw(text: str) -> Raw:
    return Raw(text.encode())


def _is_omitted(source: RendererSource, one: PayloadField) -> bool:
    return isinstance(source.source_of(one), Given) and one.default is not NOTHING


def _attributes_read(source: RendererSource) -> frozenset[str] | None:
    """
    The attributes of the row that rendering reads; None if a computing function does not tell.
    """
    found: set[str] = set()
    for one in source.fields.values():
        shown = source.source_of(one)
        if isinstance(shown, Of):
            if not shown.path:
                return None
            found.add(shown.path.partition(".")[0])
        elif isinstance(shown, Computed):
            if shown.reads is None:
                return None
            found.update(shown.reads)
    return frozenset(found)


def _member(source: RendererSource, one: PayloadField) -> JsonMember | None:
    """
    The member of the JSON object for a field; None if only Python can make it.
    """
    told = next((word for word in annotations_of_field(one) if isinstance(word, DatabaseValue)), None)
    value = _json_value(source, one) if told is None else told.value
    if value is None:
        return None
    nullable = isinstance(value, EncodedField) and NoneType in union_members(source.attribute(value.field)[1])
    required = nullable and NoneType not in union_members(without_annotations(one.type))
    return JsonMember(one.name, value, required=required, while_empty=told.while_empty if told else ())


def _nested(path: str, cls: Any) -> Nested | None:
    """
    The JSON object of a nested row, if each of its members is a number.
    """
    source = RendererSource(cls)
    members = [_member(source, one) for one in source.fields.values()]
    numbers = [each for each in members if each is not None and _is_number(each)]
    return Nested(path, tuple(numbers)) if len(numbers) == len(members) else None


def _is_number(member: JsonMember) -> bool:
    value = member.value
    return isinstance(value, EncodedField) and value.encoding is JsonEncoding.INTEGER and not member.required


def _json_value(source: RendererSource, one: PayloadField) -> JsonValue | None:
    """
    The value of a field as a database makes it; None if a Python function makes it.
    """
    shown = source.source_of(one)
    if isinstance(shown, Fixed):
        return Constant(shown.value)
    if not isinstance(shown, Of) or shown.convert is not None or not shown.path or "." in shown.path:
        return None
    kinds = types_of(present_type(source.attribute(shown.path)[1]))
    wires = types_of(present_type(without_annotations(one.type)))
    found, unchanged = source.conversion_between(kinds, wires)
    if found is None and is_payload(wires[0]):
        return _nested(shown.path, wires[0])
    if isinstance(found, Inline):
        encoding = found.encoding
    else:
        encoding = UNCHANGED_ENCODINGS.get(kinds[-1]) if found is None and unchanged else None
    return None if encoding is None else EncodedField(shown.path, encoding)
