"""
Holds of tasks by pending approvals, in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mission_core.approvals.model import APPROVAL_LINKS

if TYPE_CHECKING:
    from mission_adapters.memory.boards import BoardTable
    from mission_adapters.memory.kind_tables import KindTables
    from mission_core.tasks.model import Task


def is_held_by_approval(boards: BoardTable, plain: KindTables, task: Task) -> bool:
    """
    Whether a pending approval holds the task: its board blocks status changes while an approval is pending.
    """
    pending = plain[APPROVAL_LINKS].count(task.organization, board=task.board, pending_for=task.id)
    return bool(pending) and boards.rows[task.board].gates.block_status_changes_with_pending_approval
