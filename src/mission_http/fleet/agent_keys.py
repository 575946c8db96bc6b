"""
Operations on the API keys of an agent.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.model import SCOPES, ApiKey, ApiKeyNotFound, Principal
from mission_core.agents.model import AgentNotFound
from mission_core.agents.use_cases import CreateKey, RevokeKey, create_key, revoke_key
from mission_core.errors import KeyReused
from mission_core.ids import AgentId, ApiKeyId, ApiKeyNumber
from mission_core.ports import Ports
from mission_core.values import MAX_INTEGER
from mission_http.fleet.access import ADMIN
from mission_http.fleet.bodies import MakeKeyBody, RevokeKeyBody
from mission_http.fleet.errors import InvalidRequest
from mission_http.fleet.path_parameters import strict_agent_in
from mission_http.fleet.payloads import (
    KeyholderPayload,
    KeyListPayload,
    KeyPayload,
    MadeKeyPayload,
    NewKeyPayload,
    RevokedKeyPayload,
)
from mission_http.fleet.wire import moment_of, unset_if_none
from mission_http.platform.bodies import object_body_of, parsed_body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, perform_once
from mission_http.platform.json_responses import json_response

DEFAULT_SCOPES: Final = ("viewer", "agent:self")
MAX_DAYS: Final = 3650
YEAR_9999: Final = 253_402_300_799
BAD_EXPIRY: Final = "expires_at must be a future unix timestamp"
BAD_DAYS: Final = "expires_in_days must be between 1 and 3650"


async def list_keys(request: Request) -> Response:
    """
    List the keys of an agent, newest first.
    """
    ports, principal = ports_of(request), principal_of(request)
    agent = await ports.reads.agents.get(principal, strict_agent_in(request))
    keys = await ports.reads.agents.keys(principal, AgentId(UUID(bytes=agent.id)))
    holder = KeyholderPayload(id=agent.number, name=agent.name)
    return json_response(KeyListPayload(agent=holder, keys=[KeyPayload.of(key) for key in keys]))


async def add_key(request: Request) -> Response:
    """
    Create a key for an agent.

    Its secret is returned as `api_key`, once.
    """
    agent = await ports_of(request).reads.agents.get(principal_of(request), strict_agent_in(request))
    command = _make_key_command(AgentId(UUID(bytes=agent.id)), await object_body_of(request))
    key, secret = await perform_once(request, create_key, command, _created_again)
    return json_response(MadeKeyPayload(key=NewKeyPayload.of(key), api_key=unset_if_none(secret)), 201)


async def _created_again(ports: Ports, principal: Principal, key: UUID) -> tuple[ApiKey, str | None]:
    async with ports.unit(principal) as unit:
        return await unit.keys.get(ApiKeyId(key)), None


def _make_key_command(agent: AgentId, body: Mapping[str, Any]) -> CreateKey:
    name = body.get("name", "default")
    if not isinstance(name, str) or not name.strip() or "\x00" in name:
        raise InvalidRequest("name is required")
    asked = body.get("scopes")
    scopes = tuple(dict.fromkeys(scope for scope in asked if scope in SCOPES)) if isinstance(asked, list) else ()
    until, days = body.get("expires_at"), body.get("expires_in_days")
    if until is not None and not (type(until) is int and 0 < until <= YEAR_9999):
        raise InvalidRequest(BAD_EXPIRY)
    if days is not None and (type(days) not in (int, float) or not 0 < days <= MAX_DAYS):
        raise InvalidRequest(BAD_DAYS)
    return CreateKey(
        agent=agent,
        name=name.strip()[:128],
        scopes=scopes or DEFAULT_SCOPES,
        expires_at=None if until is None else moment_of(until),
        lifetime=None if days is None else timedelta(days=days),
    )


async def end_key(request: Request) -> Response:
    """
    Revoke one of an agent's keys, with immediate effect.
    """
    body = await parsed_body_of(request)
    number = body.get("key_id") if isinstance(body, dict) else None
    if type(number) is not int or not 0 < number <= MAX_INTEGER:
        raise InvalidRequest("key_id must be a positive integer")
    command = RevokeKey(agent=strict_agent_in(request), key=ApiKeyNumber(number))
    key = await revoke_key(ports_of(request), principal_of(request), command)
    return json_response(RevokedKeyPayload.of(key))


ENDPOINTS = [
    Endpoint(
        "GET", "/agents/{id}/keys", list_keys, gives=KeyListPayload, who=ADMIN, refuses=(AgentNotFound,),
        operation_id="fleet_listAgentKeys",
    ),
    Endpoint(
        "POST", "/agents/{id}/keys", add_key, takes=MakeKeyBody, body_required=False, gives=MadeKeyPayload, status=201,
        who=ADMIN, headers=(IDEMPOTENCY_KEY,), refuses=(AgentNotFound, KeyReused), operation_id="fleet_createAgentKey",
    ),
    Endpoint(
        "DELETE", "/agents/{id}/keys", end_key, takes=RevokeKeyBody, gives=RevokedKeyPayload, who=ADMIN,
        refuses=(AgentNotFound, ApiKeyNotFound), operation_id="fleet_revokeAgentKey",
    ),
]  # fmt: skip
