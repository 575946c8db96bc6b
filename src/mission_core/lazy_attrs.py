"""
attrs classes whose methods are made when they are first needed.

attrs writes and compiles the methods of a class when the class is declared. A server declares hundreds of classes at
its start, and its first answer needs few of them. `define` and `frozen` of this module take the arguments of those of
attrs, and the classes are the same, but attrs sees a class only at the first access to something that it makes, such as
the first construction of an instance.
"""

from __future__ import annotations

from functools import cached_property
from inspect import get_annotations
from threading import RLock
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable

    from attrs import define as define
    from attrs import frozen as frozen
else:

    def define(cls: type | None = None, /, **options: Any) -> Any:
        """
        `attrs.define`, at the first use of the class.
        """
        return _decorate(attrs.define, cls, options)

    def frozen(cls: type | None = None, /, **options: Any) -> Any:
        """
        `attrs.frozen`, at the first use of the class.
        """
        return _decorate(attrs.frozen, cls, options)


CONSTRUCTION: Final = frozenset({
    "__attrs_attrs__", "__attrs_init__", "__attrs_own_setattr__", "__delattr__", "__getstate__", "__init__",
    "__match_args__", "__replace__", "__setattr__", "__setstate__",
})  # fmt: skip
"""The attributes that attrs may make for the fields of a class and its instances."""
COMPARISON: Final = frozenset({"__attrs_props__", "__eq__", "__hash__", "__ne__", "__repr__"})
"""The attributes that attrs may make for comparisons and texts. They cost twice as much as the others, and most classes
of a server never need them."""
NOT_COPIED: Final = frozenset({"__dict__", "__weakref__"})
"""The descriptors that a class without slots has."""
_making: Final = RLock()


def field_names(cls: type) -> tuple[str, ...]:
    """
    The names of the fields of a class. Unlike `attrs.fields`, it does not make attrs see the class.
    """
    names: dict[str, None] = {}
    for base in reversed(cls.__mro__):
        made = vars(base).get("__attrs_attrs__", ())
        own = _declared_fields(base) if isinstance(made, _Unmade) else [each.name for each in made]
        names = {name: None for name in names if name not in own} | dict.fromkeys(own)
    return tuple(names)


def _decorate(decorator: Callable[..., Any], cls: type | None, options: dict[str, Any]) -> Any:
    if cls is None:
        return lambda decorated: _decorate(decorator, decorated, options)
    if not options.get("slots", True) or any(map(_is_bound_to_class, vars(cls).values())):
        return decorator(cls, **options)
    return _LazyClass(decorator, cls, options).made


def _is_bound_to_class(attribute: Any) -> bool:
    """
    Whether attrs must adapt an attribute to the class that it makes: cached properties, and functions with `super()`.
    """
    kind = type(attribute)
    if kind is FunctionType:
        return "__class__" in attribute.__code__.co_freevars
    if kind is property:
        return _is_bound_to_class(attribute.fget)
    return kind is cached_property or (kind in (classmethod, staticmethod) and _is_bound_to_class(attribute.__func__))


class _LazyClass:
    """
    A class that has the slots of a declared class, and for what attrs makes, descriptors.
    """

    def __init__(self, decorator: Callable[..., Any], declared: type, options: dict[str, Any]) -> None:
        self._decorator, self._declared, self._options = decorator, declared, options
        body = _body_with_slots(declared)
        self._unmade = (CONSTRUCTION | COMPARISON) - body.keys()
        body |= {name: _Unmade(self, name) for name in self._unmade}
        self.made: type = type(declared)(declared.__name__, declared.__bases__, body)

    def make(self, name: str) -> None:
        """
        Let attrs make the class, and take over this attribute and those that are needed with it.
        """
        group, options = COMPARISON, self._options
        if name in CONSTRUCTION:
            group, options = CONSTRUCTION, self._options | {"eq": False, "repr": False}
        with _making:
            left = self._unmade & group
            found = vars(self._decorator(self._declared, **options)) if left else {}
            for each in left:
                if each in found:
                    setattr(self.made, each, found[each])
                else:
                    delattr(self.made, each)
            self._unmade -= left


class _Unmade:
    """
    Stands for an attribute until attrs has made it.
    """

    __slots__ = ("_lazy", "_name")

    def __init__(self, lazy: _LazyClass, name: str) -> None:
        self._lazy, self._name = lazy, name

    def __get__(self, instance: Any, owner: type) -> Any:
        self._lazy.make(self._name)
        value = getattr(self._lazy.made, self._name)
        return value.__get__(instance, owner) if hasattr(value, "__get__") else value


def _body_with_slots(declared: type) -> dict[str, Any]:
    """
    The body of a class that has slots in place of the fields of a declared class.
    """
    fields = _declared_fields(declared)
    bases = declared.__mro__[1:-1]
    inherited = {name: getattr(base, name) for base in bases for name in getattr(base, "__slots__", ())}
    body = {name: value for name, value in vars(declared).items() if name not in NOT_COPIED.union(fields)}
    body |= {name: inherited[name] for name in fields if name in inherited}
    slots = [name for name in fields if name not in inherited]
    if not any("__weakref__" in vars(base) for base in bases):
        slots.append("__weakref__")
    return {**body, "__slots__": tuple(slots), "__qualname__": declared.__qualname__}


def _declared_fields(cls: type) -> list[str]:
    kinds = get_annotations(cls).items()
    return [name for name, kind in kinds if not str(kind).startswith(("ClassVar", "typing.ClassVar"))]
