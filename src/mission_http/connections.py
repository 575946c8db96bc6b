"""
HTTP connections of a server process, with deadlines for clients and a limit on the number of connections.

All connections are checked once a second, so that a request needs no timer of its own.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import unquote

from attrs import field
from httptools import HttpParserCallbackError, parse_url
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from mission_core.errors import Refusal
from mission_core.lazy_attrs import define
from mission_http.connection_limits import MAX_CONNECTIONS_VARIABLE, ConnectionLimits
from mission_http.platform.errors import HeadersTooLarge, RequestMalformed, RequestTimedOut, ServerBusy
from mission_http.request_cycles import ConstantHeaders, HttpCycle

logger = logging.getLogger("mission_http")

MAX_HEADER_BYTES: Final = 65_536
RESERVED_FILE_DESCRIPTORS: Final = 64
"""The file descriptors that are reserved for the database, the log and outbound calls."""
STALLED_SECONDS: Final = 3.0
"""Seconds without a byte of the request body after which a connection may be closed to admit another."""
LOG_INTERVAL_SECONDS: Final = 30.0


class HttpConnection(HttpToolsProtocol):
    """
    An HTTP connection that enforces deadlines on its client, and answers malformed requests as their dialect does.
    """

    def __init__(self, *args: Any, supervisor: ConnectionSupervisor, **more: Any) -> None:
        super().__init__(*args, **more)
        self.supervisor = supervisor
        self.waiting_since = self.loop.time()
        """The time since which the connection waits for the headers of the next request."""
        self.idle_since: float | None = None
        """The time of the last response, if no byte of another request has come since."""
        self.header_bytes = 0
        self.body_bytes = 0
        self.refused = self.overloaded = False
        self.is_last_request = False
        """Whether the connection is closed after the next response."""
        self.malformed: Refusal | None = None
        self.url = b""
        self.answered: RequestResponseCycle | None = None
        """The request that is being answered; `cycle` is the one that was read last."""
        self.unsent, self.unsent_since = 0, self.waiting_since
        self.measured: RequestResponseCycle | None = None
        self.measured_from = (0.0, 0)
        """The time when the window of the measured body began, and the bytes received before."""

    @property
    def is_busy(self) -> bool:
        """
        Whether a request is being read or answered.
        """
        return self.cycle is not None and not self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.supervisor.admit(self)
        self.supervisor.count_changed()

    def connection_lost(self, exc: Exception | None) -> None:
        self.pipeline.clear()
        if self.answered is not None and not self.answered.response_complete:
            self.answered.disconnected = True
            self.answered.message_event.set()
        super().connection_lost(exc)
        self.supervisor.count_changed()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGIApp) -> None:  # type: ignore[override]
        self.answered = cycle
        super()._start_asgi_task(cycle, app)  # type: ignore[arg-type]

    def shutdown(self) -> None:
        seconds = self.supervisor.linger
        if not seconds:
            super().shutdown()
            return
        # A request may be on its way, so the client is told first: with the next response.
        self.is_last_request = True
        if self.is_busy and not self.cycle.response_started:
            self.cycle.keep_alive = False
        self.loop.call_later(seconds, super().shutdown)

    def data_received(self, data: bytes) -> None:
        if self.refused:
            return
        if self.idle_since is not None:
            self.idle_since, self.waiting_since = None, self.loop.time()
        self.header_bytes += len(data)
        super().data_received(data)
        if self.malformed is not None:
            if not self.url:  # the parser does not report an invalid target
                self.url = b"".join(data.split(b" ", 2)[1:2])
            self.refuse(self.malformed)
        elif self.header_bytes > MAX_HEADER_BYTES:
            self.refuse(HeadersTooLarge(MAX_HEADER_BYTES))

    def on_headers_complete(self) -> None:
        if self.header_bytes > MAX_HEADER_BYTES:  # which may include bytes after the headers
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > MAX_HEADER_BYTES:
                raise HeadersTooLarge(MAX_HEADER_BYTES)
        self.header_bytes = 0
        if self.overloaded:
            self.app = self.supervisor.error_app(ServerBusy())
        parser, scope, before = self.parser, self.scope, self.cycle
        version = parser.get_http_version()
        url = parse_url(self.url)
        path = url.path.decode("ascii")
        scope["method"] = parser.get_method().decode("ascii")
        scope["http_version"] = version
        scope["path"] = self.root_path + (unquote(path) if "%" in path else path)
        scope["raw_path"] = self.root_path.encode("ascii") + url.path
        scope["query_string"] = url.query or b""
        self.cycle = self._cycle(
            scope,
            expect_100_continue=self.expect_100_continue,
            keep_alive=version != "1.0"
            and parser.should_keep_alive()
            and not (self.overloaded or self.is_last_request),
            on_response=self.on_response_complete,
        )
        if before is None or before.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))
        # Trailers of a chunked body must not count as headers: proxies in front do not check them.
        self.headers = []

    def _cycle(
        self, scope: Any, *, expect_100_continue: bool, keep_alive: bool, on_response: Callable[[], None]
    ) -> HttpCycle:
        return HttpCycle(
            constants=self.supervisor.constant_headers, scope=scope, transport=self.transport, flow=self.flow,
            logger=self.logger, access_logger=self.access_logger, access_log=False,
            default_headers=self.server_state.default_headers, message_event=asyncio.Event(),
            expect_100_continue=expect_100_continue, keep_alive=keep_alive, on_response=on_response,
        )  # fmt: skip

    def on_body(self, body: bytes) -> None:
        self.header_bytes = 0
        self.body_bytes += len(body)
        super().on_body(body)

    def on_response_complete(self) -> None:
        # As in the base class, but `enforce_deadlines` closes idle connections, so that no response needs a timer.
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())  # type: ignore[arg-type]  # Starlette types applications otherwise
        else:
            self.idle_since = self.loop.time()

    def send_400_response(self, msg: str) -> None:
        error = sys.exception()
        if isinstance(error, HttpParserCallbackError):  # raised by a callback of this class
            cause = error.__context__
            self.malformed = cause if isinstance(cause, Refusal) else RequestMalformed("its target cannot be read")
        else:
            self.malformed = RequestMalformed(str(error or msg))

    def _unsupported_upgrade_warning(self) -> None:
        """
        Suppress uvicorn's warning: the upgrade is ignored, and the request is answered over HTTP.
        """

    def refuse(self, error: Refusal) -> None:
        """
        Answer the current request with an error, and close the connection.
        """
        if self.refused:
            return
        self.refused = True
        if self.is_busy and not self.cycle.more_body:
            self.cycle.keep_alive = False  # a complete request is still answered
            return
        if self.is_busy:
            if self.cycle.response_started or self.pipeline:
                self.transport.close()
                return
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        elif self.cycle is not None and self.cycle.more_body:  # the response was complete before the body
            self.transport.close()
            return
        self.flow.pause_reading()
        self.cycle = self._cycle(
            self._scope_so_far(), expect_100_continue=False, keep_alive=False, on_response=lambda: None
        )
        self._start_asgi_task(self.cycle, self.supervisor.error_app(error))

    def _scope_so_far(self) -> Any:
        if self.scope is None:
            self.on_message_begin()
        scope: dict[str, Any] = dict(self.scope)
        if "path" not in scope:
            path, _, query = self.url.partition(b"?")
            method = self.parser.get_method().decode("ascii") if self.url else "-"
            scope |= {"method": method, "path": path.decode("latin-1"), "raw_path": path, "query_string": query}
        return scope

    def enforce_deadlines(self, now: float, limits: ConnectionLimits) -> None:
        """
        Close the connection or refuse its request if the client missed a deadline.
        """
        if self._leaves_unread(now, limits):
            self.transport.abort()
        elif self.refused or self.transport.is_closing():
            return
        elif self.is_busy:
            if self._sends_too_slowly(now, limits):
                self.refuse(RequestTimedOut())
        elif self.idle_since is not None:
            if now - self.idle_since > self.timeout_keep_alive:
                self.transport.close()
        elif now - self.waiting_since > limits.headers:
            if self.header_bytes:
                self.refuse(RequestTimedOut())
            else:
                self.transport.close()

    def _leaves_unread(self, now: float, limits: ConnectionLimits) -> bool:
        before, self.unsent = self.unsent, self.transport.get_write_buffer_size()
        waits = self.flow.write_paused or self.transport.is_closing()
        if not waits or not self.unsent or self.unsent < before:
            self.unsent_since = now
        return now - self.unsent_since > limits.unread

    def _sends_too_slowly(self, now: float, limits: ConnectionLimits) -> bool:
        cycle = self.cycle
        reads = not self.flow.read_paused and not cycle.waiting_for_100_continue
        if not cycle.more_body or cycle.response_started or not reads:
            self.measured = None
            return False
        began, bytes_then = self.measured_from
        if self.measured is cycle:
            if now - began < limits.window:
                return False
            if self.body_bytes - bytes_then < limits.rate * (now - began):
                return True
        self.measured, self.measured_from = cycle, (now, self.body_bytes)
        return False

    def eviction_rank(self, now: float) -> tuple[int, float] | None:
        """
        The sort key by which connections are closed to admit others: idle ones first, then those without a request,
        then those stalled in a body. None if the connection is in use.
        """
        if self.refused:
            return None
        if not self.is_busy:
            return (1, self.waiting_since) if self.idle_since is None else (0, self.idle_since)
        began, bytes_then = self.measured_from
        stalled = self.measured is self.cycle and self.body_bytes == bytes_then and now - began > STALLED_SECONDS
        return (2, began) if stalled else None


@define(eq=False)
class ConnectionSupervisor:
    """
    Enforces the connection limits of a server.

    Args:
        error_app: Builds an ASGI application that answers every request with an error.
        files: The limit of open file descriptors of the process, if known.
        constant_headers: Response headers that do not change.
        count_changed: Called after a connection was made or lost.
        linger: Seconds in which an idle connection may send one more request when the server stops.
    """

    limits: ConnectionLimits
    error_app: Callable[[Refusal], ASGIApp]
    files: int | None = None
    constant_headers: ConstantHeaders = field(factory=ConstantHeaders)
    count_changed: Callable[[], None] = lambda: None
    linger: float = 0.0
    maximum: int = field(init=False)
    _swept_at: float = field(default=0.0, init=False)
    _told_at: float = field(default=-LOG_INTERVAL_SECONDS, init=False)
    _closed: int = field(default=0, init=False)
    _refused: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self.maximum = self.limits.maximum
        if self.files is not None:
            self.maximum = min(self.maximum, max(self.files - RESERVED_FILE_DESCRIPTORS, self.files // 2))

    def admit(self, newcomer: HttpConnection) -> None:
        """
        Admit a new connection. Beyond the limit, close a dispensable connection for it, or else mark it to be refused.
        """
        if len(newcomer.connections) <= self.maximum:
            return
        others = [each for each in newcomer.connections if isinstance(each, HttpConnection) and each is not newcomer]
        living = [each for each in others if not each.transport.is_closing()]
        if len(living) < self.maximum:
            return
        now = newcomer.loop.time()
        ranks = {each: rank for each in living if (rank := each.eviction_rank(now)) is not None}
        if ranks:
            min(ranks, key=ranks.__getitem__).transport.abort()
            self._closed += 1
        else:
            newcomer.overloaded = True
            self._refused += 1
        self._tell(now)

    def sweep(self, connections: set[Any]) -> None:
        """
        Enforce the deadlines of all clients, and log whether the connection limit was reached.
        """
        now = asyncio.get_running_loop().time()
        asleep, self._swept_at = now - self._swept_at > STALLED_SECONDS, now
        if not asleep:  # after a long pause, received bytes may still be unread
            for each in list(connections):
                each.enforce_deadlines(now, self.limits)
        self._tell(now)

    def _tell(self, now: float) -> None:
        if not (self._closed or self._refused) or now - self._told_at < LOG_INTERVAL_SECONDS:
            return
        told = {"limit": self.maximum, "idle_closed": self._closed, "refused": self._refused}
        advice = (
            f"raise {MAX_CONNECTIONS_VARIABLE}"
            if self.maximum == self.limits.maximum
            else "raise the limit of open files"
        )
        logger.warning("connection_limit_reached", extra={**told, "advice": advice})
        self._told_at, self._closed, self._refused = now, 0, 0

    def abort(self, connections: set[Any]) -> None:
        """
        Abort all connections, including those in use.
        """
        for each in list(connections):
            each.transport.abort()
