"""
The gates of boards and the approvals of tasks, for the gate decisions in `tasks/gates.py`.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from attrs import field

from mission_core.approvals.model import APPROVAL_LINKS, APPROVALS, ApprovalLink, ApprovalStatus
from mission_core.boards.model import Board
from mission_core.ids import BoardId, TaskId
from mission_core.lazy_attrs import frozen
from mission_core.tasks.model import STATUS_RULES, Status, Task
from mission_core.tasks.ports import GateContext

if TYPE_CHECKING:
    from mission_core.ports import UnitOfWork


@frozen
class ApprovalGates:
    """
    Reads the gates and approvals for one unit, each only once.

    An approval counts for a task while the task is on the approval's board. A new pending approval raises the version
    of its tasks, so a concurrent move fails. An approval that lets a task pass is saved with the task.
    """

    unit: UnitOfWork
    boards: dict[BoardId, Board] = field(factory=dict)
    links: dict[TaskId, list[ApprovalLink]] = field(factory=dict)

    async def context_of(self, task: Task, to: Status | None = None) -> GateContext:
        board = self.boards.get(task.board)
        if board is None:
            board = self.boards[task.board] = await self.unit.boards.get(task.board)
        self.unit.rely_on(board.gates_to_rely_on)
        if not _needs_approvals(board, to):
            return GateContext(rules=board.gates)
        links = await self._links(task)
        return GateContext(
            rules=board.gates,
            approved=any(link.is_usable for link in links),
            pending=any(link.status is ApprovalStatus.PENDING for link in links),
        )

    def use_approval(self, task: Task, *, at: datetime) -> None:
        if not self.boards[task.board].gates.require_approval_for_done:
            return
        links = self.links[task.id]
        place = next(i for i, link in enumerate(links) if link.is_usable and link.board == task.board)
        used, fact = links[place].use(at=at)
        links[place] = self.unit.repository(APPROVAL_LINKS).save(used)
        self.unit.record(fact)

    async def remove_approvals(self, task: Task) -> None:
        everywhere = self.unit.without_grants  # the task may have been on other boards before
        for link in await everywhere.repository(APPROVAL_LINKS).every(task=task.id):
            approval = await everywhere.repository(APPROVALS).get(link.approval)
            if len(await everywhere.repository(APPROVAL_LINKS).every(approval=approval.id)) > 1:
                self.unit.rely_on(approval, bump=True)  # two tasks deleted at once must see each other
            else:
                everywhere.repository(APPROVALS).remove(approval)

    async def _links(self, task: Task) -> list[ApprovalLink]:
        if task.id not in self.links:
            found = await self.unit.repository(APPROVAL_LINKS).every(task=task.id)
            self.links[task.id] = sorted(found, key=lambda link: link.approval)
        return [link for link in self.links[task.id] if link.board == task.board]


def _needs_approvals(board: Board, to: Status | None) -> bool:
    """
    Whether the board's rules need the approvals of a task that moves to this status.
    """
    if to is None:
        return False
    needs = STATUS_RULES[to].needs_approval and board.gates.require_approval_for_done
    return needs or board.gates.block_status_changes_with_pending_approval
