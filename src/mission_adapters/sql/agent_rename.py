"""
The rename of an agent in SQL: its tasks, live runs, queue rows and workload counters get the new name, by set-based
statements.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import case, delete, func, insert, select, update

from mission_adapters.sql.database_session import Steps
from mission_adapters.sql.statements import Statement, parameter
from mission_adapters.sql.tables import alive, lock_order, queue, runs, tasks, workloads
from mission_core.agents.model import Agent

_organization: Final = parameter("organization")
_old_key: Final = parameter("was", str)
_new_key: Final = parameter("now", str)
_new_name: Final = parameter("name", str)
_of_old_name: Final = (tasks.c.organization == _organization, tasks.c.assignee_key == _old_key)
_of_new_name: Final = (tasks.c.organization == _organization, tasks.c.assignee_key == _new_key)
_either: Final = (tasks.c.organization == _organization, tasks.c.assignee_key.in_([_old_key, _new_key]))

LOCK_TASKS: Final = Statement(
    select(func.count()).select_from(
        select(tasks.c.id).where(*_of_old_name).order_by(lock_order).with_for_update().subquery("held")
    )
)
RENAME_RUNS: Final = Statement(
    update(runs)
    .where(alive, runs.c.id.in_(select(tasks.c.run).where(*_of_old_name, tasks.c.run.is_not(None))))
    .values(
        by=_new_name,
        holder_name=case((runs.c.holder_name == _old_key, _new_key), else_=runs.c.holder_name),
        version=runs.c.version + 1,
    )
)
RENAME_TASKS: Final = Statement(
    update(tasks).where(*_of_old_name).values(assignee=_new_name, assignee_key=_new_key, version=tasks.c.version + 1)
)
RENAME_QUEUE: Final = Statement(
    update(queue)
    .where(queue.c.assignee_key == _old_key, queue.c.task.in_(select(tasks.c.id).where(*_of_new_name)))
    .values(assignee_key=_new_key)
)
DELETE_WORKLOADS: Final = Statement(
    delete(workloads).where(
        workloads.c.organization == _organization, workloads.c.assignee_key.in_([_old_key, _new_key])
    )
)
_cell: Final = tuple(tasks.c[column.name] for column in workloads.primary_key)
INSERT_WORKLOADS: Final = Statement(
    insert(workloads).from_select(
        [column.name for column in workloads.c], select(*_cell, func.count()).where(*_either).group_by(*_cell)
    )
)


def rename_assigned_tasks(dialect: str, before: Agent, after: Agent) -> Steps[None]:
    """
    Rename the assignee of an agent's tasks, and the holder of the live runs on them. Tasks are locked before runs.
    """
    given = _parameters(before, after)
    yield LOCK_TASKS(dialect, **given)
    yield RENAME_RUNS.count(dialect, **given)
    yield RENAME_TASKS.count(dialect, **given)


def rename_queue_and_workloads(dialect: str, before: Agent, after: Agent) -> Steps[None]:
    """
    Rename the assignee in the queue, and recount the workload of the old and the new name. The head row is locked, so
    each task is counted either here or by a flush that commits later.
    """
    given = _parameters(before, after)
    for statement in (RENAME_QUEUE, DELETE_WORKLOADS, INSERT_WORKLOADS):
        yield statement.count(dialect, **given)


def _parameters(before: Agent, after: Agent) -> dict[str, Any]:
    return {
        "organization": after.organization.bytes,
        "was": before.name_key,
        "now": after.name_key,
        "name": after.name,
    }
