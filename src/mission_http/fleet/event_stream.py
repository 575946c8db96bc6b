"""
The event streams of the Fleet API: all events of the organization, and those of reported runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple
from uuid import UUID

import msgspec
from attrs import field
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.model import Role, SystemPrincipal
from mission_core.conversations.chat_messages import CHAT_MESSAGES, chat_reader_of
from mission_core.conversations.notifications import NOTIFICATIONS, may_read_notification
from mission_core.events.live_readers import PositionGone
from mission_core.ids import AgentId, BoardId, TaskId
from mission_core.lazy_attrs import define
from mission_core.projections import Projection
from mission_core.reports.activity_feed import KINDS_FOR_ADMINS, FeedRow, feed_scope_of
from mission_core.usage.reported_runs import REPORTED_RUNS
from mission_core.values import micros, name_key
from mission_http.fleet.access import VIEWER, is_restricted_agent
from mission_http.fleet.activities import ACTIVITY_WORDINGS
from mission_http.fleet.activity_list import FeedEventPayload
from mission_http.fleet.chat import ChatMessagePayload
from mission_http.fleet.errors import RUN_PROTOCOL_HEADERS
from mission_http.fleet.notifications import PlainNotificationPayload
from mission_http.fleet.payloads import AgentPayload, TaskPayload, agent_payload
from mission_http.fleet.reported_run_payloads import ReportedRunPayload
from mission_http.fleet.wire import WORKSPACE_NUMBER, seconds_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.errors import FieldError, FieldsInvalid, TooManyStreams
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
from mission_http.platform.exchange import principal_of
from mission_http.platform.field_annotations import Query
from mission_http.platform.projections import projection_of
from mission_http.platform.query_strings import query_of
from mission_http.platform.shapes import Fixed
from mission_http.platform.stream_cursors import StreamCursors

if TYPE_CHECKING:
    from mission_core.agents.queries import AgentRow
    from mission_core.conversations.chat_messages import ChatMessage
    from mission_core.conversations.notifications import Notification
    from mission_core.events.model import Entry
    from mission_core.ids import OrganizationId
    from mission_core.ports import Ports
    from mission_core.usage.reported_runs import ReportedRun
    from mission_http.settings import Settings

KEEP_ALIVE_SECONDS: Final = 30.0
ENDED: Final = "stream.ended"
TASK_TYPES: Final = {
    "task.created": "task.created",
    "task.updated": "task.updated",
    "task.assigned": "task.updated",
    "task.moved": "task.status_changed",
    "task.claimed": "task.status_changed",
    "run.completed": "task.updated",
    "run.failed": "task.updated",
    "run.released": "task.updated",
    "run.expired": "task.updated",
    "run.revoked": "task.updated",
}
"""The type of the event about a task, by the kind of the entry."""
RUN_TYPES: Final = {
    "reported_run.created": "run.created",
    "reported_run.updated": "run.updated",
    "reported_run.evaluated": "run.eval_attached",
}
ENDED_RUNS: Final = frozenset({"completed", "failed"})
AGENT_KINDS: Final = frozenset({"agent.created", "agent.updated", "agent.deleted", "agent.status_changed"})
CONNECTION_KINDS: Final = frozenset({"connection.created", "connection.disconnected"})
SECURITY_ACTIONS: Final = {
    "user.sign_in_failed": "login_failed",
    "user.created": "user_created",
    "user.deleted": "user_deleted",
    "user.password_changed": "password_change",
}
NOTIFIED: Final = "notification.created"
CHAT_TYPES: Final = {"chat.message_sent": "chat.message", "chat.message_deleted": "chat.message.deleted"}
TYPES: Final = frozenset({
    *TASK_TYPES.values(), *AGENT_KINDS, *CONNECTION_KINDS, *RUN_TYPES.values(), *CHAT_TYPES.values(), NOTIFIED,
    "activity.created", "audit.security", "run.completed", "task.deleted", "task.escalated",
})  # fmt: skip
"""The types of the events that the stream may have."""
LATER_TYPES: Final = frozenset({"github.synced", "security.event", "session.updated"})
"""Further types of the API, which may be asked for although this server has no such events."""
KINDS: Final = (
    frozenset(ACTIVITY_WORDINGS) | TASK_TYPES.keys() | RUN_TYPES.keys() | AGENT_KINDS | CONNECTION_KINDS
    | SECURITY_ACTIONS.keys() | CHAT_TYPES.keys() | {NOTIFIED}
)  # fmt: skip

_encode: Final = msgspec.json.Encoder().encode


class TaskState(NamedTuple):
    """
    A task that events are about.
    """

    id: bytes
    board: BoardId
    payload: TaskPayload


_shown: Final = projection_of(TaskPayload)
TASK_STATES: Final = Projection(
    render=lambda row: TaskState(row.id, BoardId(UUID(bytes=row.board)), _shown.render(row)),
    fields=None if _shown.fields is None else _shown.fields | {"id", "board"},
)


class StreamedActivityPayload(FeedEventPayload):
    workspace_id: Annotated[int, Fixed(WORKSPACE_NUMBER)]


@define(eq=False)
class StateOfEntries:
    """
    The present state of all that some entries are about, each kind of it read at once.
    """

    ports: Ports
    organization: OrganizationId
    tasks: Mapping[UUID, TaskState] = field(factory=dict, init=False)
    agents: Mapping[UUID, AgentRow] = field(factory=dict, init=False)
    runs: Mapping[UUID, ReportedRun] = field(factory=dict, init=False)
    messages: Mapping[UUID, ChatMessage] = field(factory=dict, init=False)
    notifications: Mapping[UUID, Notification] = field(factory=dict, init=False)

    async def read(self, entries: Sequence[Entry], payloads: Sequence[Mapping[str, Any]]) -> None:
        """
        Read the state.
        """
        reads, everyone = self.ports.reads, SystemPrincipal(organization=self.organization)
        tasks = _subjects(entries, "task.", "run.")
        agents = _subjects(entries, "agent.") | {
            UUID(told["agent"]) for told in payloads if isinstance(told.get("agent_name"), str) and told.get("agent")
        }
        runs, messages = _subjects(entries, "reported_run."), _subjects(entries, "chat.message_sent")
        if tasks:
            found = await reads.tasks.several(everyone, [TaskId(each) for each in tasks], TASK_STATES)
            self.tasks = {UUID(bytes=each.id): each for each in found}
        if agents:
            rows = await reads.agents.several(everyone, [AgentId(each) for each in agents])
            self.agents = {UUID(bytes=row.id): row for row in rows}
        if runs:
            self.runs = {each.id: each for each in await reads.entities.several(everyone, REPORTED_RUNS, runs)}
        if messages:
            sent = await reads.entities.several(everyone, CHAT_MESSAGES, messages)
            self.messages = {each.id: each for each in sent}
        if notifications := _subjects(entries, NOTIFIED):
            made = await reads.entities.several(everyone, NOTIFICATIONS, notifications)
            self.notifications = {each.id: each for each in made}


def _subjects(entries: Iterable[Entry], *prefixes: str) -> set[UUID]:
    return {entry.subject for entry in entries if entry.kind.startswith(prefixes)}


async def render_events(ports: Ports, organization: OrganizationId, entries: Sequence[Entry]) -> list[StreamEvent]:
    """
    Render the events of entries.
    """
    payloads = [{} if entry.payload is None else msgspec.json.decode(entry.payload) for entry in entries]
    state = StateOfEntries(ports, organization)
    await state.read(entries, payloads)
    now, events = ports.clock.now(), []
    for entry, told in zip(entries, payloads, strict=True):
        found = _Renderer(entry, told, state, lambda row: agent_payload(row, at=now))
        events += [event for event in found.events() if event is not None]
    return events


@define(eq=False)
class _Renderer:
    """
    Renders the events of one entry.
    """

    entry: Entry
    told: Mapping[str, Any]
    state: StateOfEntries
    shown: Callable[[AgentRow], AgentPayload]

    def events(self) -> Iterable[StreamEvent | None]:
        kind = self.entry.kind
        if kind.startswith(("task.", "run.")):
            yield from self._task_events()
        elif kind in AGENT_KINDS:
            yield self._agent_event()
        elif kind in CONNECTION_KINDS:
            yield self._connection_event()
        elif kind in RUN_TYPES:
            yield self._run_event()
        elif kind in SECURITY_ACTIONS:
            yield self._audit_event()
        elif kind in CHAT_TYPES:
            yield self._chat_event()
        elif kind == NOTIFIED:
            yield self._notification_event()
        if kind in ACTIVITY_WORDINGS:
            yield self._activity_event()

    def _event(self, type: str, data: Any, **more: Any) -> StreamEvent:
        at = micros(self.entry.at)
        return StreamEvent(
            position=self.entry.position,
            name=type,
            data=_encode({"type": type, "data": data, "timestamp": at // 1000}),
            **more,
        )

    def _of_task(self) -> dict[str, Any]:
        """
        The board and the assignee of the entry's task, which decide about the readers of its events.
        """
        task = self.state.tasks.get(self.entry.subject)
        if task is not None:
            return {"board": task.board, "facts": {"assignee": task.payload.assigned_to}}
        board = self.told.get("board")
        return {"board": BoardId(UUID(board)) if board else None, "facts": {"assignee": None}}

    def _task_events(self) -> Iterable[StreamEvent | None]:
        kind, task = self.entry.kind, self.state.tasks.get(self.entry.subject)
        if kind == "task.deleted":
            deleted = {"id": self.told.get("number"), "title": self.told.get("title"), "workspace_id": WORKSPACE_NUMBER}
            yield self._event(kind, deleted, **self._of_task())
            return
        type = TASK_TYPES.get(kind)
        if type is None or task is None:  # it was deleted since, which a later entry tells
            return
        shown = task.payload
        if type == "task.status_changed":
            moved = {
                "id": shown.id,
                "status": self.told.get("status", "in_progress"),
                "previous_status": self.told.get("was"),
                "updated_at": seconds_of(self.entry.at),
                "reason": None,
                "error_message": shown.error_message,
                "assigned_to": shown.assigned_to,
                "title": shown.title,
                "workspace_id": WORKSPACE_NUMBER,
            }
            yield self._event(type, moved, **self._of_task())
            if moved["status"] == "failed":
                escalated = {
                    "id": shown.id,
                    "title": shown.title,
                    "reason": "max_dispatch_retries",
                    "dispatch_attempts": shown.attempts,
                    "error_message": (shown.error_message or "")[:500] or None,
                    "workspace_id": WORKSPACE_NUMBER,
                }
                yield self._event("task.escalated", escalated, **self._of_task())
        else:
            yield self._event(type, shown, **self._of_task())

    def _agent_board(self) -> BoardId | None:
        row = self.state.agents.get(self.entry.subject)
        board = None if row is None or row.board is None else row.board.hex()
        board = board or self.told.get("board")
        return BoardId(UUID(board)) if board else None

    def _agent_event(self) -> StreamEvent | None:
        kind, row = self.entry.kind, self.state.agents.get(self.entry.subject)
        board = self._agent_board()
        if kind == "agent.deleted":
            deleted = {"id": self.told.get("number"), "name": self.told.get("name"), "workspace_id": WORKSPACE_NUMBER}
            return self._event(kind, deleted, board=board)
        if row is None:
            return None
        shown = self.shown(row)
        if kind == "agent.created":
            return self._event(kind, shown, board=board)
        changed = {
            "id": shown.id,
            "name": shown.name,
            "status": self.told.get("status", shown.status),
            "last_activity": shown.last_activity,
            "last_seen": shown.last_seen,
            "role": shown.role,
            "updated_at": seconds_of(self.entry.at),
            "workspace_id": WORKSPACE_NUMBER,
        }
        return self._event(kind, changed, board=board)

    def _connection_event(self) -> StreamEvent:
        row = self.state.agents.get(UUID(self.told["agent"])) if self.told.get("agent") else None
        data = {
            "connection_id": str(self.entry.subject),
            "agent_id": None if row is None else row.number,
            "agent_name": self.told.get("agent_name"),
            "workspace_id": WORKSPACE_NUMBER,
        }
        if "tool_name" in self.told:
            data["tool_name"] = self.told["tool_name"]
        board = None if row is None or row.board is None else BoardId(UUID(bytes=row.board))
        return self._event(self.entry.kind, data, board=board)

    def _run_event(self) -> StreamEvent | None:
        run = self.state.runs.get(self.entry.subject)
        if run is None:
            return None
        type = RUN_TYPES[self.entry.kind]
        if type == "run.updated" and self.told.get("status", run.status) in ENDED_RUNS:
            type = "run.completed"
        shown = msgspec.json.decode(_encode(ReportedRunPayload.of(run)))  # where it shows this id as text
        return self._event(type, shown | {"workspace_id": WORKSPACE_NUMBER}, board=run.board)

    def _chat_event(self) -> StreamEvent | None:
        message, type = self.state.messages.get(self.entry.subject), CHAT_TYPES[self.entry.kind]
        if self.entry.kind == "chat.message_deleted":
            deleted = {
                "id": self.told.get("number"),
                "conversation_id": self.told.get("conversation"),
                "workspace_id": WORKSPACE_NUMBER,
            }
            return self._event(type, deleted, everyone=True, facts={"message": None})
        if message is None:
            return None
        return self._event(type, ChatMessagePayload.of(message), everyone=True, facts={"message": message})

    def _notification_event(self) -> StreamEvent | None:
        notification = self.state.notifications.get(self.entry.subject)
        if notification is None:
            return None
        shown = PlainNotificationPayload.of(notification)
        return self._event(NOTIFIED, shown, seen_by=partial(may_read_notification, notification))

    def _audit_event(self) -> StreamEvent:
        username = self.told.get("username")
        data = {
            "action": SECURITY_ACTIONS[self.entry.kind],
            "actor": self.entry.actor.name,
            "target_type": "user" if self.entry.kind != "user.sign_in_failed" else None,
            "target_id": None,
            "username": username,
            "timestamp": seconds_of(self.entry.at),
            "workspace_id": WORKSPACE_NUMBER,
        }
        return self._event("audit.security", data, role=Role.ADMIN, everyone=True)

    def _activity_event(self) -> StreamEvent:
        entry, actor = self.entry, self.entry.actor
        task, agent = self.state.tasks.get(entry.subject), self.state.agents.get(entry.subject)
        row = FeedRow(
            position=entry.position, kind=entry.kind, at=micros(entry.at), actor_kind=actor.kind,
            actor_id=actor.id.bytes if actor.id else None, actor_name=actor.name, subject=entry.subject.bytes,
            payload=entry.payload, digest=entry.digest,
            task_number=task.payload.id if task else None, task_title=task.payload.title if task else None,
            task_status=task.payload.status if task else None, task_board=task.board.bytes if task else None,
            agent_number=agent.number if agent else None, agent_name=agent.name if agent else None,
            agent_role=agent.role if agent else None, agent_board=agent.board if agent else None,
        )  # fmt: skip
        by = actor.id if actor.kind == "agent" else None
        data = StreamedActivityPayload.of(row)
        return self._event("activity.created", data, facts={"by_agent": by}, **self._of_activity())

    def _of_activity(self) -> dict[str, Any]:
        kind = self.entry.kind
        if kind.startswith(("task.", "run.")):
            return {"board": self._of_task()["board"]}
        if kind.startswith(KINDS_FOR_ADMINS):
            return {"role": Role.ADMIN, "everyone": True}
        if kind.startswith("agent."):
            return {"board": self._agent_board()}
        if kind.startswith("board."):
            return {"board": BoardId(self.entry.subject)}
        board = self.told.get("board")
        return {"board": BoardId(UUID(board)) if board else None}


def _frame(name: str, data: bytes, cursor: str) -> bytes:
    return b"id: %b\ndata: %b\n\n" % (cursor.encode(), data)


def _run_frame(name: str, data: bytes, cursor: str) -> bytes:
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (cursor.encode(), name.encode(), data)


def _cursor(cursor: str) -> bytes:
    return b"id: %b\n\n" % cursor.encode()


def _opening(cursor: str) -> bytes:
    from time import time

    connected = {"type": "connected", "data": None, "timestamp": int(time() * 1000)}
    return _frame("connected", _encode(connected), cursor)


def _ending(reason: str) -> bytes:
    return b"data: %b\n\n" % _encode({"type": ENDED, "data": {"reason": reason}})


def _run_ending(reason: str) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (ENDED.encode(), _encode({"reason": reason}))


HEADERS: Final = {
    "cache-control": "no-cache, no-transform",
    "connection": "keep-alive",
    "x-accel-buffering": "no",
}
FRAMING: Final = Framing(
    event=_frame, comment=lambda: b": heartbeat\n\n", cursor=_cursor, opening=_opening, ending=_ending,
    keep_alive=KEEP_ALIVE_SECONDS, headers=HEADERS,
)  # fmt: skip
RUN_FRAMING: Final = FRAMING._replace(
    event=_run_frame, opening=_cursor, ending=_run_ending, headers={**HEADERS, **RUN_PROTOCOL_HEADERS}
)


async def render_runs(ports: Ports, organization: OrganizationId, entries: Sequence[Entry]) -> list[StreamEvent]:
    """
    Render the events of reported runs, each of which has the run alone as its data.
    """
    everyone, ids = SystemPrincipal(organization=organization), {entry.subject for entry in entries}
    found: dict[UUID, ReportedRun] = {
        run.id: run for run in await ports.reads.entities.several(everyone, REPORTED_RUNS, ids)
    }
    events = []
    for entry in entries:
        run = found.get(entry.subject)
        if run is None:
            continue
        told: Mapping[str, Any] = {} if entry.payload is None else msgspec.json.decode(entry.payload)
        type = RUN_TYPES[entry.kind]
        if type == "run.updated" and told.get("status", run.status) in ENDED_RUNS:
            type = "run.completed"
        shown = _encode(ReportedRunPayload.of(run))
        events.append(StreamEvent(position=entry.position, name=type, data=shown, board=run.board))
    return events


class EventStreamQuery(Query):
    types: str | None = None
    last_event_id: str | None = None


class RunStreamQuery(Query):
    last_event_id: str | None = None


def event_stream_endpoints(settings: Settings) -> list[Endpoint]:
    """
    The endpoints of the event streams.
    """
    key = settings.key_for("event streams")
    events = EventStream(cursors=StreamCursors(key, "fleet/events"), kinds=KINDS, render=render_events, framing=FRAMING)
    runs = EventStream(
        cursors=StreamCursors(key, "fleet/runs"), kinds=frozenset(RUN_TYPES), render=render_runs, framing=RUN_FRAMING
    )

    async def stream_events(request: Request) -> Response:
        """
        Stream the events of the organization, as server-sent events.

        Each event has a `type`, its `data` and a `timestamp` in milliseconds. `types` names the wanted ones, separated
        by commas. With `Last-Event-ID` the stream continues after that event. It ends with the
        event `stream.ended` and a reason, for example when the credential is revoked.
        """
        query = query_of(request, EventStreamQuery)
        client = StreamClient(
            request, events, resumed_place(request, events.cursors, query.last_event_id), _filter(request, query.types)
        )
        return EventStreamResponse(client)

    async def stream_runs(request: Request) -> Response:
        """
        Stream the changes of reported runs, as server-sent events.

        The event is `run.created`, `run.updated`, `run.completed` or `run.eval_attached`, and its data the run.
        """
        query = query_of(request, RunStreamQuery)
        return EventStreamResponse(
            StreamClient(request, runs, resumed_place(request, runs.cursors, query.last_event_id))
        )

    more: dict[str, Any] = {
        "media_types": (MEDIA_TYPE,), "who": VIEWER, "headers": (LAST_EVENT_ID,),
        "refuses": (PositionGone, TooManyStreams),
    }  # fmt: skip
    return [
        Endpoint(
            "GET", "/events", stream_events, query=EventStreamQuery, tags=("Events",),
            operation_id="fleet_streamEvents", **more,
        ),
        Endpoint(
            "GET", "/v1/runs/stream", stream_runs, query=RunStreamQuery, tags=("Runs",),
            operation_id="fleet_streamRuns", **more,
        ),
    ]  # fmt: skip


def _filter(request: Request, types: str | None) -> Callable[[StreamEvent], bool]:
    """
    The filter of a client: the types that it names. An agent below admin has only events of its own tasks, and the
    chat and activities are limited as their lists are.

    Raises:
        FieldsInvalid: If a type is unknown.
    """
    named = frozenset(each.strip() for each in (types or "").split(",") if each.strip())
    unknown = sorted(named - TYPES - LATER_TYPES)
    if unknown:
        message = f"has unknown types: {', '.join(unknown)}; known are {', '.join(sorted(TYPES | LATER_TYPES))}"
        raise FieldsInvalid((FieldError(("query", "types"), "value_error", message, types, {"error": message}),))
    principal = principal_of(request)
    own = name_key(principal.name) if is_restricted_agent(principal) else None
    chat, activities_of = chat_reader_of(principal), feed_scope_of(principal).own
    if not named and own is None and chat is None:
        return wants_all

    def wants(event: StreamEvent) -> bool:
        if named and event.name not in named:
            return False
        if chat is not None and "message" in event.facts:
            message = event.facts["message"]
            return message is not None and chat.may_read(message)
        if activities_of is not None and "by_agent" in event.facts:
            return bool(event.facts["by_agent"] == activities_of)
        if own is None or "assignee" not in event.facts:
            return True
        assignee = event.facts["assignee"]
        return assignee is not None and name_key(assignee) == own

    return wants
