"""
What the platform knows of one request while it is answered, and how handlers ask for it.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, cast

from attrs import define

if TYPE_CHECKING:
    from starlette.requests import Request

    from mission_core.accounts.model import Principal
    from mission_core.limiting import Verdict
    from mission_core.ports import Ports
    from mission_http.platform.endpoints import Dialect, Endpoint

EXCHANGE: Final = "mission"
REQUEST_ID: Final = ContextVar[str | None]("request_id", default=None)
"""The id of the request that is being answered, for what is logged meanwhile."""
UNREAD: Final = object()


@define(eq=False)
class Exchange:
    """
    One request and its answer.

    Args:
        client: The address of who calls; that of a trusted proxy is not it.
        path: The path below the place where the application is mounted.
        mount: That place, as those who call know it; empty if it is the root.
        peer: The address at the other end of the socket, whoever that speaks for.
        secure: Whether it came to us, or to a trusted proxy, over https.
        verdict: The tightest rate limit that the request was counted under.
        status: That of the answer, once it began.
    """

    request_id: str
    client: str = "unknown"
    peer: str = "unknown"
    path: str = ""
    mount: str = ""
    secure: bool = False
    dialect: Dialect | None = None
    endpoint: Endpoint | None = None
    principal: Principal | None = None
    verdict: Verdict | None = None
    body: bytes | None = None
    parsed: Any = UNREAD
    status: int | None = None

    @property
    def started(self) -> bool:
        """
        Whether the answer began.
        """
        return self.status is not None


def exchange_of(request: Request) -> Exchange:
    return cast(Exchange, request.scope[EXCHANGE])


def request_id_of(request: Request) -> str:
    """
    The id of the request, as its response carries it.
    """
    return exchange_of(request).request_id


def dialect_of(request: Request) -> Dialect:
    """
    The dialect that answers the request.
    """
    dialect = exchange_of(request).dialect
    if dialect is None:
        raise RuntimeError("the request is not matched to a dialect yet")
    return dialect


def endpoint_of(request: Request) -> Endpoint:
    """
    The endpoint that the request was matched to.
    """
    endpoint = exchange_of(request).endpoint
    if endpoint is None:
        raise RuntimeError("the request is not matched to an endpoint")
    return endpoint


def address_of(request: Request) -> str:
    """
    The address of the application, without a slash at its end: as the operator named it, else as it was called.
    """
    named: str | None = request.scope["app"].fronting.base_url
    return named or str(request.base_url).rstrip("/")


def principal_of(request: Request) -> Principal:
    """
    Who calls, as the dialect's `authenticate` answered. A public endpoint has nobody to ask for.
    """
    principal = exchange_of(request).principal
    if principal is None:
        raise RuntimeError("nobody was authenticated for this request")
    return principal


def ports_of(request: Request) -> Ports:
    """
    What the core is to work with.
    """
    return cast("Ports", request.scope["app"].ports)
