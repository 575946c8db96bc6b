"""
The decision whether an update changes anything, which is the same for every entity.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import evolve, fields

if TYPE_CHECKING:
    from datetime import datetime

    from attrs import AttrsInstance

E = TypeVar("E", bound="AttrsInstance")


def differing(before: E, after: E) -> tuple[str, ...]:
    """
    The names of the fields in which two states of an entity differ, in their order.
    """
    names = (each.name for each in fields(type(before)))
    return tuple(sorted(name for name in names if getattr(before, name) != getattr(after, name)))


def edited(before: E, given: Mapping[str, Any], *, at: datetime) -> tuple[E, tuple[str, ...]]:
    """
    The entity with the given values, and the names of the fields that changed; the entity as it was if none did.

    Raises:
        InvalidField: If a value cannot be kept.
    """
    after: E = evolve(cast("Any", before), **given)
    changed = differing(before, after)
    return (evolve(cast("Any", after), updated_at=at) if changed else before), changed
