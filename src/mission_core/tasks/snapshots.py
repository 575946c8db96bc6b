"""
Snapshots: a whole board with its tasks and agents, and the top tasks of the boards of a group.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol
from uuid import UUID

from mission_core.accounts.model import AgentPrincipal, Role, SystemPrincipal
from mission_core.agents.queries import AgentRow
from mission_core.boards.groups import GROUPS, BoardGroup, GroupNotFound
from mission_core.boards.queries import BoardFilter, BoardRow
from mission_core.ids import BoardId, GroupId
from mission_core.lazy_attrs import frozen
from mission_core.tasks.model import Status, priority_rank_of
from mission_core.tasks.queries import Dependency, TaskRow

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.ports import Ports, Versioned

Versions = tuple[tuple[bytes, int], ...]
"""Pairs of id and version."""
StatusOrder = tuple[tuple[Status, ...], ...]
"""The statuses in order of display. Statuses in the same inner tuple rank equally."""


class ApprovalCounts(NamedTuple):
    """
    The number of approvals requested for a task on its board, and how many of them are pending.
    """

    all: int = 0
    pending: int = 0


NO_APPROVALS: Final = ApprovalCounts()


def versions_of(entities: Iterable[Versioned]) -> Versions:
    """
    Return the ids and versions of these entities.
    """
    return tuple((each.id.bytes, each.version) for each in entities)


class TaskSurroundings(NamedTuple):
    """
    The data that a snapshot shows with a task and that changes independently of the task's version. While neither
    changes, the task is rendered in the same way.
    """

    assignee_agent: bytes | None
    dependencies: tuple[Dependency, ...]
    tags: Versions
    fields: Versions
    approvals: ApprovalCounts = NO_APPROVALS

    @classmethod
    def of(cls, row: TaskRow, asked: ApprovalCounts = NO_APPROVALS) -> TaskSurroundings:
        """
        Return this data for a task row and its approval counts.
        """
        return cls(row.assignee_agent, row.dependencies, versions_of(row.tagged), versions_of(row.fields), asked)


IsCached = Callable[[bytes, int, TaskSurroundings], bool]
"""Whether the caller has a rendering of the task with this id, at this version and with this surrounding data. It may
be called on any thread."""


class BoardView(NamedTuple):
    """
    A board with its agents (without their memory documents) and the ids of its tasks, newest first. *rows* has the rows
    of tasks that the caller did not know, *approvals* the approval counts of tasks that have any.
    """

    board: BoardRow
    agents: list[AgentRow]
    tasks: list[bytes]
    rows: Mapping[bytes, TaskRow]
    approvals: Mapping[bytes, ApprovalCounts]


class TopTasks(NamedTuple):
    """
    The number of tasks of a board by status, and its top tasks.
    """

    counts: Mapping[str, int]
    tasks: list[TaskRow]


class SnapshotReads(Protocol):
    """
    Reads the data of snapshots, each in one query.
    """

    async def board(self, principal: Principal, board: BoardId, known: IsCached) -> BoardView:
        """
        Return a board with all its tasks. The rows of *known* tasks are not read.

        Raises:
            BoardNotFound: If the organization has no such board.
            BoardDenied: If the principal has no grant for it.
        """

    async def top_tasks(
        self, principal: Principal, boards: Sequence[BoardId], order: StatusOrder, *, limit: int
    ) -> Mapping[BoardId, TopTasks]:
        """
        Return the top *limit* tasks of each of these boards, of the statuses in *order*: by that order, then by
        priority, then by the latest change. Boards that the principal has no grant for are left out.
        """


@frozen
class BoardTopTasks:
    """
    A board of a group, and its top tasks.
    """

    board: BoardRow
    top_tasks: TopTasks


@frozen
class GroupView:
    """
    A group with its boards, by name. Without a group there are no boards.
    """

    group: BoardGroup | None = None
    boards: tuple[BoardTopTasks, ...] = ()


async def group_view(
    ports: Ports, principal: Principal, group: GroupId, order: StatusOrder, *, limit: int
) -> GroupView:
    """
    Return a group with the boards that the principal may see.

    Raises:
        GroupNotFound: If the organization has no such group.
    """
    found = await ports.reads.entities.get(principal, GROUPS, group)
    return GroupView(found, await _boards_of_group(ports, principal, group, order, limit=limit))


async def sibling_boards_view(
    ports: Ports, principal: Principal, board: BoardId, order: StatusOrder, *, limit: int, itself: bool
) -> GroupView:
    """
    Return the group of a board with its other boards, and with *itself* the board too. An agent that may see the board
    sees the whole group; a person sees only the boards granted to them.

    Raises:
        BoardNotFound: If there is no such board for this principal.
        BoardDenied: If the principal has no grant for it.
    """
    anchor = await ports.reads.boards.get(principal, board)
    if anchor.group is None:
        return GroupView()
    group = GroupId(UUID(bytes=anchor.group))
    if isinstance(principal, AgentPrincipal):
        principal = SystemPrincipal(organization=principal.organization, name=principal.name, role=Role.VIEWER)
    try:
        found = await ports.reads.entities.get(principal, GROUPS, group)
    except GroupNotFound:
        return GroupView()
    parts = await _boards_of_group(ports, principal, group, order, limit=limit)
    return GroupView(found, tuple(each for each in parts if itself or each.board.id != anchor.id))


async def _boards_of_group(
    ports: Ports, principal: Principal, group: GroupId, order: StatusOrder, *, limit: int
) -> tuple[BoardTopTasks, ...]:
    rows: list[BoardRow] = (await ports.reads.boards.page(principal, BoardFilter(group=group))).rows
    ids = [BoardId(UUID(bytes=row.id)) for row in rows]
    foremost = await ports.reads.snapshots.top_tasks(principal, ids, order, limit=limit) if ids else {}
    return tuple(BoardTopTasks(row, foremost[id]) for row, id in zip(rows, ids, strict=True))


def sorted_by_status(rows: Iterable[TaskRow], order: StatusOrder) -> list[TaskRow]:
    """
    Return the rows in the order of top tasks.
    """
    turn = {status.value: place for place, together in enumerate(order) for status in together}
    return sorted(
        rows,
        key=lambda row: (
            turn[row.status], priority_rank_of(row.priority), -row.updated_at, -row.created_at, -row.number,
        ),
    )  # fmt: skip


def statuses_needed(counts: Mapping[str, int], order: StatusOrder, *, limit: int) -> list[str]:
    """
    Return the statuses that contain the first *limit* tasks, given the number of tasks of each status.
    """
    statuses: list[str] = []
    left = limit
    for together in order:
        if left <= 0:
            break
        present = [status.value for status in together if counts.get(status.value)]
        statuses += present
        left -= sum(counts[status] for status in present)
    return statuses
