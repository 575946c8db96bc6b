"""
Operations on tool connections: a tool connects on behalf of an agent.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal
from uuid import UUID

from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.model import KeyOfAnotherAgent, Principal
from mission_core.agents.connect import ConnectedTool, ConnectTool, DisconnectTool, connect_tool, disconnect_tool
from mission_core.agents.queries import ToolConnectionRow
from mission_core.agents.tool_connections import CONNECTIONS, ConnectionNotFound
from mission_core.errors import KeyReused
from mission_core.ids import ConnectionId
from mission_core.ports import Ports
from mission_core.values import json_text
from mission_http.fleet.access import OPERATOR, VIEWER
from mission_http.fleet.bodies import JsonObjectText, UnlimitedListQuery, required_object_of
from mission_http.fleet.errors import InvalidRequest
from mission_http.fleet.wire import WORKSPACE_NUMBER, FleetPayload, UnixSeconds, shown_status, unset_if_none, uuid_text
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.field_annotations import Body, Length
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, perform_once
from mission_http.platform.json_responses import json_response
from mission_http.platform.query_strings import query_of
from mission_http.platform.shapes import Computed, Fixed, Of, Payload
from mission_http.platform.value_parsers import UUID_TEXT

DEFAULT_ROLE: Final = "cli"


class ConnectBody(Body):
    tool_name: Annotated[str, Length(1, 100, says="Tool name is required")]
    agent_name: Annotated[str, Length(1, 100, says="Agent name is required")]
    tool_version: Annotated[str, Length(0, 50)] | None = None
    agent_role: Annotated[str, Length(0, 100)] = DEFAULT_ROLE
    metadata: JsonObjectText | None = None


class DisconnectBody(Body):
    """
    The request body as documented. The handler validates it itself, with the original API's error texts.
    """

    connection_id: UUID


def heartbeat_path(agent: int) -> str:
    return f"/api/agents/{agent}/heartbeat"


class ConnectedPayload(FleetPayload[ConnectedTool]):
    connection_id: Annotated[UUID, Of("connection.id")]
    agent_id: Annotated[int, Of("agent.number")]
    agent_name: Annotated[str, Of("agent.name")]
    status: Annotated[Literal["connected"], Fixed("connected")]
    sse_url: Annotated[str, Fixed("/api/events")]
    heartbeat_url: Annotated[str, Of("agent.number", heartbeat_path)]
    token_report_url: Annotated[str, Fixed("/api/tokens")]
    agent_token: Annotated[str | UnsetType, Of("token", unset_if_none)] = UNSET


def connection_status(live: int) -> str:
    return "connected" if live else "disconnected"


def metadata_text(row: ToolConnectionRow) -> str | None:
    return row.metadata


class ConnectionPayload(FleetPayload[ToolConnectionRow]):
    id: Annotated[int, Of("number")]
    agent_id: Annotated[int, Of("agent_number")]
    tool_name: str
    tool_version: str | None
    connection_id: Annotated[UUID, Of("id", uuid_text)]
    status: Annotated[Literal["connected", "disconnected"], Of("live", connection_status)]
    last_heartbeat: Annotated[UnixSeconds | None, Of("last_heartbeat_at")]
    metadata: Annotated[str | None, Computed(metadata_text)]
    created_at: UnixSeconds
    updated_at: UnixSeconds
    workspace_id: Annotated[int, Fixed(WORKSPACE_NUMBER)]
    agent_name: str
    agent_status: Annotated[str, Computed(shown_status)]
    agent_role: str


class ConnectionListPayload(Payload):
    connections: list[ConnectionPayload]
    total: int


class DisconnectedPayload(Payload):
    status: Literal["disconnected"]
    connection_id: UUID


async def connect(request: Request) -> Response:
    """
    Connect a tool for an agent, which becomes online and is created if its name is new.

    An earlier connection of the agent ends. The key of a new agent is returned as `agent_token`, once.
    """
    body = await body_of(request, ConnectBody)
    command = ConnectTool(
        agent=body.agent_name,
        tool_name=body.tool_name,
        tool_version=body.tool_version,
        role=body.agent_role or DEFAULT_ROLE,
        metadata=None if body.metadata is None else json_text(body.metadata),
    )
    return json_response(ConnectedPayload.of(await perform_once(request, connect_tool, command, _connected_again)))


async def _connected_again(ports: Ports, principal: Principal, connection: UUID) -> ConnectedTool:
    async with ports.unit(principal) as unit:
        found = await unit.repository(CONNECTIONS).get(connection)
        return ConnectedTool(found, await unit.agents.get(found.agent))


async def list_connections(request: Request) -> Response:
    """
    List all connections, newest first, including those that ended.
    """
    query, ports = query_of(request, UnlimitedListQuery), ports_of(request)
    listed = await ports.reads.agents.connections(principal_of(request), query.page())
    now = ports.clock.now()
    connections = [ConnectionPayload.of(row, at=now) for row in listed.rows]
    return json_response(ConnectionListPayload(connections=connections, total=listed.total))


async def disconnect(request: Request) -> Response:
    """
    End a connection and set its agent offline.

    A connection that has ended does not change.
    """
    body = await required_object_of(request, "Invalid request body")
    id = body.get("connection_id")
    if not isinstance(id, str) or not id:
        raise InvalidRequest("connection_id is required")
    if not UUID_TEXT.fullmatch(id):
        raise ConnectionNotFound
    command = DisconnectTool(connection=ConnectionId(UUID(id)))
    ended = await disconnect_tool(ports_of(request), principal_of(request), command)
    return json_response(DisconnectedPayload(status="disconnected", connection_id=ended.id))


ENDPOINTS = [
    Endpoint(
        "POST", "/connect", connect, takes=ConnectBody, gives=ConnectedPayload, who=OPERATOR,
        headers=(IDEMPOTENCY_KEY,), refuses=(KeyOfAnotherAgent, KeyReused), operation_id="fleet_registerConnection",
    ),
    Endpoint(
        "GET", "/connect", list_connections, query=UnlimitedListQuery, gives=ConnectionListPayload, who=VIEWER,
        operation_id="fleet_listConnections",
    ),
    Endpoint(
        "DELETE", "/connect", disconnect, takes=DisconnectBody, gives=DisconnectedPayload, who=OPERATOR,
        refuses=(ConnectionNotFound, KeyOfAnotherAgent), operation_id="fleet_disconnectConnection",
    ),
]  # fmt: skip
