"""
Messages between agents and people through a gateway, and the souls that a lead writes for the agents of its board.

No live gateway is connected, so a message that needs delivery is refused with 502 and not stored. Souls need no
gateway: they are in the store, where the agent reads them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.model import AgentPrincipal
from mission_core.agents.model import AgentNotFound
from mission_core.agents.queries import AgentRow
from mission_core.agents.souls import WriteSoul, write_soul
from mission_core.boards.model import BoardDenied, BoardNotFound
from mission_core.boards.queries import BoardFilter
from mission_core.errors import VersionMismatch
from mission_core.ids import AgentId, BoardId
from mission_http.boards.access import AGENT, board_in_path, path_id, require_lead
from mission_http.boards.agent_hints import agent_hints
from mission_http.boards.errors import (
    ForbiddenSilently,
    ForbiddenWithReason,
    GatewayUnreachable,
    NamedNotFound,
    PayloadRuleBroken,
)
from mission_http.boards.payloads import OkResponse, stripped
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint, Handler
from mission_http.platform.etags import IF_MATCH, etag_of, expected_version_of
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.field_annotations import Body, CustomCheck, Length
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, idempotency_key_of
from mission_http.platform.json_responses import json_response
from mission_http.platform.shapes import Payload

MessageText = Annotated[str, CustomCheck(stripped), Length(1, 20_000)]
Tags = Annotated[tuple[Annotated[str, Length(0, 200)], ...], Length(0, 50)]
ShortText = Annotated[str | None, Length(0, 2000)]


class AgentNudge(Body):
    message: MessageText


class SoulUpdateRequest(Body):
    content: Annotated[str, Length(0, 50_000)]
    source_url: ShortText = None
    reason: ShortText = None


class GatewayMainAskUserRequest(Body):
    correlation_id: ShortText = None
    content: MessageText
    preferred_channel: ShortText = None
    reply_tags: Tags = ("gateway_main", "user_reply")
    reply_source: ShortText = "user_via_gateway_main"


class GatewayMainAskUserResponse(Payload):
    ok: bool = True
    board_id: UUID
    main_agent_id: UUID | None = None
    main_agent_name: str | None = None


class GatewayLeadMessageRequest(Body):
    kind: Literal["question", "handoff"] = "question"
    correlation_id: ShortText = None
    content: MessageText
    reply_tags: Tags = ("gateway_main", "lead_reply")
    reply_source: ShortText = "lead_to_gateway_main"


class GatewayLeadMessageResponse(Payload):
    ok: bool = True
    board_id: UUID
    lead_agent_id: UUID | None = None
    lead_agent_name: str | None = None
    lead_created: bool = False


class GatewayLeadBroadcastRequest(Body):
    kind: Literal["question", "handoff"] = "question"
    correlation_id: ShortText = None
    content: MessageText
    board_ids: Annotated[tuple[UUID, ...] | None, Length(0, 1000)] = None
    reply_tags: Tags = ("gateway_main", "lead_reply")
    reply_source: ShortText = "lead_to_gateway_main"


class GatewayLeadBroadcastBoardResult(Payload):
    board_id: UUID
    lead_agent_id: UUID | UnsetType | None = UNSET
    lead_agent_name: str | UnsetType | None = UNSET
    ok: bool = False
    error: str | None = None


class GatewayLeadBroadcastResponse(Payload):
    ok: bool = True
    sent: int = 0
    failed: int = 0
    results: tuple[GatewayLeadBroadcastBoardResult, ...] = ()


async def require_lead_of_board(request: Request) -> BoardId:
    """
    The board that the path names. An agent that calls must be its lead.
    """
    board = await board_in_path(request)
    require_lead(request)
    return board


async def require_main_agent(request: Request) -> None:
    """
    Require that the caller is the organization's main agent.

    Raises:
        ForbiddenSilently: If an agent of a board calls.
        ForbiddenWithReason: If another agent calls.
    """
    agent = principal_of(request)
    assert isinstance(agent, AgentPrincipal)
    if agent.board is not None:
        raise ForbiddenSilently
    row = await ports_of(request).reads.agents.get(agent, agent.agent)
    if not row.main:
        raise ForbiddenWithReason("Only the dedicated gateway agent may call this endpoint.")


async def agent_on_board(request: Request, board: BoardId) -> AgentRow:
    """
    The agent that the path names, which must belong to this board.
    """
    id = AgentId(path_id(request, "agent_id"))
    try:
        row = await ports_of(request).reads.agents.get(principal_of(request), id)
    except BoardDenied:
        raise AgentNotFound from None
    if row.board != board.bytes:
        raise AgentNotFound
    return row


async def nudge(request: Request) -> Response:
    """
    Wake an agent of the board with a message.

    It needs a live gateway.
    """
    board = await require_lead_of_board(request)
    await body_of(request, AgentNudge)
    await idempotency_key_of(request)
    row = await agent_on_board(request, board)
    if row.session_key is None:
        raise PayloadRuleBroken("Target agent has no session key")
    raise GatewayUnreachable("Gateway nudge failed")


async def get_soul(request: Request) -> Response:
    """
    Read the soul of an agent of the board. The lead may read each, an agent its own.
    """
    board, caller = await board_in_path(request), principal_of(request)
    assert isinstance(caller, AgentPrincipal)
    if not caller.lead and caller.agent != path_id(request, "agent_id"):
        raise ForbiddenSilently
    row = await agent_on_board(request, board)
    if not row.soul:
        raise SoulNotWritten("Gateway SOUL read failed")
    return json_response(row.soul)


async def put_soul(request: Request) -> Response:
    """
    Replace the soul of an agent of the board.

    It is stored at once. The agent gets it when it reads its soul the next time.
    """
    board = await require_lead_of_board(request)
    body = await body_of(request, SoulUpdateRequest)
    if not body.content.strip():
        raise PayloadRuleBroken("content is required")
    await agent_on_board(request, board)
    command = WriteSoul(
        agent=AgentId(path_id(request, "agent_id")), board=board, content=body.content, reason=body.reason,
        source=body.source_url, expects=expected_version_of(request),
    )  # fmt: skip
    agent = await write_soul(ports_of(request), principal_of(request), command)
    return json_response(OkResponse(), headers={"etag": etag_of(agent.version)})


async def ask_user(request: Request) -> Response:
    """
    Ask a person a question through the gateway's main agent.

    It needs a live gateway.
    """
    await require_lead_of_board(request)
    await body_of(request, GatewayMainAskUserRequest)
    await idempotency_key_of(request)
    raise GatewayUnreachable("Gateway ask-user dispatch failed")


async def message_lead(request: Request) -> Response:
    """
    Send a message to the lead of a board, as the main agent.

    It needs a live gateway. A missing lead is not created, since the message cannot be delivered.
    """
    await require_main_agent(request)
    try:
        await board_in_path(request)
    except BoardNotFound:
        raise NamedNotFound("Board") from None
    await body_of(request, GatewayLeadMessageRequest)
    await idempotency_key_of(request)
    raise GatewayUnreachable("Gateway lead message dispatch failed")


async def broadcast(request: Request) -> Response:
    """
    Send a message to the leads of several boards, or of all boards, as the main agent.

    The response says for each board whether the message was delivered, and if not, why.
    """
    await require_main_agent(request)
    body = await body_of(request, GatewayLeadBroadcastRequest)
    await idempotency_key_of(request)
    reads, principal = ports_of(request).reads, principal_of(request)
    rows = (await reads.boards.page(principal, BoardFilter(by_name=False))).rows
    boards = dict.fromkeys(UUID(bytes=row.id) for row in rows)
    asked = dict.fromkeys(body.board_ids or ())
    wanted = [board for board in boards if not asked or board in asked]
    why = str(GatewayUnreachable("Gateway lead message dispatch failed"))
    errors = dict.fromkeys(wanted, why) | {board: "Board not found" for board in asked if board not in boards}
    results = [GatewayLeadBroadcastBoardResult(board_id=board, error=error) for board, error in errors.items()]
    return json_response(GatewayLeadBroadcastResponse(failed=len(results), results=tuple(results)))


class SoulNotWritten(GatewayUnreachable):
    """
    The agent has no soul yet.
    """

    code = "soul_missing"

    def __str__(self) -> str:
        return self.action


def _endpoint(
    method: str, path: str, handler: Handler, extra: dict[str, Any], *, tags: tuple[str, ...], **more: Any
) -> Endpoint:
    return Endpoint(method, path, handler, who=AGENT, tags=("agent", *tags), extra=extra, **more)


LEAD = ("agent-lead",)
MAIN = ("agent-main",)
AN_AGENT = "/agent/boards/{board_id}/agents/{agent_id}"
REFUSES = (BoardNotFound, BoardDenied, AgentNotFound, GatewayUnreachable)
ENDPOINTS = [
    _endpoint(
        "POST", AN_AGENT + "/nudge", nudge,
        agent_hints(
            "agent_coordination", ["An agent of your board seems stuck, and you want to wake it with a message."],
            unless=["You want to give it work: assign a task."], actor="board_lead",
            effects=["The message is delivered to the agent's session."],
        ),
        tags=LEAD, takes=AgentNudge, gives=OkResponse, headers=(IDEMPOTENCY_KEY,), refuses=REFUSES,
        operation_id="agent_lead_nudge_agent",
    ),
    _endpoint(
        "GET", AN_AGENT + "/soul", get_soul,
        agent_hints(
            "agent_board_soul_lookup",
            ["You want to read your role and character, or those of an agent of your board."],
            unless=["You want to change them: write the soul."],
        ),
        tags=("agent-lead", "agent-worker"), gives=str, refuses=REFUSES,
        operation_id="get_agent_soul_api_v1_agent_boards__board_id__agents__agent_id__soul_get",
    ),
    _endpoint(
        "PUT", AN_AGENT + "/soul", put_soul,
        agent_hints(
            "agent_knowledge_authoring", ["You want to define the role and character of an agent of your board."],
            unless=["You have a single instruction: comment on its task."], actor="board_lead",
            effects=["The agent's soul is replaced."],
        ),
        tags=LEAD, takes=SoulUpdateRequest, gives=OkResponse, headers=(IF_MATCH,),
        refuses=(*REFUSES, VersionMismatch), operation_id="agent_lead_update_agent_soul",
    ),
    _endpoint(
        "POST", "/agent/boards/{board_id}/gateway/main/ask-user", ask_user,
        agent_hints(
            "human_escalation", ["You need a decision or information from a person."],
            unless=["Another agent knows it: comment on the task."], actor="board_lead",
            effects=["The question is forwarded to a person."],
        ),
        tags=LEAD, takes=GatewayMainAskUserRequest, gives=GatewayMainAskUserResponse, headers=(IDEMPOTENCY_KEY,),
        refuses=REFUSES, operation_id="agent_lead_ask_user_via_gateway_main",
    ),
    _endpoint(
        "POST", "/agent/gateway/boards/{board_id}/lead/message", message_lead,
        agent_hints(
            "lead_direct_routing", ["You have a question or work for the lead of one board."],
            unless=["The message is for the leads of several boards: broadcast it."], actor="agent_main",
            effects=["The message is delivered to the lead."],
        ),
        tags=MAIN, takes=GatewayLeadMessageRequest, gives=GatewayLeadMessageResponse, headers=(IDEMPOTENCY_KEY,),
        refuses=REFUSES, operation_id="agent_main_message_board_lead",
    ),
    _endpoint(
        "POST", "/agent/gateway/leads/broadcast", broadcast,
        agent_hints(
            "lead_broadcast_routing", ["You have a message for the leads of several boards."],
            unless=["The message is for one lead: send it to that lead."], actor="agent_main",
            effects=["The message is delivered to each lead that can be reached."],
        ),
        tags=MAIN, takes=GatewayLeadBroadcastRequest, gives=GatewayLeadBroadcastResponse, headers=(IDEMPOTENCY_KEY,),
        refuses=(BoardDenied,), operation_id="agent_main_broadcast_lead_message",
    ),
]  # fmt: skip
