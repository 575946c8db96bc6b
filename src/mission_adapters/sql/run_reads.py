"""
The read models of one task's runs in SQL: its run history, and the situation that explains its status.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from sqlalchemy import Executable, Select, select, union_all

from mission_adapters.sql.approval_holds import is_lead_only, pending_hold
from mission_adapters.sql.board_visibility import require_visible
from mission_adapters.sql.conversions import optional_uuid
from mission_adapters.sql.database_session import Steps
from mission_adapters.sql.entity_queries import RUN_COLUMNS, TASK_COLUMNS
from mission_adapters.sql.event_log import HAS_BUDGETS
from mission_adapters.sql.statements import Statement, cached_statement, parameter
from mission_adapters.sql.tables import agents, dependencies, runs, tasks
from mission_core.ids import BoardId
from mission_core.tasks.model import Status, TaskNotFound
from mission_core.tasks.queries import ExplanationInput, RunRow
from mission_core.tasks.rows import RUN_ROWS, TASK_ROWS

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.ids import TaskId, TaskNumber

SELECT_RUNS: Final = Statement(
    select(*(runs.c[name] for name in RunRow._fields))
    .where(runs.c.task == parameter("task"), runs.c.organization == parameter("organization"))
    .order_by(runs.c.fence.desc())
)


def _column_of_assignee(column: Any) -> Any:
    """
    Return a subquery for a column of the agent that a task is assigned to.
    """
    of_name = (agents.c.organization == tasks.c.organization, agents.c.name_key == tasks.c.assignee_key)
    return select(column).where(*of_name).scalar_subquery()


def _task_key(numbered: bool) -> Select[Any]:
    key = tasks.c.number == parameter("key", int) if numbered else tasks.c.id == parameter("key")
    return select(tasks.c.id, tasks.c.board).where(tasks.c.organization == parameter("organization"), key)


@cached_statement
def _select_task_board(numbered: bool) -> Executable:
    return _task_key(numbered)


@cached_statement
def _select_situation(numbered: bool) -> Executable:
    """
    Select a task and its dependencies, each with its live run. It is one statement, so that all rows are consistent.
    """
    this = _task_key(numbered).cte("this")
    named = select(dependencies.c.depends_on).join(this, this.c.id == dependencies.c.task)
    every = union_all(select(this.c.id), named).subquery("every")
    found = tasks.join(every, every.c.id == tasks.c.id).outerjoin(runs, runs.c.id == tasks.c.run)
    held = pending_hold(tasks.c.organization, tasks.c.board, tasks.c.id)
    of_agent = _column_of_assignee(agents.c.board), _column_of_assignee(agents.c.lead)
    gates = (held, is_lead_only(tasks.c.board), *of_agent, HAS_BUDGETS)
    return select(*TASK_COLUMNS, *RUN_COLUMNS, *gates).select_from(found)


def read_history(dialect: str, principal: Principal, task: TaskId | TaskNumber) -> Steps[list[RunRow]]:
    """
    Return the runs of a task, latest first.

    Raises:
        TaskNotFound: If the principal's organization does not have the task.
        BoardDenied: If the task's board is not granted to the principal.
    """
    own = principal.organization.bytes
    found = yield _select_task_board(isinstance(task, int))(dialect, organization=own, key=_key_value(task))
    id, board = found[0] if found else (None, None)
    require_visible(principal, id, BoardId(UUID(bytes=board)) if board else None, TaskNotFound)
    rows = yield SELECT_RUNS(dialect, organization=own, task=id)
    return [RunRow._make(row) for row in rows]


def read_situation(dialect: str, principal: Principal, task: TaskId | TaskNumber) -> Steps[ExplanationInput]:
    """
    Return a task with its live run, its open dependencies, and whether a pending approval holds it.

    Raises:
        TaskNotFound: If the principal's organization does not have the task.
        BoardDenied: If the task's board is not granted to the principal.
    """
    own = principal.organization.bytes
    rows = yield _select_situation(isinstance(task, int))(dialect, organization=own, key=_key_value(task))
    found = {each.id: (each, row) for row in rows for each in (TASK_ROWS.entity_from(row),)}
    this, row = next((pair for pair in found.values() if task in (pair[0].id, pair[0].number)), (None, None))
    this = require_visible(principal, this, this.board if this else None, TaskNotFound)
    run = row[len(TASK_COLUMNS) :] if row is not None and row[len(TASK_COLUMNS)] is not None else None
    others = (found[each][0] for each in this.depends_on if each in found)
    waits_for = tuple(each for each in others if each.status is not Status.DONE)
    held, only_leads, confined_to, leads, has_budgets = row[-5:] if row is not None else (None, 0, None, None, 0)
    left_to_lead = bool(only_leads) and leads is not None and not (leads and confined_to is not None)
    live_run = RUN_ROWS.entity_from(run) if run else None
    return ExplanationInput(
        this, live_run, waits_for, held is not None, optional_uuid(confined_to), left_to_lead, bool(has_budgets)
    )


def _key_value(task: TaskId | TaskNumber) -> bytes | int:
    return task.bytes if isinstance(task, UUID) else task
