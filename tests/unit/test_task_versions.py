"""
The versions of a task: which edits a change is made of, and which refuse it.
"""

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from mission_adapters.testing import strategies as some
from mission_core.errors import StaleWrite
from mission_core.tasks.model import Status
from tests.example_counts import max_examples

tasks_begun = some.tasks(
    status=st.just(Status.IN_PROGRESS), title=st.just("Say hello"), priority=st.just("low"), description=st.none()
)


@settings(max_examples=max_examples(25))
@given(tasks_begun)
def test_a_change_is_made_of_what_others_edited_meanwhile(before):
    """
    Of all details that it leaves alone; its versions tell that nothing else was changed.
    """
    ours = evolve(before, status=Status.DONE, resolution="said")
    edited = evolve(before, title="Say it").next_version(before)
    again = evolve(edited, priority="high").next_version(edited)
    kept = ours.next_version(before).merged_onto(before, again)

    assert (before.edits + 1, before.edits + 2, before.version + 2) == (edited.edits, again.edits, again.version)
    assert evolve(again, status=Status.DONE, resolution="said", version=again.version + 1) == kept


@pytest.mark.parametrize(
    "meanwhile",
    [
        {"status": Status.BACKLOG},  # no detail
        {"description": "theirs"},  # the same detail
        {},  # somebody relied on it, and raised its version
    ],
)
@settings(max_examples=max_examples(25))  # the decision reads which fields differ, and not their values
@given(before=tasks_begun)
def test_a_change_is_not_made_of_what_rests_on_more_than_details(before, meanwhile):
    """
    Also if it was edited before.
    """
    ours = evolve(before, status=Status.DONE, description="ours").next_version(before)
    edited = evolve(before, title="Say it").next_version(before)
    changed = evolve(edited, **meanwhile)
    fresh = changed.next_version(edited) if meanwhile else evolve(edited, version=edited.version + 1)
    with pytest.raises(StaleWrite):
        ours.merged_onto(before, fresh)
