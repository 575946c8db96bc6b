"""
Event streams: entries of the log as server-sent events, for as long as the client listens and may see them.

A stream renders the entries of a wake-up once for all its clients; each client receives those events that it may see.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from attrs import field
from starlette.responses import Response

from mission_core.accounts.model import MemberPrincipal, Role, identity_of, may_read_board, readable_boards
from mission_core.accounts.revocations import may_end_access
from mission_core.errors import StoreFailed
from mission_core.events.live_readers import LiveLogs, PositionGone, ReaderTooSlow
from mission_core.lazy_attrs import define, frozen
from mission_http.platform.client_addresses import client_network
from mission_http.platform.endpoints import RequestHeader
from mission_http.platform.errors import FieldError, FieldsInvalid, ServerBusy, TooManyStreams
from mission_http.platform.exchange import dialect_of, endpoint_of, exchange_of, ports_of, principal_of
from mission_http.platform.stream_cursors import StreamCursors, StreamPosition
from mission_http.platform.stream_limits import StreamLimits

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from mission_core.accounts.model import Principal
    from mission_core.events.live_readers import LiveReader, LogBatch
    from mission_core.events.model import Entry
    from mission_core.ids import BoardId, OrganizationId
    from mission_core.ports import Ports

LAST_EVENT_ID: Final = RequestHeader(
    "Last-Event-ID", "The `id` of the last event that the client received: the stream continues after it."
)
MEDIA_TYPE: Final = "text/event-stream"
CLIENT_GONE: Final = "client_disconnected"
"""The reason that no client is told."""
NO_FACTS: Final[Mapping[str, Any]] = {}


class StreamEnded(Exception):
    """
    A stream ends before its client does; the reason is the last event.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@frozen(kw_only=True)
class StreamEvent:
    """
    An event of a stream.

    Args:
        position: The position of its entry in the log.
        data: The JSON value.
        board: The board whose readers may see the event; None if no board has it.
        everyone: Whether everyone in the organization may see it.
        role: The least role that may see it.
        seen_by: Whether a principal may see the event, if neither a board nor a role decides it.
        facts: Further values by which clients choose their events.
    """

    position: int
    name: str
    data: bytes
    board: BoardId | None = None
    everyone: bool = False
    role: Role = Role.VIEWER
    seen_by: Callable[[Principal], bool] | None = None
    facts: Mapping[str, Any] = NO_FACTS

    def is_for(self, principal: Principal) -> bool:
        """
        Whether the principal may see the event.
        """
        if self.seen_by is not None:
            return self.seen_by(principal)
        if self.role is not Role.VIEWER and (principal.role is not self.role or readable_boards(principal) is not None):
            return False
        return self.everyone or may_read_board(principal, self.board)


class Framing(NamedTuple):
    """
    The form in which a dialect writes the events of a stream.

    Args:
        event: Writes an event of this name, with its data and its cursor.
        comment: Writes a comment that keeps the connection alive.
        cursor: Writes a cursor without an event, up to which the client has received all its events.
        opening: Writes the first bytes, with the cursor from which the stream begins.
        ending: Writes the last event, with the reason.
        keep_alive: Seconds of silence after which a comment is written.
        headers: The headers of the response.
    """

    event: Callable[[str, bytes, str], bytes]
    comment: Callable[[], bytes]
    cursor: Callable[[str], bytes]
    opening: Callable[[str], bytes]
    ending: Callable[[str], bytes]
    keep_alive: float
    headers: Mapping[str, str]


class RenderedEvent(NamedTuple):
    """
    An event as it is sent, and its place in the stream.
    """

    event: StreamEvent
    place: StreamPosition
    chunk: bytes


Render = Callable[["Ports", "OrganizationId", Sequence["Entry"]], Awaitable[list[StreamEvent]]]


@frozen(eq=False, kw_only=True)
class EventStream:
    """
    A kind of stream: which entries of the log it shows, and how.

    Args:
        kinds: The kinds of the entries.
        render: Renders entries of these kinds, all at once.
    """

    cursors: StreamCursors
    kinds: frozenset[str]
    render: Render
    framing: Framing

    async def rendered(self, ports: Ports, entries: Sequence[Entry]) -> list[RenderedEvent]:
        """
        The events of the entries, in order. The last event of an entry has the place after the entry.
        """
        wanted = [entry for entry in entries if entry.kind in self.kinds]
        if not wanted:
            return []
        organization = wanted[0].organization
        events = await self.render(ports, organization, wanted)
        amounts, seen = Counter(event.position for event in events), Counter[int]()
        rendered = []
        for event in events:
            seen[event.position] += 1
            is_last = seen[event.position] == amounts[event.position]
            place = (
                StreamPosition(event.position) if is_last else StreamPosition(event.position - 1, seen[event.position])
            )
            cursor = self.cursors.cursor(organization, place)
            rendered.append(RenderedEvent(event, place, self.framing.event(event.name, event.data, cursor)))
        return rendered


