"""
Use cases that write to the memory of a board or of a board group, and read the latter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import UUID

from mission_core.accounts.model import AgentPrincipal, Principal, Role, require_role
from mission_core.accounts.profiles import NotAPerson, own_profile
from mission_core.boards.groups import GROUPS
from mission_core.conversations.memory_entries import (
    BOARD_MEMORY,
    GROUP_MEMORY,
    BoardMemoryEntry,
    GroupMemoryEntry,
    is_addressed,
    is_chat,
)
from mission_core.errors import Invalid
from mission_core.ids import BoardId, GroupId, MemoryId, MemoryNumber
from mission_core.lazy_attrs import frozen
from mission_core.use_case import use_case
from mission_core.values import PageOfRows, PageRequest

if TYPE_CHECKING:
    from mission_core.ports import Ports, UnitOfWork

DEFAULT_SPEAKER: Final = "User"
"""The name of a person who has set none."""


class BoardNotInGroup(Invalid):
    """
    The board is in no group, so it has no group memory.
    """

    code = "board_stands_alone"
    says = "Board is not in a board group"


@frozen(kw_only=True)
class WriteBoardMemory:
    """
    Add an entry to a board's memory. An entry with the tag `chat` has the caller's name as its source, unless *source*
    is given.
    """

    board: BoardId
    content: str
    tags: tuple[str, ...] | None = None
    source: str | None = None


@frozen
class GroupOfBoard:
    """
    A reference to a board group by one of its boards, instead of by the group's id.
    """

    board: BoardId


@frozen(kw_only=True)
class WriteGroupMemory:
    """
    Add an entry to a group's memory. An entry that is addressed to readers has the caller's name as its source, unless
    *source* is given.
    """

    group: GroupId | GroupOfBoard
    content: str
    tags: tuple[str, ...] | None = None
    source: str | None = None


@use_case
async def write_board_memory(ports: Ports, principal: Principal, cmd: WriteBoardMemory) -> BoardMemoryEntry:
    """
    Add an entry to a board's memory.

    Raises:
        BoardNotFound: If there is no such board for this principal.
        RoleTooLow: If the principal is a viewer.
    """
    require_role(principal, Role.OPERATOR)
    now, chat = ports.clock.now(), is_chat(cmd.tags)
    source = cmd.source or (await speaker_name(ports, principal) if chat else cmd.source)
    async with ports.unit(principal) as unit:
        board = await unit.boards.get(cmd.board)
        unit.rely_on(board)
        (number,) = await ports.numbers.next((principal.organization, "board_memory"))
        entry = unit.repository(BOARD_MEMORY).add(
            BoardMemoryEntry(
                id=MemoryId(ports.ids.new()),
                number=MemoryNumber(number),
                organization=principal.organization,
                board=board.id,
                content=cmd.content.strip(),
                tags=cmd.tags,
                source=source,
                chat=chat,
                created_at=now,
            )
        )
        unit.record(entry.written_event())
        unit.result(entry.id)
        await unit.commit()
    return entry


@use_case
async def write_group_memory(ports: Ports, principal: Principal, cmd: WriteGroupMemory) -> GroupMemoryEntry:
    """
    Add an entry to a group's memory.

    Raises:
        BoardNotFound: If there is no such board for this principal.
        BoardNotInGroup: If the board is in no group.
        GroupNotFound: If this organization has no such group.
        RoleTooLow: If the principal is a viewer.
    """
    require_role(principal, Role.OPERATOR)
    now, source = ports.clock.now(), cmd.source
    if not source and is_addressed(cmd.content, cmd.tags):
        source = await speaker_name(ports, principal)
    async with ports.unit(principal) as unit:
        group = await unit.repository(GROUPS).get(await _group_id(unit, cmd.group))
        unit.rely_on(group)
        await unit.boards.of_group(group.id)  # read, so that the write can check the grants on them
        (number,) = await ports.numbers.next((principal.organization, "group_memory"))
        entry = unit.repository(GROUP_MEMORY).add(
            GroupMemoryEntry(
                id=MemoryId(ports.ids.new()),
                number=MemoryNumber(number),
                organization=principal.organization,
                group=group.id,
                content=cmd.content.strip(),
                tags=cmd.tags,
                source=source,
                chat=is_chat(cmd.tags),
                created_at=now,
            )
        )
        unit.record(entry.written_event())
        unit.result(entry.id)
        await unit.commit()
    return entry


async def group_memory_of_board(
    ports: Ports, principal: Principal, board: BoardId, page: PageRequest, *, chat: bool | None = None
) -> PageOfRows:
    """
    A page of the memory of a board's group, newest first. It is empty if the board is in no group.

    Raises:
        BoardNotFound: If there is no such board for this principal.
        BoardDenied: If it is not granted to the principal.
    """
    row = await ports.reads.boards.get(principal, board)
    if row.group is None:
        return PageOfRows([], 0)
    equal = {} if chat is None else {"chat": chat}
    group = GroupId(UUID(bytes=row.group))
    return await ports.reads.entities.page(principal, GROUP_MEMORY, page, newest=True, group=group, **equal)


async def speaker_name(ports: Ports, principal: Principal) -> str:
    """
    The name of the principal, as the source of an entry.
    """
    if isinstance(principal, AgentPrincipal):
        return principal.name
    try:
        person = await own_profile(ports, principal)
    except NotAPerson:
        return principal.display
    return person.preferred_name or person.name or DEFAULT_SPEAKER


async def _group_id(unit: UnitOfWork, meant: GroupId | GroupOfBoard) -> GroupId:
    if not isinstance(meant, GroupOfBoard):
        return meant
    board = await unit.boards.get(meant.board)
    unit.rely_on(board)
    if board.group is None:
        raise BoardNotInGroup
    return board.group
