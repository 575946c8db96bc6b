"""
The read models of one task's runs in SQL: its run history, and the situation that explains its status.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from sqlalchemy import Executable, Select, select, union_all

from mission_adapters.sql.grants import granted
from mission_adapters.sql.held import holding, lead_only
from mission_adapters.sql.loads import RUN, TASK, a_run, a_task
from mission_adapters.sql.mapping import maybe_id
from mission_adapters.sql.session import Steps
from mission_adapters.sql.statements import Statement, shaped, value
from mission_adapters.sql.tables import agents, dependencies, runs, tasks
from mission_core.ids import BoardId
from mission_core.tasks.model import Status, TaskNotFound
from mission_core.tasks.queries import Reading, RunRow

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.ids import TaskId, TaskNumber

HISTORY: Final = Statement(
    select(*(runs.c[name] for name in RunRow._fields))
    .where(runs.c.task == value("task"), runs.c.organization == value("organization"))
    .order_by(runs.c.fence.desc())
)


def _of_assignee(column: Any) -> Any:
    """
    Return a subquery for a column of the agent that a task is assigned to.
    """
    of_name = (agents.c.organization == tasks.c.organization, agents.c.name_key == tasks.c.assignee_key)
    return select(column).where(*of_name).scalar_subquery()


def _this(numbered: bool) -> Select[Any]:
    key = tasks.c.number == value("key", int) if numbered else tasks.c.id == value("key")
    return select(tasks.c.id, tasks.c.board).where(tasks.c.organization == value("organization"), key)


@shaped
def _place(numbered: bool) -> Executable:
    return _this(numbered)


@shaped
def _situation(numbered: bool) -> Executable:
    """
    Select a task and its dependencies, each with its live run. It is one statement, so that all rows are consistent.
    """
    this = _this(numbered).cte("this")
    named = select(dependencies.c.depends_on).join(this, this.c.id == dependencies.c.task)
    every = union_all(select(this.c.id), named).subquery("every")
    found = tasks.join(every, every.c.id == tasks.c.id).outerjoin(runs, runs.c.id == tasks.c.run)
    held = holding(tasks.c.organization, tasks.c.board, tasks.c.id)
    gates = (held, lead_only(tasks.c.board), _of_assignee(agents.c.board), _of_assignee(agents.c.lead))
    return select(*TASK, *RUN, *gates).select_from(found)


def read_history(dialect: str, principal: Principal, task: TaskId | TaskNumber) -> Steps[list[RunRow]]:
    """
    Return the runs of a task, latest first.

    Raises:
        TaskNotFound: If the principal's organization does not have the task.
        BoardDenied: If the task's board is not granted to the principal.
    """
    own = principal.organization.bytes
    found = yield _place(isinstance(task, int))(dialect, organization=own, key=_plain(task))
    id, board = found[0] if found else (None, None)
    granted(principal, id, BoardId(UUID(bytes=board)) if board else None, TaskNotFound)
    rows = yield HISTORY(dialect, organization=own, task=id)
    return [RunRow._make(row) for row in rows]


def read_situation(dialect: str, principal: Principal, task: TaskId | TaskNumber) -> Steps[Reading]:
    """
    Return a task with its live run, its open dependencies, and whether a pending approval holds it.

    Raises:
        TaskNotFound: If the principal's organization does not have the task.
        BoardDenied: If the task's board is not granted to the principal.
    """
    own = principal.organization.bytes
    rows = yield _situation(isinstance(task, int))(dialect, organization=own, key=_plain(task))
    found = {each.id: (each, row) for row in rows for each in (a_task(row),)}
    this, row = next((pair for pair in found.values() if task in (pair[0].id, pair[0].number)), (None, None))
    this = granted(principal, this, this.board if this else None, TaskNotFound)
    run = row[len(TASK) :] if row is not None and row[len(TASK)] is not None else None
    others = (found[each][0] for each in this.depends_on if each in found)
    waits_for = tuple(each for each in others if each.status is not Status.DONE)
    held, only_leads, confined_to, leads = row[-4:] if row is not None else (None, 0, None, None)
    left_to_lead = bool(only_leads) and leads is not None and not (leads and confined_to is not None)
    held_by_approval = held is not None
    return Reading(this, a_run(run) if run else None, waits_for, held_by_approval, maybe_id(confined_to), left_to_lead)


def _plain(task: TaskId | TaskNumber) -> bytes | int:
    return task.bytes if isinstance(task, UUID) else task
