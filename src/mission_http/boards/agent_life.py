"""
One agent: reading it, and its signs of life; and the roster that agents see.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar
from uuid import UUID

from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.model import AgentPrincipal, NotYourAgent, Principal, Role, require
from mission_core.agents.model import ONLINE, Agent, AgentNameTaken, AgentNotFound, TooManyAgents
from mission_core.agents.queries import AgentFilter
from mission_core.agents.use_cases import HearAgent, RegisterAgent, WithToken, hear_agent, register_agent
from mission_core.boards.model import BoardDenied, BoardNotFound
from mission_core.ids import AgentId, BoardId
from mission_core.ports import Ports
from mission_http.boards.access import AGENT, MIXED, USER, admin_of, path_id
from mission_http.boards.agent_payloads import AgentCreate, AgentRead
from mission_http.boards.agents import create_agent
from mission_http.boards.answers import one, page_from, wanted_page
from mission_http.boards.entities import agent_row
from mission_http.boards.errors import Forbidden, Missing, NameTaken, Unacceptable
from mission_http.boards.intents import told
from mission_http.boards.payloads import LimitOffsetPage, NumberedQuery, nothing_if_blank, stripped
from mission_http.boards.wire import agents_of
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, once
from mission_http.platform.queries import query_of
from mission_http.platform.shapes import Length, Rule

Told = Annotated[str | None, Length(0, 100), Rule(nothing_if_blank)]


@frozen(kw_only=True)
class AgentHeartbeat:
    schema_extra: ClassVar[dict[str, Any]] = {"x-llm-intent": "agent_health_signal"}

    status: Told = None


@frozen(kw_only=True)
class AgentHeartbeatCreate:
    schema_extra: ClassVar[dict[str, Any]] = {"x-llm-intent": "agent_bootstrap"}

    status: Told = None
    name: Annotated[str, Rule(stripped), Length(1, 100)]
    board_id: UUID | None = None


@frozen(kw_only=True)
class RosterQuery(NumberedQuery):
    board_id: UUID | None = None


async def get_agent(request: Request) -> Response:
    """
    Read an agent.
    """
    principal, ports = admin_of(request), ports_of(request)
    row = await ports.reads.agents.get(principal, AgentId(path_id(request, "agent_id")))
    return one(agents_of(principal.organization, at=ports.clock.now())(row))


async def heartbeat_agent(request: Request) -> Response:
    """
    Take a sign of life of an agent: from itself, or from an admin.
    """
    body = await body_of(request, AgentHeartbeat)
    return await _heard(request, AgentId(path_id(request, "agent_id")), body.status)


async def heartbeat_or_create_agent(request: Request) -> Response:
    """
    Take a sign of life of the agent that calls, or of the one of a name; a person makes it if it is new.

    The token of a new agent is in this answer and nowhere else.
    """
    body = await body_of(request, AgentHeartbeatCreate)
    principal, ports = principal_of(request), ports_of(request)
    if isinstance(principal, AgentPrincipal):
        return await _heard(request, principal.agent, body.status)
    require(principal, Role.ADMIN)
    if body.board_id is None:
        try:
            known = await ports.reads.agents.get(principal, body.name)
        except AgentNotFound:
            raise Unacceptable("board_id is required") from None
        return await _heard(request, AgentId(UUID(bytes=known.id)), body.status)
    board = BoardId(body.board_id)
    command = RegisterAgent(name=body.name, board=board, status=body.status or ONLINE)
    try:
        made = await once(request, register_agent, command, _registered_again)
    except AgentNameTaken:
        raise NameTaken(here=False) from None
    except BoardNotFound:
        raise Missing("Board") from None
    shown = agents_of(principal.organization, at=ports.clock.now())(agent_row(made.agent))
    return one(shown | {"agent_token": made.token})


async def _heard(request: Request, agent: AgentId, status: str | None) -> Response:
    principal, ports = principal_of(request), ports_of(request)
    if not isinstance(principal, AgentPrincipal):
        require(principal, Role.ADMIN)
    try:
        heard = await once(request, hear_agent, HearAgent(agent=agent, status=status), _heard_again)
    except (NotYourAgent, BoardDenied):
        raise Forbidden from None
    return one(agents_of(principal.organization, at=ports.clock.now())(agent_row(heard)))


async def roster(request: Request) -> Response:
    """
    List the agents that an agent works with, the newest first: its board's, or all of the organization.
    """
    query = query_of(request, RosterQuery)
    principal, ports = principal_of(request), ports_of(request)
    board = None
    if query.board_id is not None:
        try:
            board = await ports.reads.boards.check(principal, BoardId(query.board_id))
        except BoardDenied:
            raise Forbidden from None
    now = ports.clock.now()
    listed = await ports.reads.agents.page(
        principal, AgentFilter(board=board, hidden=True, at=now), wanted_page(query)
    )
    return page_from(listed, query, agents_of(principal.organization, at=now))


async def _heard_again(ports: Ports, principal: Principal, agent: UUID) -> Agent:
    async with ports.unit(principal) as unit:
        return await unit.agents.get(AgentId(agent))


async def _registered_again(ports: Ports, principal: Principal, agent: UUID) -> WithToken:
    return WithToken(await _heard_again(ports, principal, agent), None, new=False)


AN_AGENT = "/agents/{agent_id}"
ENDPOINTS = [
    Endpoint(
        "POST", "/agents/heartbeat", heartbeat_or_create_agent, takes=AgentHeartbeatCreate, gives=AgentRead,
        who=MIXED, tags=("agents",), headers=(IDEMPOTENCY_KEY,),
        refuses=(AgentNotFound, BoardNotFound, BoardDenied, NameTaken),
    ),
    Endpoint(
        "GET", AN_AGENT, get_agent, gives=AgentRead, who=USER, tags=("agents",), refuses=(AgentNotFound, BoardDenied),
    ),
    Endpoint(
        "POST", AN_AGENT + "/heartbeat", heartbeat_agent, takes=AgentHeartbeat, gives=AgentRead, who=MIXED,
        tags=("agents",), headers=(IDEMPOTENCY_KEY,), refuses=(AgentNotFound, BoardDenied),
    ),
    Endpoint(
        "GET", "/agent/agents", roster, query=RosterQuery, gives=LimitOffsetPage[AgentRead], who=AGENT,
        tags=("agent", "agent-lead", "agent-worker", "agent-main"), refuses=(BoardNotFound, BoardDenied),
        extra=told(
            "agent_roster_discovery", ["You want to know with whom you work, and who is there now."],
            unless=["You want to know whose a task is: the task says it."],
        ),
        operation_id="list_agents_api_v1_agent_agents_get",
    ),
    Endpoint(
        "POST", "/agent/agents", create_agent, takes=AgentCreate, gives=AgentRead, who=AGENT,
        tags=("agent", "agent-lead"), headers=(IDEMPOTENCY_KEY,),
        refuses=(BoardNotFound, BoardDenied, NameTaken, TooManyAgents),
        extra=told(
            "agent_management", ["Your board has more work than its agents can do."],
            unless=["An agent of your board is free: give it the work."], actor="board_lead",
            effects=["Your board has another agent. Its token is in the answer and nowhere else."],
        ),
        operation_id="agent_lead_create_agent",
    ),
]  # fmt: skip
