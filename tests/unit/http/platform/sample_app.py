"""
Two small dialects over nothing, and a way to ask them: `Plain` reads strictly, `Kind` leniently.
"""

import json
from asyncio import Event, Future
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from enum import Enum
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from attrs import field, frozen
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from mission_core.accounts.model import SystemPrincipal
from mission_core.errors import Denied, Exhausted, Invalid, NotFound, VersionMismatch
from mission_core.ids import OrganizationId
from mission_core.values import ABSENT, Absent
from mission_http.app import MissionApp, create_app
from mission_http.network_settings import NetworkSettings
from mission_http.platform.bodies import body_of
from mission_http.platform.converters import converter_of
from mission_http.platform.endpoints import PUBLIC, Dialect, Endpoint, EndpointAccess, HttpOptions, OpenApiMetadata
from mission_http.platform.errors import BodyMalformed, BodyMissing, FieldsInvalid
from mission_http.platform.etags import IF_MATCH, etag_of, expected_version_of
from mission_http.platform.exchange import exchange_of, ports_of, principal_of, request_id_of
from mission_http.platform.field_annotations import CustomCheck, Length, NumberRange, TextPattern, WireName
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, idempotency_key_of
from mission_http.platform.json_responses import json_response
from mission_http.platform.openapi_endpoints import own_document
from mission_http.platform.query_strings import query_of
from mission_http.platform.request_logs import RequestLog
from mission_http.platform.response_headers import SecurityHeaders
from mission_http.platform.value_parsers import LAX, STRICT

WORLD = OrganizationId(UUID(int=1))
EVERYWHERE = [
    ("GET", "/api/things/5"), ("GET", "/api/v1/things/5"), ("GET", "/nowhere"), ("GET", "/api/broken"),
    ("GET", "/api/v1/things/"), ("DELETE", "/api/things"), ("OPTIONS", "/api/things"), ("POST", "/api/things"),
    ("GET", "/docs"), ("GET", "/openapi.json"), ("GET", "/"),
]  # fmt: skip
"""Requests that reach a handler, a refusal, a failure or nothing."""


class Color(Enum):
    RED = "red"
    BLUE = "blue"


def not_bad(value: str) -> str:
    if value == "bad":
        raise ValueError("must not be bad")
    return value


@frozen(kw_only=True)
class Part:
    name: Annotated[str, Length(1, 10)]
    size: int = 0


@frozen(kw_only=True)
class ThingBody:
    title: Annotated[str, Length(1, 20, says="Title is required")]
    note: str | Absent | None = ABSENT
    count: Annotated[int, NumberRange(1, 9)] = 1
    ratio: float = 0.5
    done: bool = False
    color: Color = Color.RED
    status: Literal["inbox", "review", "done"] = "inbox"
    owner: UUID | None = None
    due_at: datetime | Absent | None = ABSENT
    tags: Annotated[list[Annotated[str, Length(1)]], Length(0, 3)] = field(factory=list)
    parts: list[Part] = field(factory=list)
    meta: dict[str, Any] = field(factory=dict)
    slug: Annotated[str | None, TextPattern("[a-z-]+", says="slug must be kebab-case")] = None
    sender: Annotated[str, WireName("from"), CustomCheck(not_bad)] = "me"
    either: int | str = 0

    def __attrs_post_init__(self) -> None:
        if self.done and self.count == 9:
            raise ValueError("nine cannot be done")


@frozen(kw_only=True)
class SealedBody:
    forbids_unknown: ClassVar[bool] = True

    name: str


@frozen(kw_only=True)
class OptionalBody:
    name: str = "nobody"


@frozen(kw_only=True)
class ThingQuery:
    limit: Annotated[int, NumberRange(1, 200)] = 50
    done: bool | None = None
    tag: list[str] = field(factory=list)


@frozen(kw_only=True)
class ThingPayload:
    id: int
    title: str
    note: str | UnsetType | None = UNSET


@frozen(kw_only=True)
class ErrorPayload:
    error: str


class ThingNotFound(NotFound):
    """
    There is no such thing.
    """

    def __str__(self) -> str:
        return "Thing not found"


class Unauthorized(Denied):
    """
    Nobody is known by that key.
    """

    def __str__(self) -> str:
        return "Unauthorized"


