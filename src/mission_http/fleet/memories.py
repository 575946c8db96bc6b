"""
Operations on the working memory of an agent.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.model import NotYourAgent
from mission_core.accounts.scopes import SELF
from mission_core.agents.memories import ClearMemory, WriteMemory, clear_memory, write_memory
from mission_core.agents.model import AgentNotFound, MemoryFull
from mission_core.errors import VersionMismatch
from mission_http.fleet.access import READING_OWN, WRITING_OWN
from mission_http.fleet.agent_bodies import MemoryBody
from mission_http.fleet.agent_payloads import MemoryPayload, WrittenMemoryPayload
from mission_http.fleet.own_agents import own_agent_only, own_agent_row
from mission_http.fleet.paths import agent_in
from mission_http.fleet.wire import SECOND, iso_of, seconds_of
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.etags import IF_MATCH, etag_of, expects_of
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.json import json_of


async def read(request: Request) -> Response:
    """
    Get an agent's working memory.
    """
    row = await own_agent_row(request)
    return json_of(
        {
            "agent": {"id": row.number, "name": row.name, "role": row.role},
            "working_memory": row.working_memory,
            "source": "database" if row.working_memory else "none",
            "updated_at": row.updated_at // SECOND,
            "size": len(row.working_memory),
        },
        headers={"etag": etag_of(row.version)},
    )


async def write(request: Request) -> Response:
    """
    Replace an agent's working memory, or append an entry with the current time.
    """
    body = await body_of(request, MemoryBody)
    ports, principal = ports_of(request), principal_of(request)
    entry = f"## {iso_of(ports.clock.now())}\n{body.working_memory}" if body.append else body.working_memory
    command = WriteMemory(agent=agent_in(request), content=entry, append=body.append, expects=expects_of(request))
    with own_agent_only(principal):
        agent = await write_memory(ports, principal, command)
    return json_of(
        {
            "success": True,
            "message": f"Working memory {'appended' if body.append else 'updated'} for {agent.name}",
            "working_memory": agent.working_memory,
            "saved_to_workspace": False,
            "updated_at": seconds_of(agent.updated_at),
            "size": len(agent.working_memory),
        },
        headers={"etag": etag_of(agent.version)},
    )


async def clear(request: Request) -> Response:
    """
    Clear an agent's working memory.
    """
    principal = principal_of(request)
    command = ClearMemory(agent=agent_in(request), expects=expects_of(request))
    with own_agent_only(principal):
        agent = await clear_memory(ports_of(request), principal, command)
    return json_of(
        {
            "success": True,
            "message": f"Working memory cleared for {agent.name}",
            "working_memory": "",
            "updated_at": seconds_of(agent.updated_at),
        },
        headers={"etag": etag_of(agent.version)},
    )


ENDPOINTS = [
    Endpoint(
        "GET", "/agents/{id}/memory", read, gives=MemoryPayload, who=READING_OWN, refuses=(AgentNotFound, NotYourAgent),
        scope=SELF, operation_id="fleet_getAgentMemory", tags=("Agents",),
    ),
    Endpoint(
        "PUT", "/agents/{id}/memory", write, takes=MemoryBody, gives=WrittenMemoryPayload, who=WRITING_OWN,
        headers=(IF_MATCH,), refuses=(AgentNotFound, NotYourAgent, MemoryFull, VersionMismatch),
        scope=SELF, operation_id="fleet_updateAgentMemory", tags=("Agents",),
    ),
    Endpoint(
        "DELETE", "/agents/{id}/memory", clear, gives=WrittenMemoryPayload, who=WRITING_OWN, headers=(IF_MATCH,),
        refuses=(AgentNotFound, NotYourAgent, VersionMismatch), scope=SELF, operation_id="fleet_deleteAgentMemory",
        tags=("Agents",),
    ),
]  # fmt: skip
