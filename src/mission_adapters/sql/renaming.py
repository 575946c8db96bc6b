"""
The rename of an agent in SQL: its tasks, live runs, queue rows and workload counters get the new name, by set-based
statements.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import case, delete, func, insert, select, update

from mission_adapters.sql.session import Steps
from mission_adapters.sql.statements import Statement, value
from mission_adapters.sql.tables import alive, queue, runs, tasks, workloads
from mission_core.agents.model import Agent

_own: Final = value("organization")
_was: Final = value("was", str)
_now: Final = value("now", str)
_name: Final = value("name", str)
_of_old_name: Final = (tasks.c.organization == _own, tasks.c.assignee_key == _was)
_of_new_name: Final = (tasks.c.organization == _own, tasks.c.assignee_key == _now)
_either: Final = (tasks.c.organization == _own, tasks.c.assignee_key.in_([_was, _now]))

HOLD: Final = Statement(
    select(func.count()).select_from(
        select(tasks.c.id).where(*_of_old_name).order_by(tasks.c.id).with_for_update().subquery("held")
    )
)
RUNS: Final = Statement(
    update(runs)
    .where(alive, runs.c.id.in_(select(tasks.c.run).where(*_of_old_name, tasks.c.run.is_not(None))))
    .values(
        by=_name,
        holder_name=case((runs.c.holder_name == _was, _now), else_=runs.c.holder_name),
        version=runs.c.version + 1,
    )
)
TASKS: Final = Statement(
    update(tasks).where(*_of_old_name).values(assignee=_name, assignee_key=_now, version=tasks.c.version + 1)
)
QUEUE: Final = Statement(
    update(queue)
    .where(queue.c.assignee_key == _was, queue.c.task.in_(select(tasks.c.id).where(*_of_new_name)))
    .values(assignee_key=_now)
)
UNCOUNT: Final = Statement(
    delete(workloads).where(workloads.c.organization == _own, workloads.c.assignee_key.in_([_was, _now]))
)
_cell: Final = tuple(tasks.c[name] for name in ("organization", "assignee_key", "board", "status", "priority"))
COUNT: Final = Statement(
    insert(workloads).from_select(
        [column.name for column in workloads.c], select(*_cell, func.count()).where(*_either).group_by(*_cell)
    )
)


def rename_work(dialect: str, before: Agent, after: Agent) -> Steps[None]:
    """
    Rename the assignee of an agent's tasks, and the holder of the live runs on them. Tasks are locked before runs.
    """
    given = _given(before, after)
    yield HOLD(dialect, **given)
    yield RUNS.count(dialect, **given)
    yield TASKS.count(dialect, **given)


def rename_queue(dialect: str, before: Agent, after: Agent) -> Steps[None]:
    """
    Rename the assignee in the queue, and recount the workload of the old and the new name. The head row is locked, so
    each task is counted either here or by a flush that commits later.
    """
    given = _given(before, after)
    for statement in (QUEUE, UNCOUNT, COUNT):
        yield statement.count(dialect, **given)


def _given(before: Agent, after: Agent) -> dict[str, Any]:
    return {
        "organization": after.organization.bytes,
        "was": before.name_key,
        "now": after.name_key,
        "name": after.name,
    }