def wants_all(event: StreamEvent) -> bool:
    """
    The filter of a client that wants all events.
    """
    return True


@define(eq=False)
class EventStreams:
    """
    The open streams of an application.
    """

    limits: StreamLimits = StreamLimits()
    logs: LiveLogs | None = field(default=None, init=False)
    open: dict[StreamClient, LiveReader] = field(factory=dict, init=False)
    counts: Counter[tuple[str, ...]] = field(factory=Counter, init=False)
    stopping: bool = field(default=False, init=False)

    @asynccontextmanager
    async def reader(self, client: StreamClient, request: Request, after: int | None) -> AsyncIterator[LiveReader]:
        """
        Open the reader of a client.

        Raises:
            ServerBusy: If the server stops.
            TooManyStreams: If the caller or its address has too many streams.
            PositionGone: If the log has nothing after the position any more.
        """
        ports, principal = ports_of(request), principal_of(request)
        if self.logs is None or self.logs.log is not ports.log:
            self.logs = LiveLogs(ports.log)
        caller = ("caller", principal.organization.hex, identity_of(principal))
        address = ("address", client_network(exchange_of(request).client))
        with self._counted((caller, self.limits.per_caller), (address, self.limits.per_address)):
            async with self.logs.reader(principal.organization, after=after) as reader:
                if self.stopping:  # perhaps only since the reader began to open
                    raise ServerBusy
                self.open[client] = reader
                try:
                    yield reader
                finally:
                    del self.open[client]

    @contextmanager
    def _counted(self, *limited: tuple[tuple[str, ...], int]) -> Iterator[None]:
        if any(self.counts[key] >= limit for key, limit in limited):
            raise TooManyStreams
        self.counts.update(key for key, _ in limited)
        try:
            yield
        finally:
            self.counts.subtract(key for key, _ in limited)
            self.counts += Counter()  # forget those without streams

    def stop(self) -> None:
        """
        End all streams, because the server stops. Clients resume on another one.
        """
        self.stopping = True
        for reader in self.open.values():
            reader.fail(StreamEnded("server_stopping"))


@define(eq=False)
class StreamClient:
    """
    A client of a stream.

    Args:
        start: The place from which the client resumes; None for the events that come from now on.
        wants: The client's own filter.
        authorize: Raises if the principal may not read the stream.
        board: The board that the stream is about; the stream ends when it is deleted or leaves its group.
    """

    request: Request
    stream: EventStream
    start: StreamPosition | None
    wants: Callable[[StreamEvent], bool] = wants_all
    authorize: Callable[[Principal], Awaitable[Any]] | None = None
    board: BoardId | None = None

    async def follow(self, begin: Callable[[], Awaitable[None]], write: Callable[[bytes], Awaitable[None]]) -> None:
        """
        Call *begin* once the stream is open, then *write* all events as they come, until the stream ends.
        """
        request, framing = self.request, self.stream.framing
        streams: EventStreams = request.scope["app"].event_streams
        after = None if self.start is None else self.start.position
        async with streams.reader(self, request, after) as reader, self._watching_other_logs(streams, reader):
            known = reader.feed.position
            # The credential is checked again: a revocation could have come before the reader was open.
            principal = await dialect_of(request).authenticate(request, endpoint_of(request).who)
            if principal is None:
                raise RuntimeError("a stream needs a principal")
            if self.authorize is not None:
                await self.authorize(principal)
            expiry = self._end_when_expired(reader, principal)
            try:
                await begin()
                reached = self.start or StreamPosition(reader.position)
                await write(framing.opening(self._cursor(principal, reached)))
                await self._pass_on(reader, principal, known, reached, write)
            except (StreamEnded, PositionGone, ReaderTooSlow, StoreFailed) as end:
                if not exchange_of(request).started:
                    raise
                if _reason(end) != CLIENT_GONE:
                    await write(framing.ending(_reason(end)))
            finally:
                if expiry is not None:
                    expiry.cancel()

    @asynccontextmanager
    async def _watching_other_logs(self, streams: EventStreams, reader: LiveReader) -> AsyncIterator[None]:
        """
        End the stream when the access of a member of several organizations is ended in another one of them, where for
        example the member signs out.
        """
        principal, logs = principal_of(self.request), streams.logs
        if not isinstance(principal, MemberPrincipal) or logs is None:
            yield
            return
        memberships = await ports_of(self.request).credentials.memberships(principal.user)
        others = [organization.id for organization, _ in memberships if organization.id != principal.organization]
        async with AsyncExitStack() as stack:
            watches = []
            for each in others:
                other = await stack.enter_async_context(logs.reader(each))
                watches.append(asyncio.create_task(_end_with_access(reader, other, principal)))
            try:
                yield
            finally:
                for watch in watches:
                    watch.cancel()

    async def _pass_on(
        self,
        reader: LiveReader,
        principal: Principal,
        known: int,
        reached: StreamPosition,
        write: Callable[[bytes], Awaitable[None]],
    ) -> None:
        """
        Write the events of each batch. *known* is the position at which the principal was authenticated.
        """
        framing, ports = self.stream.framing, ports_of(self.request)
        told = reached
        while True:
            try:
                async with asyncio.timeout(framing.keep_alive):
                    batch = await reader.next()
            except TimeoutError:
                moved = framing.cursor(self._cursor(principal, reached)) if reached != told else b""
                told = reached
                await write(framing.comment() + moved)
                continue
            if any(entry.position > known and self._is_ended_by(entry, principal) for entry in batch.entries):
                raise StreamEnded("access_changed")
            events = await self._rendered(batch, ports)
            sent = [
                one for one in events if one.place > reached and one.event.is_for(principal) and self.wants(one.event)
            ]
            reached = StreamPosition(batch.last)
            if sent:
                told = sent[-1].place
                await write(b"".join(one.chunk for one in sent))

    def _is_ended_by(self, entry: Entry, principal: Principal) -> bool:
        if self.board is not None and entry.subject == self.board:
            if entry.kind == "board.deleted":
                return True
            if entry.kind == "board.updated" and "group" in json.loads(entry.payload or "{}").get("changed", ()):
                return True
        return may_end_access(entry, principal)

    async def _rendered(self, batch: LogBatch, ports: Ports) -> list[RenderedEvent]:
        return await batch.derived(self.stream, partial(self.stream.rendered, ports))

    def _cursor(self, principal: Principal, place: StreamPosition) -> str:
        return self.stream.cursors.cursor(principal.organization, place)

    def _end_when_expired(self, reader: LiveReader, principal: Principal) -> asyncio.TimerHandle | None:
        if principal.expires_at is None:
            return None
        left = (principal.expires_at - ports_of(self.request).clock.now()).total_seconds()
        return asyncio.get_running_loop().call_later(max(left, 0), lambda: reader.fail(StreamEnded("access_expired")))


