"""
Operations that change, delete, hide and unhide an agent.
"""

from __future__ import annotations

from typing import Annotated, Any, Final
from uuid import UUID

from attrs import fields
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.model import KeyOfAnotherAgent
from mission_core.agents.model import AgentNotFound, MainAgentProtected, SessionKeyTaken
from mission_core.agents.queries import AgentRow
from mission_core.agents.update import UpdateAgent, update_agent
from mission_core.errors import KeyReused, VersionMismatch
from mission_core.ids import AgentId
from mission_core.tasks.agent_deletion import DeleteAgent, delete_agent
from mission_core.values import ABSENT, UNSTORABLE, Absent
from mission_http.fleet.access import ADMIN, OPERATOR
from mission_http.fleet.agents import NO_GATEWAY
from mission_http.fleet.bodies import JsonObjectText
from mission_http.fleet.errors import HostToolMissing, InvalidRequest
from mission_http.fleet.path_parameters import agent_in
from mission_http.fleet.payloads import AgentPayload, SuccessPayload, agent_payload
from mission_http.fleet.responses import perform_once_for_id
from mission_http.fleet.souls import SoulText
from mission_http.fleet.wire import FleetPayload, command_arguments
from mission_http.platform.bodies import body_of, parsed_body_of, raw_body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.etags import IF_MATCH, etag_of, expected_version_of
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.field_annotations import Body, Length, SchemaOverride
from mission_http.platform.idempotency import IDEMPOTENCY_KEY
from mission_http.platform.json_responses import json_response
from mission_http.platform.shapes import Fixed, Of, Payload

FIELD_NAMES: Final = {"name": "", "runtime_type": "", "last_activity": "activity", "soul_content": "soul"}
GATEWAY_FIELD_NAMES: Final = {"gateway_config": "over_config", "write_to_gateway": ""}
RUNTIMES: Final = ("hermes", "openclaw", "claude", "codex", "custom")
RoleText = Annotated[str, Length(1, 100, says="Role is required")]
RuntimeName = Annotated[Any, SchemaOverride({"enum": [*RUNTIMES, "", None]})]
NO_WORKSPACES: Final = "this server has no tool that removes workspaces; delete the agent without remove_workspace"


class UpdateNamedAgentBody(Body):
    """
    Changes of the agent with this name.
    """

    name: Annotated[Any, SchemaOverride({"type": "string"})] = None
    status: Annotated[str, Length(1, 100)] | Absent = ABSENT
    last_activity: Annotated[str, Length(0, 500)] | Absent | None = ABSENT
    config: JsonObjectText | Absent = ABSENT
    session_key: Annotated[str, Length(0, 300)] | Absent | None = ABSENT
    soul_content: SoulText | Absent | None = ABSENT
    role: RoleText | Absent = ABSENT
    runtime_type: RuntimeName | Absent = ABSENT


class UpdateAgentBody(Body):
    role: RoleText | Absent = ABSENT
    gateway_config: JsonObjectText | Absent = ABSENT
    write_to_gateway: bool = False


class DeleteAgentBody(Body):
    remove_workspace: bool = False


class UpdatedAgentPayload(Payload):
    success: bool
    agent: AgentPayload
    warning: str | UnsetType = UNSET
    ignored: list[str] | UnsetType = UNSET


class DeletedAgentPayload(Payload):
    success: bool
    deleted: str
    remove_workspace: bool
    warning: str | UnsetType = UNSET


class HiddenPayload(FleetPayload[AgentRow]):
    success: Annotated[bool, Fixed(True)]
    agent_id: Annotated[int, Of("number")]
    hidden: bool


BODY_FIELDS: Final = frozenset(one.name for one in fields(UpdateAgentBody))


async def change_named(request: Request) -> Response:
    """
    Update an agent by name.

    Fields that are not sent stay as they are; a status also counts as a heartbeat.
    """
    body = await body_of(request, UpdateNamedAgentBody)
    if not isinstance(body.name, str) or not body.name:
        raise InvalidRequest("Agent name is required")
    if UNSTORABLE.search(body.name):
        raise AgentNotFound
    ports, principal = ports_of(request), principal_of(request)
    row = await ports.reads.agents.get(principal, body.name)
    changes: dict[str, Any] = command_arguments(body, FIELD_NAMES, frozenset())
    if body.runtime_type is not ABSENT:
        changes["runtime_type"] = _runtime(body.runtime_type)
    if not changes:
        raise InvalidRequest("No fields to update")
    command = UpdateAgent(agent=AgentId(UUID(bytes=row.id)), own=True, expects=expected_version_of(request), **changes)
    agent = await update_agent(ports, principal, command)
    return json_response(SuccessPayload(success=True), headers={"etag": etag_of(agent.version)})


