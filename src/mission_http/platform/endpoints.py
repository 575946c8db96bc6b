"""
Endpoint tables, from which routes and the OpenAPI document are made, and the dialects that own them.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from importlib import import_module
from typing import Any, Final, overload

from attrs import Factory, evolve, field
from cattrs import Converter
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from mission_core.accounts.model import Principal
from mission_core.errors import Conflict, Denied, Exhausted, Invalid, NotFound, Refusal, StoreFailed, VersionMismatch
from mission_core.events.live_readers import PositionGone
from mission_core.lazy_attrs import frozen
from mission_http.platform.cross_site_requests import CHANGING_METHODS
from mission_http.platform.errors import (
    BodyTooLarge,
    EncodingUnsupported,
    HeadersTooLarge,
    MethodRefused,
    RequestMalformed,
    RequestTimedOut,
    ServerBusy,
    TooManyRequests,
    TooManyStreams,
    UnexpectedError,
    bearer_challenge,
)
from mission_http.platform.exchange import request_id_of

logger = logging.getLogger("mission_http")

Handler = Callable[[Request], Awaitable[Response]]
MEGABYTE: Final = 1024 * 1024
DEFAULT_STATUSES: Final[Mapping[type[Exception], int]] = {
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
    TooManyStreams: 429,
    PositionGone: 410,
}
"""The statuses of errors; a dialect overrides or adds some."""


@frozen
class RequestHeader:
    """
    A request header that an operation reads, as the OpenAPI document describes it.
    """

    name: str
    description: str
    schema: Mapping[str, Any] = {"type": "string"}


@frozen
class EndpointAccess:
    """
    The callers that an operation is open to, and how they authenticate.

    Args:
        name: The role, as the OpenAPI document names it.
        schemes: The entries of the dialect's `security_schemes` of which any one is enough.
        headers: The request headers that all operations with this access read.
        public: Whether the operation needs no authentication.
        credentials: The credentials in words, where the schemes do not describe them.
        limits: The rate-limit classes that authentication itself is counted under.
    """

    name: str
    description: str
    schemes: tuple[str, ...] = ()
    headers: tuple[RequestHeader, ...] = ()
    public: bool = False
    credentials: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()


PUBLIC: Final = EndpointAccess("public", "Anyone.", public=True)


@frozen(eq=False)
class Endpoint:
    """
    An HTTP operation: its method and path, body and response classes, access rule, rate limits and errors.
    """

    method: str
    path: str
    handler: Handler
    takes: Any = field(default=None, kw_only=True)
    """The attrs class of the request body, or a union of several."""
    gives: Any = field(default=None, kw_only=True)
    media_types: tuple[str, ...] = field(default=(), kw_only=True)
    """Other media types than JSON in which the operation may answer, as text; without *gives*, the only ones."""
    query: type | None = field(default=None, kw_only=True)
    who: EndpointAccess = field(default=PUBLIC, kw_only=True)
    changes: bool = field(default=False, kw_only=True)
    """Whether the operation changes something although its method is GET. A HEAD request must still change nothing."""
    scope: str | None = field(default=None, kw_only=True)
    """The scope that lets an agent's key, without a role, perform the operation on the agent's own data."""
    refuses: tuple[type[Exception], ...] = field(default=(), kw_only=True)
    headers: tuple[RequestHeader, ...] = field(default=(), kw_only=True)
    limits: tuple[str, ...] = field(default=(), kw_only=True)
    """The rate-limit classes that count the request after authentication and before the body is read."""
    limits_within: tuple[str, ...] = field(default=(), kw_only=True)
    """The rate-limit classes that the handler itself may count the request under."""
    status: int = field(default=200, kw_only=True)
    also: Mapping[int, Any] = field(factory=dict, kw_only=True)
    """The response classes of further statuses that are not errors."""
    tags: tuple[str, ...] = field(default=(), kw_only=True)
    operation_id: str | None = field(default=None, kw_only=True)
    extra: Mapping[str, Any] = field(factory=dict, kw_only=True)
    body_required: bool = field(default=True, kw_only=True)
    rooted: bool = field(default=False, kw_only=True)
    """Whether the path is absolute instead of below the dialect's prefix."""
    listed: bool = field(default=True, kw_only=True)
    """Whether the OpenAPI document includes the operation."""

    @property
    def is_change(self) -> bool:
        """
        Whether the operation changes something, by its method or by `changes`.
        """
        return self.changes or self.method in CHANGING_METHODS

    @property
    def summary(self) -> str:
        """
        The first paragraph of the handler's docstring.
        """
        return " ".join((inspect.getdoc(self.handler) or "").partition("\n\n")[0].split())

    @property
    def description(self) -> str:
        """
        The handler's docstring after its first paragraph.
        """
        return (inspect.getdoc(self.handler) or "").partition("\n\n")[2].strip()


