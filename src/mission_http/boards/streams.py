"""
The event streams of the Boards API: tasks, approvals, memory, agents and comments, as they change.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.model import Role, SystemPrincipal, require_role
from mission_core.approvals.model import APPROVALS, ApprovalStatus
from mission_core.approvals.queries import with_tasks
from mission_core.boards.groups import GROUPS, GroupNotFound
from mission_core.boards.model import BoardDenied, BoardNotFound
from mission_core.conversations.memory_entries import BOARD_MEMORY, GROUP_MEMORY
from mission_core.events.live_readers import PositionGone
from mission_core.events.readers import position_before
from mission_core.ids import AgentId, ApprovalId, BoardId, TaskId
from mission_core.lazy_attrs import frozen
from mission_core.projections import Projection
from mission_core.values import PageRequest
from mission_http.boards.access import MIXED, USER, BoardPath, path_id, require_admin, row_not_found_first
from mission_http.boards.activity import (
    TASK_ACTIVITIES,
    TASK_NAMES,
    TaskNames,
    comment_items,
    comments_by_id,
    task_message,
)
from mission_http.boards.agent_hints import agent_hints
from mission_http.boards.agent_payloads import agent_renderer
from mission_http.boards.agents import visible_board
from mission_http.boards.approval_payloads import ApprovalRead
from mission_http.boards.board_memory import BoardGroupMemoryRead, BoardMemoryRead
from mission_http.boards.groups import GROUP_PATH, GROUP_RESOURCE
from mission_http.boards.payloads import TaskCommentRead, TaskRead
from mission_http.boards.wire import naive
from mission_http.platform.endpoints import Endpoint, Handler
from mission_http.platform.errors import FieldsInvalid, TooManyStreams
from mission_http.platform.event_streams import (
    LAST_EVENT_ID,
    MEDIA_TYPE,
    EventStream,
    EventStreamResponse,
    Framing,
    StreamClient,
    StreamEvent,
    resumed_place,
    wants_all,
)
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.field_annotations import Query
from mission_http.platform.projections import projection_of
from mission_http.platform.query_strings import query_of
from mission_http.platform.stream_cursors import StreamCursors, StreamPosition
from mission_http.platform.value_parsers import lax_moment

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.approvals.queries import ApprovalRow
    from mission_core.events.model import Entry
    from mission_core.ids import OrganizationId
    from mission_core.ports import Ports
    from mission_core.tasks.comments import Comment
    from mission_http.settings import Settings

KEEP_ALIVE_SECONDS: Final = 15.0
ENDED: Final = "stream.ended"
FIRST_MOMENT: Final = datetime(1970, 1, 1, tzinfo=UTC)
CLOCK_TOLERANCE: Final = timedelta(seconds=1)
"""Servers' clocks may differ by this, and clients round times, so a stream begins so much earlier than was asked."""
AGENT_KINDS: Final = frozenset({
    "agent.created", "agent.updated", "agent.renamed", "agent.status_changed", "agent.deleted",
})  # fmt: skip
APPROVAL_KINDS: Final = frozenset({"approval.requested", "approval.decided", "approval.reopened", "approval.used"})

_encode: Final = msgspec.json.Encoder().encode
_shown: Final = projection_of(TaskRead)


class TaskState(NamedTuple):
    """
    A task that events are about.
    """

    names: TaskNames
    payload: Any

    @property
    def board(self) -> BoardId:
        """
        The board of the task.
        """
        return self.names.board

    @property
    def title(self) -> str:
        """
        The title of the task.
        """
        return self.names.title


TASK_STATES: Final = Projection(
    render=lambda row: TaskState(TASK_NAMES.render(row), _shown.render(row)),
    fields=None if _shown.fields is None else _shown.fields | {"id", "board", "board_name", "title"},
)


def _told(entry: Entry) -> Mapping[str, Any]:
    told: Mapping[str, Any] = {} if entry.payload is None else msgspec.json.decode(entry.payload)
    return told


