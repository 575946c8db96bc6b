"""
Read queries for approvals and the tasks linked to them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from mission_core.approvals.model import APPROVALS, Approval, ApprovalStatus
from mission_core.values import Listed

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.ids import ApprovalId, BoardId, TaskId
    from mission_core.ports import Ports
    from mission_core.values import Page


class Linked(NamedTuple):
    """
    A task of an approval: its title, if it is still on the approval's board, and whether the approval was used for it.
    """

    task: TaskId
    title: str | None
    used: bool


class Shown(NamedTuple):
    """
    An approval with its tasks, in the order of the request.
    """

    approval: Approval
    tasks: tuple[Linked, ...]


class ApprovalReads(Protocol):
    """
    Reads the tasks of approvals.
    """

    async def linked(
        self, principal: Principal, approvals: Sequence[ApprovalId]
    ) -> Mapping[ApprovalId, tuple[Linked, ...]]:
        """
        Return the tasks of each of these approvals that the principal may see, in one query.
        """


async def shown(ports: Ports, principal: Principal, *approvals: Approval) -> list[Shown]:
    """
    Return the approvals with their tasks.
    """
    linked = await ports.reads.approvals.linked(principal, [each.id for each in approvals]) if approvals else {}
    return [Shown(each, linked.get(each.id, ())) for each in approvals]


async def page_of_approvals(
    ports: Ports, principal: Principal, board: BoardId, page: Page, *, status: ApprovalStatus | None = None
) -> Listed:
    """
    Return a page of the board's approvals with their tasks, newest first: all, or those with this status.
    """
    wanted = {"board": board} if status is None else {"board": board, "status": status}
    rows, total = await ports.reads.rows.page(principal, APPROVALS, page, newest=True, **wanted)
    return Listed(await shown(ports, principal, *rows), total)
