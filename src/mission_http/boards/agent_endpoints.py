"""
The operations of agents below `/agent`: on itself, its boards and their tasks.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.key_scopes import HEARTBEAT
from mission_core.accounts.model import AgentPrincipal
from mission_core.accounts.organizations import built_in_gateway
from mission_core.agents.rows import agent_row
from mission_core.agents.use_cases import RecordAgentHeartbeat, record_agent_heartbeat, repeat_agent_change
from mission_core.boards.model import BoardDenied, BoardNotFound
from mission_core.boards.queries import BoardFilter
from mission_core.ids import BoardId
from mission_http.boards import board_memory, comments, leases, tasks
from mission_http.boards.access import AGENT, AGENT_HEARTBEAT, path_id
from mission_http.boards.agent_hints import BOARD_AGENT_TAGS, agent_hints
from mission_http.boards.agent_payloads import AgentHealthStatusResponse, AgentRead
from mission_http.boards.agents import agent_response
from mission_http.boards.payloads import (
    BoardRead,
    LimitOffsetPage,
    NumberedPageQuery,
)
from mission_http.boards.responses import listed_response, versioned_response, wanted_page
from mission_http.platform.endpoints import Endpoint, Handler
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, perform_once
from mission_http.platform.json_responses import json_response
from mission_http.platform.query_strings import query_of


def calling_agent(request: Request) -> AgentPrincipal:
    """
    The agent that calls. Only agents reach these operations.
    """
    principal = principal_of(request)
    assert isinstance(principal, AgentPrincipal)
    return principal


async def agent_healthz(request: Request) -> Response:
    """
    Confirm that an agent's token is valid, and name the agent.
    """
    agent = calling_agent(request)
    row = await ports_of(request).reads.agents.get(agent, agent.agent)
    return json_response(AgentHealthStatusResponse.of(row, gateway_id=built_in_gateway(agent.organization)))


async def agent_heartbeat(request: Request) -> Response:
    """
    Record a heartbeat of the calling agent.

    A body is ignored.
    """
    command = RecordAgentHeartbeat(agent=calling_agent(request).agent)
    heard = await perform_once(request, record_agent_heartbeat, command, repeat_agent_change)
    return agent_response(request, agent_row(heard))


async def list_boards(request: Request) -> Response:
    """
    List the boards an agent may work on, newest first.

    An agent of a board sees that board only. An agent without a board sees all boards of its organization.
    """
    query = query_of(request, NumberedPageQuery)
    wanted = BoardFilter(by_name=False, empty_general=False)
    listed = await ports_of(request).reads.boards.page(principal_of(request), wanted, wanted_page(query))
    return listed_response(listed, query, BoardRead.of)


async def get_board(request: Request) -> Response:
    """
    Read a board that an agent may work on.
    """
    row = await ports_of(request).reads.boards.get(principal_of(request), BoardId(path_id(request, "board_id")))
    return versioned_response(BoardRead.of(row))


def _endpoint(method: str, path: str, handler: Handler, extra: dict[str, Any], **more: Any) -> Endpoint:
    return Endpoint(
        method, path, handler, tags=(*BOARD_AGENT_TAGS, "agent-main"), extra=extra, **({"who": AGENT} | more)
    )


ENDPOINTS = [
    _endpoint(
        "GET", "/agent/healthz", agent_healthz,
        agent_hints(
            "agent_auth_health", ["You want to check that your token is valid, before anything else."],
            unless=["You want to be shown as online: send a heartbeat."],
        ),
        gives=AgentHealthStatusResponse,
    ),
    _endpoint(
        "POST", "/agent/heartbeat", agent_heartbeat,
        agent_hints(
            "agent_heartbeat", ["You are running and want to be shown as online. Repeat it every few minutes."],
            unless=["You want to extend a lease: send a lease heartbeat."],
            effects=["Your last heartbeat is now. If you were new or offline, you are online."],
        ),
        gives=AgentRead, who=AGENT_HEARTBEAT, scope=HEARTBEAT, headers=(IDEMPOTENCY_KEY,),
    ),
    _endpoint(
        "GET", "/agent/boards", list_boards,
        agent_hints(
            "agent_board_discovery", ["You want to know which boards you may work on."],
            unless=["You know the board's id already: read it."],
        ),
        query=NumberedPageQuery, gives=LimitOffsetPage[BoardRead],
    ),
    _endpoint(
        "GET", "/agent/boards/{board_id}", get_board,
        agent_hints(
            "agent_board_lookup", ["You know a board's id and want its goal and rules."],
            unless=["You look for boards: list them."],
        ),
        gives=BoardRead, refuses=(BoardNotFound, BoardDenied),
    ),
    *comments.AGENT_ENDPOINTS,
    *board_memory.AGENT_ENDPOINTS,
    *tasks.AGENT_ENDPOINTS,
    *leases.AGENT_ENDPOINTS,
]  # fmt: skip
