"""
The exchange: the state of one HTTP request and its response, and the functions by which handlers read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from attrs import field

from mission_core.lazy_attrs import define

if TYPE_CHECKING:
    from starlette.requests import Request

    from mission_core.accounts.model import Principal
    from mission_core.ports import Ports
    from mission_core.rate_limits import RateLimitDecision
    from mission_http.platform.endpoints import Dialect, Endpoint

SCOPE_KEY: Final = "mission"
REQUEST_ID: Final = ContextVar[str | None]("request_id", default=None)
"""The id of the current request, for log lines."""
UNREAD: Final = object()


@define(eq=False)
class Exchange:
    """
    The state of one HTTP request and its response.

    Args:
        headers: The first value of each request header.
        client: The address of the client, as seen by the first trusted proxy if there is one.
        path: The path below the mount point of the application.
        mount: The public path prefix of the application; empty if it is the root.
        peer: The address at the other end of the socket, which may be a proxy.
        secure: Whether the client used https, to this server or to a trusted proxy.
        rate_limit_decision: The result of the tightest rate limit that counted the request.
        status: The status of the response, once it has begun.
    """

    request_id: str
    headers: Mapping[bytes, bytes] = field(factory=dict)
    client: str = "unknown"
    peer: str = "unknown"
    path: str = ""
    mount: str = ""
    secure: bool = False
    dialect: Dialect | None = None
    endpoint: Endpoint | None = None
    principal: Principal | None = None
    rate_limit_decision: RateLimitDecision | None = None
    body: bytes | None = None
    parsed: Any = UNREAD
    status: int | None = None

    @property
    def started(self) -> bool:
        """
        Whether the response has begun.
        """
        return self.status is not None


def exchange_of(request: Request) -> Exchange:
    exchange: Exchange = request.scope[SCOPE_KEY]
    return exchange


def request_id_of(request: Request) -> str:
    """
    The id of the request, which its response carries in `X-Request-Id`.
    """
    return exchange_of(request).request_id


def dialect_of(request: Request) -> Dialect:
    """
    The HTTP API that answers the request, as its `Dialect`.
    """
    dialect: Dialect | None = request.scope[SCOPE_KEY].dialect
    if dialect is None:
        raise RuntimeError("the request is not matched to a dialect yet")
    return dialect


def endpoint_of(request: Request) -> Endpoint:
    """
    The endpoint that the request was matched to.
    """
    endpoint: Endpoint | None = request.scope[SCOPE_KEY].endpoint
    if endpoint is None:
        raise RuntimeError("the request is not matched to an endpoint")
    return endpoint


def base_url_of(request: Request) -> str:
    """
    The public base URL without a trailing slash: the configured one, or else that of the request.
    """
    named: str | None = request.scope["app"].network.base_url
    return named or str(request.base_url).rstrip("/")


def principal_of(request: Request) -> Principal:
    """
    The authenticated principal of the request. Requests to public endpoints have none.
    """
    principal: Principal | None = request.scope[SCOPE_KEY].principal
    if principal is None:
        raise RuntimeError("the request has no authenticated principal")
    return principal


def ports_of(request: Request) -> Ports:
    """
    The ports of the application, for calls of use cases.
    """
    ports: Ports = request.scope["app"].ports
    return ports
