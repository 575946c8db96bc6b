"""
Headers of every response: request id, security headers, and rate-limit headers. The request log is written here, too,
so that one wrapper around `send` is enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from time import perf_counter
from typing import TYPE_CHECKING, Final

from attrs import Factory, field
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mission_core.lazy_attrs import frozen
from mission_http.network_settings import NetworkSettings
from mission_http.platform.client_addresses import addresses_of
from mission_http.platform.endpoints import Dialect
from mission_http.platform.exchange import REQUEST_ID, SCOPE_KEY, Exchange
from mission_http.platform.json_responses import CONTENT_TYPE
from mission_http.platform.rate_limits import rate_limit_headers
from mission_http.platform.request_ids import sent_or_new_id
from mission_http.platform.request_logs import RequestLog

if TYPE_CHECKING:
    from mission_http.platform.request_durations import RequestDurations

RawHeaders = tuple[tuple[bytes, bytes], ...]
NAME_OF: Final = itemgetter(0)
HSTS_HEADER: Final = b"strict-transport-security"


@frozen(kw_only=True)
class SecurityHeaders:
    """
    The values of the security headers. A blank value omits a header; None leaves it to the dialect.
    """

    content_type_options: str | None = "nosniff"
    frame_options: str | None = "DENY"
    referrer_policy: str | None = "strict-origin-when-cross-origin"
    permissions_policy: str | None = None
    strict_transport_security: str | None = None
    """Sent over https only, because browsers ignore it over http."""
    hsts_anywhere: bool = False
    """Whether `Strict-Transport-Security` is sent over http, too, for proxies that do not forward the scheme."""

    def named(self) -> dict[str, str | None]:
        """
        The configured values by header name.
        """
        return {
            "x-content-type-options": self.content_type_options,
            "x-frame-options": self.frame_options,
            "referrer-policy": self.referrer_policy,
            "permissions-policy": self.permissions_policy,
        }

    def fixed(self, dialect: Dialect | None, *, secure: bool) -> FixedHeaders:
        """
        The headers of all responses of a dialect over http or https.
        """
        always = self.hsts(secure=secure)
        present = {name for name, _ in always}
        return FixedHeaders(always, tuple(pair for pair in self.raw(dialect) if pair[0] not in present))

    def raw(self, dialect: Dialect | None) -> RawHeaders:
        """
        The security headers and those of the dialect, encoded for ASGI.
        """
        chosen = {name.lower(): value for name, value in dialect.headers.items()} if dialect else {}
        chosen |= {name: value.strip() for name, value in self.named().items() if value is not None}
        return tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in chosen.items() if value)

    def hsts(self, *, secure: bool) -> RawHeaders:
        """
        The `Strict-Transport-Security` header, where it is sent.
        """
        value = self.strict_transport_security
        return ((HSTS_HEADER, value.encode("latin-1")),) if value and (secure or self.hsts_anywhere) else ()


@frozen
class FixedHeaders:
    """
    The headers of all responses of a dialect over one scheme. A response that sets one of *optional* keeps its own.
    """

    always: RawHeaders
    optional: RawHeaders
    together: RawHeaders = field(init=False, default=Factory(lambda self: self.always + self.optional, takes_self=True))
    _names: frozenset[bytes] = field(
        init=False, default=Factory(lambda self: frozenset(name for name, _ in self.optional), takes_self=True)
    )

    def added_to(self, headers: Sequence[tuple[bytes, bytes]]) -> RawHeaders:
        """
        The headers to add to those of a response.
        """
        if self._names.isdisjoint(map(NAME_OF, headers)):
            return self.together
        present = set(map(NAME_OF, headers))
        return self.always + tuple(pair for pair in self.optional if pair[0] not in present)


@frozen(eq=False)
class ResponseHeadersMiddleware:
    """
    ASGI middleware that creates the exchange of a request, adds headers to its response, and logs and measures the
    request.
    """

    app: ASGIApp
    fixed: Mapping[Dialect | None, tuple[FixedHeaders, FixedHeaders]]
    """The headers over http, and those over https, by dialect."""
    network: NetworkSettings
    log: RequestLog | None = None
    durations: RequestDurations | None = None

    @classmethod
    def around(
        cls,
        app: ASGIApp,
        security: SecurityHeaders,
        dialects: Iterable[Dialect],
        network: NetworkSettings,
        log: RequestLog | None = None,
        durations: RequestDurations | None = None,
    ) -> ResponseHeadersMiddleware:
        return cls(
            app,
            {
                dialect: (security.fixed(dialect, secure=False), security.fixed(dialect, secure=True))
                for dialect in (None, *dialects)
            },
            network,
            log,
            durations,
        )

    @property
    def constant_headers(self) -> set[tuple[bytes, bytes]]:
        """
        The headers that many responses have with the same value.
        """
        return {CONTENT_TYPE}.union(*(each.together for both in self.fixed.values() for each in both))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began, answered = perf_counter(), None
        headers = dict(scope["headers"][::-1])  # of several with one name, the first
        request_id = sent_or_new_id(headers.get(b"x-request-id"))
        peer, client, secure = addresses_of(scope, self.network)
        exchange = scope[SCOPE_KEY] = Exchange(request_id.decode("ascii"), headers, client, peer, secure=secure)

        async def send_with_headers(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = perf_counter()
                exchange.status = message["status"]
                dialect = exchange.dialect
                headers = list(message.get("headers", ()))
                headers += self.fixed[dialect][exchange.secure].added_to(headers)
                headers.append((b"x-request-id", request_id))
                if exchange.rate_limit_decision is not None and dialect is not None and dialect.limit is not None:
                    headers += rate_limit_headers(exchange.rate_limit_decision)
                message = {**message, "headers": headers}
            await send(message)

        before = REQUEST_ID.set(exchange.request_id)
        try:
            await self.app(scope, receive, send_with_headers)
        finally:
            REQUEST_ID.reset(before)
            if self.durations is not None and answered is not None:
                self.durations.observe(exchange, answered - began)
            if self.log is not None:
                ended = perf_counter()
                self.log.write(scope, exchange, waited=(answered or ended) - began, took=ended - began)
