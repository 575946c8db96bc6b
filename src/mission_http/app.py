"""
The ASGI application: serves all HTTP APIs (dialects), and opens and closes the ports with its lifespan.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING

from attrs import evolve, field
from starlette.routing import Router
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from mission_core.lazy_attrs import define
from mission_http.network_settings import NetworkSettings
from mission_http.platform.allowed_hosts import AllowedHostsMiddleware
from mission_http.platform.cors import with_cors
from mission_http.platform.dispatcher import Dispatcher
from mission_http.platform.endpoints import Dialect, Endpoint
from mission_http.platform.event_streams import EventStreams
from mission_http.platform.implicit_leases import ImplicitLeaseRenewals
from mission_http.platform.openapi_endpoints import DOCUMENT_ENDPOINTS, FRONT, OpenApiDocuments
from mission_http.platform.presence_updates import PresenceUpdates
from mission_http.platform.rate_limits import DEFAULT_QUOTAS, RateLimits
from mission_http.platform.request_logs import RequestLog
from mission_http.platform.response_headers import ResponseHeadersMiddleware, SecurityHeaders
from mission_http.platform.stream_limits import StreamLimits

if TYPE_CHECKING:
    from mission_core.errors import Refusal
    from mission_core.ports import Ports
    from mission_core.rate_limits import Quota, RateLimiter
    from mission_http.platform.request_durations import RequestDurations

OpenPorts = Callable[[], AbstractAsyncContextManager["Ports"]]
OpenLimiter = Callable[[], AbstractAsyncContextManager["RateLimiter | None"]]


def create_app(
    wire: OpenPorts,
    dialects: Iterable[Dialect],
    *,
    security: SecurityHeaders | None = None,
    network: NetworkSettings | None = None,
    log: RequestLog | None = None,
    durations: RequestDurations | None = None,
    limiter: OpenLimiter = nullcontext,
    quotas: Mapping[str, Quota] = DEFAULT_QUOTAS,
    streams: StreamLimits = StreamLimits(),
) -> MissionApp:
    """
    Build the ASGI application for several HTTP APIs (dialects), alone or to be mounted in another application.

    The first dialect answers paths without a dialect, and its title is that of the OpenAPI document. A mounted
    application gets no lifespan of its own, so give its `lifespan` to the outer one (`docs/embedding.md`).

    Args:
        wire: Opens the ports for the lifespan of the application. They may be anybody's, such as `memory_ports`.
        dialects: The dialects to serve: `boards_dialect(settings)`, `fleet_dialect(settings)`.
        security: The security headers of responses.
        network: The public URL, the allowed hosts and the trusted proxies.
        log: Logs requests; by default they are not logged.
        durations: Counts the durations of requests; by default they are not counted.
        limiter: Opens the rate limiter; requests are not limited by default.
        quotas: The rate limits in force, by class.
        streams: The limits on open event streams.
    """
    dialects = tuple(dialects)
    first, *others = dialects
    parts = (part for each in dialects for part in each.endpoints.parts)
    has_page = any(isinstance(part, Endpoint) and part.path == "/" for part in parts)
    extra = DOCUMENT_ENDPOINTS if has_page else (FRONT, *DOCUMENT_ENDPOINTS)
    first = evolve(first, endpoints=(*first.endpoints.parts, *extra))
    spoken = (first, *others)
    network = network or NetworkSettings()
    dispatcher = Dispatcher.of(spoken, network.base_path)
    http = AllowedHostsMiddleware(with_cors(dispatcher, network.origins), network)
    return MissionApp(
        open_ports=wire,
        open_limiter=limiter,
        documents=OpenApiDocuments(spoken, quotas),
        limits=RateLimits(quotas),
        network=network,
        event_streams=EventStreams(streams),
        dispatcher=dispatcher,
        http=ResponseHeadersMiddleware.around(http, security or SecurityHeaders(), spoken, network, log, durations),
    )


@define(eq=False, repr=False, kw_only=True)
class MissionApp:
    """
    The ASGI application. Its *ports* are open between startup and shutdown of the lifespan.
    """

    documents: OpenApiDocuments
    limits: RateLimits
    network: NetworkSettings
    event_streams: EventStreams
    implicit_lease_renewals: ImplicitLeaseRenewals = field(factory=ImplicitLeaseRenewals, init=False)
    presence_updates: PresenceUpdates = field(factory=PresenceUpdates, init=False)
    _open_ports: OpenPorts
    _open_limiter: OpenLimiter
    _dispatcher: Dispatcher
    _http: ResponseHeadersMiddleware
    _lifespan: Router = field(init=False)
    _ports: Ports | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._lifespan = Router(lifespan=self.lifespan)

    @property
    def ports(self) -> Ports:
        if self._ports is None:
            raise RuntimeError("the application has no ports: its lifespan was not started")
        return self._ports

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = self
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan.lifespan(scope, receive, send)
        else:
            await WebSocketClose()(scope, receive, send)

    @property
    def constant_headers(self) -> set[tuple[bytes, bytes]]:
        """
        The response headers that many responses have with the same value.
        """
        return self._http.constant_headers

    def import_endpoints(self) -> None:
        """
        Import the modules of all endpoints, which otherwise happens when a request first needs them.
        """
        for dialect in self.documents.dialects:
            dialect.endpoints.import_modules()

    def error_app(self, error: Refusal) -> ASGIApp:
        """
        Build an ASGI application that answers every request with this error, for requests that cannot be parsed.
        """
        refuse = evolve(self._http, app=partial(self._dispatcher.refuse, error))

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            scope["app"] = self
            await refuse(scope, receive, send)

        return app

    @asynccontextmanager
    async def lifespan(self, _: object) -> AsyncIterator[None]:
        """
        Open the ports for the duration of the context.

        `Starlette(routes=[Mount("/mission", app)], lifespan=app.lifespan)` mounts the application in another one.
        """
        async with self._open_ports() as self._ports, self._open_limiter() as self.limits.limiter:
            self.event_streams.stopping = False
            try:
                yield
            finally:
                self.event_streams.stop()
                await self.presence_updates.finish()
                self._ports = self.limits.limiter = None
                if self._http.log is not None:
                    self._http.log.flush()
