"""
The classes of `mission_core.lazy_attrs`, compared with those of attrs.
"""

import copy
import inspect
import pickle
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from importlib import import_module
from typing import Any, ClassVar, Generic, TypeVar

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_core import lazy_attrs
from tests.unit.fresh_interpreter import SRC

T = TypeVar("T")
VALUES = st.none() | st.booleans() | st.integers(-1, 2) | st.sampled_from(["", "a"]) | st.tuples(st.integers(0, 1))


def positive(instance: object, attribute: Any, value: Any) -> None:
    if isinstance(value, int) and value < 0:
        raise ValueError(f"{attribute.name} is negative")


def declared(frozen: Callable[..., Any], define: Callable[..., Any]) -> dict[str, type]:
    """
    The same classes, as these decorators make them.
    """

    @frozen
    class Pair:
        shared: ClassVar[str] = "a class variable"

        left: Any
        right: Any = attrs.field(default=0, validator=positive)

    @frozen(kw_only=True)
    class Converted(Generic[T]):
        left: Any = attrs.field(converter=str)
        right: Any = attrs.field(factory=list, repr=False, eq=False)

        def __attrs_post_init__(self) -> None:
            positive(self, attrs.fields(type(self)).left, self.right)

    @frozen
    class Triple(Pair):
        right: Any = attrs.field(default=1)
        third: Any = attrs.field(default=2, alias="last")

    class Undecorated(Triple):
        def __init__(self, left: Any, right: Any = 3) -> None:
            super().__init__(left, right, last=4)

    @frozen(eq=False)
    class Identity:
        left: Any
        right: Any = None

    @frozen(repr=False)
    class OwnMethods:
        left: Any
        right: Any = None

        def __eq__(self, other: object) -> bool:
            return isinstance(other, type(self)) and bool(self.left == other.left)

    @define
    class Mutable:
        left: Any
        right: Any = attrs.field(default=0, validator=positive)

    @define(repr=False)
    class Failure(Exception):
        left: Any
        right: Any = None

        def __str__(self) -> str:
            return f"{self.left} failed"

    @define(slots=False)
    class WithoutSlots:
        left: Any
        right: Any = None

    @frozen
    class Derived(Pair):
        def __repr__(self) -> str:
            return f"derived from {super().__repr__()}"

        @cached_property
        def both(self) -> tuple[Any, Any]:
            return self.left, self.right

    return {each.__name__: each for each in locals().values() if isinstance(each, type)}


OURS, THEIRS = declared(lazy_attrs.frozen, lazy_attrs.define), declared(attrs.frozen, attrs.define)


def outcome(call: Callable[[], Any]) -> Any:
    """
    What a call returns, or the class and the text of what it raises.
    """
    try:
        return call()
    except Exception as e:
        return type(e).__name__, str(e)


@pytest.mark.parametrize("name", THEIRS)
@given(st.lists(st.tuples(VALUES, VALUES), min_size=2, max_size=3))
def test_instances_behave_like_those_of_attrs(name: str, values: list[tuple[Any, Any]]) -> None:
    """
    Construction, comparison, hash, text, copies and changes.
    """
    told = []
    for cls in (OURS[name], THEIRS[name]):
        made = [outcome(lambda cls=cls, pair=pair: cls(left=pair[0], right=pair[1])) for pair in values]
        told.append(
            [
                [each if isinstance(each, tuple) else (each.left, each.right) for each in made],
                [outcome(lambda a=a, b=b: (a == b, a != b, hash(a) == hash(b))) for a in made for b in made],
                [repr(each) for each in made] if name not in {"Identity", "OwnMethods"} else None,
                [outcome(lambda a=each: str(attrs.evolve(a, left="b").left)) for each in made],
                [outcome(lambda a=each: copy.copy(a).left) for each in made],
                [outcome(lambda a=each: setattr(a, "right", -1)) for each in made],
                [outcome(lambda a=each: attrs.asdict(a)) for each in made],
            ]
        )

    assert repr(told[1]) == repr(told[0])


@pytest.mark.parametrize("name", THEIRS)
def test_classes_are_those_of_attrs(name: str) -> None:
    """
    Also their fields, signatures, slots and the classes that a pattern matches.
    """
    ours, theirs = OURS[name], THEIRS[name]

    assert inspect.signature(theirs) == inspect.signature(ours)
    assert [each.name for each in attrs.fields(theirs)] == [each.name for each in attrs.fields(ours)]
    assert attrs.fields(theirs) == attrs.fields(ours)
    assert tuple(each.name for each in attrs.fields(theirs)) == lazy_attrs.field_names(ours)
    assert vars(theirs).get("__slots__") == vars(ours).get("__slots__")
    assert theirs.__match_args__ == ours.__match_args__
    assert (theirs.__hash__ is None) == (ours.__hash__ is None)
    assert theirs.__attrs_props__ == ours.__attrs_props__
    assert theirs.__qualname__ == ours.__qualname__
    assert [each.__name__ for each in theirs.__mro__] == [each.__name__ for each in ours.__mro__]
    generated = {each for each in vars(theirs) if each != "__attrs_base_of_slotted__"}
    assert generated == {each for each in vars(ours) if each != "__attrs_base_of_slotted__"}
    instance = ours("a") if name != "Converted" else ours(left="a")
    assert instance is weakref.ref(instance)()


@lazy_attrs.frozen
class Pickled:
    """
    A class that pickle finds.
    """

    left: int
    right: int = 0


def test_an_instance_can_be_pickled() -> None:
    """
    By the state that attrs gives it.
    """
    assert Pickled(1, 2) == pickle.loads(pickle.dumps(Pickled(1, 2)))


@pytest.mark.parametrize("use", [lambda cls: cls(1), attrs.fields, attrs.has, repr, lazy_attrs.field_names])
def test_attrs_sees_a_class_when_it_is_first_used(use: Callable[[Any], object]) -> None:
    """
    And not when the class is declared, or when only its name is used.
    """
    seen = []

    def transformer(cls: type, fields: list[Any]) -> list[Any]:
        seen.append([each.name for each in fields])
        return fields

    @lazy_attrs.frozen(field_transformer=transformer)
    class Declared:
        left: int

    assert [] == seen
    use(Declared)
    assert ([] if use in (repr, lazy_attrs.field_names) else [["left"]]) == seen


def test_threads_that_use_a_class_at_the_same_time_see_a_whole_class() -> None:
    """
    Each of them gets an instance that equals those of the others.
    """

    @lazy_attrs.frozen
    class Declared:
        left: int

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: Declared(1), range(64)))

    assert {Declared(1)} == set(made)


def test_attrs_accepts_every_declared_class() -> None:
    """
    A mistake in a declaration would otherwise show only when a request needs the class.
    """
    files = [file for file in SRC.rglob("*.py") if "migrations" not in file.parts]  # alembic imports those
    names = (".".join(file.relative_to(SRC).with_suffix("").parts).removesuffix(".__init__") for file in files)
    declared = [
        each
        for module in map(import_module, names)
        for each in vars(module).values()
        if isinstance(each, type) and each.__module__ == module.__name__ and attrs.has(each)
    ]

    assert len(declared) > 500
    assert [] == [each for each in declared if each.__repr__ is None]  # an access makes the methods for comparisons
    names = {each: tuple(field.name for field in attrs.fields(each)) for each in declared}
    assert names == {each: lazy_attrs.field_names(each) for each in declared}
