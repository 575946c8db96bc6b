"""
The two board rules that a claim must respect: a pending approval may hold a task, and a board may reserve task moves
for its lead. They are read together with the mark of an organization that has budgets.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import case, select

from mission_adapters.sql.event_log import HAS_BUDGETS
from mission_adapters.sql.kind_tables import MAPPINGS
from mission_adapters.sql.statements import Statement, parameter
from mission_adapters.sql.tables import boards, tasks
from mission_core.approvals.model import APPROVAL_LINKS

approval_links: Final = MAPPINGS[APPROVAL_LINKS].table


def _board_column(found: Any, board: Any) -> Any:
    return select(found).where(boards.c.id == board).scalar_subquery()


HAS_CLAIM_RULES: Final = _board_column(
    boards.c.block_status_changes_with_pending_approval + boards.c.only_lead_can_change_status, tasks.c.board
).label("ruled")
"""Non-zero if the board of a task has one of the two rules."""


def is_lead_only(board: Any) -> Any:
    """
    Return a subquery that is 1 if only the lead of the board may move tasks, else 0.
    """
    return _board_column(boards.c.only_lead_can_change_status, board)


def pending_hold(organization: Any, board: Any, task: Any) -> Any:
    """
    Return a subquery that finds a pending approval that holds the task, and is null if there is none.
    """
    # No EXISTS: without statistics PostgreSQL turns it into a join and scans all approvals for a few tasks.
    found = select(approval_links.c.approval).join(boards, boards.c.id == approval_links.c.board)
    found = found.where(
        approval_links.c.organization == organization,
        approval_links.c.board == board,
        approval_links.c.pending_for == task,
        boards.c.block_status_changes_with_pending_approval == 1,
    )
    return found.limit(1).scalar_subquery()


_pending: Final = (
    select(approval_links.c.approval)
    .where(
        approval_links.c.organization == parameter("organization"),
        approval_links.c.board == parameter("board"),
        approval_links.c.pending_for == parameter("task"),
    )
    .limit(1)
    .scalar_subquery()
)
CLAIM_RULES: Final = Statement(
    select(
        case((boards.c.block_status_changes_with_pending_approval == 1, _pending)),
        boards.c.only_lead_can_change_status,
        HAS_BUDGETS,
    )
    .where(boards.c.id == parameter("board"))
    .with_for_update(read=True, skip_locked=True)
)
"""The rules for the claim of a locked task, which stay as they are until the claim is committed. There is no row if the
board is being changed: a claim does not wait for that, because the deletion of a board locks its tasks after it."""