def tagged(tag: str, *groups: Iterable[Endpoint]) -> list[Endpoint]:
    """
    The endpoints of these groups, with the tag.
    """
    return [evolve(endpoint, tags=(tag,)) for group in groups for endpoint in group]


@frozen(eq=False)
class EndpointGroup:
    """
    Endpoints whose module is imported when they are first needed.

    Args:
        source: The module and its table of endpoints (`mission_http.fleet.users:ENDPOINTS`), or the function that
            makes them.
        paths: The beginnings of their paths below the dialect's prefix. The path of each endpoint begins with one.
        given: The arguments of the function.
        tag: The tag of the endpoints, instead of their own.
    """

    source: str
    paths: tuple[str, ...]
    given: tuple[Any, ...] = ()
    tag: str | None = None

    @cached_property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """
        The endpoints, with their module imported.
        """
        module, _, name = self.source.partition(":")
        found = getattr(import_module(module), name)
        found = found(*self.given) if callable(found) else found
        return tuple(found if self.tag is None else tagged(self.tag, found))


class EndpointTable(Sequence[Endpoint]):
    """
    The endpoints of an HTTP API (dialect), single ones and groups. Whoever reads it imports the modules of all groups.
    """

    def __init__(self, parts: Iterable[Endpoint | EndpointGroup]) -> None:
        self.parts: tuple[Endpoint | EndpointGroup, ...] = (
            parts.parts if isinstance(parts, EndpointTable) else tuple(parts)
        )

    @cached_property
    def _all(self) -> tuple[Endpoint, ...]:
        groups = (part.endpoints if isinstance(part, EndpointGroup) else (part,) for part in self.parts)
        return tuple(endpoint for group in groups for endpoint in group)

    def import_modules(self) -> None:
        """
        Import the modules of all groups.
        """
        len(self)

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Endpoint]:
        return iter(self._all)

    @overload
    def __getitem__(self, index: int) -> Endpoint: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Endpoint]: ...

    def __getitem__(self, index: int | slice) -> Endpoint | Sequence[Endpoint]:
        return self._all[index]


@frozen(kw_only=True)
class HttpOptions:
    """
    The HTTP behaviour in which the HTTP APIs (dialects) differ.
    """

    answers_options: bool = False
    """OPTIONS requests are answered with the allowed methods."""
    syntax_first: bool = False
    """Malformed JSON is refused before authentication."""
    any_content_type: bool = True
    """The body is parsed as JSON whatever its `Content-Type`."""
    body_limit: int = MEGABYTE


@frozen(kw_only=True)
class OpenApiMetadata:
    """
    The metadata of a dialect's OpenAPI document: its title, schemas, security schemes and error payloads.
    """

    title: str
    version: str
    description: str = ""
    tags: tuple[str, ...] = ()
    schema_name: Callable[[Any], str] = lambda kind: str(kind.__name__)
    schemas: Mapping[Any, Mapping[str, Any]] = field(factory=dict)
    """JSON schemas of types that the dialect encodes in its own way."""
    path_schemas: Mapping[str, Mapping[str, Any]] = field(factory=dict)
    """JSON schemas of path parameters, by name or by preceding segment and name (`tasks/id`); a string by default."""
    field_descriptions: Mapping[str, str] = field(factory=dict)
    """Descriptions by field name, by component and field (`TaskRead.id`), or by path parameter (`tasks/id`)."""
    examples: Mapping[str, Mapping[str, Any]] = field(factory=dict)
    """A request and its response as JSON values, by method and path below the prefix (`POST /tasks`)."""
    security_schemes: Mapping[str, Mapping[str, Any]] = field(factory=dict)
    errors: Mapping[int, type] = field(factory=dict)
    """The payload classes of errors by status, where they differ from *error*."""
    codes: tuple[str, ...] = ()
    """Error codes that belong to no class of refusal."""
    error: type | None = None
    """The payload class of all other errors."""


