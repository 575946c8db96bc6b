"""
Read queries for approvals and the tasks linked to them.

In the rows, ids are 16 bytes, times are microseconds since 1970, and JSON columns are text.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from mission_core.approvals.model import Approval
from mission_core.row_mapping import row_mapping
from mission_core.values import JsonText

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.approvals.model import ApprovalStatus
    from mission_core.ids import ApprovalId, BoardId, TaskId
    from mission_core.ports import Ports
    from mission_core.values import PageOfRows, PageRequest


class LinkedTask(NamedTuple):
    """
    A task of an approval: its title, if it is still on the approval's board, and whether the approval was used for it.
    """

    task: bytes
    title: str | None
    used: bool


class ApprovalRow(NamedTuple):
    """
    An approval with its tasks, in the order of the request.
    """

    id: bytes
    number: int
    board: bytes
    action: str
    arguments: JsonText | None
    confidence: float
    scores: JsonText | None
    agent: bytes | None
    digest: bytes
    status: str
    asker: str
    decider: str | None
    decided_through: str | None
    reason: str | None
    created_at: int
    resolved_at: int | None
    version: int
    tasks: tuple[LinkedTask, ...]


approval_row: Final = row_mapping(Approval).builder(ApprovalRow)


class ApprovalReads(Protocol):
    """
    Reads approvals with their tasks.
    """

    async def page(
        self, principal: Principal, board: BoardId, page: PageRequest, *, status: ApprovalStatus | None = None
    ) -> PageOfRows:
        """
        Return a page of the board's approvals as `ApprovalRow`, newest first: all, or those with this status. It is
        empty if the principal may not see the board.
        """

    async def linked_tasks(
        self, principal: Principal, approvals: Sequence[ApprovalId]
    ) -> Mapping[ApprovalId, tuple[LinkedTask, ...]]:
        """
        Return the tasks of each of these approvals that the principal may see, in one query.
        """

    async def counts_of_tasks(
        self, principal: Principal, tasks: Collection[TaskId]
    ) -> Mapping[TaskId, tuple[int, int]]:
        """
        Return the number of approvals of each of these tasks, and how many of them are pending, in one query. Tasks
        without approvals, and those on boards that the principal may not see, are left out.
        """


async def with_tasks(ports: Ports, principal: Principal, *approvals: Approval) -> list[ApprovalRow]:
    """
    Return the approvals with their tasks.
    """
    linked = await ports.reads.approvals.linked_tasks(principal, [each.id for each in approvals]) if approvals else {}
    return [approval_row(each, tasks=linked.get(each.id, ())) for each in approvals]