def _runtime(value: object) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str) or value not in RUNTIMES:
        raise InvalidRequest("Invalid runtime_type")
    return value


async def change(request: Request) -> Response:
    """
    Update an agent's role, and merge a gateway configuration into its configuration.

    The response lists other fields as `ignored`; `PUT /api/agents` changes them.
    """
    body = await body_of(request, UpdateAgentBody)
    ports, principal = ports_of(request), principal_of(request)
    changes = command_arguments(body, GATEWAY_FIELD_NAMES, frozenset())
    command = UpdateAgent(agent=agent_in(request), own=True, expects=expected_version_of(request), **changes)
    agent = await update_agent(ports, principal, command)
    row = await ports.reads.agents.get(principal, agent.id)
    sent = await parsed_body_of(request) if await raw_body_of(request) else {}
    answer = UpdatedAgentPayload(
        success=True,
        agent=agent_payload(row, at=ports.clock.now()),
        warning=NO_GATEWAY if body.write_to_gateway else UNSET,
        ignored=sorted(sent.keys() - BODY_FIELDS) or UNSET,
    )
    return json_response(answer, headers={"etag": etag_of(row.version)})


async def remove(request: Request) -> Response:
    """
    Delete an agent with its keys.

    Its tasks in progress go back to the queue without an assignee. Other tasks stay assigned to its name. The built-in
    agent cannot be deleted.
    """
    body = await body_of(request, DeleteAgentBody)
    ports, principal, named = ports_of(request), principal_of(request), agent_in(request)
    if body.remove_workspace:
        row = await ports.reads.agents.get(principal, named)
        raise HostToolMissing(f"Failed to remove OpenClaw workspace for {row.name}: no host tool", NO_WORKSPACES)
    agent = await delete_agent(ports, principal, DeleteAgent(agent=named, expects=expected_version_of(request)))
    return json_response(DeletedAgentPayload(success=True, deleted=agent.name, remove_workspace=False))


async def hide(request: Request) -> Response:
    """
    Hide an agent from lists, unless hidden agents are asked for.
    """
    agent = await perform_once_for_id(
        request, update_agent, UpdateAgent(agent=agent_in(request), own=True, hidden=True)
    )
    return await _hidden_response(request, AgentId(agent))


async def unhide(request: Request) -> Response:
    """
    Show a hidden agent in lists again.
    """
    command = UpdateAgent(agent=agent_in(request), own=True, expects=expected_version_of(request), hidden=False)
    agent = await update_agent(ports_of(request), principal_of(request), command)
    return await _hidden_response(request, agent.id)


async def _hidden_response(request: Request, agent: AgentId) -> Response:
    row = await ports_of(request).reads.agents.get(principal_of(request), agent)
    return json_response(HiddenPayload.of(row), headers={"etag": etag_of(row.version)})


ENDPOINTS = [
    Endpoint(
        "PUT", "/agents", change_named, takes=UpdateNamedAgentBody, gives=SuccessPayload, who=OPERATOR,
        headers=(IF_MATCH,), refuses=(AgentNotFound, KeyOfAnotherAgent, SessionKeyTaken, VersionMismatch),
        limits=("mutation",), operation_id="fleet_updateAgentByName",
    ),
    Endpoint(
        "PUT", "/agents/{id}", change, takes=UpdateAgentBody, body_required=False, gives=UpdatedAgentPayload,
        who=OPERATOR, headers=(IF_MATCH,), refuses=(AgentNotFound, KeyOfAnotherAgent, VersionMismatch),
        operation_id="fleet_updateAgent",
    ),
    Endpoint(
        "DELETE", "/agents/{id}", remove, takes=DeleteAgentBody, body_required=False, gives=DeletedAgentPayload,
        who=ADMIN, headers=(IF_MATCH,), refuses=(AgentNotFound, MainAgentProtected, HostToolMissing, VersionMismatch),
        operation_id="fleet_deleteAgent",
    ),
    Endpoint(
        "POST", "/agents/{id}/hide", hide, gives=HiddenPayload, who=OPERATOR, headers=(IDEMPOTENCY_KEY,),
        refuses=(AgentNotFound, KeyOfAnotherAgent, KeyReused), operation_id="fleet_hideAgent",
    ),
    Endpoint(
        "DELETE", "/agents/{id}/hide", unhide, gives=HiddenPayload, who=OPERATOR, headers=(IF_MATCH,),
        refuses=(AgentNotFound, KeyOfAnotherAgent, VersionMismatch), operation_id="fleet_unhideAgent",
    ),
]  # fmt: skip
