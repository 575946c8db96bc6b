"""
Copies of entities with some fields changed.
"""

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_adapters.testing import strategies as some
from mission_core.entity_changes import evolve
from mission_core.errors import InvalidField
from mission_core.tasks.model import Task

NAMES = [each.name for each in attrs.fields(Task)]


@given(before=some.tasks(), other=some.tasks(), names=st.sets(st.sampled_from(NAMES)))
def test_a_copy_is_what_the_constructor_would_make(before, other, names):
    changes = {name: getattr(other, name) for name in names}
    assert attrs.evolve(before, **changes) == evolve(before, **changes)


@given(before=some.tasks(), name=st.sampled_from(NAMES))
def test_a_changed_field_is_checked(before, name):
    with pytest.raises(InvalidField) as refused:
        evolve(before, **{name: {object()}})
    assert name == refused.value.field.partition(".")[0]


@given(before=some.tasks())
def test_the_first_wrong_field_is_named_and_an_unknown_one_refused(before):
    with pytest.raises(InvalidField) as refused:
        evolve(before, description=1, title=2)
    assert "title" == refused.value.field
    with pytest.raises(TypeError):
        evolve(before, colour="red")
