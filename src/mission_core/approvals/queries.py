"""
Reading approvals with the tasks that they are about.
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
    A task that an approval is about: its title, if it is still on the approval's board, and whether it passed on it.
    """

    task: TaskId
    title: str | None
    used: bool


class Shown(NamedTuple):
    """
    An approval with its tasks, in the order in which they were named.
    """

    approval: Approval
    tasks: tuple[Linked, ...]


class ApprovalReads(Protocol):
    """
    Reads what plain rows do not tell of approvals.
    """

    async def linked(
        self, principal: Principal, approvals: Sequence[ApprovalId]
    ) -> Mapping[ApprovalId, tuple[Linked, ...]]:
        """
        The tasks of each of these approvals that the principal may see, in one go.
        """


async def shown(ports: Ports, principal: Principal, *approvals: Approval) -> list[Shown]:
    """
    The approvals with their tasks.
    """
    linked = await ports.reads.approvals.linked(principal, [each.id for each in approvals]) if approvals else {}
    return [Shown(each, linked.get(each.id, ())) for each in approvals]


async def page_of_approvals(
    ports: Ports, principal: Principal, board: BoardId, page: Page, *, status: ApprovalStatus | None = None
) -> Listed:
    """
    A page of the board's approvals with their tasks, newest first: all, or those of that status.
    """
    wanted = {"board": board} if status is None else {"board": board, "status": status}
    rows, total = await ports.reads.rows.page(principal, APPROVALS, page, newest=True, **wanted)
    return Listed(await shown(ports, principal, *rows), total)
