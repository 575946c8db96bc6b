"""
Annotations of fields in body, query and payload classes: lengths, ranges, patterns, checks and names on the wire.

They are written in `Annotated` and read twice: by the converters, and by the generator of JSON schemas.

    class TaskBody(Body):
        title: Annotated[str, Length(1, 500, says="Title is required")]
        due_at: datetime | Absent | None = ABSENT
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Final, Literal, Protocol, Union, dataclass_transform, get_args, get_origin

import attrs
from attrs import Attribute
from msgspec import UnsetType

from mission_core.lazy_attrs import frozen
from mission_core.values import Absent


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(attrs.field,))
class RequestFields:
    """
    The fields of a request. Its subclasses are frozen attrs classes whose fields are given by name.
    """

    __attrs_attrs__: ClassVar[Any]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        attrs.frozen(cls, kw_only=True, slots=False, eq=False, repr=False)  # nobody compares or prints requests


class Body(RequestFields):
    """
    A request body.
    """


class Query(RequestFields):
    """
    The query parameters of a request.
    """


@frozen
class Length:
    """
    The number of characters in a text, or of items in a list. *says* replaces the message for a missing or short one.
    """

    least: int = 0
    most: int | None = None
    says: str | None = None


@frozen
class NumberRange:
    """
    The bounds of a number, both inclusive.
    """

    least: float | None = None
    most: float | None = None
    says: str | None = None


@frozen
class TextPattern:
    """
    The regular expression that the whole text must match.
    """

    regex: str
    says: str | None = None

    def matches(self, value: str) -> bool:
        return re.fullmatch(self.regex, value) is not None


@frozen
class CustomCheck:
    """
    A custom check: *check* returns the value to use, or raises `ValueError` with the message.
    """

    check: Callable[[Any], Any]


@frozen
class WireName:
    """
    The name of the field on the wire, if it differs from the attribute's.
    """

    name: str


@frozen(eq=False)  # unions hash their members, and a schema cannot be hashed
class SchemaOverride:
    """
    The JSON schema of the field, instead of the one generated from its type.
    """

    schema: Mapping[str, Any]


class ForbidsUnknownFields(Protocol):
    """
    The protocol of classes that refuse unknown fields: `forbids_unknown: ClassVar[bool] = True`.
    """

    forbids_unknown: ClassVar[bool]


ABSENCE_MARKERS: Final = (Absent, UnsetType, Literal[Absent.ABSENT])


def fields_of(cls: type) -> tuple[Attribute[Any], ...]:
    """
    The fields that the constructor of an attrs class takes, with their types resolved.
    """
    attrs.resolve_types(cls, include_extras=True)
    return tuple(field for field in attrs.fields(cls) if field.init)


class NamedField(Protocol):
    """
    The protocol of fields with a name and a type, such as an attrs `Attribute` or a `PayloadField`.
    """

    @property
    def name(self) -> str: ...

    @property
    def type(self) -> Any: ...


def wire_name(field: NamedField) -> str:
    """
    The name of a field on the wire.
    """
    named = [word.name for word in annotations_of(present_type(field.type)) if isinstance(word, WireName)]
    return named[0] if named else field.name


def annotations_of(kind: Any) -> tuple[Any, ...]:
    """
    The annotations in `Annotated` of a type, the outermost last.
    """
    return tuple(kind.__metadata__) if get_origin(kind) is Annotated else ()


def bare_type(kind: Any) -> Any:
    """
    The type without `Annotated`, and the supertype of a `NewType`.
    """
    while True:
        if get_origin(kind) is Annotated:
            kind = kind.__origin__
        elif hasattr(kind, "__supertype__"):
            kind = kind.__supertype__
        else:
            return kind


def union_members(kind: Any) -> tuple[Any, ...]:
    """
    The members of a union without absence markers; a type that is not a union is its only member.
    """
    if get_origin(kind) not in (Union, UnionType):
        return (kind,)
    return tuple(choice for choice in get_args(kind) if choice not in ABSENCE_MARKERS)


def present_type(kind: Any) -> Any:
    """
    The type of a field without null and absence markers, with its annotations.
    """
    present = [choice for choice in union_members(kind) if choice is not NoneType]
    return present[0] if len(present) == 1 else kind
