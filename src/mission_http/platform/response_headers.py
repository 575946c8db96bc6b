"""
Headers of every response: request id, security headers, and rate-limit headers. The request log is written here, too,
so that one wrapper around `send` is enough.
"""

from __future__ import annotations

from collections.abc import Iterable
from time import perf_counter
from typing import Final

from attrs import frozen
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mission_http.network_settings import NetworkSettings
from mission_http.platform.client_addresses import client_address, is_secure, peer_address
from mission_http.platform.endpoints import Dialect
from mission_http.platform.exchange import REQUEST_ID, SCOPE_KEY, Exchange
from mission_http.platform.rate_limits import rate_limit_headers
from mission_http.platform.request_ids import sent_or_new_id
from mission_http.platform.request_logs import RequestLog

RawHeaders = tuple[tuple[bytes, bytes], ...]
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


@frozen(eq=False)
class ResponseHeadersMiddleware:
    """
    ASGI middleware that creates the exchange of a request, adds headers to its response, and logs the request.
    """

    app: ASGIApp
    by_dialect: dict[Dialect | None, RawHeaders]
    network: NetworkSettings
    hsts: tuple[RawHeaders, RawHeaders] = ((), ())
    """The headers over http, and those over https."""
    log: RequestLog | None = None

    @classmethod
    def around(
        cls,
        app: ASGIApp,
        security: SecurityHeaders,
        dialects: Iterable[Dialect],
        fronting: NetworkSettings,
        log: RequestLog | None = None,
    ) -> ResponseHeadersMiddleware:
        by_dialect = {dialect: security.raw(dialect) for dialect in (None, *dialects)}
        return cls(app, by_dialect, fronting, (security.hsts(secure=False), security.hsts(secure=True)), log)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began, answered = perf_counter(), None
        request_id = sent_or_new_id(scope["headers"])
        exchange = scope[SCOPE_KEY] = Exchange(
            request_id.decode("ascii"),
            client=client_address(scope, self.network),
            peer=peer_address(scope),
            secure=is_secure(scope, self.network),
        )

        async def send_with_headers(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = perf_counter()
                exchange.status = message["status"]
                headers = [*message.get("headers", ()), *self.hsts[exchange.secure]]
                present = {name for name, _ in headers}
                headers += [pair for pair in self.by_dialect[exchange.dialect] if pair[0] not in present]
                headers.append((b"x-request-id", request_id))
                if (
                    exchange.rate_limit_decision is not None
                    and exchange.dialect is not None
                    and exchange.dialect.limit is not None
                ):
                    headers += rate_limit_headers(exchange.rate_limit_decision)
                message = {**message, "headers": headers}
            await send(message)

        before = REQUEST_ID.set(exchange.request_id)
        try:
            await self.app(scope, receive, send_with_headers)
        finally:
            REQUEST_ID.reset(before)
            if self.log is not None:
                ended = perf_counter()
                self.log.write(scope, exchange, waited=(answered or ended) - began, took=ended - began)
