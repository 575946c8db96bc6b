"""
The tasks in progress of an assignee name, each with its live run.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Executable, select

from mission_adapters.sql.board_visibility import board_filter_of, on_boards
from mission_adapters.sql.database_session import Steps
from mission_adapters.sql.entity_queries import RUN_COLUMNS
from mission_adapters.sql.statements import cached_statement, parameter, unlikely
from mission_adapters.sql.tables import in_progress, runs, tasks
from mission_core.accounts.model import Principal
from mission_core.row_mapping import uuid_of_bytes
from mission_core.tasks.ports import TaskInProgress
from mission_core.tasks.rows import RUN_ROWS
from mission_core.values import moment

TASK_COLUMNS: Final = (tasks.c.id, tasks.c.updated_at, tasks.c.number)


@cached_statement
def select_tasks_in_progress(*board_filters: str) -> Executable:
    """
    Select the tasks in progress of an assignee name, each with its live run.
    """
    found = select(*TASK_COLUMNS, *RUN_COLUMNS).select_from(tasks.outerjoin(runs, runs.c.id == tasks.c.run))
    of_name = (
        tasks.c.organization == parameter("organization"),
        unlikely(tasks.c.assignee_key == parameter("name", str)),
        in_progress,
    )
    return found.where(*of_name, *on_boards(tasks.c.board, board_filters))


def read_tasks_in_progress(dialect: str, principal: Principal, name_key: str) -> Steps[list[TaskInProgress]]:
    """
    Return the tasks in progress of an assignee name that the principal may see, last changed first.
    """
    given = board_filter_of(principal)
    rows = yield select_tasks_in_progress(*given)(
        dialect, organization=principal.organization.bytes, name=name_key, **given
    )
    rows.sort(key=lambda row: (row[1], row[2]), reverse=True)
    return [_task_in_progress(row) for row in rows]


def _task_in_progress(row: Any) -> TaskInProgress:
    id, updated_at, _, *run = row
    live_run = RUN_ROWS.entity_from(run) if run[0] is not None else None
    return TaskInProgress(uuid_of_bytes(id), moment(updated_at), live_run)