async def _end_with_access(reader: LiveReader, other: LiveReader, principal: Principal) -> None:
    """
    End a reader when the other one reads that the principal's access is ended, or fails.
    """
    try:
        while not any(may_end_access(entry, principal) for entry in (await other.next()).entries):
            pass
    except (PositionGone, ReaderTooSlow, StoreFailed) as failure:
        reader.fail(failure)
    else:
        reader.fail(StreamEnded("access_changed"))


def _reason(end: StreamEnded | PositionGone | ReaderTooSlow | StoreFailed) -> str:
    if isinstance(end, StreamEnded):
        return end.reason
    return "store_failed" if isinstance(end, StoreFailed) else end.code


class EventStreamResponse(Response):
    """
    The response that is a stream of server-sent events.
    """

    media_type = MEDIA_TYPE

    def __init__(self, client: StreamClient) -> None:
        self.client = client
        self.status_code = 200
        self.background = None
        self.init_headers(client.stream.framing.headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        watching: asyncio.Task[None] | None = None

        async def begin() -> None:
            nonlocal watching
            watching = asyncio.create_task(self._watch(receive))
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})

        async def write(chunk: bytes) -> None:
            if chunk:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})

        try:
            await self.client.follow(begin, write)
        finally:
            if watching is not None:
                watching.cancel()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _watch(self, receive: Receive) -> None:
        """
        End the stream when the client disconnects.
        """
        while (await receive())["type"] != "http.disconnect":
            pass
        streams: EventStreams = self.client.request.scope["app"].event_streams
        reader = streams.open.get(self.client)
        if reader is not None:
            reader.fail(StreamEnded(CLIENT_GONE))


def resumed_place(request: Request, cursors: StreamCursors, sent_otherwise: str | None = None) -> StreamPosition | None:
    """
    The place from which a client resumes, by the header `Last-Event-ID`, or else by the query parameter
    `last_event_id`; None if it sent neither.

    Raises:
        FieldsInvalid: If the cursor is not one of this stream.
    """
    sent, where = request.headers.get("last-event-id", "").strip(), ("header", "Last-Event-ID")
    if not sent and sent_otherwise is not None:
        sent, where = sent_otherwise.strip(), ("query", "last_event_id")
    if not sent:
        return None
    place = cursors.place(principal_of(request).organization, sent)
    if place is None:
        message = "must be the id of an event of this stream"
        raise FieldsInvalid((FieldError(where, "value_error", message, sent, {"error": message}),))
    return place
