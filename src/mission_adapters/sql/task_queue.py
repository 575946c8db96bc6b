"""
The queue table: the idle tasks of each organization in the order in which claims get them, each with the number of its
open dependencies.

It is written after the tasks, while the organization's head row is locked, so that the counts of open dependencies are
exact.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final
from uuid import UUID

from sqlalchemy import delete, func, insert, select, update

from mission_adapters.sql.conversions import ColumnValues
from mission_adapters.sql.statement_batch import BatchedStatement, ChangeStatement
from mission_adapters.sql.statements import Statement, parameter
from mission_adapters.sql.tables import dependencies, queue, tasks
from mission_adapters.write_buffer import RowWrite
from mission_core.tasks.model import IDLE_STATUSES, Status, Task
from mission_core.values import MAX_INTEGER, micros

DONE_STATUS: Final = Status.DONE.value
UNASSIGNED: Final = ""
"""The assignee key of unassigned tasks in the queue."""

_open_dependencies: Final = (
    select(func.count())
    .select_from(dependencies.join(tasks, tasks.c.id == dependencies.c.depends_on))
    .where(dependencies.c.task == parameter("task"), tasks.c.status != DONE_STATUS)
)
COUNT_OPEN_DEPENDENCIES: Final = Statement(_open_dependencies)


def queue_row(task: Task | None) -> ColumnValues | None:
    """
    Return the queue row of a task, or None if the task is not idle.
    """
    if task is None or task.status not in IDLE_STATUSES:
        return None
    due, not_before = task.due_at, task.not_before
    return {
        "task": task.id.bytes,
        "organization": task.organization.bytes,
        "board": task.board.bytes,
        "assignee_key": task.assignee.key if task.assignee else UNASSIGNED,
        "rank": task.priority_rank,
        "due": MAX_INTEGER if due is None else micros(due),
        "number": task.number,
        "not_before": 0 if not_before is None else micros(not_before),
    }


def queue_statements(
    writes: Iterable[RowWrite], *, without_dependents: Collection[UUID] = ()
) -> list[BatchedStatement]:
    """
    Return the statements that update the queue after these task writes.

    Existing rows are changed by arithmetic first. Then new rows are inserted with their open dependencies counted.

    Args:
        without_dependents: The tasks that certainly have no dependents when the statements run.
    """
    left: list[BatchedStatement] = []
    shifted: list[BatchedStatement] = []
    placed: list[BatchedStatement] = []
    for write in writes:
        before, after = write.before, write.after
        was, now = queue_row(before), queue_row(after)
        if was and not now:
            left.append(BatchedStatement(delete_from_queue, (), {"task": was["task"]}))
        finished = _became_done(before, after)
        if finished is not None and after.id not in without_dependents:
            shifted.append(
                BatchedStatement(change_open_dependencies, (-1 if finished else 1,), {"task": after.id.bytes})
            )
        if now:
            placed += _idle_task_statements(
                was, now, after, counted=was is None or before.depends_on != after.depends_on
            )
    return [*left, *shifted, *placed]


def _became_done(before: Task | None, after: Task | None) -> bool | None:
    """
    Whether a task became done (True), stopped being done (False), or neither (None).
    """
    if before is None or after is None or (before.status is Status.DONE) is (after.status is Status.DONE):
        return None
    return after.status is Status.DONE


def _idle_task_statements(
    was: ColumnValues | None, now: ColumnValues, task: Task, *, counted: bool
) -> Iterable[BatchedStatement]:
    """
    Return the statement that inserts or updates the queue row of an idle task. Open dependencies are counted for a new
    row, and if the dependencies of the task changed.
    """
    if was is None:
        yield BatchedStatement(
            insert_into_queue, (bool(task.depends_on),), now if task.depends_on else now | {"open_dependencies": 0}
        )
        return
    changed = {name: each for name, each in now.items() if was[name] != each}
    if changed or counted:
        yield BatchedStatement(update_queue_row, (tuple(changed), counted), changed | {"task": now["task"]})


def delete_from_queue() -> ChangeStatement:
    return delete(queue).where(queue.c.task == parameter("task")).returning(queue.c.open_dependencies)


def change_open_dependencies(by: int) -> ChangeStatement:
    waiting = select(dependencies.c.task).where(dependencies.c.depends_on == parameter("task"))
    return update(queue).where(queue.c.task.in_(waiting)).values(open_dependencies=queue.c.open_dependencies + by)


def insert_into_queue(counted: bool) -> ChangeStatement:
    values = {column.name: parameter(column.name, column.type.python_type) for column in queue.c}
    return insert(queue).values(
        values | ({"open_dependencies": _open_dependencies.scalar_subquery()} if counted else {})
    )


def update_queue_row(columns: tuple[str, ...], counted: bool) -> ChangeStatement:
    values = {name: parameter(name, queue.c[name].type.python_type) for name in columns}
    recounted = {"open_dependencies": _open_dependencies.scalar_subquery()} if counted else {}
    return update(queue).where(queue.c.task == parameter("task")).values(values | recounted)
