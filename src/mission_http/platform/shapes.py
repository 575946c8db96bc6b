"""
The words with which body, query and payload classes say more about a field than its type.

They stand in `Annotated`, and are read twice: by the converter that checks values, and by the document.

    @frozen(kw_only=True)
    class TaskBody:
        title: Annotated[str, Length(1, 500, says="Title is required")]
        due_at: datetime | Absent | None = ABSENT
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Final, Literal, Protocol, Union, get_args, get_origin

import attrs
from attrs import Attribute, frozen
from msgspec import UnsetType

from mission_core.values import Absent


@frozen
class Length:
    """
    How many characters a text, or items a list, may have. *says* replaces the message of a missing or short one.
    """

    least: int = 0
    most: int | None = None
    says: str | None = None


@frozen
class Range:
    """
    Between which bounds a number lies, both included.
    """

    least: float | None = None
    most: float | None = None
    says: str | None = None


@frozen
class Pattern:
    """
    The regular expression that a text must match as a whole.
    """

    regex: str
    says: str | None = None

    def matches(self, value: str) -> bool:
        return re.fullmatch(self.regex, value) is not None


@frozen
class Rule:
    """
    A check of its own: *check* returns the value to keep, or raises `ValueError` with the text to show.
    """

    check: Callable[[Any], Any]


@frozen
class Named:
    """
    The name of the field on the wire, where it cannot be the attribute's.
    """

    name: str


@frozen(eq=False)  # a union hashes what it is made of, and a schema cannot be hashed
class Schema:
    """
    What the document says about the field, instead of what its type tells.
    """

    schema: Mapping[str, Any]


class Strict(Protocol):
    """
    A class that says `forbids_unknown: ClassVar[bool] = True` refuses fields it does not have, by name.
    """

    forbids_unknown: ClassVar[bool]


ABSENCES: Final = (Absent, UnsetType, Literal[Absent.ABSENT])


def fields_of(cls: type) -> tuple[Attribute[Any], ...]:
    """
    The fields of an attrs class that can be sent, with their types resolved.
    """
    attrs.resolve_types(cls, include_extras=True)
    return tuple(field for field in attrs.fields(cls) if field.init)


def wire_name(field: Attribute[Any]) -> str:
    """
    What the field is called on the wire.
    """
    named = [word.name for word in words_of(plainest(field.type)) if isinstance(word, Named)]
    return named[0] if named else field.name


def words_of(kind: Any) -> tuple[Any, ...]:
    """
    What `Annotated` says about the type, the outermost last.
    """
    return tuple(kind.__metadata__) if get_origin(kind) is Annotated else ()


def plain(kind: Any) -> Any:
    """
    The type without what `Annotated` says about it, and a `NewType` as what it stands for.
    """
    while True:
        if get_origin(kind) is Annotated:
            kind = kind.__origin__
        elif hasattr(kind, "__supertype__"):
            kind = kind.__supertype__
        else:
            return kind


def choices(kind: Any) -> tuple[Any, ...]:
    """
    The members of a union, the type itself if it is none, without the markers of absence.
    """
    if get_origin(kind) not in (Union, UnionType):
        return (kind,)
    return tuple(choice for choice in get_args(kind) if choice not in ABSENCES)


def plainest(kind: Any) -> Any:
    """
    The type of a field without null and absence, keeping what `Annotated` says.
    """
    present = [choice for choice in choices(kind) if choice is not NoneType]
    return present[0] if len(present) == 1 else kind
