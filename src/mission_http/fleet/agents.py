"""
Operations that list, create, register and read agents.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from msgspec import UNSET
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.key_scopes import SELF
from mission_core.accounts.model import KeyOfAnotherAgent
from mission_core.agents.model import AgentNameTaken, AgentNotFound, SessionKeyTaken
from mission_core.agents.queries import AgentFilter, AgentTaskCounts
from mission_core.agents.use_cases import (
    CreateAgent,
    RegisterAgent,
    create_agent,
    register_agent,
    repeat_agent_creation,
)
from mission_core.errors import InvalidField, KeyReused
from mission_core.values import json_text
from mission_http.fleet.access import OPERATOR, VIEWER
from mission_http.fleet.agent_templates import AGENT_TEMPLATES, with_overrides
from mission_http.fleet.bodies import AgentPageQuery, CreateAgentBody, RegisterAgentBody, required_object_of
from mission_http.fleet.errors import VALIDATION, InvalidRequest
from mission_http.fleet.path_parameters import readable_agent_row
from mission_http.fleet.payloads import (
    AgentAnswerPayload,
    AgentListPayload,
    AgentPayload,
    MadeAgentPayload,
    RegisteredAgentPayload,
    RegistrationPayload,
    TaskStatsPayload,
    agent_payload,
)
from mission_http.fleet.wire import command_arguments, page_number, unset_if_none
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.etags import etag_of
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, perform_once
from mission_http.platform.json_responses import json_response
from mission_http.platform.projections import projection_of
from mission_http.platform.query_strings import query_of
from mission_http.platform.shapes import Of

REGISTRATION_NAME: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}")
REGISTRATION_ROLES: Final = ("coder", "reviewer", "tester", "devops", "researcher", "assistant", "agent")
BAD_NAME: Final = (
    "Invalid agent name. Use 1-63 alphanumeric characters, dots, hyphens, or underscores. Must start with alphanumeric."
)
NO_GATEWAY: Final = "The agent was saved; no gateway configuration was written, because this server has no gateway"
NO_WORKSPACES: Final = "OPENCLAW_STATE_DIR is not configured; cannot provision OpenClaw workspace"
AGENT_FIELD_NAMES: Final = {
    "soul_content": "soul",
    "openclaw_workspace_path": "workspace_path",
    "openclaw_id": "",
    "template": "",
    "gateway_config": "",
    "write_to_gateway": "",
    "provision_openclaw_workspace": "",
}


async def list_agents(request: Request) -> Response:
    """
    List agents, newest first, with the number of tasks of each.
    """
    query, principal, ports = query_of(request, AgentPageQuery), principal_of(request), ports_of(request)
    page = query.page()
    wanted = AgentFilter(
        status=query.status or None,
        role=query.role or None,
        hidden=query.show_hidden == "true",
        as_made=True,
        at=ports.clock.now(),
    )
    shown = projection_of(AgentPayload, status=Of("status"), taskStats=Of("tasks"))
    listed = await ports.reads.agents.page(principal, wanted, page, shown)
    return json_response(
        AgentListPayload(
            agents=listed.rows, total=listed.total, page=page_number(page.offset, page.limit), limit=page.limit
        )
    )


async def add_agent(request: Request) -> Response:
    """
    Create an agent.

    Its key is returned as `agent_token`, once.
    """
    body = await body_of(request, CreateAgentBody)
    made = await perform_once(request, create_agent, _create_command(body), repeat_agent_creation)
    ports, principal = ports_of(request), principal_of(request)
    row = await ports.reads.agents.get(principal, made.agent.id)
    shown = agent_payload(row, at=ports.clock.now(), taskStats=TaskStatsPayload.of(AgentTaskCounts()))
    answer = MadeAgentPayload(
        agent=shown,
        agent_token=unset_if_none(made.token),
        warning=NO_GATEWAY if body.write_to_gateway else UNSET,
    )
    return json_response(answer, 201, {"etag": etag_of(row.version)})


def _create_command(body: CreateAgentBody) -> CreateAgent:
    named = command_arguments(body, AGENT_FIELD_NAMES, frozenset())
    template = AGENT_TEMPLATES.get(body.template) if isinstance(body.template, str) else None
    if template is None:
        config = {**body.config, **body.gateway_config}
    else:
        id = body.openclaw_id if isinstance(body.openclaw_id, str) else None
        config = with_overrides({**template.config(name=body.name, id=id), **body.config}, body.gateway_config)
        named.setdefault("role", template.theme)
    if "role" not in named:
        raise InvalidRequest("Name and role are required")
    if body.provision_openclaw_workspace:
        raise InvalidRequest(NO_WORKSPACES)
    try:
        return CreateAgent(**named | {"config": json_text(config)})
    except InvalidField as refusal:
        raise InvalidRequest(VALIDATION, (f"config: {refusal.reason}",)) from None


async def register(request: Request) -> Response:
    """
    Register an agent, and create it if its name is new.

    The key of a new agent is returned as `agent_token`, once.
    """
    command = _register_command(await required_object_of(request))
    made = await perform_once(request, register_agent, command, repeat_agent_creation)
    agent = made.agent
    answer = RegistrationPayload(
        agent=RegisteredAgentPayload.of(agent),
        registered=made.new,
        message="Agent registered successfully" if made.new else "Agent already registered, status updated",
        agent_token=unset_if_none(made.token),
    )
    return json_response(answer, 201 if made.new else 200, {"etag": etag_of(agent.version)})


def _register_command(body: Mapping[str, Any]) -> RegisterAgent:
    name, role = body.get("name"), body.get("role") or "agent"
    if not isinstance(name, str) or not REGISTRATION_NAME.fullmatch(name.strip()):
        raise InvalidRequest(BAD_NAME)
    if role not in REGISTRATION_ROLES:
        raise InvalidRequest(f"Invalid role. Use: {', '.join(REGISTRATION_ROLES)}")
    config: dict[str, Any] = {}
    if isinstance(body.get("capabilities"), list):
        config["capabilities"] = [each for each in body["capabilities"] if isinstance(each, str)]
    if isinstance(body.get("framework"), str) and body["framework"]:
        config["framework"] = body["framework"]
    try:
        return RegisterAgent(name=name.strip(), role=role, config=json_text(config))
    except InvalidField as refusal:
        raise InvalidRequest(VALIDATION, (f"capabilities: {refusal.reason}",)) from None


async def get_agent(request: Request) -> Response:
    """
    Get an agent by number or name.
    """
    ports = ports_of(request)
    row = await readable_agent_row(request)
    answer = AgentAnswerPayload(agent=agent_payload(row, at=ports.clock.now()))
    return json_response(answer, headers={"etag": etag_of(row.version)})


ENDPOINTS = [
    Endpoint(
        "GET", "/agents", list_agents, query=AgentPageQuery, gives=AgentListPayload, who=VIEWER,
        operation_id="fleet_listAgents",
    ),
    Endpoint(
        "POST", "/agents", add_agent, takes=CreateAgentBody, gives=MadeAgentPayload, status=201, who=OPERATOR,
        headers=(IDEMPOTENCY_KEY,), refuses=(AgentNameTaken, SessionKeyTaken, KeyReused),
        limits=("mutation",), operation_id="fleet_createAgent",
    ),
    Endpoint(
        "POST", "/agents/register", register, takes=RegisterAgentBody, gives=RegistrationPayload, status=201,
        also={200: RegistrationPayload}, who=VIEWER, headers=(IDEMPOTENCY_KEY,),
        refuses=(AgentNameTaken, KeyOfAnotherAgent, KeyReused), limits=("self-register",),
        operation_id="fleet_registerAgent",
    ),
    Endpoint(
        "GET", "/agents/{id}", get_agent, gives=AgentAnswerPayload, who=VIEWER,
        refuses=(AgentNotFound, KeyOfAnotherAgent), scope=SELF, operation_id="fleet_getAgent",
    ),
]  # fmt: skip
