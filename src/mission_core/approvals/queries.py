"""
Read queries for approvals and the tasks linked to them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from mission_core.approvals.model import APPROVALS, Approval, ApprovalStatus
from mission_core.values import PageOfRows

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.ids import ApprovalId, BoardId, TaskId
    from mission_core.ports import Ports
    from mission_core.values import PageRequest


class LinkedTask(NamedTuple):
    """
    A task of an approval: its title, if it is still on the approval's board, and whether the approval was used for it.
    """

    task: TaskId
    title: str | None
    used: bool


class ApprovalWithTasks(NamedTuple):
    """
    An approval with its tasks, in the order of the request.
    """

    approval: Approval
    tasks: tuple[LinkedTask, ...]


class ApprovalReads(Protocol):
    """
    Reads the tasks of approvals.
    """

    async def linked_tasks(
        self, principal: Principal, approvals: Sequence[ApprovalId]
    ) -> Mapping[ApprovalId, tuple[LinkedTask, ...]]:
        """
        Return the tasks of each of these approvals that the principal may see, in one query.
        """


async def with_tasks(ports: Ports, principal: Principal, *approvals: Approval) -> list[ApprovalWithTasks]:
    """
    Return the approvals with their tasks.
    """
    linked = await ports.reads.approvals.linked_tasks(principal, [each.id for each in approvals]) if approvals else {}
    return [ApprovalWithTasks(each, linked.get(each.id, ())) for each in approvals]


async def page_of_approvals(
    ports: Ports, principal: Principal, board: BoardId, page: PageRequest, *, status: ApprovalStatus | None = None
) -> PageOfRows:
    """
    Return a page of the board's approvals with their tasks, newest first: all, or those with this status.
    """
    wanted = {"board": board} if status is None else {"board": board, "status": status}
    rows, total = await ports.reads.entities.page(principal, APPROVALS, page, newest=True, **wanted)
    return PageOfRows(await with_tasks(ports, principal, *rows), total)
