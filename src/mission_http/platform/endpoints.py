"""
The table that routes and the document are both read off, and what a dialect brings to it.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from attrs import Factory, field, frozen
from cattrs import Converter
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from mission_core.accounts.model import Principal
from mission_core.errors import Conflict, Denied, Exhausted, Invalid, NotFound, Refusal, StoreFailed, VersionMismatch
from mission_http.platform.cross_site import CHANGING
from mission_http.platform.exchange import request_id_of
from mission_http.platform.refusals import (
    BodyTooLarge,
    EncodingUnsupported,
    HeadersTooLarge,
    MethodRefused,
    RequestMalformed,
    RequestTimedOut,
    ServerBusy,
    TooManyRequests,
    Unexpected,
    challenge,
)
from mission_http.platform.shapes import choices

logger = logging.getLogger("mission_http")

Handler = Callable[[Request], Awaitable[Response]]
MEGABYTE: Final = 1024 * 1024
STATUSES: Final[Mapping[type[Exception], int]] = {
    Invalid: 400,
    NotFound: 404,
    Denied: 403,
    Conflict: 409,
    VersionMismatch: 412,
    Exhausted: 503,
    BodyTooLarge: 413,
    EncodingUnsupported: 415,
    MethodRefused: 405,
    TooManyRequests: 429,
    RequestMalformed: 400,
    HeadersTooLarge: 431,
    RequestTimedOut: 408,
    ServerBusy: 503,
}
"""What a dialect's own table is laid over."""


@frozen
class Header:
    """
    A request header that an operation reads, for the document.
    """

    name: str
    description: str
    schema: Mapping[str, Any] = {"type": "string"}


@frozen
class Access:
    """
    Who may call an operation. *schemes* name entries of the dialect's `security_schemes`, any one of which will do;
    *credentials* tells a person what to send, where the schemes do not; *limits* are the classes of rate limits that
    finding out who calls is counted under.
    """

    name: str
    description: str
    schemes: tuple[str, ...] = ()
    headers: tuple[Header, ...] = ()
    public: bool = False
    credentials: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()


PUBLIC: Final = Access("public", "Anyone.", public=True)


@frozen(eq=False)
class Endpoint:
    """
    One operation: where it is, what it takes and gives, who may call it, and what it may refuse with.
    """

    method: str
    path: str
    handler: Handler
    takes: Any = field(default=None, kw_only=True)
    """The attrs class of its body, or a union of those it may be."""
    gives: Any = field(default=None, kw_only=True)
    query: type | None = field(default=None, kw_only=True)
    who: Access = field(default=PUBLIC, kw_only=True)
    changes: bool = field(default=False, kw_only=True)
    """Whether it changes something though its method does not say so. A HEAD request to it must not."""
    scope: str | None = field(default=None, kw_only=True)
    """What an agent's key needs among its scopes, instead of a role, to do this to what is its own."""
    refuses: tuple[type[Exception], ...] = field(default=(), kw_only=True)
    headers: tuple[Header, ...] = field(default=(), kw_only=True)
    limits: tuple[str, ...] = field(default=(), kw_only=True)
    """The classes of rate limits that it is counted under once the caller is known, before the body is read."""
    limits_within: tuple[str, ...] = field(default=(), kw_only=True)
    """Those that its handler may count it under itself."""
    status: int = field(default=200, kw_only=True)
    also: Mapping[int, Any] = field(factory=dict, kw_only=True)
    """What it gives with other statuses that are no refusals."""
    tags: tuple[str, ...] = field(default=(), kw_only=True)
    operation_id: str | None = field(default=None, kw_only=True)
    extra: Mapping[str, Any] = field(factory=dict, kw_only=True)
    body_required: bool = field(default=True, kw_only=True)
    rooted: bool = field(default=False, kw_only=True)
    """The path stands as it is, not below the dialect's prefix."""
    listed: bool = field(default=True, kw_only=True)
    """Whether the document shows it."""

    @property
    def is_change(self) -> bool:
        """
        Whether it changes something, as its method or it itself says.
        """
        return self.changes or self.method in CHANGING

    @property
    def summary(self) -> str:
        """
        The first line of the handler's docstring.
        """
        return (inspect.getdoc(self.handler) or "").partition("\n")[0].rstrip(".")

    @property
    def description(self) -> str:
        """
        What the handler's docstring says after its first line.
        """
        return (inspect.getdoc(self.handler) or "").partition("\n")[2].strip()


@frozen(kw_only=True)
class Manners:
    """
    How a dialect behaves where HTTP leaves the choice.
    """

    answers_options: bool = False
    syntax_first: bool = False
    """Malformed JSON is refused before the caller is known."""
    any_content_type: bool = True
    """The body is read as JSON whatever the header says."""
    body_limit: int = MEGABYTE