async def _tasks(ports: Ports, organization: OrganizationId, entries: Sequence[Entry]) -> dict[UUID, TaskState]:
    ids = {TaskId(entry.subject) for entry in entries}
    found = await ports.reads.tasks.several(SystemPrincipal(organization=organization), ids, TASK_STATES)
    return {each.names.id: each for each in found}


async def _comments(ports: Ports, organization: OrganizationId, entries: Sequence[Entry]) -> dict[str, Comment]:
    return await comments_by_id(ports, organization, [_told(each) for each in entries if each.kind == "task.commented"])


async def render_tasks(ports: Ports, organization: OrganizationId, entries: Sequence[Entry]) -> list[StreamEvent]:
    """
    Render activities about tasks: with the present state of the task, or with the comment.
    """
    tasks = await _tasks(ports, organization, entries)
    comments = await _comments(ports, organization, entries)
    events = []
    for entry in entries:
        told, task = _told(entry), tasks.get(entry.subject)
        if entry.kind == "task.deleted":
            board = told.get("board")
            deleted = {"type": entry.kind, "task_id": entry.subject, "board_id": board}
            of_board = BoardId(UUID(board)) if board else None
            events.append(StreamEvent(position=entry.position, name=entry.kind, data=_encode(deleted), board=of_board))
            continue
        comment = comments.get(told.get("comment", ""))
        if task is None or (entry.kind == "task.commented" and comment is None):
            continue  # it was deleted since, which a later entry tells
        type = TASK_ACTIVITIES[entry.kind]
        activity = {
            "id": comment.id if comment is not None else UUID(bytes=entry.digest[:16]),
            "event_type": type,
            "message": task_message(type, told.get("status"), task.title, comment),
            "agent_id": entry.actor.id if entry.actor.kind == "agent" else None,
            "task_id": entry.subject,
            "created_at": naive(entry.at),
        }
        data: dict[str, Any] = {"type": type, "activity": activity}
        if comment is not None:
            data["comment"] = TaskCommentRead.of(comment)
        else:
            data["task"] = task.payload
        events.append(StreamEvent(position=entry.position, name="task", data=_encode(data), board=task.board))
    return events


async def render_approvals(ports: Ports, organization: OrganizationId, entries: Sequence[Entry]) -> list[StreamEvent]:
    """
    Render approvals, each with the number of pending approvals of its board.
    """
    everyone, reads = SystemPrincipal(organization=organization), ports.reads
    ids = {ApprovalId(entry.subject) for entry in entries}
    rows = await with_tasks(ports, everyone, *await reads.entities.several(everyone, APPROVALS, ids))
    found = {UUID(bytes=row.id): row for row in rows}
    linked = {TaskId(UUID(bytes=task.task)) for row in rows for task in row.tasks}
    counts = await reads.approvals.counts_of_tasks(everyone, linked) if linked else {}
    pending = {}
    for board in {row.board for row in rows}:
        page = await reads.entities.page(
            everyone, APPROVALS, PageRequest(limit=1), board=BoardId(UUID(bytes=board)), status=ApprovalStatus.PENDING
        )
        pending[board] = page.total
    return [
        StreamEvent(
            position=entry.position,
            name="approval",
            data=_encode(
                {"approval": ApprovalRead.of(row), "pending_approvals_count": pending[row.board]}
                | _task_counts(row, counts)
            ),
            board=BoardId(UUID(bytes=row.board)),
        )
        for entry in entries
        if (row := found.get(entry.subject)) is not None
    ]


def _task_counts(row: ApprovalRow, counts: Mapping[TaskId, tuple[int, int]]) -> dict[str, Any]:
    """
    The numbers of approvals of the linked tasks: an object for one task, a list for several.
    """
    found = []
    for task in row.tasks:
        id = TaskId(UUID(bytes=task.task))
        every, pending = counts.get(id, (0, 0))
        found.append({"task_id": id, "approvals_count": every, "approvals_pending_count": pending})
    return {"task_counts": found[0] if len(found) == 1 else found} if found else {}


