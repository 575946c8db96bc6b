"""
The audit log of the Fleet API: the entries of the event log about sign-ins, people, keys, settings and exports.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.model import SystemPrincipal
from mission_core.accounts.users import USERS
from mission_core.reports.activity_feed import FeedFilter, FeedRow
from mission_core.values import PageRequest
from mission_http.fleet.access import ADMIN
from mission_http.fleet.activity_list import positions_between
from mission_http.fleet.wire import WORKSPACE_NUMBER
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.field_annotations import NumberRange, Query
from mission_http.platform.json_responses import json_response
from mission_http.platform.query_strings import query_of
from mission_http.platform.shapes import Payload

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.ports import Ports

MOST_EVENTS: Final = 10_000


class AuditAction(NamedTuple):
    """
    The action that an event of one kind is shown as, and the type of its target.
    """

    name: str
    target: str


AUDIT_ACTIONS: Final = {
    "access.asked": AuditAction("google_login_pending_approval", "access_request"),
    "access.given": AuditAction("access_request_approved", "access_request"),
    "access.refused": AuditAction("access_request_rejected", "access_request"),
    "data.exported": AuditAction("data_export", "export"),
    "organization.dissolved": AuditAction("workspace_deleted", "workspace"),
    "organization.founded": AuditAction("workspace_created", "workspace"),
    "organization.updated": AuditAction("workspace_updated", "workspace"),
    "server_key.rotated": AuditAction("api_key_rotated", "api_key"),
    "settings.changed": AuditAction("settings_update", "setting"),
    "settings.reset": AuditAction("settings_reset", "setting"),
    "user.created": AuditAction("user_create", "user"),
    "user.deleted": AuditAction("user_delete", "user"),
    "user.password_changed": AuditAction("password_change", "user"),
    "user.sign_in_failed": AuditAction("login_failed", "user"),
    "user.signed_in": AuditAction("login", "user"),
    "user.signed_out": AuditAction("logout", "user"),
    "user.updated": AuditAction("user_update", "user"),
}


class AuditEventPayload(Payload):
    id: int
    action: str
    actor: str
    actor_id: int | None
    target_type: str
    target_id: int | None
    detail: dict[str, Any] | None
    ip_address: str | None
    user_agent: str | None
    workspace_id: int
    created_at: int


class AuditLogPayload(Payload):
    events: list[AuditEventPayload]
    total: int
    limit: int
    offset: int


class AuditLogQuery(Query):
    action: str | None = None
    actor: str | None = None
    since: Annotated[int | None, NumberRange(0)] = None
    until: Annotated[int | None, NumberRange(0)] = None
    limit: Annotated[int, NumberRange(0)] = 1000
    offset: Annotated[int, NumberRange(0)] = 0
    after: Annotated[int | None, NumberRange(0)] = None


async def list_audit_events(request: Request) -> Response:
    """
    List the audit log, newest first.

    A sign-in with Google has the action `login`, with `google` as `how` in its detail.
    """
    query, ports, principal = query_of(request, AuditLogQuery), ports_of(request), principal_of(request)
    beyond, through = await positions_between(ports, principal, query.since, query.until)
    kinds = tuple(kind for kind, action in AUDIT_ACTIONS.items() if query.action in (None, "", action.name))
    wanted = FeedFilter(
        kinds=kinds if query.action else None, actor=query.actor or None, beyond=beyond, through=through, audited=True
    )
    page = PageRequest(limit=min(query.limit, MOST_EVENTS), offset=query.offset, after=query.after)
    found = await ports.reads.activity_feed.page(principal, wanted, page)
    events = await audit_events_of(ports, principal, found.rows)
    return json_response(AuditLogPayload(events=events, total=found.total, limit=page.limit, offset=page.offset))


async def audit_events_of(ports: Ports, principal: Principal, rows: Sequence[FeedRow]) -> list[AuditEventPayload]:
    """
    Render entries of the log as events of the audit log.
    """
    people = {row.actor_id for row in rows if row.actor_kind == "user" and row.actor_id}
    people |= {row.subject for row in rows if AUDIT_ACTIONS[row.kind].target == "user"}
    numbers = await _numbers_of_users(ports, principal, people)
    return [_audit_event(row, numbers) for row in rows]


async def _numbers_of_users(ports: Ports, principal: Principal, ids: Collection[bytes]) -> dict[bytes, int]:
    everyone = SystemPrincipal(organization=principal.organization)
    users = await ports.reads.entities.several(everyone, USERS, {UUID(bytes=id) for id in ids}) if ids else ()
    return {user.id.bytes: user.number for user in users}


def _audit_event(row: FeedRow, numbers: dict[bytes, int]) -> AuditEventPayload:
    action = AUDIT_ACTIONS[row.kind]
    detail: dict[str, Any] | None = None if row.payload is None else msgspec.json.decode(row.payload)
    told = detail or {}
    address, agent = told.pop("ip_address", None), told.pop("user_agent", None)
    return AuditEventPayload(
        id=row.position, action=action.name, actor=row.actor_name,
        actor_id=numbers.get(row.actor_id) if row.actor_id else None,
        target_type=action.target, target_id=numbers.get(row.subject, told.get("number")),
        detail=detail, ip_address=address, user_agent=agent,
        workspace_id=WORKSPACE_NUMBER, created_at=row.at // 1_000_000,
    )  # fmt: skip


ENDPOINTS = [
    Endpoint(
        "GET", "/audit", list_audit_events, query=AuditLogQuery, gives=AuditLogPayload, who=ADMIN,
        tags=("Activities",), operation_id="fleet_listAuditEvents",
    ),
]  # fmt: skip
