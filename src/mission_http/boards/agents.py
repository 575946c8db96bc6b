"""
Operations that list and create agents.
"""

from __future__ import annotations

from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.model import AgentPrincipal, Principal, Role, require
from mission_core.accounts.organizations import built_in_gateway
from mission_core.agents.model import AgentNameTaken, AgentNotFound, TooManyAgents
from mission_core.agents.queries import AgentFilter
from mission_core.agents.use_cases import CreateAgent, WithToken
from mission_core.agents.use_cases import create_agent as make_agent
from mission_core.boards.model import BoardDenied, BoardNotFound
from mission_core.ids import AgentId, BoardId
from mission_core.ports import Ports
from mission_core.values import json_text
from mission_http.boards.access import MIXED, USER, admin_of
from mission_http.boards.agent_payloads import AgentCreate, AgentQuery, AgentRead
from mission_http.boards.answers import one, page_from, wanted_page
from mission_http.boards.entities import agent_row
from mission_http.boards.errors import Forbidden, Missing, NameTaken, Refused, Unacceptable
from mission_http.boards.payloads import LimitOffsetPage
from mission_http.boards.wire import agents_of, maybe_json
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, once
from mission_http.platform.queries import query_of


async def list_agents(request: Request) -> Response:
    """
    List the agents of the organization, newest first.
    """
    principal = admin_of(request)
    query = query_of(request, AgentQuery)
    ports = ports_of(request)
    board = None
    if query.board_id is not None:
        try:
            board = await ports.reads.boards.check(principal, BoardId(query.board_id))
        except BoardDenied:
            raise Forbidden from None
    if query.gateway_id not in (None, built_in_gateway(principal.organization)):
        raise AgentNotFound
    now = ports.clock.now()
    wanted = AgentFilter(board=board, hidden=True, at=now)
    listed = await ports.reads.agents.page(principal, wanted, wanted_page(query))
    return page_from(listed, query, agents_of(principal.organization, at=now))


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
        made = await once(request, make_agent, command, _again)
    except AgentNameTaken as taken:
        raise NameTaken(here=taken.board == board) from None
    except BoardNotFound:
        raise Missing("Board") from None
    shown = agents_of(principal.organization, at=ports_of(request).clock.now())(agent_row(made.agent))
    return one(shown | {"agent_token": made.token})


def _board_for(principal: Principal, body: AgentCreate) -> BoardId:
    """
    The board of the new agent: the named one, or a lead's own.

    Raises:
        Refused: If an agent may not create it there.
        RoleTooLow: If a user is not an admin.
        Unacceptable: If no board is named.
    """
    if isinstance(principal, AgentPrincipal):
        if not principal.lead or principal.board is None:
            raise Refused("Only board leads can create agents")
        if body.board_id not in (None, principal.board):
            raise Refused("Board leads can only create agents in their own board")
        return principal.board
    require(principal, Role.ADMIN)
    if body.board_id is None:
        raise Unacceptable("board_id is required")
    return BoardId(body.board_id)


async def _again(ports: Ports, principal: Principal, agent: UUID) -> WithToken:
    async with ports.unit(principal) as unit:
        return WithToken(await unit.agents.get(AgentId(agent)), None)


ENDPOINTS = [
    Endpoint(
        "GET", "/agents", list_agents, query=AgentQuery, gives=LimitOffsetPage[AgentRead], who=USER,
        tags=("agents",), refuses=(BoardDenied, BoardNotFound),
    ),
    Endpoint(
        "POST", "/agents", create_agent, takes=AgentCreate, gives=AgentRead, who=MIXED, tags=("agents",),
        headers=(IDEMPOTENCY_KEY,), refuses=(BoardNotFound, BoardDenied, NameTaken, TooManyAgents),
    ),
]  # fmt: skip
