"""
Readiness: the queue of idle tasks, in the order in which they are handed out.

It is written under the organization's head row only, after the tasks themselves, so that what is counted is settled.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import ColumnElement, Executable, delete, func, insert, select, update

from mission_adapters.sql.mapping import Row, maybe_micros
from mission_adapters.sql.session import Steps
from mission_adapters.sql.statements import Statement, shaped, value
from mission_adapters.sql.tables import dependencies, queue, tasks
from mission_adapters.unit import Write
from mission_core.errors import StaleWrite
from mission_core.tasks.model import IDLE, Status, Task
from mission_core.values import MAX_INTEGER

DONE: Final = Status.DONE.value
NOBODY: Final = ""

_open = (
    select(func.count())
    .select_from(dependencies.join(tasks, tasks.c.id == dependencies.c.depends_on))
    .where(dependencies.c.task == value("task"), tasks.c.status != DONE)
)
COUNT: Final = Statement(_open)
RECOUNT: Final = Statement(
    update(queue).where(queue.c.task == value("task")).values(open_dependencies=_open.scalar_subquery())
)
ENTER: Final = Statement(insert(queue))
ENTER_COUNTED: Final = Statement(
    insert(queue).values(
        {c.name: value(c.name, c.type.python_type) for c in queue.c} | {"open_dependencies": _open.scalar_subquery()}
    )
)
LEAVE: Final = Statement(delete(queue).where(queue.c.task == value("key")).returning(queue.c.open_dependencies))


@shaped
def _changed(columns: tuple[str, ...]) -> Executable:
    values = {name: value(name, queue.c[name].type.python_type) for name in columns}
    return update(queue).where(queue.c.task == value("key")).values(values)


def _shifted(by: ColumnElement[int]) -> Statement:
    waiting = select(dependencies.c.task).where(dependencies.c.depends_on == value("key"))
    return Statement(update(queue).where(queue.c.task.in_(waiting)).values(open_dependencies=by))


LESS: Final = _shifted(queue.c.open_dependencies - 1)
MORE: Final = _shifted(queue.c.open_dependencies + 1)


def place(task: Task | None) -> Row | None:
    """
    Where a task stands in the queue, if it does.
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


def matters(write: Write) -> bool:
    """
    Whether the change of a task changes the queue.
    """
    before, after = write.before, write.after
    return place(before) != place(after) or _finished(before, after) is not None or _depends_otherwise(before, after)


def _finished(before: Task | None, after: Task | None) -> bool | None:
    """
    Whether it became done (True), stopped being done (False), or neither.
    """
    if before is None or after is None or (before.status is Status.DONE) is (after.status is Status.DONE):
        return None
    return after.status is Status.DONE


def _depends_otherwise(before: Task | None, after: Task | None) -> bool:
    return before is not None and after is not None and before.depends_on != after.depends_on


def requeue(dialect: str, writes: Iterable[Write], claimed: Iterable[Task]) -> Steps[None]:
    """
    Bring the queue up to date with what became of these tasks: first the rows that stand already, by arithmetic, then
    those that enter, counted.

    Raises:
        StaleWrite: If a task that was *claimed* depends on one that was reopened in the meantime.
    """
    writes, taken = list(writes), {task.id for task in claimed}
    for each in writes:
        if place(each.before) and not place(each.after):
            left = yield LEAVE(dialect, key=each.before.id.bytes)
            if left and left[0][0] and each.before.id in taken:
                raise StaleWrite("task", each.before.id)
    for each in writes:
        finished = _finished(each.before, each.after)
        if finished is not None:
            yield (LESS if finished else MORE).count(dialect, key=each.after.id.bytes)
    for each in writes:
        yield from _placed(dialect, each.before, each.after)


def _placed(dialect: str, before: Task | None, after: Task | None) -> Steps[None]:
    was, now = place(before), place(after)
    if now is None or after is None:
        return
    if was is None:
        if after.depends_on:
            yield ENTER_COUNTED.count(dialect, **now)
        else:
            yield ENTER.count(dialect, open_dependencies=0, **now)
        return
    changed = {name: each for name, each in now.items() if was[name] != each}
    if changed:
        yield _changed(tuple(changed)).count(dialect, key=now["task"], **changed)
    if _depends_otherwise(before, after):
        yield RECOUNT.count(dialect, task=now["task"])
