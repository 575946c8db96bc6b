"""
Operations that list and create agents.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.model import AgentPrincipal, Principal, Role, require_role
from mission_core.accounts.organizations import built_in_gateway
from mission_core.agents.model import AgentNameTaken, AgentNotFound, TooManyAgents
from mission_core.agents.queries import AgentFilter, AgentRow
from mission_core.agents.rows import agent_row
from mission_core.agents.use_cases import CreateAgent, repeat_agent_creation
from mission_core.agents.use_cases import create_agent as make_agent
from mission_core.boards.model import BoardDenied, BoardNotFound
from mission_core.ids import BoardId
from mission_core.values import json_text
from mission_http.boards.access import MIXED, USER, require_admin
from mission_http.boards.agent_payloads import AgentCreate, AgentListQuery, AgentRead, agent_renderer
from mission_http.boards.errors import (
    AgentNameConflict,
    ForbiddenSilently,
    ForbiddenWithReason,
    NamedNotFound,
    PayloadRuleBroken,
)
from mission_http.boards.payloads import LimitOffsetPage, PageQuery
from mission_http.boards.responses import listed_response, versioned_response, wanted_page
from mission_http.boards.wire import maybe_json
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, perform_once
from mission_http.platform.query_strings import query_of


async def list_agents(request: Request) -> Response:
    """
    List the agents of the organization, newest first.
    """
    principal = require_admin(request)
    query = query_of(request, AgentListQuery)
    board = await visible_board(request, query.board_id)
    if query.gateway_id not in (None, built_in_gateway(principal.organization)):
        raise AgentNotFound
    return await agent_list_response(request, query, board)


async def create_agent(request: Request) -> Response:
    """
    Create an agent on a board.

    It needs no live gateway. The agent's token is returned only in this response.
    """
    principal = principal_of(request)
    body = await body_of(request, AgentCreate)
    board = _board_for(principal, body)
    command = CreateAgent(
        name=body.name,
        board=board,
        soul=body.soul_template,
        heartbeat_config=maybe_json(body.heartbeat_config),
        identity_profile=json_text(body.identity_profile) if body.identity_profile else None,
        identity_template=body.identity_template,
    )
    try:
        made = await perform_once(request, make_agent, command, repeat_agent_creation)
    except AgentNameTaken as taken:
        raise AgentNameConflict(here=taken.board == board) from None
    except BoardNotFound:
        raise NamedNotFound("Board") from None
    return agent_response(request, agent_row(made.agent), agent_token=made.token)


def _board_for(principal: Principal, body: AgentCreate) -> BoardId:
    """
    The board of the new agent: the named one, or a lead's own.

    Raises:
        ForbiddenWithReason: If an agent may not create it there.
        RoleTooLow: If a user is not an admin.
        PayloadRuleBroken: If no board is named.
    """
    if isinstance(principal, AgentPrincipal):
        if not principal.lead or principal.board is None:
            raise ForbiddenWithReason("Only board leads can create agents")
        if body.board_id not in (None, principal.board):
            raise ForbiddenWithReason("Board leads can only create agents in their own board")
        return principal.board
    require_role(principal, Role.ADMIN)
    if body.board_id is None:
        raise PayloadRuleBroken("board_id is required")
    return BoardId(body.board_id)


async def visible_board(request: Request, board: UUID | None) -> BoardId | None:
    """
    The board of a filter, if there is one.

    Raises:
        ForbiddenSilently: If the caller may not see it.
    """
    if board is None:
        return None
    try:
        return await ports_of(request).reads.boards.check(principal_of(request), BoardId(board))
    except BoardDenied:
        raise ForbiddenSilently from None


async def agent_list_response(request: Request, query: PageQuery, board: BoardId | None) -> Response:
    """
    A response with a page of the agents of a board, or of the organization.
    """
    ports, principal = ports_of(request), principal_of(request)
    now = ports.clock.now()
    listed = await ports.reads.agents.page(principal, AgentFilter(board=board, hidden=True, at=now), wanted_page(query))
    return listed_response(listed, query, agent_renderer(principal.organization, at=now))


def agent_response(request: Request, row: AgentRow, **more: Any) -> Response:
    """
    A response with one agent.
    """
    shown = agent_renderer(principal_of(request).organization, at=ports_of(request).clock.now())
    return versioned_response(shown(row, **more))


ENDPOINTS = [
    Endpoint(
        "GET", "/agents", list_agents, query=AgentListQuery, gives=LimitOffsetPage[AgentRead], who=USER,
        tags=("agents",), refuses=(BoardDenied, BoardNotFound),
    ),
    Endpoint(
        "POST", "/agents", create_agent, takes=AgentCreate, gives=AgentRead, who=MIXED, tags=("agents",),
        headers=(IDEMPOTENCY_KEY,), refuses=(BoardNotFound, BoardDenied, AgentNameConflict, TooManyAgents),
    ),
]  # fmt: skip