@frozen(kw_only=True)
class Paperwork:
    """
    What a dialect tells the document beyond its endpoints.
    """

    title: str
    version: str
    description: str = ""
    tags: tuple[str, ...] = ()
    schema_name: Callable[[Any], str] = lambda kind: str(kind.__name__)
    schemas: Mapping[Any, Mapping[str, Any]] = field(factory=dict)
    """Schemas of types that the dialect spells in its own way."""
    path_schemas: Mapping[str, Mapping[str, Any]] = field(factory=dict)
    """Schemas of path parameters by name, or by the segment before it and name (`tasks/id`); a string otherwise."""
    security_schemes: Mapping[str, Mapping[str, Any]] = field(factory=dict)
    errors: Mapping[int, type] = field(factory=dict)
    codes: tuple[str, ...] = ()
    """Codes of errors that no class tells."""
    error: type | None = None
    """The envelope of an error: by status, and of all others."""


def no_agent(request: Request) -> None:
    """
    No agent is named beside the caller.
    """


@frozen(kw_only=True, eq=False)
class Dialect:
    """
    One way of speaking HTTP to the core.

    *authenticate* answers who calls, or raises. *render* writes an error in the dialect's envelope, with the status
    found for it. *edge* may refuse any request of the dialect before its endpoint's rules are asked, or if it has none.
    """

    name: str
    prefix: str
    endpoints: Sequence[Endpoint]
    converter: Converter
    query_converter: Converter
    authenticate: Callable[[Request, Access], Awaitable[Principal | None]]
    render: Callable[[Exception, int, Request], Response]
    statuses: Mapping[type[Exception], int] = field(factory=dict)
    reserved: tuple[str, ...] = ()
    """Paths below the prefix that nothing is served at: unknown, even where a sibling takes a parameter instead."""
    also: tuple[str, ...] = ()
    """Further prefixes whose unknown paths are this dialect's to answer."""
    edge: Callable[[Request, Endpoint | None], None] | None = None
    refuses_changes: tuple[type[Exception], ...] = ()
    """What *edge* refuses any change with, besides what it asks of the caller."""
    refuses_callers: tuple[type[Exception], ...] = ()
    """What *authenticate* refuses with, besides that nobody is known or may not call."""
    limit: str | None = None
    """The class of rate limits that every request is counted under first; all responses tell how much is left."""
    agent_of: Callable[[Request], str | None] = no_agent
    """The agent that a request names beside its caller."""
    manners: Manners = Manners()
    headers: Mapping[str, str] = field(factory=dict)
    """Response headers that this dialect adds unless the settings or the response have them."""
    paperwork: Paperwork = Paperwork(title="", version="")
    _table: dict[type[Exception], int] = field(
        init=False, repr=False, default=Factory(lambda self: {**STATUSES, **self.statuses}, takes_self=True)
    )

    def path_of(self, endpoint: Endpoint) -> str:
        """
        The whole path of one of its endpoints.
        """
        return endpoint.path if endpoint.rooted else self.prefix + endpoint.path

    def compile_shapes(self) -> None:
        """
        Make the readers of all bodies and queries, so that a mistake in one shows at the start.
        """
        for endpoint in self.endpoints:
            if endpoint.takes is not None:
                for shape in choices(endpoint.takes):
                    self.converter.get_structure_hook(shape)
            if endpoint.query is not None:
                self.query_converter.get_structure_hook(endpoint.query)

    def status_of(self, kind: type[Exception]) -> int:
        """
        The status of an error: its class's, or that of the nearest ancestor with one, or 500.
        """
        status = self._table.get(kind)
        if status is None:
            status = next((self._table[cls] for cls in kind.__mro__ if cls in self._table), 500)
            self._table[kind] = status
        return status

    def refuse(self, error: Exception, request: Request) -> Response:
        """
        The response to an error. What is no refusal is logged with its traceback, and told as `Unexpected`; that the
        store failed is logged, too.
        """
        status = self.status_of(type(error))
        if status == 500 and not isinstance(error, Refusal):
            log_unexpected(error, request)
            error = Unexpected()
        elif isinstance(error, StoreFailed):
            log_failure(error, request)
        try:
            response = self.render(error, status, request)
        except Exception as mistake:
            log_unexpected(mistake, request)
            return PlainTextResponse("Internal Server Error", 500)
        if isinstance(error, MethodRefused):
            response.headers["allow"] = ", ".join(error.allow)
        if isinstance(error, EncodingUnsupported):
            response.headers["accept-encoding"] = "identity"
        if (seconds := getattr(error, "retry_after", None)) is not None:
            response.headers["retry-after"] = str(seconds)
        if status == 401:
            response.headers.setdefault("www-authenticate", challenge())
        return response


def log_failure(failed: StoreFailed, request: Request) -> None:
    """
    Write to the log what the store could not do, under the request's id.
    """
    logger.error(
        "request %s: %s %r: the store failed: %s",
        request_id_of(request),
        request.method,
        request.scope["path"],
        failed.reason,
        extra={"request_id": request_id_of(request)},
    )


def log_unexpected(error: Exception, request: Request) -> None:
    """
    Write what happened to the log, under the request's id.
    """
    logger.error(
        "request %s: %s %r failed unexpectedly",
        request_id_of(request),
        request.method,
        request.scope["path"],
        exc_info=error,
        extra={"request_id": request_id_of(request)},
    )
