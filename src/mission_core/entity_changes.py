"""
Copies of entities with some fields changed, the names of the fields that differ between two states, and the check of
the version that a caller expects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
from attrs import fields, frozen

from mission_core.errors import VersionMismatch

if TYPE_CHECKING:
    from datetime import datetime

    from attrs import AttrsInstance

    from mission_core.ports import Versioned

E = TypeVar("E", bound="AttrsInstance")
T = TypeVar("T")
VersionedT = TypeVar("VersionedT", bound="Versioned")


@frozen
class CopyPlan:
    """
    The data needed to copy the instances of a class field by field: the names of its fields, a getter of their values,
    and each field's position and attribute.
    """

    names: tuple[str, ...]
    values: Callable[[Any], Any]
    attributes: Mapping[str, tuple[int, attrs.Attribute[Any]]]


@cache
def _copy_plan_of(kind: Any) -> CopyPlan | None:
    """
    The plan of a class; None if its constructor does more than keep and validate its fields.
    """
    every = fields(kind)
    plain = all(each.init and each.converter is None and each.alias == each.name for each in every)
    hooked = hasattr(kind, "__attrs_post_init__") or hasattr(kind, "__attrs_pre_init__")
    if len(every) < 2 or not plain or hooked or issubclass(kind, BaseException):
        return None
    names = tuple(each.name for each in every)
    return CopyPlan(names, attrgetter(*names), {each.name: (i, each) for i, each in enumerate(every)})


def evolve(entity: T, /, **given: Any) -> T:
    """
    A copy of the entity with the given values. It works like `attrs.evolve`, but validates only the fields that change.

    Raises:
        InvalidField: If a value is not valid.
    """
    kind: Any = type(entity)
    plan = _copy_plan_of(kind)
    if plan is None or not given.keys() <= plan.attributes.keys():
        return attrs.evolve(entity, **given)  # type: ignore[misc]
    made: T = object.__new__(kind)
    put = partial(object.__setattr__, made)
    any(map(put, plan.names, plan.values(entity)))  # `any` calls `put` for every field, because `put` returns None
    changed = []
    for name, value in given.items():
        if value is not getattr(entity, name):
            put(name, value)
            changed.append(plan.attributes[name])
    if len(changed) > 1:
        changed.sort(key=_position)  # validate in the order of the fields, as attrs does
    for _, attribute in changed:
        if attribute.validator is not None:
            attribute.validator(made, attribute, getattr(made, attribute.name))
    return made


def _position(one: tuple[int, object]) -> int:
    return one[0]


def changed_fields(before: E, after: E) -> tuple[str, ...]:
    """
    The names of the fields in which two states of an entity differ, sorted.
    """
    names = (each.name for each in fields(type(before)))
    return tuple(sorted(name for name in names if getattr(before, name) != getattr(after, name)))


def with_changes(before: E, given: Mapping[str, Any], *, at: datetime) -> tuple[E, tuple[str, ...]]:
    """
    A copy of the entity with the given values, and the names of the changed fields. If no field changes, the entity
    itself.

    Raises:
        InvalidField: If a value is not valid.
    """
    after = evolve(before, **given)
    changed = changed_fields(before, after)
    return (evolve(after, updated_at=at) if changed else before), changed


def require_version(row: VersionedT, expects: int | None) -> VersionedT:
    """
    Require the version that the caller expects, if it expects one, and return the row.

    Raises:
        VersionMismatch: If the row has another version.
    """
    if expects is not None and expects != row.version:
        raise VersionMismatch(expects, row.version)
    return row
