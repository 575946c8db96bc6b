"""
Copies of entities with some fields changed, the names of the fields that differ between two states, and the check of
the version that a caller expects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any, Final, TypeVar

import attrs
from attrs import fields

from mission_core.errors import VersionMismatch
from mission_core.lazy_attrs import frozen
from mission_core.row_mapping import trusted_constructor

if TYPE_CHECKING:
    from datetime import datetime

    from attrs import AttrsInstance

    from mission_core.ports import Versioned

E = TypeVar("E", bound="AttrsInstance")
T = TypeVar("T")
VersionedT = TypeVar("VersionedT", bound="Versioned")
POSITION: Final = itemgetter(0)
FACTORY: Final[Any] = attrs.Factory
"""The class of defaults that are made anew for each instance. The types of attrs show it as a function."""


@frozen
class CopyPlan:
    """
    The data needed to copy the instances of a class field by field: a getter of their values, a constructor that takes
    these, each field's position, attribute and setter, and the defaults; None if a default is not a constant.
    """

    values: Callable[[Any], Any]
    make: Callable[..., Any]
    attributes: Mapping[str, tuple[int, attrs.Attribute[Any], Callable[[Any, Any], None]]]
    defaults: Mapping[str, Any] | None


@cache
def _copy_plan_of(kind: Any) -> CopyPlan | None:
    """
    The plan of a class; None if its constructor does more than keep and validate its fields, or it has no slots.
    """
    every = fields(kind)
    plain = all(each.init and each.converter is None and each.alias == each.name for each in every)
    plain = plain and all(hasattr(getattr(kind, each.name, None), "__set__") for each in every)
    hooked = hasattr(kind, "__attrs_post_init__") or hasattr(kind, "__attrs_pre_init__")
    if len(every) < 2 or not plain or hooked or issubclass(kind, BaseException):
        return None
    attributes = {each.name: (i, each, getattr(kind, each.name).__set__) for i, each in enumerate(every)}
    constant = not any(isinstance(each.default, FACTORY) for each in every)
    defaults = {each.name: each.default for each in every if each.default is not attrs.NOTHING} if constant else None
    return CopyPlan(attrgetter(*attributes), trusted_constructor(kind), attributes, defaults)


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
    made: T = plan.make(*plan.values(entity))
    changed = []
    for name, value in given.items():
        if value is not getattr(entity, name):
            one = plan.attributes[name]
            one[2](made, value)
            changed.append(one)
    if len(changed) > 1:
        changed.sort(key=POSITION)  # validate in the order of the fields, as attrs does
    for _, attribute, _ in changed:
        if attribute.validator is not None:
            attribute.validator(made, attribute, getattr(made, attribute.name))
    return made


def new_entity(kind: type[T], /, **given: Any) -> T:
    """
    An entity with the given values. It works like the constructor, but does not validate values that are the defaults.

    Raises:
        InvalidField: If a value is not valid.
    """
    cls: Any = kind
    plan = _copy_plan_of(cls)
    if plan is None or plan.defaults is None or not given.keys() <= plan.attributes.keys():
        return kind(**given)
    defaults = plan.defaults
    made: T = plan.make(**{**defaults, **given})
    own = [plan.attributes[name] for name, value in given.items() if value is not defaults.get(name, attrs.NOTHING)]
    own.sort(key=POSITION)  # validate in the order of the fields, as attrs does
    for _, attribute, _ in own:
        if attribute.validator is not None:
            attribute.validator(made, attribute, given[attribute.name])
    return made


def changed_fields(before: E, after: E) -> tuple[str, ...]:
    """
    The names of the fields in which two states of an entity differ, sorted.
    """
    names, values = _field_values_of(type(before))
    pairs = zip(names, values(before), values(after), strict=True)
    # Most values of a copy are those of the original.
    return tuple(sorted([name for name, was, now in pairs if was is not now and was != now]))


def field_values(entity: AttrsInstance) -> Iterable[tuple[str, Any]]:
    """
    The names and values of an entity's fields, in their order.
    """
    names, values = _field_values_of(type(entity))
    return zip(names, values(entity), strict=True)


@cache
def _field_values_of(kind: type[AttrsInstance]) -> tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]]:
    """
    The names of the fields of a class, and a getter of their values.
    """
    names = tuple(each.name for each in fields(kind))
    return names, (attrgetter(*names) if len(names) > 1 else lambda entity: tuple(getattr(entity, n) for n in names))


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
