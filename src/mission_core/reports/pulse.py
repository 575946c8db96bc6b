"""
What is counted as it happens, so that a report reads few cells however much has happened: facts by their kind, and
tasks by where they stand and when they came there.

Every hour has its cells for ever. The last minutes have theirs in a ring that goes round, so that a window of minutes
costs no more than its minutes and nothing need be cleaned up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from mission_core.accounts.model import KeyMade, KeyWasRevoked
from mission_core.events.model import Fact
from mission_core.tasks.facts import RunExpired, RunFailed, TaskAssigned, TaskCreated
from mission_core.tasks.model import Status, Task
from mission_core.tasks.runs import Run
from mission_core.values import micros

CREATIONS: Final = frozenset({TaskCreated.kind})
ASSIGNMENTS: Final = frozenset({TaskAssigned.kind})
FAILURES: Final = frozenset({RunFailed.kind, RunExpired.kind})
"""The facts that say that something went wrong."""
AUDITED: Final = frozenset({KeyMade.kind, KeyWasRevoked.kind})
"""The facts that say who may do what from now on."""

CYCLES: Final = "cycles"
"""How many tasks were done whose beginning is known."""
CYCLE_SECONDS: Final = "cycle_seconds"
"""How long those took, from when work on them first began, together."""
STANDING: Final = frozenset({*(status.value for status in Status), CYCLES, CYCLE_SECONDS})
"""What is counted of tasks; all else is a kind of fact."""

UNBEGUN: Final = frozenset({Status.BACKLOG, Status.INBOX, Status.ASSIGNED, Status.AWAITING_OWNER})
RING: Final = 64
"""How many minutes go round."""
HOUR: Final = 3_600_000_000
MINUTE: Final = 60_000_000
SECOND: Final = timedelta(seconds=1)


class Cell(NamedTuple):
    """
    Where something is counted: on a board, or where no board is concerned under the organization's own id; in an hour
    since 1970, or (below zero) in a place of the ring, which then belongs to that *minute* since 1970.
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


def ring_of(minute: int) -> int:
    """
    The place of a minute in the ring.
    """
    return -1 - minute % RING


def came_at(task: Task) -> datetime:
    """
    When a task came to where it stands. What nobody has begun stands there since it was made.
    """
    return task.done_at or (task.created_at if task.status in UNBEGUN else task.moved_at)


def cycle_of(task: Task) -> timedelta | None:
    """
    How long a done task took from when work on it first began, if that is known.
    """
    if task.done_at is None or task.begun_at is None or task.done_at < task.begun_at:
        return None
    return task.done_at - task.begun_at


def places_of(rows: Iterable[object]) -> dict[UUID, UUID]:
    """
    The board of each task that these tasks and runs tell of.
    """
    places: dict[UUID, UUID] = {}
    for row in rows:
        if isinstance(row, Task):
            places[row.id] = row.board
        elif isinstance(row, Run):
            places[row.task] = row.board
    return places


def counted(
    facts: Iterable[Fact],
    changes: Iterable[tuple[Task | None, Task | None]],
    *,
    own: UUID,
    places: Mapping[UUID, UUID],
    at: datetime,
) -> dict[Cell, int]:
    """
    By how much which cells change.

    Args:
        changes: What became of tasks: each as it was and as it is.
        own: The organization.
        places: The boards of tasks.
        at: The present moment; what lies outside the hour before it has no place in the ring.
    """
    cells: dict[Cell, int] = {}
    now = minute_of(at)
    for fact in facts:
        task = getattr(fact, "task", None)
        place = own if task is None else places.get(task, own)
        _count(cells, place, fact.kind, micros(fact.at), 1, now)
    for before, after in changes:
        if before is not None:
            _stand(cells, before, -1, now)
        if after is not None:
            _stand(cells, after, 1, now)
    return {cell: amount for cell, amount in cells.items() if amount}


def _stand(cells: dict[Cell, int], task: Task, amount: int, now: int) -> None:
    came, cycle = micros(came_at(task)), cycle_of(task)
    _count(cells, task.board, task.status.value, came, amount, now if task.status is Status.DONE else None)
    if cycle is not None:
        _count(cells, task.board, CYCLES, came, amount, None)
        _count(cells, task.board, CYCLE_SECONDS, came, amount * (cycle // SECOND), None)


def _count(cells: dict[Cell, int], place: UUID, what: str, came: int, amount: int, now: int | None) -> None:
    cell = Cell(place, came // HOUR, what)
    cells[cell] = cells.get(cell, 0) + amount
    if now is not None:
        minute = came // MINUTE
        if now - RING < minute <= now:
            cell = Cell(place, ring_of(minute), what, minute)
            cells[cell] = cells.get(cell, 0) + amount
