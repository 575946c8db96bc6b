"""
The queue table: the idle tasks of each organization in the order in which claims get them, each with the number of its
open dependencies.

It is written after the tasks, while the organization's head row is locked, so that the counts of open dependencies are
exact.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import delete, func, insert, select, update

from mission_adapters.remembered import Write
from mission_adapters.sql.mapping import Row, maybe_micros
from mission_adapters.sql.parts import Change, Part
from mission_adapters.sql.statements import Statement, value
from mission_adapters.sql.tables import dependencies, queue, tasks
from mission_core.tasks.model import IDLE, Status, Task
from mission_core.values import MAX_INTEGER

DONE: Final = Status.DONE.value
NOBODY: Final = ""
"""The assignee key of unassigned tasks in the queue."""

_open: Final = (
    select(func.count())
    .select_from(dependencies.join(tasks, tasks.c.id == dependencies.c.depends_on))
    .where(dependencies.c.task == value("task"), tasks.c.status != DONE)
)
COUNT: Final = Statement(_open)


def place(task: Task | None) -> Row | None:
    """
    Return the queue row of a task, or None if the task is not idle.
    """
    if task is None or task.status not in IDLE:
        return None
    due = maybe_micros(task.due_at)
    return {
        "task": task.id.bytes,
        "organization": task.organization.bytes,
        "board": task.board.bytes,
        "assignee_key": task.assignee.key if task.assignee else NOBODY,
        "rank": task.rank,
        "due": MAX_INTEGER if due is None else due,
        "number": task.number,
        "not_before": maybe_micros(task.not_before) or 0,
    }


def requeued(writes: Iterable[Write]) -> list[Part]:
    """
    Return the statements that update the queue after these task writes.

    Existing rows are changed by arithmetic first. Then new rows are inserted with their open dependencies counted.
    """
    left: list[Part] = []
    shifted: list[Part] = []
    placed: list[Part] = []
    for write in writes:
        before, after = write.before, write.after
        was, now = place(before), place(after)
        if was and not now:
            left.append(Part(_leave, (), {"task": was["task"]}))
        finished = _finished(before, after)
        if finished is not None:
            shifted.append(Part(_shift, (-1 if finished else 1,), {"task": after.id.bytes}))
        if now:
            placed += _placed(was, now, after, counted=was is None or before.depends_on != after.depends_on)
    return [*left, *shifted, *placed]


def _finished(before: Task | None, after: Task | None) -> bool | None:
    """
    Whether a task became done (True), stopped being done (False), or neither (None).
    """
    if before is None or after is None or (before.status is Status.DONE) is (after.status is Status.DONE):
        return None
    return after.status is Status.DONE


def _placed(was: Row | None, now: Row, task: Task, *, counted: bool) -> Iterable[Part]:
    """
    Return the statement that inserts or updates the queue row of an idle task. Open dependencies are counted for a new
    row, and if the dependencies of the task changed.
    """
    if was is None:
        yield Part(_enter, (bool(task.depends_on),), now if task.depends_on else now | {"open_dependencies": 0})
        return
    changed = {name: each for name, each in now.items() if was[name] != each}
    if changed or counted:
        yield Part(_change, (tuple(changed), counted), changed | {"task": now["task"]})


def _leave() -> Change:
    return delete(queue).where(queue.c.task == value("task")).returning(queue.c.open_dependencies)


def _shift(by: int) -> Change:
    waiting = select(dependencies.c.task).where(dependencies.c.depends_on == value("task"))
    return update(queue).where(queue.c.task.in_(waiting)).values(open_dependencies=queue.c.open_dependencies + by)


def _enter(counted: bool) -> Change:
    values = {column.name: value(column.name, column.type.python_type) for column in queue.c}
    return insert(queue).values(values | ({"open_dependencies": _open.scalar_subquery()} if counted else {}))


def _change(columns: tuple[str, ...], counted: bool) -> Change:
    values = {name: value(name, queue.c[name].type.python_type) for name in columns}
    recounted = {"open_dependencies": _open.scalar_subquery()} if counted else {}
    return update(queue).where(queue.c.task == value("task")).values(values | recounted)
