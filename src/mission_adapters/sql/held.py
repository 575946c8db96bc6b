"""
Whether an approval that is pending holds a task: its board lets nothing move meanwhile.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import select

from mission_adapters.sql.plain import SHELVES
from mission_adapters.sql.statements import Statement, value
from mission_adapters.sql.tables import boards, tasks
from mission_core.approvals.model import APPROVAL_LINKS

links: Final = SHELVES[APPROVAL_LINKS].table
RULED: Final = (
    select(boards.c.block_status_changes_with_pending_approval)
    .where(boards.c.id == tasks.c.board)
    .scalar_subquery()
    .label("ruled")
)
"""Whether the board of a task has that rule."""


def holding(organization: Any, board: Any, task: Any) -> Any:
    """
    Something for a task that is held, else null. No `EXISTS`: without statistics PostgreSQL would make a join of it,
    and walk all approvals for a few tasks.
    """
    found = select(links.c.approval).join(boards, boards.c.id == links.c.board)
    found = found.where(
        links.c.organization == organization,
        links.c.board == board,
        links.c.pending_for == task,
        boards.c.block_status_changes_with_pending_approval == 1,
    )
    return found.limit(1).scalar_subquery()


HELD: Final = Statement(select(holding(value("organization"), value("board"), value("task"))))
