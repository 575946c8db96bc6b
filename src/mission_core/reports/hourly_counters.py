"""
Counters that are updated with each change, so that a report reads few counters and not every task and event. They count
events by kind, and tasks by status and by the time of their status change.

Hourly counters are kept forever. Counters of the last minutes are kept in a ring buffer, so that they need no cleanup.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from mission_core.accounts.model import ApiKeyCreated, ApiKeyRevoked
from mission_core.events.model import Event
from mission_core.tasks.events import RunExpired, RunFailed, TaskAssigned, TaskCreated
from mission_core.tasks.model import Status, Task
from mission_core.tasks.runs import Run
from mission_core.values import micros

CREATION_KINDS: Final = frozenset({TaskCreated.kind})
ASSIGNMENT_KINDS: Final = frozenset({TaskAssigned.kind})
FAILURE_KINDS: Final = frozenset({RunFailed.kind, RunExpired.kind})
"""The kinds of events that report a failure."""
AUDITED_KINDS: Final = frozenset({ApiKeyCreated.kind, ApiKeyRevoked.kind})
"""The kinds of events that change access rights."""

CYCLES: Final = "cycles"
"""The counter of completed tasks with a known start."""
CYCLE_SECONDS: Final = "cycle_seconds"
"""The counter of the total cycle time of those tasks, from the first start of work."""
TASK_COUNTERS: Final = frozenset({*(status.value for status in Status), CYCLES, CYCLE_SECONDS})
"""The counters of tasks; every other counter counts events of one kind."""

STATUSES_BEFORE_WORK: Final = frozenset({Status.BACKLOG, Status.INBOX, Status.ASSIGNED, Status.AWAITING_OWNER})
RING_MINUTES: Final = 64
"""The number of minutes in the ring buffer."""
HOUR: Final = 3_600_000_000
MINUTE: Final = 60_000_000
SECOND: Final = timedelta(seconds=1)


class CounterKey(NamedTuple):
    """
    The key of a counter: a board (or the organization, for events without a board), a slot and the name of what is
    counted. A slot is an hour since 1970, or below zero a slot of the ring buffer, which then holds the *minute* since
    1970.
    """

    place: UUID
    slot: int
    what: str
    minute: int = 0


def hour_of(moment: datetime) -> int:
    """
    The hour since 1970.
    """
    return micros(moment) // HOUR


def minute_of(moment: datetime) -> int:
    """
    The minute since 1970.
    """
    return micros(moment) // MINUTE


def ring_slot_of(minute: int) -> int:
    """
    The slot of a minute in the ring buffer.
    """
    return -1 - minute % RING_MINUTES


def status_since(task: Task) -> datetime:
    """
    The time when a task reached its status. A task that nobody has started is counted at its creation.
    """
    return task.done_at or (task.created_at if task.status in STATUSES_BEFORE_WORK else task.moved_at)


def cycle_time_of(task: Task) -> timedelta | None:
    """
    The cycle time of a completed task, from the first start of work; None if the start is unknown.
    """
    if task.done_at is None or task.begun_at is None or task.done_at < task.begun_at:
        return None
    return task.done_at - task.begun_at


def boards_of_tasks(rows: Iterable[object]) -> dict[UUID, UUID]:
    """
    The board of each task in these tasks and runs.
    """
    places: dict[UUID, UUID] = {}
    for row in rows:
        if isinstance(row, Task):
            places[row.id] = row.board
        elif isinstance(row, Run):
            places[row.task] = row.board
    return places


def counter_changes(
    facts: Iterable[Event],
    changes: Iterable[tuple[Task | None, Task | None]],
    *,
    own: UUID,
    places: Mapping[UUID, UUID],
    at: datetime,
) -> dict[CounterKey, int]:
    """
    The changes of counters that these events and task changes cause.

    Args:
        changes: The state of each changed task before and after; None for a task that was created or deleted.
        own: The organization.
        places: The boards of tasks.
        at: The current time. The ring buffer counts only the last minutes before it.
    """
    cells: dict[CounterKey, int] = {}
    now = minute_of(at)
    for fact in facts:
        task = getattr(fact, "task", None)
        place = own if task is None else places.get(task, own)
        _count(cells, place, fact.kind, micros(fact.at), 1, now)
    for before, after in changes:
        if before is not None:
            _count_task(cells, before, -1, now)
        if after is not None:
            _count_task(cells, after, 1, now)
    return {cell: amount for cell, amount in cells.items() if amount}


def _count_task(cells: dict[CounterKey, int], task: Task, amount: int, now: int) -> None:
    came, cycle = micros(status_since(task)), cycle_time_of(task)
    _count(cells, task.board, task.status.value, came, amount, now if task.status is Status.DONE else None)
    if cycle is not None:
        _count(cells, task.board, CYCLES, came, amount, None)
        _count(cells, task.board, CYCLE_SECONDS, came, amount * (cycle // SECOND), None)


def _count(cells: dict[CounterKey, int], place: UUID, what: str, came: int, amount: int, now: int | None) -> None:
    cell = CounterKey(place, came // HOUR, what)
    cells[cell] = cells.get(cell, 0) + amount
    if now is not None:
        minute = came // MINUTE
        if now - RING_MINUTES < minute <= now:
            cell = CounterKey(place, ring_slot_of(minute), what, minute)
            cells[cell] = cells.get(cell, 0) + amount