async def render_board_memory(
    ports: Ports, organization: OrganizationId, entries: Sequence[Entry]
) -> list[StreamEvent]:
    """
    Render new entries in the memory of boards.
    """
    ids = {entry.subject for entry in entries}
    rows = await ports.reads.entities.several(SystemPrincipal(organization=organization), BOARD_MEMORY, ids)
    found: dict[UUID, Any] = {row.id: row for row in rows}
    return [
        StreamEvent(
            position=entry.position,
            name="memory",
            data=_encode({"memory": BoardMemoryRead.of(row)}),
            board=row.board,
            facts={"is_chat": row.chat},
        )
        for entry in entries
        if (row := found.get(entry.subject)) is not None
    ]


async def render_group_memory(
    ports: Ports, organization: OrganizationId, entries: Sequence[Entry]
) -> list[StreamEvent]:
    """
    Render new entries in the memory of groups. Who may read it is decided when a stream is opened.
    """
    ids = {entry.subject for entry in entries}
    rows = await ports.reads.entities.several(SystemPrincipal(organization=organization), GROUP_MEMORY, ids)
    found: dict[UUID, Any] = {row.id: row for row in rows}
    return [
        StreamEvent(
            position=entry.position,
            name="memory",
            data=_encode({"memory": BoardGroupMemoryRead.of(row)}),
            everyone=True,
            facts={"is_chat": row.chat, "group": row.group},
        )
        for entry in entries
        if (row := found.get(entry.subject)) is not None
    ]


async def render_agents(ports: Ports, organization: OrganizationId, entries: Sequence[Entry]) -> list[StreamEvent]:
    """
    Render agents as they are now.
    """
    ids = {AgentId(entry.subject) for entry in entries}
    rows = await ports.reads.agents.several(SystemPrincipal(organization=organization), ids)
    found, shown = {UUID(bytes=row.id): row for row in rows}, agent_renderer(organization, at=ports.clock.now())
    events = []
    for entry in entries:
        row, told = found.get(entry.subject), _told(entry)
        if entry.kind == "agent.deleted":
            board = BoardId(UUID(told["board"])) if told.get("board") else None
            data = _encode({"agent_id": entry.subject})
            events.append(StreamEvent(position=entry.position, name=entry.kind, data=data, board=board))
        elif row is not None:
            board = None if row.board is None else BoardId(UUID(bytes=row.board))
            data = _encode({"agent": shown(row)})
            events.append(StreamEvent(position=entry.position, name="agent", data=data, board=board))
    return events


async def render_comment_feed(
    ports: Ports, organization: OrganizationId, entries: Sequence[Entry]
) -> list[StreamEvent]:
    """
    Render comments with the names of their tasks, boards and agents.
    """
    comments = await _comments(ports, organization, entries)
    tasks = {id: state.names for id, state in (await _tasks(ports, organization, entries)).items()}
    items, events = await comment_items(ports, organization, comments.values(), tasks), []
    for entry in entries:
        comment = comments.get(_told(entry).get("comment", ""))
        if comment is not None and comment.id in items:
            item = items[comment.id]
            data = _encode({"comment": item})
            events.append(
                StreamEvent(position=entry.position, name="comment", data=data, board=BoardId(item.board_id))
            )
    return events


def _frame(name: str, data: bytes, cursor: str) -> bytes:
    return b"event: %b\r\nid: %b\r\ndata: %b\r\n\r\n" % (name.encode(), cursor.encode(), data)


def _cursor(cursor: str) -> bytes:
    return b"id: %b\r\n\r\n" % cursor.encode()


def _ping() -> bytes:
    return f": ping - {datetime.now(UTC).isoformat(sep=' ')}\r\n\r\n".encode()


def _ending(reason: str) -> bytes:
    return b"event: %b\r\ndata: %b\r\n\r\n" % (ENDED.encode(), _encode({"reason": reason}))


FRAMING: Final = Framing(
    event=_frame, comment=_ping, cursor=_cursor, opening=_cursor, ending=_ending, keep_alive=KEEP_ALIVE_SECONDS,
    headers={"cache-control": "no-store", "connection": "keep-alive", "x-accel-buffering": "no"},
)  # fmt: skip


