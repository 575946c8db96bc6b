"""
Operations on one agent: read, update, delete, heartbeat and token; and the list of agents for agents.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any, ClassVar
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.model import AgentPrincipal, KeyOfAnotherAgent, Role, require_role
from mission_core.agents.heartbeat_intervals import DEFAULT_HEARTBEAT_CONFIG
from mission_core.agents.model import (
    ONLINE,
    AgentNameTaken,
    AgentNotFound,
    MainAgentProtected,
    TokenAlreadyIssued,
    TooManyAgents,
)
from mission_core.agents.queries import AgentRow
from mission_core.agents.rows import agent_row
from mission_core.agents.update import UpdateAgent
from mission_core.agents.update import update_agent as change_agent
from mission_core.agents.use_cases import (
    IssueToken,
    RecordAgentHeartbeat,
    RegisterAgent,
    issue_token,
    record_agent_heartbeat,
    register_agent,
    repeat_agent_change,
    repeat_agent_creation,
)
from mission_core.boards.model import BoardDenied, BoardNotFound
from mission_core.errors import VersionMismatch
from mission_core.ids import AgentId, BoardId
from mission_core.tasks.agent_deletion import DeleteAgent
from mission_core.tasks.agent_deletion import delete_agent as remove_agent
from mission_core.values import ABSENT, Absent, JsonText, json_text
from mission_http.boards.access import AGENT, MIXED, USER, path_id, require_admin
from mission_http.boards.agent_hints import BOARD_AGENT_TAGS, agent_hints
from mission_http.boards.agent_payloads import AgentCreate, AgentRead, identity_profile_from
from mission_http.boards.agents import (
    agent_list_response,
    agent_response,
    create_agent,
    visible_board,
)
from mission_http.boards.errors import (
    AgentNameConflict,
    ForbiddenSilently,
    ForbiddenWithReason,
    NamedNotFound,
    PayloadRuleBroken,
)
from mission_http.boards.gateway_messages import require_lead_of_board
from mission_http.boards.payloads import LimitOffsetPage, NumberedPageQuery, OkResponse, none_if_blank, stripped
from mission_http.boards.wire import JsonObject
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.etags import IF_MATCH, expected_version_of
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.field_annotations import Body, CustomCheck, Length, Query, SchemaOverride
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, perform_once
from mission_http.platform.json_responses import json_response
from mission_http.platform.query_strings import query_of

StatusText = Annotated[str | None, Length(0, 100), CustomCheck(none_if_blank)]


class AgentHeartbeat(Body):
    schema_extra: ClassVar[dict[str, Any]] = {"x-llm-intent": "agent_health_signal"}

    status: StatusText = None


class AgentHeartbeatCreate(Body):
    schema_extra: ClassVar[dict[str, Any]] = {"x-llm-intent": "agent_bootstrap"}

    status: StatusText = None
    name: Annotated[str, CustomCheck(stripped), Length(1, 100)]
    board_id: UUID | None = None


class AgentUpdate(Body):
    schema_extra: ClassVar[dict[str, Any]] = {"x-llm-intent": "agent_profile_update"}

    board_id: UUID | Absent | None = ABSENT
    is_gateway_main: bool | Absent | None = ABSENT
    name: Annotated[str, CustomCheck(stripped), Length(1, 100)] | Absent = ABSENT
    status: str | Absent | None = ABSENT
    heartbeat_config: JsonObject | Absent | None = ABSENT
    identity_profile: (
        Annotated[
            Any, CustomCheck(identity_profile_from), SchemaOverride({"anyOf": [{"type": "object"}, {"type": "null"}]})
        ]
        | Absent
    ) = ABSENT
    identity_template: Annotated[str | None, Length(0, 50_000), CustomCheck(none_if_blank)] | Absent = ABSENT
    soul_template: Annotated[str | None, Length(0, 50_000), CustomCheck(none_if_blank)] | Absent = ABSENT


class AgentUpdateQuery(Query):
    force: bool = False


class AgentRosterQuery(NumberedPageQuery):
    board_id: UUID | None = None


async def get_agent(request: Request) -> Response:
    """
    Read an agent.
    """
    principal, id = require_admin(request), AgentId(path_id(request, "agent_id"))
    return agent_response(request, await ports_of(request).reads.agents.get(principal, id))


async def update_agent(request: Request) -> Response:
    """
    Change the named fields of an agent.

    Its token stays valid. `force` has no effect, since there is no live gateway to write to.
    """
    principal, ports = require_admin(request), ports_of(request)
    id = AgentId(path_id(request, "agent_id"))
    query_of(request, AgentUpdateQuery)
    body = await body_of(request, AgentUpdate)
    row = await ports.reads.agents.get(principal, id)
    if not isinstance(body.status, Absent):
        raise ForbiddenWithReason("status is controlled by agent heartbeat")
    command = UpdateAgent(
        agent=id,
        expects=expected_version_of(request),
        name=body.name,
        board=_board_after(row, body),
        lead=False if body.is_gateway_main is True else ABSENT,
        heartbeat_config=_heartbeat_config(body.heartbeat_config),
        identity_profile=_json_or_none(body.identity_profile),
        identity_template=body.identity_template,
        soul=body.soul_template,
    )
    try:
        agent = await change_agent(ports, principal, command)
    except AgentNameTaken as taken:
        raise AgentNameConflict(here=taken.board is not None and taken.board.bytes == row.board) from None
    except BoardNotFound:
        raise NamedNotFound("Board") from None
    return agent_response(request, agent_row(agent))


def _board_after(row: AgentRow, body: AgentUpdate) -> BoardId | Absent | None:
    """
    The agent's board after the update. An agent without a board gets one only if `is_gateway_main` is false.

    Raises:
        PayloadRuleBroken: If `is_gateway_main` is false and no board is given.
    """
    if body.is_gateway_main is True:
        return None
    if row.board is None and body.is_gateway_main is not False:
        return ABSENT
    if isinstance(body.board_id, Absent) or body.board_id is None:
        if row.board is None:
            raise PayloadRuleBroken("board_id is required when converting a gateway-main agent to board scope")
        return ABSENT
    return BoardId(body.board_id)


def _heartbeat_config(value: JsonObject | Absent | None) -> JsonText | Absent:
    if isinstance(value, Absent):
        return value
    return json_text(DEFAULT_HEARTBEAT_CONFIG) if value is None else JsonText(value)


def _json_or_none(value: Any) -> JsonText | Absent | None:
    if isinstance(value, Absent):
        return value
    return json_text(value) if value else None


async def mint_agent_token(request: Request) -> Response:
    """
    Issue the first token of an agent that has none, such as a lead created by onboarding.

    The token is returned only in this response.
    """
    principal, command = require_admin(request), IssueToken(agent=AgentId(path_id(request, "agent_id")))
    made = await perform_once(request, issue_token, command, repeat_agent_creation)
    row = await ports_of(request).reads.agents.get(principal, made.agent.id)
    return agent_response(request, row, agent_token=made.token)


async def delete_agent(request: Request) -> Response:
    """
    Delete an agent. Its unfinished tasks go back to the queue.

    Deleting an agent that does not exist succeeds.
    """
    require_admin(request)
    return await _delete(request, AgentId(path_id(request, "agent_id")))


async def delete_board_agent(request: Request) -> Response:
    """
    Delete a worker of the lead's own board. Its unfinished tasks go back to the queue.
    """
    board = await require_lead_of_board(request)
    id = AgentId(path_id(request, "agent_id"))
    async with ports_of(request).unit(principal_of(request)) as unit:
        try:
            agent = await unit.agents.get_unscoped(id)
        except AgentNotFound:
            return json_response(OkResponse())
    if agent.board is None:
        raise ForbiddenWithReason("Board leads cannot delete gateway main agents")
    if agent.board != board:
        raise AgentNotFound
    if agent.lead:
        raise ForbiddenWithReason("Board leads cannot delete lead agents")
    return await _delete(request, id)


async def _delete(request: Request, agent: AgentId) -> Response:
    command = DeleteAgent(agent=agent, expects=expected_version_of(request))
    with suppress(AgentNotFound):
        await remove_agent(ports_of(request), principal_of(request), command)
    return json_response(OkResponse())


async def heartbeat_agent(request: Request) -> Response:
    """
    Record a heartbeat of an agent, sent by itself or by an admin.
    """
    body = await body_of(request, AgentHeartbeat)
    return await _record_heartbeat(request, AgentId(path_id(request, "agent_id")), body.status)


async def heartbeat_or_create_agent(request: Request) -> Response:
    """
    Record a heartbeat of the calling agent, or of the agent of this name; a user creates it if the name is new.

    The token of a new agent is returned only in this response.
    """
    body = await body_of(request, AgentHeartbeatCreate)
    principal, ports = principal_of(request), ports_of(request)
    if isinstance(principal, AgentPrincipal):
        return await _record_heartbeat(request, principal.agent, body.status)
    require_role(principal, Role.ADMIN)
    if body.board_id is None:
        try:
            known = await ports.reads.agents.get(principal, body.name)
        except AgentNotFound:
            raise PayloadRuleBroken("board_id is required") from None
        return await _record_heartbeat(request, AgentId(UUID(bytes=known.id)), body.status)
    board = BoardId(body.board_id)
    command = RegisterAgent(name=body.name, board=board, status=body.status or ONLINE)
    try:
        made = await perform_once(request, register_agent, command, repeat_agent_creation)
    except AgentNameTaken:
        raise AgentNameConflict(here=False) from None
    except BoardNotFound:
        raise NamedNotFound("Board") from None
    return agent_response(request, agent_row(made.agent), agent_token=made.token)


async def _record_heartbeat(request: Request, agent: AgentId, status: str | None) -> Response:
    if not isinstance(principal_of(request), AgentPrincipal):
        require_admin(request)
    command = RecordAgentHeartbeat(agent=agent, status=status)
    try:
        heard = await perform_once(request, record_agent_heartbeat, command, repeat_agent_change)
    except (KeyOfAnotherAgent, BoardDenied):
        raise ForbiddenSilently from None
    return agent_response(request, agent_row(heard))


async def roster(request: Request) -> Response:
    """
    List the agents that an agent works with, newest first: those of its board, or all of the organization.
    """
    query = query_of(request, AgentRosterQuery)
    return await agent_list_response(request, query, await visible_board(request, query.board_id))


AN_AGENT = "/agents/{agent_id}"
ENDPOINTS = [
    Endpoint(
        "POST", "/agents/heartbeat", heartbeat_or_create_agent, takes=AgentHeartbeatCreate, gives=AgentRead,
        who=MIXED, tags=("agents",), headers=(IDEMPOTENCY_KEY,),
        refuses=(AgentNotFound, BoardNotFound, BoardDenied, AgentNameConflict),
    ),
    Endpoint(
        "GET", AN_AGENT, get_agent, gives=AgentRead, who=USER, tags=("agents",), refuses=(AgentNotFound, BoardDenied),
    ),
    Endpoint(
        "PATCH", AN_AGENT, update_agent, takes=AgentUpdate, query=AgentUpdateQuery, gives=AgentRead, who=USER,
        tags=("agents",), headers=(IF_MATCH,),
        refuses=(AgentNotFound, BoardNotFound, BoardDenied, AgentNameConflict, MainAgentProtected, VersionMismatch),
    ),
    Endpoint(
        "POST", AN_AGENT + "/token", mint_agent_token, gives=AgentRead, who=USER, tags=("agents",),
        headers=(IDEMPOTENCY_KEY,), refuses=(AgentNotFound, BoardDenied, TokenAlreadyIssued),
    ),
    Endpoint(
        "DELETE", AN_AGENT, delete_agent, gives=OkResponse, who=USER, tags=("agents",), headers=(IF_MATCH,),
        refuses=(BoardDenied, MainAgentProtected, VersionMismatch),
    ),
    Endpoint(
        "DELETE", "/agent/boards/{board_id}/agents/{agent_id}", delete_board_agent, gives=OkResponse, who=AGENT,
        tags=("agent", "agent-lead"), headers=(IF_MATCH,),
        refuses=(BoardNotFound, BoardDenied, AgentNotFound, VersionMismatch),
        extra=agent_hints(
            "agent_lifecycle", ["An agent of your board is no longer needed."],
            unless=["It is stuck: nudge it, or assign its tasks to another agent."], actor="board_lead",
            effects=["The agent and its keys are deleted.", "Any worker can claim its unfinished tasks."],
        ),
        operation_id="agent_lead_delete_board_agent",
    ),
    Endpoint(
        "POST", AN_AGENT + "/heartbeat", heartbeat_agent, takes=AgentHeartbeat, gives=AgentRead, who=MIXED,
        tags=("agents",), headers=(IDEMPOTENCY_KEY,), refuses=(AgentNotFound, BoardDenied),
    ),
    Endpoint(
        "GET", "/agent/agents", roster, query=AgentRosterQuery, gives=LimitOffsetPage[AgentRead], who=AGENT,
        tags=(*BOARD_AGENT_TAGS, "agent-main"), refuses=(BoardNotFound, BoardDenied),
        extra=agent_hints(
            "agent_roster_discovery", ["You want to know which agents you work with, and which are online."],
            unless=["You want to know who a task is assigned to: read the task."],
        ),
        operation_id="list_agents_api_v1_agent_agents_get",
    ),
    Endpoint(
        "POST", "/agent/agents", create_agent, takes=AgentCreate, gives=AgentRead, who=AGENT,
        tags=("agent", "agent-lead"), headers=(IDEMPOTENCY_KEY,),
        refuses=(BoardNotFound, BoardDenied, AgentNameConflict, TooManyAgents),
        extra=agent_hints(
            "agent_management", ["Your board has more work than its agents can do."],
            unless=["An agent of your board is free: assign it a task."], actor="board_lead",
            effects=["Your board has another agent. Its token is returned only in this response."],
        ),
        operation_id="agent_lead_create_agent",
    ),
]  # fmt: skip