def no_agent(request: Request) -> None:
    """
    The default of `Dialect.agent_of`: a request names no agent.
    """


@frozen(kw_only=True, eq=False)
class Dialect:
    """
    An HTTP API over the core: its endpoints, converters, authentication and error payloads.

    Args:
        authenticate: Returns the principal of a request, or raises.
        render: Makes the response to an error, given its status.
        precheck: Checks every request before authentication, and those that match no endpoint; raises to refuse one.
    """

    name: str
    prefix: str
    endpoints: EndpointTable = field(converter=EndpointTable)
    converter: Converter
    query_converter: Converter
    authenticate: Callable[[Request, EndpointAccess], Awaitable[Principal | None]]
    render: Callable[[Exception, int, Request], Response]
    statuses: Mapping[type[Exception], int] = field(factory=dict)
    reserved: tuple[str, ...] = ()
    """Paths below the prefix that are always unknown, even where another path has a parameter in that segment."""
    also: tuple[str, ...] = ()
    """Further path prefixes whose unknown paths this dialect answers."""
    precheck: Callable[[Request, Endpoint | None], None] | None = None
    refuses_changes: tuple[type[Exception], ...] = ()
    """The errors with which *edge* may refuse any operation that changes something."""
    refuses_callers: tuple[type[Exception], ...] = ()
    """The errors that *authenticate* may raise besides 401 and 403."""
    limit: str | None = None
    """The rate-limit class that counts every request first; response headers report how much of it is left."""
    agent_of: Callable[[Request], str | None] = no_agent
    """Reads the name of the agent that a caller acts for, if the request names one."""
    http_options: HttpOptions = HttpOptions()
    headers: Mapping[str, str] = field(factory=dict)
    """Response headers that the dialect adds where neither the settings nor the response set them."""
    openapi_metadata: OpenApiMetadata = OpenApiMetadata(title="", version="")
    _table: dict[type[Exception], int] = field(
        init=False, repr=False, default=Factory(lambda self: {**DEFAULT_STATUSES, **self.statuses}, takes_self=True)
    )

    def path_of(self, endpoint: Endpoint) -> str:
        """
        The full path of an endpoint of this dialect.
        """
        return endpoint.path if endpoint.rooted else self.prefix + endpoint.path

    def status_of(self, kind: type[Exception]) -> int:
        """
        The status of an error class: its own, or that of its nearest ancestor with one, or else 500.
        """
        status = self._table.get(kind)
        if status is None:
            status = next((self._table[cls] for cls in kind.__mro__ if cls in self._table), 500)
            self._table[kind] = status
        return status

    def refuse(self, error: Exception, request: Request) -> Response:
        """
        Make the response to an error.

        An exception that is not a refusal is logged with its traceback and answered as `UnexpectedError`. A failure of
        the store is logged as well.
        """
        status = self.status_of(type(error))
        if status == 500 and not isinstance(error, Refusal):
            log_unexpected_error(error, request)
            error = UnexpectedError()
        elif isinstance(error, StoreFailed):
            log_store_failure(error, request)
        try:
            response = self.render(error, status, request)
        except Exception as mistake:
            log_unexpected_error(mistake, request)
            return PlainTextResponse("Internal Server Error", 500)
        if isinstance(error, MethodRefused):
            response.headers["allow"] = ", ".join(error.allow)
        if isinstance(error, EncodingUnsupported):
            response.headers["accept-encoding"] = error.accepted
        if (seconds := getattr(error, "retry_after", None)) is not None:
            response.headers["retry-after"] = str(seconds)
        if status == 401:
            response.headers.setdefault("www-authenticate", bearer_challenge())
        return response


def log_store_failure(failed: StoreFailed, request: Request) -> None:
    """
    Log a failure of the store, with the id of the request.
    """
    logger.error(
        "store_failed request=%s method=%s path=%r reason=%r",
        request_id_of(request),
        request.method,
        request.scope["path"],
        failed.reason,
        extra={"request_id": request_id_of(request)},
    )


def log_unexpected_error(error: Exception, request: Request) -> None:
    """
    Log an unexpected exception with its traceback, and the id of the request.
    """
    logger.error(
        "request_failed request=%s method=%s path=%r",
        request_id_of(request),
        request.method,
        request.scope["path"],
        exc_info=error,
        extra={"request_id": request_id_of(request)},
    )
