"""
Operations on the memory of boards and of board groups. Some of its entries are chat.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from attrs import evolve
from starlette.requests import Request
from starlette.responses import Response

from mission_core.boards.groups import GROUPS, GroupNotFound
from mission_core.boards.model import BoardDenied, BoardNotFound
from mission_core.conversations.memory_entries import (
    BOARD_MEMORY,
    GROUP_MEMORY,
    MAX_ENTRY_LENGTH,
    MAX_SOURCE_LENGTH,
    MAX_TAG_LENGTH,
    MAX_TAGS,
    BoardMemoryEntry,
    GroupMemoryEntry,
)
from mission_core.conversations.use_cases import (
    BoardNotInGroup,
    GroupOfBoard,
    WriteBoardMemory,
    WriteGroupMemory,
    group_memory_of_board,
    write_board_memory,
    write_group_memory,
)
from mission_core.ids import GroupId
from mission_http.boards.access import MIXED, USER, BoardPath, path_id, row_not_found_first
from mission_http.boards.agent_hints import agent_endpoint, agent_hints
from mission_http.boards.groups import GROUP_PATH, GROUP_RESOURCE
from mission_http.boards.payloads import LimitOffsetPage, NumberedPageQuery, stripped
from mission_http.boards.responses import listed_response, wanted_page
from mission_http.boards.wire import BoardsPayload
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.field_annotations import Body, CustomCheck, Length
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, perform_once, read_row_again
from mission_http.platform.json_responses import json_response
from mission_http.platform.query_strings import query_of
from mission_http.platform.shapes import Of

EntryText = Annotated[str, CustomCheck(stripped), Length(1, MAX_ENTRY_LENGTH)]
EntryTags = Annotated[tuple[Annotated[str, Length(0, MAX_TAG_LENGTH)], ...] | None, Length(0, MAX_TAGS)]
EntrySource = Annotated[str | None, Length(0, MAX_SOURCE_LENGTH)]


class MemoryListQuery(NumberedPageQuery):
    is_chat: bool | None = None

    @property
    def filters(self) -> dict[str, bool]:
        """
        The filter on the entries.
        """
        return {} if self.is_chat is None else {"chat": self.is_chat}


class BoardMemoryRead(BoardsPayload[BoardMemoryEntry]):
    id: UUID
    board_id: Annotated[UUID, Of("board")]
    content: str
    tags: list[str] | None = None
    source: str | None = None
    is_chat: Annotated[bool, Of("chat")] = False
    created_at: datetime
    number: int


class BoardMemoryCreate(Body):
    content: EntryText
    tags: EntryTags = None
    source: EntrySource = None


class BoardGroupMemoryRead(BoardsPayload[GroupMemoryEntry]):
    id: UUID
    board_group_id: Annotated[UUID, Of("group")]
    content: str
    tags: list[str] | None = None
    source: str | None = None
    is_chat: Annotated[bool, Of("chat")] = False
    created_at: datetime
    number: int


class BoardGroupMemoryCreate(BoardMemoryCreate):
    pass


async def list_board_memory(request: Request) -> Response:
    """
    List the memory of a board, newest entries first.

    `is_chat` restricts the list to chat, or to the other entries.
    """
    async with BoardPath.of(request) as place:
        query = query_of(request, MemoryListQuery)
        await place.check()
        reads, principal, page = ports_of(request).reads, principal_of(request), wanted_page(query)
        listed = await reads.entities.page(
            principal, BOARD_MEMORY, page, newest=True, board=place.board, **query.filters
        )
    return listed_response(listed, query, BoardMemoryRead.of)


async def create_board_memory(request: Request) -> Response:
    """
    Add an entry to a board's memory. With the tag `chat` it is a chat message.

    The source of a chat message is the caller, unless `source` is given. No live gateway delivers it: its readers read
    it here.
    """
    async with BoardPath.of(request) as place:
        body = await body_of(request, BoardMemoryCreate)
        command = WriteBoardMemory(board=place.board, content=body.content, tags=body.tags, source=body.source)
        entry = await perform_once(request, write_board_memory, command, _board_entry_again)
    return json_response(BoardMemoryRead.of(entry))


async def list_board_group_memory(request: Request) -> Response:
    """
    List the memory of a board group, newest entries first.

    `is_chat` restricts the list to chat, or to the other entries.
    """
    id = GroupId(path_id(request, "group_id"))
    async with row_not_found_first(request, GROUPS, id):
        query = query_of(request, MemoryListQuery)
        await GROUP_RESOURCE.row_in_path(request)
        reads, principal, page = ports_of(request).reads, principal_of(request), wanted_page(query)
        listed = await reads.entities.page(principal, GROUP_MEMORY, page, newest=True, group=id, **query.filters)
    return listed_response(listed, query, BoardGroupMemoryRead.of)


async def create_board_group_memory(request: Request) -> Response:
    """
    Add an entry to a group's memory. With the tag `chat` it is a chat message.

    The source of an entry addressed to readers (chat, the tag `broadcast`, or `@all`) is the caller, unless `source` is
    given.
    """
    id = GroupId(path_id(request, "group_id"))
    async with row_not_found_first(request, GROUPS, id):
        return await _write_to_group(request, id)


async def list_board_group_memory_for_board(request: Request) -> Response:
    """
    List the memory of a board's group, newest entries first.

    The list is empty if the board is in no group. `is_chat` restricts it to chat, or to the other entries.
    """
    async with BoardPath.of(request) as place:
        query = query_of(request, MemoryListQuery)
        listed = await group_memory_of_board(
            ports_of(request), principal_of(request), place.board, wanted_page(query), chat=query.is_chat
        )
    return listed_response(listed, query, BoardGroupMemoryRead.of)


async def create_board_group_memory_for_board(request: Request) -> Response:
    """
    Add an entry to the memory of a board's group. With the tag `chat` it is a chat message.

    The source of an entry addressed to readers (chat, the tag `broadcast`, or `@all`) is the caller, unless `source` is
    given.
    """
    async with BoardPath.of(request) as place:
        return await _write_to_group(request, GroupOfBoard(place.board))


async def _write_to_group(request: Request, group: GroupId | GroupOfBoard) -> Response:
    body = await body_of(request, BoardGroupMemoryCreate)
    command = WriteGroupMemory(group=group, content=body.content, tags=body.tags, source=body.source)
    return json_response(
        BoardGroupMemoryRead.of(await perform_once(request, write_group_memory, command, _group_entry_again))
    )


_board_entry_again = read_row_again(BOARD_MEMORY)
_group_entry_again = read_row_again(GROUP_MEMORY)
MEMORY_PATH = "/boards/{board_id}/memory"
GROUP_MEMORY_PATH = "/boards/{board_id}/group-memory"
OPERATIONS = [
    (
        Endpoint(
            "GET", MEMORY_PATH, list_board_memory, query=MemoryListQuery, gives=LimitOffsetPage[BoardMemoryRead],
            refuses=(BoardNotFound, BoardDenied),
        ),
        agent_hints(
            "agent_board_memory_discovery",
            ["You want to read your board's memory or its chat."],
            unless=["You want the comments on one task: list them."],
        ),
    ),
    (
        Endpoint(
            "POST", MEMORY_PATH, create_board_memory, takes=BoardMemoryCreate, gives=BoardMemoryRead,
            headers=(IDEMPOTENCY_KEY,), refuses=(BoardNotFound, BoardDenied),
        ),
        agent_hints(
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
            "GET", GROUP_MEMORY_PATH, list_board_group_memory_for_board, query=MemoryListQuery,
            gives=LimitOffsetPage[BoardGroupMemoryRead], refuses=(BoardNotFound, BoardDenied),
        ),
        agent_hints(
            "agent_board_group_memory_discovery",
            ["You want to read the memory that the boards of your group share."],
            unless=["You want the memory of your own board: read that."],
        ),
    ),
    (
        Endpoint(
            "POST", GROUP_MEMORY_PATH, create_board_group_memory_for_board, takes=BoardGroupMemoryCreate,
            gives=BoardGroupMemoryRead, headers=(IDEMPOTENCY_KEY,),
            refuses=(BoardNotFound, BoardDenied, BoardNotInGroup, GroupNotFound),
        ),
        agent_hints(
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
        "GET", GROUP_PATH + "/memory", list_board_group_memory, query=MemoryListQuery,
        gives=LimitOffsetPage[BoardGroupMemoryRead], who=USER, tags=TAGGED, refuses=(GroupNotFound,),
    ),
    Endpoint(
        "POST", GROUP_PATH + "/memory", create_board_group_memory, takes=BoardGroupMemoryCreate,
        gives=BoardGroupMemoryRead, who=USER, tags=TAGGED, headers=(IDEMPOTENCY_KEY,), refuses=(GroupNotFound,),
    ),
]  # fmt: skip
AGENT_ENDPOINTS = [agent_endpoint(endpoint, extra) for endpoint, extra in OPERATIONS]
