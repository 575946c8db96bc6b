"""
What every response carries: the request's id and the security headers. One wrapper around `send` does both.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mission_http.fronting import Fronting
from mission_http.platform.clients import client_address, is_secure
from mission_http.platform.endpoints import Dialect
from mission_http.platform.exchange import EXCHANGE, Exchange
from mission_http.platform.request_ids import sent_or_new_id

RawHeaders = tuple[tuple[bytes, bytes], ...]


@frozen(kw_only=True)
class SecurityHeaders:
    """
    The values of the security headers. Blank switches one off; None leaves it to the dialect.
    """

    content_type_options: str | None = "nosniff"
    frame_options: str | None = "DENY"
    referrer_policy: str | None = "strict-origin-when-cross-origin"
    permissions_policy: str | None = None
    strict_transport_security: str | None = None

    def named(self) -> dict[str, str | None]:
        """
        The values by header name.
        """
        return {
            "x-content-type-options": self.content_type_options,
            "x-frame-options": self.frame_options,
            "referrer-policy": self.referrer_policy,
            "permissions-policy": self.permissions_policy,
            "strict-transport-security": self.strict_transport_security,
        }

    def raw(self, dialect: Dialect | None) -> RawHeaders:
        """
        The headers as they are sent, with those of the dialect.
        """
        chosen = {name.lower(): value for name, value in dialect.headers.items()} if dialect else {}
        chosen |= {name: value.strip() for name, value in self.named().items() if value is not None}
        return tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in chosen.items() if value)


@frozen(eq=False)
class ResponseHeaders:
    """
    ASGI middleware that opens the exchange and adds the headers to its response.
    """

    app: ASGIApp
    by_dialect: dict[Dialect | None, RawHeaders]
    fronting: Fronting

    @classmethod
    def around(
        cls, app: ASGIApp, security: SecurityHeaders, dialects: Iterable[Dialect], fronting: Fronting
    ) -> ResponseHeaders:
        return cls(app, {dialect: security.raw(dialect) for dialect in (None, *dialects)}, fronting)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = sent_or_new_id(scope["headers"])
        exchange = scope[EXCHANGE] = Exchange(
            request_id.decode("ascii"),
            client=client_address(scope, self.fronting),
            secure=is_secure(scope, self.fronting),
        )

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.started = True
                headers = list(message.get("headers", ()))
                present = {name for name, _ in headers}
                headers += [pair for pair in self.by_dialect[exchange.dialect] if pair[0] not in present]
                headers.append((b"x-request-id", request_id))
                message = {**message, "headers": headers}
            await send(message)

        await self.app(scope, receive, send_with_headers)
