"""
Runtime checks of values against the type annotations of their fields.

They apply to each field of an entity that has no validator of its own, and to every field of a command.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, NewType, Union, cast, get_args, get_origin, get_type_hints
from uuid import UUID

from attrs import NOTHING, Attribute, fields, has

from mission_core.errors import InvalidField
from mission_core.lazy_attrs import frozen
from mission_core.values import (
    ABSENT,
    MAX_INTEGER,
    UNSTORABLE,
    UNSTORABLE_TEXT,
    Absent,
    JsonText,
    canonical,
    checked_json,
    checked_moment,
)

Check = Callable[[str, Any], None]
ClassChecks = Mapping[type, "Check | None"]
"""The further check of the instances of a class; None if they need none. Other values need the whole check."""
COMMAND_CHECKS: Final[dict[type, tuple[tuple[str, Any, ClassChecks, Check], ...]]] = {}
"""The checks of each command class, built when its first command is checked."""


@frozen
class AcceptedType:
    """
    A type of value that a field accepts: its classes, its name in an error text, and a further check.
    """

    of: type | tuple[type, ...]
    called: str
    check: Check | None = None


def with_type_validators(cls: type, attributes: list[Attribute[Any]]) -> list[Attribute[Any]]:
    """
    An attrs field transformer for entities: each field without a validator gets one that accepts only values of the
    field's type.
    """
    return [
        each if each.validator is not None else each.evolve(validator=_type_validator(each.name, each.default))
        for each in attributes
    ]


def check_fields(thing: Any) -> None:
    """
    Check every field of a command.

    Raises:
        InvalidField: If a value has another type than its field, or cannot be stored.
    """
    kind = type(thing)
    if kind not in COMMAND_CHECKS:
        COMMAND_CHECKS[kind] = _command_checks(kind)
    for name, default, by_class, whole in COMMAND_CHECKS[kind]:
        value = getattr(thing, name)
        if value is not default:
            check = by_class.get(value.__class__, whole)
            if check is not None:
                check(name, value)


def _type_validator(name: str, default: object) -> Callable[[object, Any, object], None]:
    whole: Check | None = None  # built for the first value: annotations may name types that are imported later
    by_class: ClassChecks = {}

    def validate(instance: object, attribute: Any, value: object) -> None:
        nonlocal whole, by_class
        if value is default:
            return
        if whole is None:
            kind = get_type_hints(type(instance))[name]
            by_class = _class_checks(_accepted_types_of(kind, bounded=True) or ())
            whole = _check_of(kind, bounded=True) or _accept_anything
        check = by_class.get(value.__class__, whole)
        if check is not None:
            check(name, value)

    return validate


def _accept_anything(name: str, value: Any) -> None:
    pass


def _command_checks(cls: Any) -> tuple[tuple[str, Any, ClassChecks, Check], ...]:
    if not has(cls) or not cls.__module__.startswith("mission_core."):
        return ()
    kinds = get_type_hints(cls)
    checks = ((each, _check_of(kinds[each.name])) for each in fields(cls))
    return tuple(
        (
            each.name,
            each.default if each.default is not NOTHING else checks,
            _class_checks(_accepted_types_of(kinds[each.name], bounded=False) or ()) if each.repr else {},
            check if each.repr else _without_value(check),
        )
        for each, check in checks
        if check is not None
    )


def _without_value(check: Check) -> Check:
    def checked(name: str, value: Any) -> None:
        try:
            check(name, value)
        except InvalidField as refusal:
            raise InvalidField(refusal.field, refusal.reason) from None  # the value may be a secret

    return checked


def _check_of(kind: Any, *, bounded: bool = False) -> Check | None:
    """
    The check of values of a type; None if there is nothing to check. Integers that only look up a row need not be
    *bounded* to 64 bits: a larger one matches no row.
    """
    shapes = _accepted_types_of(kind, bounded)
    if shapes is None:
        return None
    called = " or ".join(dict.fromkeys(shape.called for shape in shapes if shape.of is not Absent))

    by_class = _class_checks(shapes)

    def check(name: str, value: Any) -> None:
        if value.__class__ in by_class:
            further = by_class[value.__class__]
            if further is not None:
                further(name, value)
            return
        if value is not None and value is not ABSENT:
            truth = value.__class__ is bool  # a bool is an int in Python, but no number here
            for shape in shapes:
                if isinstance(value, shape.of) and (not truth or shape.of is bool):
                    if shape.check is not None:
                        shape.check(name, value)
                    return
        raise InvalidField(name, f"must be {called}", value)

    return check


def _class_checks(shapes: tuple[AcceptedType, ...]) -> ClassChecks:
    """
    The further checks of the instances of exactly these classes.
    """
    return {shape.of: shape.check for shape in reversed(shapes) if isinstance(shape.of, type)}


def _accepted_types_of(kind: Any, bounded: bool) -> tuple[AcceptedType, ...] | None:
    """
    The accepted types of a field's annotation; None if any value is accepted.
    """
    if isinstance(kind, NewType):
        if kind is JsonText:
            return (AcceptedType(str, "JSON as text", checked_json),)
        known = _accepted_types_of(kind.__supertype__, bounded)
        return known if bounded or kind.__supertype__ is not int else (AcceptedType(int, TYPE_NAMES[int]),)
    if kind in PLAIN_TYPES:
        return (PLAIN_TYPES[kind],)
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _accepted_types_of(inner[0], bounded)
    if origin in (Union, UnionType):
        parts = [_accepted_types_of(each, bounded) for each in inner]
        return None if None in parts else tuple(shape for part in parts if part for shape in part)
    if origin is Literal:
        return (
            AcceptedType(
                tuple({type(each) for each in inner}), f"one of {_comma_separated(inner)}", _literal_check(inner)
            ),
        )
    if origin in (tuple, frozenset):
        return (AcceptedType(origin, "a list", _items_check(origin, inner, bounded)),)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return (AcceptedType(Mapping, "an object", _mapping_check(*inner)),)
    if origin is Callable:
        return (AcceptedType(cast("type", origin), "a function"),)
    if not isinstance(kind, type) or kind in (Any, object) or getattr(kind, "_is_protocol", False):
        return None
    if issubclass(kind, Enum):
        return (
            AcceptedType(
                kind, f"one of {_comma_separated(each.value for each in kind)}" if kind is not Absent else "absent"
            ),
        )
    return (AcceptedType(kind, f"a {kind.__name__}", _nested_check(kind)),)


def _comma_separated(values: Any) -> str:
    return ", ".join(str(each) for each in values)


def _nested_check(kind: type) -> Check | None:
    return (lambda name, value: check_fields(value)) if has(kind) else None


def _literal_check(values: tuple[Any, ...]) -> Check:
    def check(name: str, value: Any) -> None:
        if value not in values:
            raise InvalidField(name, f"must be one of {_comma_separated(values)}", value)

    return check


def _items_check(origin: type, kinds: tuple[Any, ...], bounded: bool) -> Check:
    alike = origin is frozenset or kinds[-1] is Ellipsis
    checks = [_check_of(each, bounded=bounded) for each in kinds if each is not Ellipsis]

    def check(name: str, value: Any) -> None:
        if not alike and len(value) != len(checks):
            raise InvalidField(name, f"must have {len(checks)} entries", value)
        for i, each in enumerate(value):
            checked = checks[0 if alike else i]
            if checked is not None:
                checked(f"{name}.{i}", each)

    return check


def _mapping_check(key: Any, kind: Any) -> Check:
    keys, values = _check_of(key), _check_of(kind)

    def check(name: str, value: Any) -> None:
        for each, one in value.items():
            if keys is not None:
                keys(name, each)
            if values is not None:
                values(f"{name}.{each}", one)
            else:
                try:
                    canonical(one)
                except InvalidField as refusal:
                    raise InvalidField(f"{name}.{each}", refusal.reason) from None

    return check


def _check_text(name: str, value: str) -> None:
    if UNSTORABLE.search(value):
        raise InvalidField(name, UNSTORABLE_TEXT, value)


def _check_64_bits(name: str, value: int) -> None:
    if not -MAX_INTEGER - 1 <= value <= MAX_INTEGER:
        raise InvalidField(name, "must be a whole number within 64 bits")


def _check_finite(name: str, value: float) -> None:
    if not -MAX_INTEGER - 1 <= value <= MAX_INTEGER:  # also false for NaN and infinity
        raise InvalidField(name, "must be a finite number within 64 bits")


TYPE_NAMES: Final = {
    str: "text", int: "a whole number", float: "a number", bool: "true or false", bytes: "bytes", UUID: "a UUID",
    datetime: "a datetime in UTC", timedelta: "a timedelta", NoneType: "null",
}  # fmt: skip
TYPE_CHECKS: Final[Mapping[type, Check]] = {
    str: _check_text, int: _check_64_bits, float: _check_finite, datetime: checked_moment
}  # fmt: skip
PLAIN_TYPES: Final = {
    kind: AcceptedType((int, float) if kind is float else kind, words, TYPE_CHECKS.get(kind))
    for kind, words in TYPE_NAMES.items()
} | {None: AcceptedType(NoneType, TYPE_NAMES[NoneType])}