class StreamQuery(Query):
    since: str | None = None


class MemoryStreamQuery(StreamQuery):
    is_chat: bool | None = None

    def wants(self, event: StreamEvent) -> bool:
        """
        Whether the event passes the filter.
        """
        return self.is_chat is None or event.facts["is_chat"] is self.is_chat


class BoardFilterStreamQuery(StreamQuery):
    board_id: UUID | None = None


async def _opened(
    request: Request,
    stream: EventStream,
    since: str | None,
    wants: Callable[[StreamEvent], bool],
    authorize: Callable[[Principal], Awaitable[Any]] | None = None,
    *,
    board: BoardId | None = None,
) -> Response:
    """
    The response that is the stream, from the place in `Last-Event-ID`, or else from the time *since* on. It ends if the
    *board* is deleted or leaves its group.
    """
    start = resumed_place(request, stream.cursors)
    moment = None if start is not None else _moment(since)
    if moment is not None:
        log, own = ports_of(request).log, principal_of(request).organization
        start = StreamPosition(await position_before(log, own, max(moment, FIRST_MOMENT) - CLOCK_TOLERANCE))
    return EventStreamResponse(StreamClient(request, stream, start, wants, authorize, board))


def _moment(since: str | None) -> datetime | None:
    """
    The time of the parameter `since`. A blank or unparsable one, such as `null`, stands for now, as clients expect.
    """
    try:
        return lax_moment(since.strip()) if since and since.strip() else None
    except FieldsInvalid:
        return None


def _board_handler(stream: EventStream, query: type[StreamQuery], handler: str, text: str) -> Handler:
    """
    The handler of a stream of one board.
    """

    async def stream_board(request: Request) -> Response:
        async with BoardPath.of(request) as place:
            asked, board = query_of(request, query), place.board
            await place.check()
        wants = asked.wants if isinstance(asked, MemoryStreamQuery) else wants_all

        async def authorize(principal: Principal) -> None:
            await ports_of(request).reads.boards.check(principal, board)

        return await _opened(
            request, stream, asked.since, lambda event: event.board == board and wants(event), authorize, board=board
        )

    stream_board.__name__, stream_board.__doc__ = handler, text
    return stream_board


@frozen
class StreamHandlers:
    """
    Handlers of the streams that are not of one board alone.
    """

    agents: EventStream
    comments: EventStream
    group_memory: EventStream

    async def stream_agents(self, request: Request) -> Response:
        """
        Stream the agents of the organization as they change, as server-sent events.

        With `board_id`, only those of one board.
        """
        require_admin(request)
        asked = query_of(request, BoardFilterStreamQuery)
        board = await visible_board(request, asked.board_id)

        async def authorize(principal: Principal) -> None:
            require_role(principal, Role.ADMIN)

        return await _opened(request, self.agents, asked.since, lambda event: board in (None, event.board), authorize)

    async def stream_task_comment_feed(self, request: Request) -> Response:
        """
        Stream new comments on tasks, with the names of their tasks, boards and agents, as server-sent events.

        With `board_id`, only those on one board.
        """
        asked = query_of(request, BoardFilterStreamQuery)
        board = await visible_board(request, asked.board_id)
        return await _opened(request, self.comments, asked.since, lambda event: board in (None, event.board))

    async def stream_board_group_memory(self, request: Request) -> Response:
        """
        Stream new entries in the memory of a group, as server-sent events.
        """
        id = path_id(request, "group_id")
        async with row_not_found_first(request, GROUPS, id):
            asked = query_of(request, MemoryStreamQuery)
            await GROUP_RESOURCE.row_in_path(request)
        return await _opened(
            request, self.group_memory, asked.since, lambda event: event.facts["group"] == id and asked.wants(event)
        )

    async def stream_board_group_memory_for_board(self, request: Request) -> Response:
        """
        Stream new entries in the memory of a board's group, as server-sent events.

        There are none if the board is in no group. The stream ends when the board leaves its group.
        """
        async with BoardPath.of(request) as place:
            asked = query_of(request, MemoryStreamQuery)
            await place.check()
        group: UUID | None = None

        async def authorize(principal: Principal) -> None:
            nonlocal group
            row = await ports_of(request).reads.boards.get(principal, place.board)
            group = None if row.group is None else UUID(bytes=row.group)

        def wants(event: StreamEvent) -> bool:
            return event.facts["group"] == group and asked.wants(event)

        return await _opened(request, self.group_memory, asked.since, wants, authorize, board=place.board)


