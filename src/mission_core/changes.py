"""
Changes of entities: the entity with some fields changed, and the decision whether an update changes anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
from attrs import fields, frozen

if TYPE_CHECKING:
    from datetime import datetime

    from attrs import AttrsInstance

E = TypeVar("E", bound="AttrsInstance")
T = TypeVar("T")


@frozen
class Plan:
    """
    The fields of a class whose instances can be copied field by field: their names, values, and by name the place and
    the validator of each.
    """

    names: tuple[str, ...]
    values: Callable[[Any], Any]
    attributes: Mapping[str, tuple[int, attrs.Attribute[Any]]]


@cache
def _plan_of(kind: Any) -> Plan | None:
    """
    The plan of a class; None if its constructor does more than to keep and to check its fields.
    """
    every = fields(kind)
    plain = all(each.init and each.converter is None and each.alias == each.name for each in every)
    hooked = hasattr(kind, "__attrs_post_init__") or hasattr(kind, "__attrs_pre_init__")
    if len(every) < 2 or not plain or hooked or issubclass(kind, BaseException):
        return None
    names = tuple(each.name for each in every)
    return Plan(names, attrgetter(*names), {each.name: (i, each) for i, each in enumerate(every)})


def evolve(entity: T, /, **given: Any) -> T:
    """
    The entity with the given values. As `attrs.evolve`, but what the entity holds already is not checked again.

    Raises:
        InvalidField: If a value cannot be kept.
    """
    kind: Any = type(entity)
    plan = _plan_of(kind)
    if plan is None or not given.keys() <= plan.attributes.keys():
        return attrs.evolve(entity, **given)  # type: ignore[misc]
    made: T = object.__new__(kind)
    put = partial(object.__setattr__, made)
    any(map(put, plan.names, plan.values(entity)))  # which sets each of them: nothing that `put` returns is true
    changed = []
    for name, value in given.items():
        if value is not getattr(entity, name):
            put(name, value)
            changed.append(plan.attributes[name])
    if len(changed) > 1:
        changed.sort(key=_place)  # as if all were checked in their order
    for _, attribute in changed:
        if attribute.validator is not None:
            attribute.validator(made, attribute, getattr(made, attribute.name))
    return made


def _place(one: tuple[int, object]) -> int:
    return one[0]


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
    after = evolve(before, **given)
    changed = differing(before, after)
    return (evolve(after, updated_at=at) if changed else before), changed