async def get_thing(request: Request) -> Response:
    """
    Read a thing.

    It is read as last committed.
    """
    if request.path_params["thing"] == "none":
        raise ThingNotFound
    return json_response(
        {"thing": request.path_params["thing"], "by": principal_of(request).name, "ports": ports_of(request)},
        headers={"etag": etag_of(7)},
    )


async def add_thing(request: Request) -> Response:
    """
    Add a thing.
    """
    body = await body_of(request, ThingBody)
    once = await idempotency_key_of(request)
    return json_response(
        {
            "title": body.title,
            "note": "absent" if isinstance(body.note, Absent) else body.note,
            "once": None if once is None else [once.key, once.operation, once.body_digest.hex()],
        }
    )


async def list_things(request: Request) -> Response:
    """
    List things.
    """
    query = query_of(request, ThingQuery)
    return json_response({"limit": query.limit, "done": query.done, "tag": query.tag})


async def seal(request: Request) -> Response:
    """
    Take a sealed body.
    """
    return json_response({"name": (await body_of(request, SealedBody)).name})


async def touch(request: Request) -> Response:
    """
    Take a body or none.
    """
    return json_response({"name": (await body_of(request, OptionalBody)).name})


async def change(request: Request) -> Response:
    """
    Change a thing that is at version 7.
    """
    expects = expected_version_of(request)
    if expects not in (None, 7):
        raise VersionMismatch(expected=expects or 0, current=7)
    return json_response({"expects": expects})


async def claim(request: Request) -> Response:
    """
    Claim something.
    """
    return json_response({"claimed": True})


async def break_down(request: Request) -> Response:
    """
    Fail in a way nobody foresaw.
    """
    raise ZeroDivisionError("the secret is 42")


async def stream(request: Request) -> Response:
    """
    Answer in pieces, without end.
    """

    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        raise ZeroDivisionError("too late")

    return StreamingResponse(pieces())


async def who(request: Request) -> Response:
    """
    Tell who asks, and over what.
    """
    exchange = exchange_of(request)
    return json_response({"client": exchange.client, "secure": exchange.secure})


async def health(request: Request) -> Response:
    """
    Tell that all is well.
    """
    return json_response({"ok": True})


KEYS = EndpointAccess("keys", "Whoever has a key.", schemes=("key",))
ENDPOINTS = [
    Endpoint("GET", "/things", list_things, query=ThingQuery, who=KEYS, tags=("things",)),
    Endpoint(
        "POST", "/things", add_thing, takes=ThingBody, gives=ThingPayload, who=KEYS, headers=(IDEMPOTENCY_KEY,),
        tags=("things",), extra={"x-intent": "add"},
    ),
    Endpoint("GET", "/things/special", health),
    Endpoint(
        "GET", "/things/{thing}", get_thing, gives=ThingPayload, who=KEYS, refuses=(ThingNotFound,), tags=("things",)
    ),
    Endpoint("PUT", "/things/{thing}", change, who=KEYS, headers=(IF_MATCH,), refuses=(VersionMismatch,)),
    Endpoint("POST", "/things/{thing}/claim", claim),
    Endpoint("POST", "/sealed", seal, takes=SealedBody, who=PUBLIC),
    Endpoint("POST", "/touched", touch, takes=OptionalBody, body_required=False),
    Endpoint("GET", "/broken", break_down),
    Endpoint("GET", "/stream", stream),
    Endpoint("GET", "/who", who),
]  # fmt: skip


async def authenticate(request: Request, access: EndpointAccess) -> SystemPrincipal:
    if request.headers.get("x-api-key") != "sesame":
        raise Unauthorized
    return SystemPrincipal(organization=WORLD, name="tester")


def edge(request: Request, endpoint: Endpoint | None) -> None:
    if "x-api-key" not in request.headers and not (endpoint and endpoint.who.public):
        raise Unauthorized


def render_plain(error: Exception, status: int, request: Request) -> Response:
    if isinstance(error, FieldsInvalid):
        details = [f"{one.dotted}: {one.message}" for one in error.errors]
        return json_response({"error": "Validation failed", "details": details}, status)
    if isinstance(error, BodyMalformed | BodyMissing):
        return json_response({"error": "Invalid request body"}, status)
    return json_response({"error": str(error)}, status)