def stream_endpoints(settings: Settings) -> list[Endpoint]:
    """
    The endpoints of the streams.
    """
    key = settings.key_for("event streams")

    def stream(name: str, kinds: frozenset[str], render: Any) -> EventStream:
        return EventStream(cursors=StreamCursors(key, f"boards/{name}"), kinds=kinds, render=render, framing=FRAMING)

    tasks = stream("tasks", frozenset(TASK_ACTIVITIES) | {"task.deleted"}, render_tasks)
    approvals = stream("approvals", APPROVAL_KINDS, render_approvals)
    memory = stream("memory", frozenset({"board.memory_written"}), render_board_memory)
    handlers = StreamHandlers(
        agents=stream("agents", AGENT_KINDS, render_agents),
        comments=stream("task-comments", frozenset({"task.commented"}), render_comment_feed),
        group_memory=stream("group-memory", frozenset({"group.memory_written"}), render_group_memory),
    )

    board_refusals = (BoardNotFound, BoardDenied, PositionGone, TooManyStreams)
    of_board = "/boards/{board_id}"
    more: dict[str, Any] = {"media_types": (MEDIA_TYPE,), "headers": (LAST_EVENT_ID,)}
    return [
        Endpoint(
            "GET", of_board + "/tasks/stream",
            _board_handler(
                tasks, StreamQuery, "stream_tasks",
                "Stream the changes of a board's tasks and the comments on them, as server-sent events.\n\n"
                "The event is `task`, or `task.deleted` with the id alone.",
            ),
            query=StreamQuery, who=MIXED, tags=("tasks",), refuses=board_refusals, **more,
        ),
        Endpoint(
            "GET", of_board + "/approvals/stream",
            _board_handler(
                approvals, StreamQuery, "stream_approvals",
                "Stream the approvals of a board as they are requested and decided, as server-sent events.",
            ),
            query=StreamQuery, who=MIXED, tags=("approvals",), refuses=board_refusals, **more,
        ),
        Endpoint(
            "GET", of_board + "/memory/stream",
            _board_handler(
                memory, MemoryStreamQuery, "stream_board_memory",
                "Stream new entries in the memory of a board, as server-sent events.",
            ),
            query=MemoryStreamQuery, who=MIXED, tags=("board-memory",), refuses=board_refusals, **more,
        ),
        Endpoint(
            "GET", of_board + "/group-memory/stream", handlers.stream_board_group_memory_for_board,
            query=MemoryStreamQuery, who=MIXED,
            tags=("board-group-memory", "board-group-memory", "agent-lead", "agent-worker"), refuses=board_refusals,
            extra=agent_hints(
                "agent_board_group_memory_stream",
                ["You wait for messages to the boards of your group."],
                unless=["You want earlier entries: list the memory."],
            ),
            **more,
        ),
        Endpoint(
            "GET", GROUP_PATH + "/memory/stream", handlers.stream_board_group_memory, query=MemoryStreamQuery, who=USER,
            tags=("board-group-memory", "board-group-memory"),
            refuses=(GroupNotFound, PositionGone, TooManyStreams), **more,
        ),
        Endpoint(
            "GET", "/agents/stream", handlers.stream_agents, query=BoardFilterStreamQuery, who=USER, tags=("agents",),
            refuses=board_refusals, **more,
        ),
        Endpoint(
            "GET", "/activity/task-comments/stream", handlers.stream_task_comment_feed,
            query=BoardFilterStreamQuery, who=USER, tags=("activity",), refuses=board_refusals, **more,
        ),
    ]  # fmt: skip
