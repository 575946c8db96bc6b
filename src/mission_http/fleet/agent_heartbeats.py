"""
Heartbeats of agents, which are answered with the agent's waiting tasks.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec
from attrs import evolve
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.key_scopes import HEARTBEAT
from mission_core.accounts.model import AgentPrincipal, KeyOfAnotherAgent, Principal
from mission_core.agents.model import IDLE, AgentNotFound
from mission_core.agents.use_cases import RecordAgentHeartbeat, record_agent_heartbeat, repeat_agent_change
from mission_core.conversations.notification_use_cases import unread_notifications
from mission_core.errors import Conflict, Denied, Invalid, KeyReused, NotFound
from mission_core.ids import ConnectionId
from mission_core.ports import Ports
from mission_core.projections import Projection
from mission_core.values import EMPTY_OBJECT
from mission_http.fleet.access import HEARTBEAT_OPERATOR, HEARTBEAT_VIEWER, agent_name_header_of
from mission_http.fleet.bodies import AgentHeartbeatBody
from mission_http.fleet.path_parameters import agent_in, own_agent_only, own_agent_row
from mission_http.fleet.payloads import (
    AgentHeartbeatPayload,
    NotificationItemPayload,
    OrderPayload,
    WorkItemPayload,
    WorkItemsPayload,
)
from mission_http.fleet.wire import seconds_of
from mission_http.platform.bodies import parsed_body_of, raw_body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.errors import BodyMalformed, FieldsInvalid
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, perform_once
from mission_http.platform.implicit_leases import renew_leases_for_request
from mission_http.platform.json_responses import json_response
from mission_http.platform.projections import projection_of
from mission_http.platform.value_parsers import UUID_TEXT

if TYPE_CHECKING:
    from mission_core.agents.model import Agent
    from mission_core.tasks.ports import BudgetReached
    from mission_core.tasks.queries import TaskRow

HEARTBEAT_ACTIVITY: Final = "Heartbeat check"
MAX_NOTIFICATIONS: Final = 5
MAX_TASKS: Final = 10
METADATA_KEYS: Final = {
    "implementation_repo": ("implementation_repo", "implementationRepo", "github_repo"),
    "code_location": ("code_location", "codeLocation", "path"),
}
"""Keys of a task's metadata that each field of a work item is read from, the first match counts."""


async def check_in(request: Request) -> Response:
    """
    Record a heartbeat of the agent, and return its waiting tasks and unread notifications.

    The notifications are not marked as read.
    """
    ports, principal, reached = ports_of(request), principal_of(request), None
    with own_agent_only(principal):
        if request.method == "HEAD":  # it changes nothing
            name = (await own_agent_row(request)).name
        else:
            name = (await record_agent_heartbeat(ports, principal, _heartbeat_command(request))).name
            reached = await _renew_leases_of(request, principal, name)
    work = await _work_items_for(ports, principal, name, at=ports.clock.now())
    await _add_notifications(ports, principal, name, work)
    work.order = _order_of(reached)
    return json_response(work)


async def report(request: Request) -> Response:
    """
    Record a heartbeat of the agent, and return its waiting tasks.

    The body is optional. Its `connection_id` names the agent's tool connection, whose heartbeat is recorded too. Its
    `token_usage` is recorded as with `POST /api/tokens`, in the session `<name>:cli`. If it is refused, the heartbeat
    counts all the same, and `token_error` says why. The usage is counted first: if a hard budget then has no room for
    the agent's work to go on, its leases are not renewed, and `order` says so.
    """
    ports, principal = ports_of(request), principal_of(request)
    try:
        with own_agent_only(principal):
            sign = _heartbeat_command(request, await _connection_in(request))
            agent = await perform_once(request, record_agent_heartbeat, sign, repeat_agent_change)
            recorded, error = await _record_usage_in(request, agent)
            reached = await _renew_leases_of(request, principal, agent.name, asks_budgets=recorded)
    except AgentNotFound as refusal:
        return json_response(AgentHeartbeatPayload(error=str(refusal), token_recorded=False))
    work = await _work_items_for(ports, principal, agent.name, at=ports.clock.now())
    work.token_recorded, work.token_error, work.order = recorded, error, _order_of(reached)
    return json_response(work)


async def _renew_leases_of(
    request: Request, principal: Principal, name: str, *, asks_budgets: bool = False
) -> BudgetReached | None:
    """
    Renew the implicit leases of the agent. Return the hard budget that keeps one from being renewed.
    """
    itself = isinstance(principal, AgentPrincipal) and principal.name == name
    agent = None if itself and agent_name_header_of(request) is None else name
    return await renew_leases_for_request(request, principal, agent=agent, asks_budgets=asks_budgets)


