"""
Operations on the memory of boards and of board groups. Some of its entries are chat.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from attrs import evolve, frozen
from starlette.requests import Request
from starlette.responses import Response

from mission_core.boards.groups import GROUPS, GroupNotFound
from mission_core.boards.model import BoardDenied, BoardNotFound
from mission_core.conversations.entries import (
    BOARD_MEMORY,
    GROUP_MEMORY,
    LONGEST_ENTRY,
    LONGEST_SOURCE,
    LONGEST_TAG,
    MOST_TAGS,
    BoardEntry,
    GroupEntry,
)
from mission_core.conversations.use_cases import (
    BoardStandsAlone,
    GroupOf,
    WriteBoardEntry,
    WriteGroupEntry,
    group_entries_of,
    write_board_entry,
    write_group_entry,
)
from mission_core.ids import GroupId
from mission_http.boards.access import MIXED, USER, Place, path_id, there
from mission_http.boards.answers import page_from, wanted_page
from mission_http.boards.groups import GROUP, group_in
from mission_http.boards.intents import for_agents, told
from mission_http.boards.payloads import LimitOffsetPage, NumberedQuery, stripped
from mission_http.boards.wire import naive
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, once, row_again
from mission_http.platform.json import json_of
from mission_http.platform.queries import query_of
from mission_http.platform.shapes import Length, Rule

Words = Annotated[str, Rule(stripped), Length(1, LONGEST_ENTRY)]
Tags = Annotated[tuple[Annotated[str, Length(0, LONGEST_TAG)], ...] | None, Length(0, MOST_TAGS)]
Source = Annotated[str | None, Length(0, LONGEST_SOURCE)]


@frozen(kw_only=True)
class MemoryQuery(NumberedQuery):
    is_chat: bool | None = None

    @property
    def wanted(self) -> dict[str, bool]:
        """
        The filter on the entries.
        """
        return {} if self.is_chat is None else {"chat": self.is_chat}


@frozen(kw_only=True)
class BoardMemoryRead:
    id: UUID
    board_id: UUID
    content: str
    tags: list[str] | None = None
    source: str | None = None
    is_chat: bool = False
    created_at: datetime
    number: int


@frozen(kw_only=True)
class BoardMemoryCreate:
    content: Words
    tags: Tags = None
    source: Source = None


@frozen(kw_only=True)
class BoardGroupMemoryRead:
    id: UUID
    board_group_id: UUID
    content: str
    tags: list[str] | None = None
    source: str | None = None
    is_chat: bool = False
    created_at: datetime
    number: int


@frozen(kw_only=True)
class BoardGroupMemoryCreate:
    content: Words
    tags: Tags = None
    source: Source = None


async def list_board_memory(request: Request) -> Response:
    """
    List the memory of a board, newest entries first.

    `is_chat` restricts the list to chat, or to the other entries.
    """
    async with Place.of(request) as place:
        query = query_of(request, MemoryQuery)
        await place.check()
        reads, principal, page = ports_of(request).reads, principal_of(request), wanted_page(query)
        listed = await reads.rows.page(principal, BOARD_MEMORY, page, newest=True, board=place.board, **query.wanted)
    return page_from(listed, query, board_memory_from)


async def create_board_memory(request: Request) -> Response:
    """
    Add an entry to a board's memory. With the tag `chat` it is a chat message.

    The source of a chat message is the caller, unless `source` is given. No live gateway delivers it: its readers read
    it here.
    """
    async with Place.of(request) as place:
        body = await body_of(request, BoardMemoryCreate)
        command = WriteBoardEntry(board=place.board, content=body.content, tags=body.tags, source=body.source)
        entry = await once(request, write_board_entry, command, _board_entry_again)
    return json_of(board_memory_from(entry))


async def list_board_group_memory(request: Request) -> Response:
    """
    List the memory of a board group, newest entries first.

    `is_chat` restricts the list to chat, or to the other entries.
    """
    id = GroupId(path_id(request, "group_id"))
    async with there(request, GROUPS, id):
        query = query_of(request, MemoryQuery)
        await group_in(request)
        reads, principal, page = ports_of(request).reads, principal_of(request), wanted_page(query)
        listed = await reads.rows.page(principal, GROUP_MEMORY, page, newest=True, group=id, **query.wanted)
    return page_from(listed, query, group_memory_from)


async def create_board_group_memory(request: Request) -> Response:
    """
    Add an entry to a group's memory. With the tag `chat` it is a chat message.

    The source of an entry addressed to readers (chat, the tag `broadcast`, or `@all`) is the caller, unless `source` is
    given.
    """
    id = GroupId(path_id(request, "group_id"))
    async with there(request, GROUPS, id):
        return await _told_to(request, id)


async def list_board_group_memory_for_board(request: Request) -> Response:
    """
    List the memory of a board's group, newest entries first.

    The list is empty if the board is in no group. `is_chat` restricts it to chat, or to the other entries.
    """
    async with Place.of(request) as place:
        query = query_of(request, MemoryQuery)
        listed = await group_entries_of(
            ports_of(request), principal_of(request), place.board, wanted_page(query), chat=query.is_chat
        )
    return page_from(listed, query, group_memory_from)


async def create_board_group_memory_for_board(request: Request) -> Response:
    """
    Add an entry to the memory of a board's group. With the tag `chat` it is a chat message.

    The source of an entry addressed to readers (chat, the tag `broadcast`, or `@all`) is the caller, unless `source` is
    given.
    """
    async with Place.of(request) as place:
        return await _told_to(request, GroupOf(place.board))


async def _told_to(request: Request, group: GroupId | GroupOf) -> Response:
    body = await body_of(request, BoardGroupMemoryCreate)
    command = WriteGroupEntry(group=group, content=body.content, tags=body.tags, source=body.source)
    return json_of(group_memory_from(await once(request, write_group_entry, command, _group_entry_again)))


def board_memory_from(entry: BoardEntry) -> dict[str, Any]:
    """
    An entry as `BoardMemoryRead`.
    """
    return {"id": str(entry.id), "board_id": str(entry.board), **_said_in(entry)}


def group_memory_from(entry: GroupEntry) -> dict[str, Any]:
    """
    An entry as `BoardGroupMemoryRead`.
    """
    return {"id": str(entry.id), "board_group_id": str(entry.group), **_said_in(entry)}


def _said_in(entry: BoardEntry | GroupEntry) -> dict[str, Any]:
    return {
        "content": entry.content,
        "tags": entry.tags,
        "source": entry.source,
        "is_chat": entry.chat,
        "created_at": naive(entry.created_at),
        "number": entry.number,
    }


_board_entry_again = row_again(BOARD_MEMORY)
_group_entry_again = row_again(GROUP_MEMORY)
MEMORY = "/boards/{board_id}/memory"
TOGETHER = "/boards/{board_id}/group-memory"
OPERATIONS = [
    (
        Endpoint(
            "GET", MEMORY, list_board_memory, query=MemoryQuery, gives=LimitOffsetPage[BoardMemoryRead],
            refuses=(BoardNotFound, BoardDenied),
        ),
        told(
            "agent_board_memory_discovery",
            ["You want to read your board's memory or its chat."],
            unless=["You want the comments on one task: list them."],
        ),
    ),
    (
        Endpoint(
            "POST", MEMORY, create_board_memory, takes=BoardMemoryCreate, gives=BoardMemoryRead,
            headers=(IDEMPOTENCY_KEY,), refuses=(BoardNotFound, BoardDenied),
        ),
        told(
            "agent_board_memory_record",
            ["You found or decided something that the whole board should know, or you answer in its chat."],
            unless=["It concerns one task only: comment on that task."],
            effects=["The entry is stored until the board is deleted. It cannot be changed or deleted."],
        ),
    ),
]  # fmt: skip
GROUP_OPERATIONS = [
    (
        Endpoint(
            "GET", TOGETHER, list_board_group_memory_for_board, query=MemoryQuery,
            gives=LimitOffsetPage[BoardGroupMemoryRead], refuses=(BoardNotFound, BoardDenied),
        ),
        told(
            "agent_board_group_memory_discovery",
            ["You want to read the memory that the boards of your group share."],
            unless=["You want the memory of your own board: read that."],
        ),
    ),
    (
        Endpoint(
            "POST", TOGETHER, create_board_group_memory_for_board, takes=BoardGroupMemoryCreate,
            gives=BoardGroupMemoryRead, headers=(IDEMPOTENCY_KEY,),
            refuses=(BoardNotFound, BoardDenied, BoardStandsAlone, GroupNotFound),
        ),
        told(
            "agent_board_group_memory_record",
            ["You have information for the agents of all boards of your group."],
            unless=["It concerns your own board only: write to its memory."],
            effects=["The entry is stored until the group is deleted. It cannot be changed or deleted."],
        ),
    ),
]  # fmt: skip
TAGGED = ("board-group-memory", "board-group-memory")
"""Named twice, since clients expect the tag twice."""
ENDPOINTS = [
    *(evolve(endpoint, who=MIXED, tags=("board-memory",)) for endpoint, _ in OPERATIONS),
    *(
        evolve(endpoint, who=MIXED, tags=(*TAGGED, "agent-lead", "agent-worker"), extra=extra)
        for endpoint, extra in GROUP_OPERATIONS
    ),
    Endpoint(
        "GET", GROUP + "/memory", list_board_group_memory, query=MemoryQuery,
        gives=LimitOffsetPage[BoardGroupMemoryRead], who=USER, tags=TAGGED, refuses=(GroupNotFound,),
    ),
    Endpoint(
        "POST", GROUP + "/memory", create_board_group_memory, takes=BoardGroupMemoryCreate, gives=BoardGroupMemoryRead,
        who=USER, tags=TAGGED, headers=(IDEMPOTENCY_KEY,), refuses=(GroupNotFound,),
    ),
]  # fmt: skip
AGENT_ENDPOINTS = [for_agents(endpoint, extra) for endpoint, extra in OPERATIONS]
