"""
Operations on an agent's host: waking its session, messages and workspace files. This server has no connection to a
host, so requests are validated and then refused.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, get_args

from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.key_scopes import MESSAGES
from mission_core.agents.model import AgentNotFound
from mission_core.prompt_injection import critical_findings
from mission_core.values import ABSENT, Absent
from mission_http.fleet.access import OPERATOR, VIEWER
from mission_http.fleet.errors import VALIDATION, FileTooLarge, HostToolMissing, InvalidRequest, PromptInjectionDetected
from mission_http.fleet.path_parameters import agent_in
from mission_http.fleet.payloads import SuccessPayload
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.errors import BodyTooLarge
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.field_annotations import Body, Length, Query, SchemaOverride, WireName
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, idempotency_key_of
from mission_http.platform.query_strings import query_of
from mission_http.platform.shapes import Payload

MAX_FILE_BYTES: Final = 1_048_576
FileName = Literal[
    "agent.md", "identity.md", "soul.md", "WORKING.md", "MEMORY.md", "TOOLS.md", "AGENTS.md", "MISSION.md", "USER.md"
]
UNREACHABLE: Final = (
    "this server has no tool that reaches sessions on a host; nothing was delivered and nothing was kept"
)


class WakeBody(Body):
    message: str | Absent = ABSENT
    reason: str | Absent = ABSENT


class MessageBody(Body):
    """
    A message to an agent. *content* is an alias of *message*. The sender is the authenticated caller.
    """

    to: Annotated[str, Length(1, says="Recipient is required")]
    message: Annotated[str, Length(1, says="Message is required")] | Absent = ABSENT
    content: Annotated[str, Length(1, says="Message is required")] | Absent = ABSENT
    sender: Annotated[Any, WireName("from"), SchemaOverride({"type": "string"})] = None
    type: str | Absent = ABSENT


class FileQuery(Query):
    file: str | None = None


class FileBody(Body):
    file: str
    content: str


class WokenPayload(Payload):
    success: bool
    session_key: str
    stdout: str


class FilePayload(Payload):
    exists: bool
    content: str


class FileOwnerPayload(Payload):
    id: int
    name: str


class FilesPayload(Payload):
    agent: FileOwnerPayload
    workspace: str
    files: dict[str, FilePayload]


class WrittenFilePayload(Payload):
    success: bool
    file: str
    size: int


class RecipientNotFound(AgentNotFound):
    """
    There is no agent with the recipient's name.
    """

    says = "Recipient agent not found"


async def wake(request: Request) -> Response:
    """
    Wake an agent's session.

    This needs a host tool, which this server does not have.
    """
    await body_of(request, WakeBody)
    await idempotency_key_of(request)
    row = await ports_of(request).reads.agents.get(principal_of(request), agent_in(request))
    if not row.session_key:
        raise InvalidRequest("Agent has no session key configured")
    raise HostToolMissing("Failed to wake agent", UNREACHABLE)


async def send(request: Request) -> Response:
    """
    Send a message to an agent's session.

    The message is screened for prompt injection. Delivery needs a host tool, which this server does not have.
    """
    body = await body_of(request, MessageBody)
    await idempotency_key_of(request)
    message = body.content if body.message is ABSENT else body.message
    if isinstance(message, Absent):
        raise InvalidRequest(VALIDATION, ("message: Message is required",))
    findings = critical_findings(message)
    if findings:
        raise PromptInjectionDetected("Message blocked: potentially unsafe content detected", findings)
    try:
        row = await ports_of(request).reads.agents.get(principal_of(request), body.to)
    except AgentNotFound:
        raise RecipientNotFound from None
    if not row.session_key:
        raise InvalidRequest("Recipient agent has no session key configured")
    raise HostToolMissing("Failed to send message", UNREACHABLE)


async def read_files(request: Request) -> Response:
    """
    Get the files in an agent's workspace.

    This needs a workspace on a host, which this server does not have. Soul and memory have their own operations.
    """
    query_of(request, FileQuery)
    await ports_of(request).reads.agents.get(principal_of(request), agent_in(request))
    raise InvalidRequest("Agent workspace is not configured")


async def write_file(request: Request) -> Response:
    """
    Write a file in an agent's workspace.

    This needs a workspace on a host, which this server does not have. Soul and memory have their own operations.
    """
    try:
        body = await body_of(request, FileBody)
    except BodyTooLarge:
        raise FileTooLarge(MAX_FILE_BYTES) from None
    if body.file not in get_args(FileName):
        raise InvalidRequest(f"Unsupported file: {body.file}")
    await ports_of(request).reads.agents.get(principal_of(request), agent_in(request))
    raise InvalidRequest("Agent workspace is not configured")


ENDPOINTS = [
    Endpoint(
        "POST", "/agents/{id}/wake", wake, takes=WakeBody, body_required=False, gives=WokenPayload, who=OPERATOR,
        headers=(IDEMPOTENCY_KEY,), refuses=(AgentNotFound, HostToolMissing), operation_id="fleet_wakeAgent",
    ),
    Endpoint(
        "POST", "/agents/message", send, takes=MessageBody, gives=SuccessPayload, who=OPERATOR,
        headers=(IDEMPOTENCY_KEY,), refuses=(RecipientNotFound, PromptInjectionDetected, HostToolMissing),
        limits=("mutation",), scope=MESSAGES, operation_id="fleet_sendAgentMessage",
    ),
    Endpoint(
        "GET", "/agents/{id}/files", read_files, query=FileQuery, gives=FilesPayload, who=VIEWER,
        refuses=(AgentNotFound,), operation_id="fleet_getAgentFiles",
    ),
    Endpoint(
        "PUT", "/agents/{id}/files", write_file, takes=FileBody, gives=WrittenFilePayload, who=OPERATOR,
        refuses=(AgentNotFound, FileTooLarge), operation_id="fleet_updateAgentFile",
    ),
]  # fmt: skip
