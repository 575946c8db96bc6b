"""
Conversions between column values and values of the core, and constructors without validation, shared by all mappings.
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
ColumnValues = dict[str, Any]


def trusted_constructor(cls: type[T]) -> Callable[..., T]:
    """
    Return a constructor of an attrs class that takes every field by name and skips validation.
    """
    names = list(fields_dict(cast(Any, cls)))
    setters = {f"set_{name}": getattr(cls, name).__set__ for name in names}
    source = [f"def make(*, {', '.join(names)}):", "    made = new(cls)"]
    source += [f"    set_{name}(made, {name})" for name in names]
    scope: dict[str, Any] = {"new": object.__new__, "cls": cls, **setters}
    exec("\n".join([*source, "    return made"]), scope)  # attrs generates its constructors in the same way
    made: Callable[..., T] = scope["make"]
    return made


def members_by_value(enumeration: type[V]) -> dict[Any, V]:
    """
    Return the members of an enumeration by value. A lookup in the dict is several times faster than a call.
    """
    return {member.value: member for member in enumeration}


def uuid_of_bytes(value: bytes) -> Any:
    """
    Return the UUID in 16 bytes. It is typed `Any` because the column decides which id type it is.
    """
    return UUID(bytes=value)


def optional_uuid(value: bytes | None) -> Any:
    return None if value is None else UUID(bytes=value)


def optional_bytes(value: UUID | None) -> bytes | None:
    return None if value is None else value.bytes


def optional_moment(value: int | None) -> datetime | None:
    return None if value is None else moment(value)


def optional_micros(value: datetime | None) -> int | None:
    return None if value is None else micros(value)


def duration_of_micros(value: int) -> timedelta:
    return timedelta(microseconds=value)


def micros_of_duration(value: timedelta) -> int:
    """
    Return a duration in microseconds, without rounding.
    """
    return (value.days * 86_400 + value.seconds) * 1_000_000 + value.microseconds
