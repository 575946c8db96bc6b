"""
The read model of approvals in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from mission_core.approvals.queries import LinkedTask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mission_adapters.memory.kind_tables import KindTable
    from mission_adapters.memory.tasks import TaskTable
    from mission_core.accounts.model import Principal
    from mission_core.approvals.model import ApprovalLink
    from mission_core.ids import ApprovalId


@frozen
class MemoryApprovalReads:
    """
    Reads the links between approvals and tasks.
    """

    tasks: TaskTable
    links: KindTable[ApprovalLink]

    async def linked_tasks(
        self, principal: Principal, approvals: Sequence[ApprovalId]
    ) -> Mapping[ApprovalId, tuple[LinkedTask, ...]]:
        """
        The tasks linked to each of these approvals.
        """
        found = {each: tuple(map(self._linked, self._of(principal, each))) for each in approvals}
        return {each: linked for each, linked in found.items() if linked}

    def _of(self, principal: Principal, approval: ApprovalId) -> list[ApprovalLink]:
        found = self.links.matching(principal, {"approval": approval})
        return sorted(found, key=lambda link: link.place)

    def _linked(self, link: ApprovalLink) -> LinkedTask:
        task = self.tasks.rows.get(link.task)
        on_board = task is not None and task.board == link.board
        return LinkedTask(link.task, task.title if on_board and task else None, link.used_at is not None)
