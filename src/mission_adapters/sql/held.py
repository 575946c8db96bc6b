"""
The two board rules that a claim must respect: a pending approval may hold a task, and a board may reserve task moves
for its lead.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import select

from mission_adapters.sql.plain import SHELVES
from mission_adapters.sql.statements import Statement, value
from mission_adapters.sql.tables import boards, tasks
from mission_core.approvals.model import APPROVAL_LINKS

links: Final = SHELVES[APPROVAL_LINKS].table


def _rule(found: Any, board: Any) -> Any:
    return select(found).where(boards.c.id == board).scalar_subquery()


RULED: Final = _rule(
    boards.c.block_status_changes_with_pending_approval + boards.c.only_lead_can_change_status, tasks.c.board
).label("ruled")
"""Non-zero if the board of a task has one of the two rules."""


def lead_only(board: Any) -> Any:
    """
    Return a subquery that is 1 if only the lead of the board may move tasks, else 0.
    """
    return _rule(boards.c.only_lead_can_change_status, board)


def holding(organization: Any, board: Any, task: Any) -> Any:
    """
    Return a subquery that finds a pending approval that holds the task, and is null if there is none.
    """
    # No EXISTS: without statistics PostgreSQL turns it into a join and scans all approvals for a few tasks.
    found = select(links.c.approval).join(boards, boards.c.id == links.c.board)
    found = found.where(
        links.c.organization == organization,
        links.c.board == board,
        links.c.pending_for == task,
        boards.c.block_status_changes_with_pending_approval == 1,
    )
    return found.limit(1).scalar_subquery()


HELD: Final = Statement(
    select(holding(value("organization"), value("board"), value("task")), lead_only(value("board")))
)