def _order_of(reached: BudgetReached | None) -> OrderPayload | UnsetType:
    return UNSET if reached is None else OrderPayload(id=None, kind="budget_reached", message=str(reached))


async def _record_usage_in(request: Request, agent: Agent) -> tuple[bool, str | UnsetType]:
    """
    Record the token usage in the body, if there is any, and return whether it was recorded, or why not.
    """
    if not await raw_body_of(request):
        return False, UNSET
    with suppress(BodyMalformed):
        body = await parsed_body_of(request)
        usage = body.get("token_usage") if isinstance(body, dict) else None
        if not isinstance(usage, dict) or not {"model", "inputTokens", "outputTokens"} <= usage.keys():
            return False, UNSET
        from mission_http.fleet.token_usage import record_usage_of_heartbeat  # few heartbeats carry usage

        try:
            await record_usage_of_heartbeat(request, agent, usage)
        except (FieldsInvalid, Invalid, NotFound, Denied, Conflict) as refusal:
            return False, str(refusal)
        return True, UNSET
    return False, UNSET


def _heartbeat_command(request: Request, connection: ConnectionId | None = None) -> RecordAgentHeartbeat:
    return RecordAgentHeartbeat(
        agent=agent_in(request), status=IDLE, activity=HEARTBEAT_ACTIVITY, connection=connection
    )


async def _connection_in(request: Request) -> ConnectionId | None:
    """
    Read the connection id from the body; None if the body is missing, malformed or has none.
    """
    if not await raw_body_of(request):
        return None
    with suppress(BodyMalformed, FieldsInvalid):
        body = await parsed_body_of(request)
        named = body.get("connection_id") if isinstance(body, dict) else None
        if isinstance(named, str) and UUID_TEXT.fullmatch(named):
            return ConnectionId(UUID(named))
    return None


async def _work_items_for(ports: Ports, principal: Principal, name: str, *, at: datetime) -> AgentHeartbeatPayload:
    rows = await ports.reads.tasks.open_of_assignee(principal, name, limit=MAX_TASKS, shown=_shown_work_item())
    found = AgentHeartbeatPayload(status="HEARTBEAT_OK", agent=name, checked_at=seconds_of(at))
    if not rows:
        found.message = "No work items found"
        return found
    items = WorkItemsPayload(type="assigned_tasks", count=len(rows), items=rows)
    found.status, found.work_items, found.total_items = "WORK_ITEMS_FOUND", [items], len(rows)
    return found


async def _add_notifications(ports: Ports, principal: Principal, name: str, work: AgentHeartbeatPayload) -> None:
    """
    Add the agent's newest unread notifications to its work items.
    """
    found = await unread_notifications(ports, principal, name, limit=MAX_NOTIFICATIONS)
    if not found.total:
        return
    shown = [
        NotificationItemPayload(
            id=each.number, type=each.type, title=each.title, message=each.message,
            created_at=seconds_of(each.created_at),
        )
        for each in found.rows
    ]  # fmt: skip
    items = WorkItemsPayload(type="notifications", count=found.total, items=shown)
    before = [] if isinstance(work.work_items, UnsetType) else work.work_items
    work.status, work.message, work.work_items = "WORK_ITEMS_FOUND", UNSET, [*before, items]
    work.total_items = sum(each.count for each in work.work_items)


def _work_item(row: TaskRow) -> WorkItemPayload:
    item = WorkItemPayload.of(row)
    if row.metadata == EMPTY_OBJECT:
        return item
    metadata = msgspec.json.decode(row.metadata)
    for shown, keys in METADATA_KEYS.items():
        texts = (metadata.get(key) for key in keys)
        setattr(item, shown, next((text for text in texts if isinstance(text, str) and text.strip()), UNSET))
    return item


@cache
def _shown_work_item() -> Projection:
    shown = projection_of(WorkItemPayload)
    assert shown.fields is not None
    return evolve(shown, render=_work_item, fields=shown.fields | {"metadata"}, members=())


ENDPOINTS = [
    Endpoint(
        "GET", "/agents/{id}/heartbeat", check_in, gives=AgentHeartbeatPayload, who=HEARTBEAT_VIEWER, changes=True,
        refuses=(AgentNotFound, KeyOfAnotherAgent), scope=HEARTBEAT, operation_id="fleet_getAgentHeartbeat",
    ),
    Endpoint(
        "POST", "/agents/{id}/heartbeat", report, takes=AgentHeartbeatBody, body_required=False,
        gives=AgentHeartbeatPayload, who=HEARTBEAT_OPERATOR, headers=(IDEMPOTENCY_KEY,),
        refuses=(KeyOfAnotherAgent, KeyReused),
        limits=("agent-heartbeat",), scope=HEARTBEAT, operation_id="fleet_triggerAgentHeartbeat",
    ),
]  # fmt: skip
