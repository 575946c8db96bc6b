"""
Overviews: a whole board with its tasks and agents, and the foremost tasks of a group's boards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol
from uuid import UUID

from attrs import frozen

from mission_core.accounts.model import AgentPrincipal, Role, System
from mission_core.boards.groups import GROUPS, BoardGroup, GroupNotFound
from mission_core.boards.queries import BoardFilter, BoardRow
from mission_core.ids import BoardId, GroupId
from mission_core.tasks.model import Status, rank_of
from mission_core.tasks.queries import Dependency, TaskRow

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.agents.queries import AgentRow
    from mission_core.ports import Ports, Versioned

Stamps = tuple[tuple[bytes, int], ...]
"""Ids and versions."""
Order = tuple[tuple[Status, ...], ...]
"""Which statuses come first; those that stand together come together."""


class Asked(NamedTuple):
    """
    How many approvals were asked for a task on its board, and how many of them are pending.
    """

    all: int = 0
    pending: int = 0


NOT_ASKED: Final = Asked()


def stamps_of(entities: Iterable[Versioned]) -> Stamps:
    """
    Their ids and versions.
    """
    return tuple((each.id.bytes, each.version) for each in entities)


class Around(NamedTuple):
    """
    What is shown with a task and has a life of its own: as long as this and the task's version stay the same, so does
    all that there is to see.
    """

    assignee_agent: bytes | None
    dependencies: tuple[Dependency, ...]
    tags: Stamps
    fields: Stamps
    asked: Asked = NOT_ASKED

    @classmethod
    def of(cls, row: TaskRow, asked: Asked = NOT_ASKED) -> Around:
        """
        What is around a task that was read whole, and for which so many approvals were asked.
        """
        return cls(row.assignee_agent, row.dependencies, stamps_of(row.tagged), stamps_of(row.fields), asked)


Known = Callable[[bytes, int, Around], bool]
"""Whether the caller knows how the task of this id looks at this version, with that around it. It may be asked on any
thread."""


class BoardView(NamedTuple):
    """
    A board with its agents (but for what they keep in mind) and the ids of its tasks, newest first. Of those that the
    caller did not know *rows* has all there is to see. *asked* tells of those for which approvals were asked.
    """

    board: BoardRow
    agents: list[AgentRow]
    tasks: list[bytes]
    rows: Mapping[bytes, TaskRow]
    asked: Mapping[bytes, Asked]


class Foremost(NamedTuple):
    """
    How many tasks of each status a board has, and the first of them.
    """

    counts: Mapping[str, int]
    tasks: list[TaskRow]


class Overviews(Protocol):
    """
    Reads overviews, each in one go.
    """

    async def board(self, principal: Principal, board: BoardId, known: Known) -> BoardView:
        """
        A board with all its tasks. What is *known* already is not read again.

        Raises:
            BoardNotFound: If this organization has none.
            BoardDenied: If it is not granted to the principal.
        """

    async def foremost(
        self, principal: Principal, boards: Sequence[BoardId], order: Order, *, limit: int
    ) -> Mapping[BoardId, Foremost]:
        """
        The first *limit* tasks of each of the organization's boards that stand in a status of *order*: in that order,
        then by priority, then the one changed last first. A board that is not granted to the principal is left out.
        """


@frozen
class BoardPart:
    """
    A board of a group, and its foremost tasks.
    """

    board: BoardRow
    foremost: Foremost


@frozen
class GroupView:
    """
    A group with its boards, by name; without one there are no boards.
    """

    group: BoardGroup | None = None
    boards: tuple[BoardPart, ...] = ()


async def group_view(ports: Ports, principal: Principal, group: GroupId, order: Order, *, limit: int) -> GroupView:
    """
    A group with those of its boards that the principal may see.

    Raises:
        GroupNotFound: If this organization has none.
    """
    found = await ports.reads.rows.get(principal, GROUPS, group)
    return GroupView(found, await _parts(ports, principal, group, order, limit=limit))


async def siblings_view(
    ports: Ports, principal: Principal, board: BoardId, order: Order, *, limit: int, itself: bool
) -> GroupView:
    """
    The group of a board with its other boards, and *itself* if that is asked for. An agent that may see the board is
    shown all of the group, which is there for boards to know of each other; a person what it may see anyhow.

    Raises:
        BoardNotFound: If there is no such board for this principal.
        BoardDenied: If it is not granted to the principal.
    """
    anchor = await ports.reads.boards.get(principal, board)
    if anchor.group is None:
        return GroupView()
    group = GroupId(UUID(bytes=anchor.group))
    if isinstance(principal, AgentPrincipal):
        principal = System(organization=principal.organization, name=principal.name, role=Role.VIEWER)
    try:
        found = await ports.reads.rows.get(principal, GROUPS, group)
    except GroupNotFound:
        return GroupView()
    parts = await _parts(ports, principal, group, order, limit=limit)
    return GroupView(found, tuple(each for each in parts if itself or each.board.id != anchor.id))


async def _parts(
    ports: Ports, principal: Principal, group: GroupId, order: Order, *, limit: int
) -> tuple[BoardPart, ...]:
    rows: list[BoardRow] = (await ports.reads.boards.page(principal, BoardFilter(group=group))).rows
    ids = [BoardId(UUID(bytes=row.id)) for row in rows]
    foremost = await ports.reads.overviews.foremost(principal, ids, order, limit=limit) if ids else {}
    return tuple(BoardPart(row, foremost[id]) for row, id in zip(rows, ids, strict=True))


def in_turn(rows: Iterable[TaskRow], order: Order) -> list[TaskRow]:
    """
    The rows in the order in which the foremost tasks come.
    """
    turn = {status.value: place for place, together in enumerate(order) for status in together}
    return sorted(
        rows,
        key=lambda row: (
            turn[row.status], rank_of(row.priority), -row.updated_at, -row.created_at, -row.number,
        ),
    )  # fmt: skip


def needed(counts: Mapping[str, int], order: Order, *, limit: int) -> list[str]:
    """
    The statuses in which the first *limit* tasks can be found, when there are so many of each.
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
