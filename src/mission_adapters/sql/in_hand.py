"""
The tasks in progress of an assignee name, each with its live run.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Executable, select

from mission_adapters.sql.grants import border_of, within
from mission_adapters.sql.loads import RUN, a_run
from mission_adapters.sql.mapping import id_from
from mission_adapters.sql.session import Steps
from mission_adapters.sql.statements import shaped, value
from mission_adapters.sql.tables import in_progress, runs, tasks
from mission_core.accounts.model import Principal
from mission_core.tasks.ports import InHand
from mission_core.values import moment

TASK: Final = (tasks.c.id, tasks.c.updated_at, tasks.c.number)


@shaped
def in_hand_of(*board_filters: str) -> Executable:
    """
    Select the tasks in progress of an assignee name, each with its live run.
    """
    found = select(*TASK, *RUN).select_from(tasks.outerjoin(runs, runs.c.id == tasks.c.run))
    of_name = (tasks.c.organization == value("organization"), tasks.c.assignee_key == value("name", str), in_progress)
    return found.where(*of_name, *within(tasks.c.board, board_filters))


def read_in_hand(dialect: str, principal: Principal, name_key: str) -> Steps[list[InHand]]:
    """
    Return the tasks in progress of an assignee name that the principal may see, last changed first.
    """
    given = border_of(principal)
    rows = yield in_hand_of(*given)(dialect, organization=principal.organization.bytes, name=name_key, **given)
    rows.sort(key=lambda row: (row[1], row[2]), reverse=True)
    return [_in_hand(row) for row in rows]


def _in_hand(row: Any) -> InHand:
    id, updated_at, _, *run = row
    return InHand(id_from(id), moment(updated_at), a_run(run) if run[0] is not None else None)
