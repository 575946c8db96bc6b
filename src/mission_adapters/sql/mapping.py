"""
What the mappings of all areas share: conversions between columns and the core's values, and constructors that trust
what the store already guaranteed.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import fields_dict

from mission_core.values import micros, moment

T = TypeVar("T")
V = TypeVar("V", bound=Enum)
Row = dict[str, Any]


def trusted(cls: type[T]) -> Callable[..., T]:
    """
    A constructor of *cls* that takes every field by name and checks nothing: it fills the slots.
    """
    names = list(fields_dict(cast(Any, cls)))
    setters = {f"set_{name}": getattr(cls, name).__set__ for name in names}
    source = [f"def make(*, {', '.join(names)}):", "    made = new(cls)"]
    source += [f"    set_{name}(made, {name})" for name in names]
    scope: dict[str, Any] = {"new": object.__new__, "cls": cls, **setters}
    exec("\n".join([*source, "    return made"]), scope)  # as attrs makes its own constructors
    made: Callable[..., T] = scope["make"]
    return made


def by_value(enumeration: type[V]) -> dict[Any, V]:
    """
    The members by their values: a lookup, where a call would cost several times as much.
    """
    return {member.value: member for member in enumeration}


def id_from(value: bytes) -> Any:
    """
    The id kept in 16 bytes; which kind of id it is, the column says.
    """
    return UUID(bytes=value)


def maybe_id(value: bytes | None) -> Any:
    """
    The id, if there is one.
    """
    return None if value is None else UUID(bytes=value)


def maybe_bytes(value: UUID | None) -> bytes | None:
    """
    The 16 bytes of an id, if there is one.
    """
    return None if value is None else value.bytes


def maybe_moment(value: int | None) -> datetime | None:
    """
    The moment, if there is one.
    """
    return None if value is None else moment(value)


def maybe_micros(value: datetime | None) -> int | None:
    """
    Microseconds since 1970, if there is a moment.
    """
    return None if value is None else micros(value)


def duration(value: int) -> timedelta:
    """
    That many microseconds.
    """
    return timedelta(microseconds=value)


def micros_in(value: timedelta) -> int:
    """
    How many microseconds it takes, exactly.
    """
    return (value.days * 86_400 + value.seconds) * 1_000_000 + value.microseconds
