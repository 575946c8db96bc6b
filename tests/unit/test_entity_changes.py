"""
Copies of entities with some fields changed, and new entities.
"""

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mission_adapters.testing import strategies as some
from mission_core.entity_changes import evolve, new_entity
from mission_core.errors import InvalidField
from mission_core.tasks.model import Task
from tests.example_counts import max_examples

NAMES = [each.name for each in attrs.fields(Task)]
REQUIRED = {each.name for each in attrs.fields(Task) if each.default is attrs.NOTHING}


def values_of(task, names=NAMES):
    return {name: getattr(task, name) for name in names}


@given(before=some.tasks(), other=some.tasks(), names=st.sets(st.sampled_from(NAMES)))
def test_a_copy_or_new_entity_is_what_the_constructor_would_make(before, other, names):
    changes, values = values_of(other, names), values_of(other, names | REQUIRED)
    assert attrs.evolve(before, **changes) == evolve(before, **changes)
    assert Task(**values) == new_entity(Task, **values)


@given(before=some.tasks(), name=st.sampled_from(NAMES))
def test_a_changed_or_given_field_is_checked(before, name):
    wrong = {name: {object()}}
    for make in (lambda: evolve(before, **wrong), lambda: new_entity(Task, **values_of(before) | wrong)):
        with pytest.raises(InvalidField) as refused:
            make()
        assert name == refused.value.field.partition(".")[0]


@given(before=some.tasks())
def test_the_first_wrong_field_is_named_and_an_unknown_one_refused(before):
    wrong, values = {"description": 1, "title": 2}, values_of(before)
    for make in (lambda: evolve(before, **wrong), lambda: new_entity(Task, **values | wrong)):
        with pytest.raises(InvalidField) as refused:
            make()
        assert "title" == refused.value.field
    with pytest.raises(TypeError):
        evolve(before, colour="red")
    with pytest.raises(TypeError):
        new_entity(Task, **values, colour="red")


@settings(max_examples=max_examples(10))
@given(before=some.tasks(), missing=st.sampled_from(sorted(REQUIRED)))
def test_a_new_entity_needs_every_value_without_a_default(before, missing):
    with pytest.raises(TypeError):
        new_entity(Task, **{name: each for name, each in values_of(before).items() if name != missing})


def test_defaults_that_are_made_anew_are_not_shared():
    @attrs.frozen
    class Basket:
        name: str
        fruits: list[str] = attrs.field(factory=list)

    assert new_entity(Basket, name="a").fruits is not new_entity(Basket, name="b").fruits