def render_kind(error: Exception, status: int, request: Request) -> Response:
    detail: Any = str(error)
    if isinstance(error, FieldsInvalid):
        detail = [
            {"type": one.kind, "loc": one.loc, "msg": one.message, "input": one.input}
            | ({"ctx": one.ctx} if one.ctx else {})
            for one in error.errors
        ]
    elif isinstance(error, BodyMalformed):
        loc = ["body", error.offset]
        detail = [{"type": "json_invalid", "loc": loc, "msg": "JSON decode error", "ctx": {"error": error.reason}}]
    elif isinstance(error, BodyMissing):
        detail = [{"type": "missing", "loc": ["body"], "msg": "Field required", "input": None}]
    return json_response({"detail": detail, "request_id": request_id_of(request)}, status)


def paperwork(title: str) -> OpenApiMetadata:
    return OpenApiMetadata(
        title=title,
        version="1.0.0",
        tags=("things",),
        schema_name=lambda kind: f"{title}{kind.__name__}",
        security_schemes={"key": {"type": "apiKey", "in": "header", "name": "x-api-key"}},
        error=ErrorPayload,
    )


PLAIN = Dialect(
    name="Plain",
    prefix="/api",
    also=("/api/v1/runs",),
    endpoints=[
        *ENDPOINTS,
        Endpoint("GET", "/docs", own_document, listed=False),
        Endpoint("GET", "/api/v1/runs", health, rooted=True),
    ],
    converter=converter_of(STRICT),
    query_converter=converter_of(LAX),
    authenticate=authenticate,
    precheck=edge,
    render=render_plain,
    statuses={Unauthorized: 401, Exhausted: 507},
    http_options=HttpOptions(answers_options=True, body_limit=2000),
    headers={"Permissions-Policy": "camera=()", "Content-Security-Policy": "default-src 'self'"},
    openapi_metadata=paperwork("Plain"),
)
KIND = Dialect(
    name="Kind",
    prefix="/api/v1",
    endpoints=[*ENDPOINTS, Endpoint("GET", "/healthz", health, rooted=True)],
    converter=converter_of(LAX),
    query_converter=converter_of(LAX),
    authenticate=authenticate,
    render=render_kind,
    statuses={Invalid: 422, Unauthorized: 401},
    http_options=HttpOptions(syntax_first=True, any_content_type=False, body_limit=2000),
    openapi_metadata=paperwork("Kind"),
)


@asynccontextmanager
async def wire() -> AsyncIterator[Any]:
    yield "ports"


def sample_app(
    security: SecurityHeaders | None = None, fronting: NetworkSettings | None = None, log: RequestLog | None = None
) -> MissionApp:
    return create_app(wire, (KIND, PLAIN), security=security, network=fronting, log=log)


@frozen
class Answer:
    """
    What came back.
    """

    status: int
    raw_headers: list[tuple[bytes, bytes]]
    body: bytes

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode("latin-1") for name, value in self.raw_headers}

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def ask(
    app: Any,
    method: str,
    path: str,
    body: bytes | Iterable[bytes] = b"",
    *,
    key: str | None = "sesame",
    peer: str = "127.0.0.1",
    scheme: str = "http",
    **headers: str,
) -> Answer:
    """
    Call the application as a server would.
    """
    pieces = [body] if isinstance(body, bytes) else list(body)
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages[-1]["more_body"] = False
    sent: list[Any] = []
    began = Event()

    async def receive() -> Any:
        if messages:
            return messages.pop(0)
        await began.wait()
        if not dict(sent[0]["headers"]).get(b"content-type", b"").startswith(b"text/event-stream"):
            await Future()  # the client waits for the end of the response, but not for that of an event stream
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)
        began.set()

    raw = [(name.lower().replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    if key is not None:
        raw.append((b"x-api-key", key.encode()))
    path, _, query = path.partition("?")
    scope = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": query.encode(),
        "headers": raw, "root_path": "", "scheme": scheme, "client": (peer, 1), "server": ("test", 80),
        "http_version": "1.1", "asgi": {"version": "3.0"},
    }  # fmt: skip
    await app(scope, receive, send)
    start = sent[0]
    return Answer(start["status"], list(start["headers"]), b"".join(one.get("body", b"") for one in sent[1:]))
