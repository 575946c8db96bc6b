"""
Attribution report of one agent: its identity, activities, changes and cost.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.key_scopes import ATTRIBUTION
from mission_core.accounts.model import Principal
from mission_core.agents.model import AgentNotFound
from mission_core.ports import Ports
from mission_core.reports.agent_activity import AGENT_CREATED_KIND, ActivityEntry, events_by_kind
from mission_core.tasks.model import Status
from mission_core.values import EPOCH, name_key
from mission_http.fleet.access import VIEWER
from mission_http.fleet.activities import ACTIVITY_WORDINGS, activity_type_of
from mission_http.fleet.agent_activity import (
    ActivityAccessDenied,
    AgentTimeframe,
    QueryErrorTexts,
    activity_payload,
    agent_with_access,
    event_payload,
    hours_of,
    sections_of,
)
from mission_http.fleet.agent_activity_payloads import AgentActivityQuery, AttributionPayload
from mission_http.fleet.wire import MICROSECONDS_PER_SECOND, raw_json, seconds_or_none, shown_status
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.json_responses import json_response
from mission_http.platform.query_strings import query_of

SECTIONS: Final = ("identity", "audit", "mutations", "cost")
REFUSAL: Final = "Forbidden: attribution is self-scope by default. Admin can use ?privileged=1 override."
BAD_HOURS: Final = "Invalid hours. Expected integer 1..720."
QUERY_ERRORS: Final = QueryErrorTexts(
    BAD_HOURS, BAD_HOURS, f"Invalid section. Expected one or more of {','.join(SECTIONS)}."
)
MOST_ACTIVITIES, MOST_AUDITED, MOST_MUTATIONS, MOST_COMMENTS, MOST_CHANGES = 200, 100, 100, 50, 50
PREVIEW: Final = 100
ACTIVE: Final = (Status.ASSIGNED, Status.IN_PROGRESS)
MUTATING: Final = tuple(
    kind for kind,
    worded in ACTIVITY_WORDINGS.items() if worded.type in ("task_created", "task_updated", "task_assigned")
)
NO_TOKENS: Final = {"input_tokens": 0, "output_tokens": 0, "requests": 0}


async def attribute(request: Request) -> Response:
    """
    Report what an agent did, to the agent itself and to admins with `privileged=1`.

    Token costs are not recorded yet and always empty.
    """
    query = query_of(request, AgentActivityQuery)
    agent, privileged = await agent_with_access(request, privileged=query.privileged == "1", refusal=REFUSAL)
    ports, principal = ports_of(request), principal_of(request)
    hours = hours_of(query.hours, QUERY_ERRORS)
    sections = sections_of(query.section, SECTIONS, QUERY_ERRORS)
    look = AgentTimeframe(agent=agent, privileged=privileged, hours=hours, until=ports.clock.now())
    told: dict[str, Any] = {
        "agent_name": agent.name,
        "timeframe": look.timeframe,
        "access_scope": "privileged" if privileged else "self",
    }
    if "identity" in sections:
        told["identity"] = await _identity(ports, principal, look)
    if "audit" in sections:
        told["audit"] = await _audit(ports, principal, look)
    if "mutations" in sections:
        told["mutations"] = await _mutations(ports, principal, look)
    if "cost" in sections:
        told["cost"] = {"by_model": [], "total": NO_TOKENS, "daily_trend": []}
    return json_response(told)


async def _identity(ports: Ports, principal: Principal, look: AgentTimeframe) -> dict[str, Any]:
    row, key = look.agent, name_key(look.agent.name)
    counts = await ports.reads.tasks.count_by_status(principal, (key,))
    _, comments = await ports.reads.agent_activity.said(principal, look.id, since=look.until, limit=1)
    return {
        "id": row.number,
        "name": row.name,
        "role": row.role,
        "status": shown_status(row, at=look.until),
        "last_seen": seconds_or_none(row.last_seen_at),
        "last_activity": row.activity,
        "created_at": row.created_at // MICROSECONDS_PER_SECOND,
        "session_key": "***" if row.session_key else None,
        "has_soul": bool(row.soul),
        "config_keys": list(msgspec.json.decode(row.config)),
        "lifetime_stats": {
            "tasks_total": sum(counts.values()),
            "tasks_completed": counts.get((key, Status.DONE.value), 0),
            "tasks_active": sum(counts.get((key, status.value), 0) for status in ACTIVE),
            "comments_authored": comments,
        },
    }


async def _audit(ports: Ports, principal: Principal, look: AgentTimeframe) -> dict[str, Any]:
    amounts = await ports.reads.agent_activity.event_counts(principal, look.id, since=look.since, split=EPOCH)
    entries = await ports.reads.agent_activity.entries_by(principal, look.id, since=look.since, limit=MOST_ACTIVITIES)
    by_type: dict[str, int] = {}
    for kind, amount in sorted(events_by_kind(amounts).items()):
        by_type[activity_type_of(kind)] = by_type.get(activity_type_of(kind), 0) + amount
    registered = await ports.reads.agent_activity.entries_by(
        principal, look.id, since=look.since, kinds=(AGENT_CREATED_KIND,), limit=MOST_AUDITED
    )
    return {
        "total_activities": sum(by_type.values()),
        "by_type": by_type,
        "activities": [activity_payload(entry) for entry in entries],
        "audit_log_entries": [_audit_entry(entry, look.agent.name) for entry in registered],
    }


def _audit_entry(entry: ActivityEntry, name: str) -> dict[str, Any]:
    return {
        "id": entry.position,
        "action": "agent_self_register",
        "actor": name,
        "detail": raw_json(entry.payload),
        "created_at": entry.at // MICROSECONDS_PER_SECOND,
    }


async def _mutations(ports: Ports, principal: Principal, look: AgentTimeframe) -> dict[str, Any]:
    reads, since = ports.reads.agent_activity, look.since
    entries = await reads.entries_by(principal, look.id, since=since, kinds=MUTATING, limit=MOST_MUTATIONS)
    said, _ = await reads.said(principal, look.id, since=since, limit=MOST_COMMENTS)
    changes = await reads.entries_about(principal, look.id, since=since, limit=MOST_CHANGES)
    comments = [
        {
            "id": each.number,
            "task_id": each.task,
            "content": each.content,
            "created_at": each.created_at // MICROSECONDS_PER_SECOND,
            "mentions": raw_json(each.mentions),
            "task_title": each.title,
            "content_preview": each.content[:PREVIEW],
        }
        for each in said
    ]
    return {
        "task_mutations": [activity_payload(entry) for entry in entries],
        "comments": comments,
        "status_changes": [event_payload(entry) for entry in changes],
        "summary": {
            "task_mutations_count": len(entries),
            "comments_count": len(comments),
            "status_changes_count": len(changes),
        },
    }


ENDPOINTS = [
    Endpoint(
        "GET", "/agents/{id}/attribution", attribute, query=AgentActivityQuery, gives=AttributionPayload, who=VIEWER,
        refuses=(AgentNotFound, ActivityAccessDenied), scope=ATTRIBUTION, operation_id="fleet_getAgentAttribution",
        tags=("Agents",),
    ),
]  # fmt: skip
