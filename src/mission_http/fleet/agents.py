"""
Operations that list, create, register and read agents.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.model import NotYourAgent, Principal
from mission_core.accounts.scopes import SELF
from mission_core.agents.model import AgentNameTaken, AgentNotFound, SessionKeyTaken
from mission_core.agents.queries import AgentFilter
from mission_core.agents.use_cases import CreateAgent, RegisterAgent, WithToken, create_agent, register_agent
from mission_core.errors import InvalidField, KeyReused
from mission_core.ids import AgentId
from mission_core.ports import Ports
from mission_core.tasks.model import Status
from mission_core.values import json_text, name_key
from mission_http.fleet.access import OPERATOR, VIEWER
from mission_http.fleet.bodies import AgentQuery, CreateAgentBody, RegisterAgentBody
from mission_http.fleet.errors import VALIDATION, Unacceptable
from mission_http.fleet.own_agents import readable_agent_row
from mission_http.fleet.payloads import AgentAnswerPayload, AgentListPayload, MadeAgentPayload, RegistrationPayload
from mission_http.fleet.templates import TEMPLATES, overridden
from mission_http.fleet.wire import agent_of, page_number, seconds_of, spelled
from mission_http.platform.bodies import body_of, parsed_body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.etags import etag_of
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, once
from mission_http.platform.json import json_of
from mission_http.platform.queries import query_of
from mission_http.platform.refusals import BodyMalformed, BodyMissing

SELF_NAME: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}")
SELF_ROLES: Final = ("coder", "reviewer", "tester", "devops", "researcher", "assistant", "agent")
BAD_NAME: Final = (
    "Invalid agent name. Use 1-63 alphanumeric characters, dots, hyphens, or underscores. "
    "Must start with alphanumeric."
)
NO_GATEWAY: Final = "The agent was saved; no gateway configuration was written, because this server has no gateway"
NO_WORKSPACES: Final = "OPENCLAW_STATE_DIR is not configured; cannot provision OpenClaw workspace"
AGENT_NAMES: Final = {
    "soul_content": "soul",
    "openclaw_workspace_path": "workspace_path",
    "openclaw_id": "",
    "template": "",
    "gateway_config": "",
    "write_to_gateway": "",
    "provision_openclaw_workspace": "",
}
COUNTED: Final = (Status.ASSIGNED, Status.IN_PROGRESS, Status.QUALITY_REVIEW, Status.DONE)


async def list_agents(request: Request) -> Response:
    """
    List agents, newest first, with the number of tasks of each.
    """
    query, principal, ports = query_of(request, AgentQuery), principal_of(request), ports_of(request)
    page, now = query.page(), ports.clock.now()
    wanted = AgentFilter(
        status=query.status or None, role=query.role or None, hidden=query.show_hidden == "true", as_made=True, at=now
    )
    listed = await ports.reads.agents.page(principal, wanted, page)
    keys = tuple(name_key(row.name) for row in listed.rows)
    counts = await ports.reads.tasks.count_by_status(principal, keys) if keys else {}
    agents = [
        agent_of(row, at=now) | {"taskStats": stats_of(counts, key)}
        for row, key in zip(listed.rows, keys, strict=True)
    ]
    return json_of(
        {"agents": agents, "total": listed.total, "page": page_number(page.offset, page.limit), "limit": page.limit}
    )


def stats_of(counts: Mapping[tuple[str, str], int], key: str) -> dict[str, int]:
    """
    Count an agent's tasks, in total and by status. *key* is its name key.
    """
    stats = {"total": sum(counts.get((key, status.value), 0) for status in Status)}
    stats |= {status.value: counts.get((key, status.value), 0) for status in COUNTED}
    return stats | {"completed": stats[Status.DONE.value]}


async def add_agent(request: Request) -> Response:
    """
    Create an agent.

    Its key is returned as `agent_token`, once.
    """
    body = await body_of(request, CreateAgentBody)
    made = await once(request, create_agent, _command(body), _made_again)
    ports, principal = ports_of(request), principal_of(request)
    row = await ports.reads.agents.get(principal, made.agent.id)
    shown = agent_of(row, at=ports.clock.now())
    answer: dict[str, Any] = {"agent": shown | {"taskStats": stats_of({}, "")}}
    if made.token is not None:
        answer["agent_token"] = made.token
    if body.write_to_gateway:
        answer["warning"] = NO_GATEWAY
    return json_of(answer, 201, {"etag": etag_of(row.version)})


def _command(body: CreateAgentBody) -> CreateAgent:
    named = spelled(body, AGENT_NAMES, frozenset())
    template = TEMPLATES.get(body.template) if isinstance(body.template, str) else None
    if template is None:
        config = {**body.config, **body.gateway_config}
    else:
        id = body.openclaw_id if isinstance(body.openclaw_id, str) else None
        config = overridden({**template.config(name=body.name, id=id), **body.config}, body.gateway_config)
        named.setdefault("role", template.theme)
    if "role" not in named:
        raise Unacceptable("Name and role are required")
    if body.provision_openclaw_workspace:
        raise Unacceptable(NO_WORKSPACES)
    try:
        return CreateAgent(**named | {"config": json_text(config)})
    except InvalidField as refusal:
        raise Unacceptable(VALIDATION, (f"config: {refusal.reason}",)) from None


async def _made_again(ports: Ports, principal: Principal, agent: UUID) -> WithToken:
    async with ports.unit(principal) as unit:
        return WithToken(await unit.agents.get(AgentId(agent)), None)


async def register(request: Request) -> Response:
    """
    Register an agent, and create it if its name is new.

    The key of a new agent is returned as `agent_token`, once.
    """
    made = await once(request, register_agent, _registration(await _loose_body(request)), _made_again)
    agent = made.agent
    answer: dict[str, Any] = {
        "agent": {
            "id": agent.number,
            "name": agent.name,
            "role": agent.role,
            "status": "idle",
            "created_at": seconds_of(agent.created_at),
            "version": agent.version,
        },
        "registered": made.new,
        "message": "Agent registered successfully" if made.new else "Agent already registered, status updated",
    }
    if made.token is not None:
        answer["agent_token"] = made.token
    return json_of(answer, 201 if made.new else 200, {"etag": etag_of(agent.version)})


async def _loose_body(request: Request) -> dict[str, Any]:
    with suppress(BodyMissing, BodyMalformed):
        body = await parsed_body_of(request)
        if isinstance(body, dict):
            return body
    raise Unacceptable("Request body required")


def _registration(body: Mapping[str, Any]) -> RegisterAgent:
    name, role = body.get("name"), body.get("role") or "agent"
    if not isinstance(name, str) or not SELF_NAME.fullmatch(name.strip()):
        raise Unacceptable(BAD_NAME)
    if role not in SELF_ROLES:
        raise Unacceptable(f"Invalid role. Use: {', '.join(SELF_ROLES)}")
    config: dict[str, Any] = {}
    if isinstance(body.get("capabilities"), list):
        config["capabilities"] = [each for each in body["capabilities"] if isinstance(each, str)]
    if isinstance(body.get("framework"), str) and body["framework"]:
        config["framework"] = body["framework"]
    try:
        return RegisterAgent(name=name.strip(), role=role, config=json_text(config))
    except InvalidField as refusal:
        raise Unacceptable(VALIDATION, (f"capabilities: {refusal.reason}",)) from None


async def get_agent(request: Request) -> Response:
    """
    Get an agent by number or name.
    """
    ports = ports_of(request)
    row = await readable_agent_row(request)
    return json_of({"agent": agent_of(row, at=ports.clock.now())}, headers={"etag": etag_of(row.version)})


ENDPOINTS = [
    Endpoint(
        "GET", "/agents", list_agents, query=AgentQuery, gives=AgentListPayload, who=VIEWER,
        operation_id="fleet_listAgents", tags=("Agents",),
    ),
    Endpoint(
        "POST", "/agents", add_agent, takes=CreateAgentBody, gives=MadeAgentPayload, status=201, who=OPERATOR,
        headers=(IDEMPOTENCY_KEY,), refuses=(AgentNameTaken, SessionKeyTaken, KeyReused),
        limits=("mutation",), operation_id="fleet_createAgent", tags=("Agents",),
    ),
    Endpoint(
        "POST", "/agents/register", register, takes=RegisterAgentBody, gives=RegistrationPayload, status=201,
        also={200: RegistrationPayload}, who=VIEWER, headers=(IDEMPOTENCY_KEY,),
        refuses=(AgentNameTaken, NotYourAgent, KeyReused), limits=("self-register",),
        operation_id="fleet_registerAgent", tags=("Agents",),
    ),
    Endpoint(
        "GET", "/agents/{id}", get_agent, gives=AgentAnswerPayload, who=VIEWER, refuses=(AgentNotFound, NotYourAgent),
        scope=SELF, operation_id="fleet_getAgent", tags=("Agents",),
    ),
]  # fmt: skip
