"""
What is counted as it happens.
"""

from collections import Counter
from datetime import timedelta

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from mission_adapters.testing import strategies as some
from mission_core.events.counters import CountedChanges
from mission_core.reports.hourly_counters import (
    CYCLE_SECONDS,
    CYCLES,
    HOURLY_COUNTS,
    RING_MINUTES,
    cycle_time_of,
    hour_of,
    minute_of,
    status_since,
)
from mission_core.tasks.counters import TASK_COUNTS, WORKLOADS, boards_of_tasks
from mission_core.tasks.model import Status
from mission_core.values import micros

lives = st.lists(some.tasks(), min_size=1, max_size=4)


def cells(facts=(), changes=(), *, own, at, places=None, counters=HOURLY_COUNTS):
    """
    The cells that change, by plain keys.
    """
    return counters.sums(CountedChanges(own, facts, changes, places or {}, micros(at)))


@given(st.sampled_from([TASK_COUNTS, WORKLOADS, HOURLY_COUNTS]), lives, some.ids, some.moments)
def test_what_a_task_was_leaves_no_trace(counters, life, own, at):
    """
    However it changed, the cells end as if it had been made as it is; and without it, as if it had never been.
    """
    steps = Counter()
    for before, after in zip([None, *life], life, strict=False):
        for cell, amount in cells(changes=[(before, after)], own=own, at=at, counters=counters).items():
            steps[cell] += amount
    last = cells(changes=[(None, life[-1])], own=own, at=at, counters=counters)
    gone = cells(changes=[(life[-1], None)], own=own, at=at, counters=counters)

    assert last == {cell: amount for cell, amount in steps.items() if amount}
    assert gone == {cell: -amount for cell, amount in last.items()}


@given(some.tasks(), some.ids, some.moments)
def test_a_task_stands_in_one_hour(task, own, at):
    """
    On its board, under its status; a done one whose beginning is known also with how long it took.
    """
    hours = {cell[2]: cell for cell in cells(changes=[(None, task)], own=own, at=at) if cell[1] >= 0}
    cycle = cycle_time_of(task)
    told = set() if cycle is None else {CYCLES, CYCLE_SECONDS} if cycle >= timedelta(seconds=1) else {CYCLES}

    assert {task.status.value} | told == hours.keys()
    assert {(task.board.bytes, hour_of(status_since(task)))} == {cell[:2] for cell in hours.values()}


@given(some.tasks(), some.moments)
def test_only_done_tasks_have_taken_their_time(task, at):
    """
    And never less than none.
    """
    cycle = cycle_time_of(task)

    assert cycle is None or (task.status is Status.DONE and cycle >= timedelta(0))
    assert status_since(evolve(task, status=Status.INBOX)) == task.created_at
    assert status_since(evolve(task, status=Status.REVIEW)) == task.moved_at


@given(st.lists(some.events, max_size=5), some.ids, some.ids, some.moments)
def test_every_fact_counts_once_in_its_hour(facts, own, board, at):
    """
    On the board of its task if that is known, else for the organization; never on both.
    """
    places = {fact.task: board for fact in facts if hasattr(fact, "task")}
    hours = Counter()
    for (place, slot, what, _), amount in cells(facts, own=own, at=at, places=places).items():
        if slot >= 0:
            hours[place, slot, what] += amount

    where = [board if hasattr(fact, "task") else own for fact in facts]
    assert hours == Counter(
        (place.bytes, hour_of(fact.at), fact.kind) for place, fact in zip(where, facts, strict=True)
    )


@given(some.events, some.ids, some.moments, st.integers(-2, RING_MINUTES + 2))
def test_only_the_last_minutes_are_in_the_ring(fact, own, at, ago):
    """
    Each in a place of its own, which is free again when it comes round.
    """
    fact = evolve(fact, at=at - timedelta(minutes=ago))
    ring = [cell for cell in cells([fact], own=own, at=at) if cell[1] < 0]

    assert (1 if 0 <= ago < RING_MINUTES else 0) == len(ring)
    for _, slot, what, minute in ring:
        assert (-1 - minute_of(fact.at) % RING_MINUTES, fact.kind, minute_of(fact.at)) == (slot, what, minute)
        assert -RING_MINUTES <= slot < 0


@given(some.tasks(), some.runs())
def test_tasks_and_runs_tell_where_a_task_is(task, run):
    """
    Anything else does not.
    """
    assert {task.id: task.board, run.task: run.board} == boards_of_tasks([task, None, run, "x"])
