"""
The counters of tasks: by board, status and priority, and by assignee.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final
from uuid import UUID

from mission_core.events.counters import Counters
from mission_core.tasks.model import Task
from mission_core.tasks.runs import Run

if TYPE_CHECKING:
    from mission_core.events.counters import Amounts, CountedChanges


def _task_count(task: Task, _: CountedChanges) -> Amounts:
    assigned = int(task.assignee is not None)
    return (((task.board.bytes, str(task.status), task.priority, assigned), 1),)


def _workload(task: Task, _: CountedChanges) -> Amounts:
    if task.assignee is None:
        return ()
    return (((task.assignee.key, task.board.bytes, str(task.status), task.priority), 1),)


TASK_COUNTS: Final = Counters(
    "tallies", {"board": bytes, "status": str, "priority": str, "assigned": int}, of_task=_task_count
)
"""The numbers of tasks; `assigned` is 1 for tasks with an assignee."""
WORKLOADS: Final = Counters(
    "workloads", {"assignee_key": str, "board": bytes, "status": str, "priority": str}, of_task=_workload
)
"""The numbers of assigned tasks by assignee."""


def boards_of_tasks(rows: Iterable[object]) -> dict[UUID, UUID]:
    """
    The board of each task in these tasks and runs.
    """
    boards: dict[UUID, UUID] = {}
    for row in rows:
        if isinstance(row, Task):
            boards[row.id] = row.board
        elif isinstance(row, Run):
            boards[row.task] = row.board
    return boards
