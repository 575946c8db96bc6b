"""
Counters that are updated with each change, so that a report reads few counters and not every task and event. They count
events by kind, and tasks by status and by the time of their status change.

Hourly counters are kept forever. Counters of the last minutes are kept in a ring buffer, so that they need no cleanup.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from mission_core.accounts.model import ApiKeyCreated, ApiKeyRevoked
from mission_core.events.counters import Counters
from mission_core.tasks.events import RunExpired, RunFailed, TaskAssigned, TaskCreated
from mission_core.tasks.model import Status, Task
from mission_core.values import micros

if TYPE_CHECKING:
    from mission_core.events.counters import Amounts, CountedChanges
    from mission_core.events.model import Event

CREATION_KINDS: Final = frozenset({TaskCreated.kind})
ASSIGNMENT_KINDS: Final = frozenset({TaskAssigned.kind})
FAILURE_KINDS: Final = frozenset({RunFailed.kind, RunExpired.kind})
"""The kinds of events that report a failure."""
ACCESS_KEY_KINDS: Final = frozenset({ApiKeyCreated.kind, ApiKeyRevoked.kind})
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
    done_at, begun_at = task.done_at, task.begun_at
    return None if done_at is None or begun_at is None or done_at < begun_at else done_at - begun_at


def _event_counts(event: Event, changes: CountedChanges) -> Amounts:
    task, at = getattr(event, "task", None), micros(event.at)
    place = changes.organization if task is None else changes.boards.get(task, changes.organization)
    return _counts(place.bytes, event.kind, at, now=changes.at)


def _task_counts(task: Task, changes: CountedChanges) -> Amounts:
    place, since, cycle = task.board.bytes, micros(status_since(task)), cycle_time_of(task)
    found = _counts(place, str(task.status), since, now=changes.at if task.status is Status.DONE else None)
    if cycle is None:
        return found
    hour = since // HOUR
    return *found, ((place, hour, CYCLES, 0), 1), ((place, hour, CYCLE_SECONDS, 0), cycle // SECOND)


def _counts(place: bytes, what: str, at: int, *, now: int | None) -> Amounts:
    """
    Return the amounts that count one event or task in the hour of *at*. With *now* it is also counted in the minute of
    *at*, if that is among the last `RING_MINUTES` minutes.
    """
    by_hour, minute = ((place, at // HOUR, what, 0), 1), at // MINUTE
    if now is None or not now // MINUTE - RING_MINUTES < minute <= now // MINUTE:
        return (by_hour,)
    return by_hour, ((place, ring_slot_of(minute), what, minute), 1)


HOURLY_COUNTS: Final = Counters(
    "pulses",
    {"place": bytes, "slot": int, "what": str},
    of_task=_task_counts,
    of_event=_event_counts,
    board="place",
    period="minute",
)
"""
The numbers of events by kind, and of tasks by status, at a place: the board of the task, or the organization for other
events. A slot is an hour since 1970, or below zero a slot of the ring buffer, which then holds the minute since 1970.
"""
