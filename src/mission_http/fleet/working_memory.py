"""
Operations on the working memory of an agent.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.key_scopes import SELF
from mission_core.accounts.model import KeyOfAnotherAgent
from mission_core.agents.model import Agent, AgentNotFound, WorkingMemoryFull
from mission_core.agents.queries import AgentRow
from mission_core.agents.working_memory import (
    ClearWorkingMemory,
    WriteWorkingMemory,
    clear_working_memory,
    write_working_memory,
)
from mission_core.errors import VersionMismatch
from mission_http.fleet.access import OWN_AGENT_OPERATOR, OWN_AGENT_VIEWER
from mission_http.fleet.path_parameters import agent_in, own_agent_only, own_agent_row
from mission_http.fleet.payloads import NamedAgentPayload
from mission_http.fleet.souls import ContentSource, content_source
from mission_http.fleet.wire import FleetPayload, UnixSeconds, iso_of
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.etags import IF_MATCH, etag_of, expected_version_of
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.field_annotations import Body
from mission_http.platform.json_responses import json_response
from mission_http.platform.shapes import Fixed, Given, Of


class MemoryBody(Body):
    working_memory: str
    append: bool = False


class MemoryPayload(FleetPayload[AgentRow]):
    agent: Annotated[NamedAgentPayload, Of()]
    working_memory: str
    source: Annotated[ContentSource, Of("working_memory", content_source)]
    updated_at: UnixSeconds
    size: Annotated[int, Of("working_memory", len)]


class WrittenMemoryPayload(FleetPayload[Agent]):
    success: Annotated[bool, Fixed(True)]
    message: Annotated[str, Given()]
    working_memory: str
    saved_to_workspace: Annotated[bool | UnsetType, Given()] = UNSET
    updated_at: UnixSeconds
    size: Annotated[int | UnsetType, Given()] = UNSET


async def read(request: Request) -> Response:
    """
    Get an agent's working memory.
    """
    row = await own_agent_row(request)
    return json_response(MemoryPayload.of(row), headers={"etag": etag_of(row.version)})


async def write(request: Request) -> Response:
    """
    Replace an agent's working memory, or append an entry with the current time.
    """
    body = await body_of(request, MemoryBody)
    ports, principal = ports_of(request), principal_of(request)
    entry = f"## {iso_of(ports.clock.now())}\n{body.working_memory}" if body.append else body.working_memory
    command = WriteWorkingMemory(
        agent=agent_in(request), content=entry, append=body.append, expects=expected_version_of(request)
    )
    with own_agent_only(principal):
        agent = await write_working_memory(ports, principal, command)
    message = f"Working memory {'appended' if body.append else 'updated'} for {agent.name}"
    written = WrittenMemoryPayload.of(agent, message=message, saved_to_workspace=False, size=len(agent.working_memory))
    return json_response(written, headers={"etag": etag_of(agent.version)})


async def clear(request: Request) -> Response:
    """
    Clear an agent's working memory.
    """
    principal = principal_of(request)
    command = ClearWorkingMemory(agent=agent_in(request), expects=expected_version_of(request))
    with own_agent_only(principal):
        agent = await clear_working_memory(ports_of(request), principal, command)
    cleared = WrittenMemoryPayload.of(agent, message=f"Working memory cleared for {agent.name}")
    return json_response(cleared, headers={"etag": etag_of(agent.version)})


ENDPOINTS = [
    Endpoint(
        "GET", "/agents/{id}/memory", read, gives=MemoryPayload, who=OWN_AGENT_VIEWER,
        refuses=(AgentNotFound, KeyOfAnotherAgent), scope=SELF, operation_id="fleet_getAgentMemory",
    ),
    Endpoint(
        "PUT", "/agents/{id}/memory", write, takes=MemoryBody, gives=WrittenMemoryPayload, who=OWN_AGENT_OPERATOR,
        headers=(IF_MATCH,), refuses=(AgentNotFound, KeyOfAnotherAgent, WorkingMemoryFull, VersionMismatch),
        scope=SELF, operation_id="fleet_updateAgentMemory",
    ),
    Endpoint(
        "DELETE", "/agents/{id}/memory", clear, gives=WrittenMemoryPayload, who=OWN_AGENT_OPERATOR, headers=(IF_MATCH,),
        refuses=(AgentNotFound, KeyOfAnotherAgent, VersionMismatch), scope=SELF, operation_id="fleet_deleteAgentMemory",
    ),
]  # fmt: skip
