"""
The read model of approvals in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mission_core.approvals.queries import LinkedTask, approval_row
from mission_core.lazy_attrs import frozen
from mission_core.values import PageOfRows

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from mission_adapters.memory.kind_tables import KindTable
    from mission_adapters.memory.tasks import TaskTable
    from mission_core.accounts.model import Principal
    from mission_core.approvals.model import Approval, ApprovalLink, ApprovalStatus
    from mission_core.ids import ApprovalId, BoardId, TaskId
    from mission_core.values import PageRequest


@frozen
class MemoryApprovalReads:
    """
    Reads approvals and the links between them and tasks.
    """

    tasks: TaskTable
    approvals: KindTable[Approval]
    links: KindTable[ApprovalLink]

    async def page(
        self, principal: Principal, board: BoardId, page: PageRequest, *, status: ApprovalStatus | None = None
    ) -> PageOfRows:
        """
        The board's approvals with their tasks, newest first.
        """
        wanted = {"board": board} if status is None else {"board": board, "status": status}
        found = list(reversed(self.approvals.matching(principal, wanted)))
        rest = [each for each in found if page.after is None or each.number < page.after]
        rows = [
            approval_row(each, tasks=tuple(map(self._linked, self._of(principal, each.id))))
            for each in rest[page.offset : page.offset + page.limit]
        ]
        return PageOfRows(rows, len(found))

    async def linked_tasks(
        self, principal: Principal, approvals: Sequence[ApprovalId]
    ) -> Mapping[ApprovalId, tuple[LinkedTask, ...]]:
        """
        The tasks linked to each of these approvals.
        """
        found = {each: tuple(map(self._linked, self._of(principal, each))) for each in approvals}
        return {each: linked for each, linked in found.items() if linked}

    async def counts_of_tasks(
        self, principal: Principal, tasks: Collection[TaskId]
    ) -> Mapping[TaskId, tuple[int, int]]:
        """
        The numbers of approvals and of pending ones, by task.
        """
        links = {task: self.links.matching(principal, {"task": task}) for task in tasks}
        return {
            task: (len(found), sum(link.pending_for is not None for link in found))
            for task, found in links.items()
            if found
        }

    def _of(self, principal: Principal, approval: ApprovalId) -> list[ApprovalLink]:
        found = self.links.matching(principal, {"approval": approval})
        return sorted(found, key=lambda link: link.place)

    def _linked(self, link: ApprovalLink) -> LinkedTask:
        task = self.tasks.rows.get(link.task)
        on_board = task is not None and task.board == link.board
        return LinkedTask(link.task.bytes, task.title if on_board and task else None, link.used_at is not None)
