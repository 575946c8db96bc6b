"""
Diagnostics report of one agent: its tasks, errors, activity and trends.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.key_scopes import DIAGNOSTICS
from mission_core.agents.model import AgentNotFound
from mission_core.reports import agent_activity
from mission_core.reports.agent_activity import (
    AGENT_FAILURE_KINDS,
    ActivityEntry,
    ActivityPeriod,
    AgentTasks,
    HourlyEventCount,
)
from mission_core.values import EPOCH
from mission_http.fleet.access import VIEWER
from mission_http.fleet.activities import activity_type_of
from mission_http.fleet.agent_activity import (
    ActivityAccessDenied,
    AgentTimeframe,
    QueryErrorTexts,
    agent_with_access,
    event_payload,
    hours_of,
    sections_of,
)
from mission_http.fleet.agent_activity_payloads import AgentActivityQuery, DiagnosticsPayload
from mission_http.fleet.attribution import NO_TOKENS
from mission_http.fleet.wire import MICROSECONDS_PER_SECOND, iso_of, seconds_of, shown_status
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.json_responses import json_response
from mission_http.platform.query_strings import query_of

REFUSAL: Final = "Diagnostics are self-scoped. Use privileged=1 with admin role for cross-agent access."
QUERY_ERRORS: Final = QueryErrorTexts(
    "hours must be an integer between 1 and 720",
    "hours must be between 1 and 720",
    "section must include at least one valid value",
)
MOST_RECENT, MOST_ERRORS = 10, 20
HOUR: Final = timedelta(hours=1)


@frozen
class DiagnosticsData:
    """
    The data of a report: an agent's tasks, events and errors in the timeframe and in the one before.
    """

    timeframe: AgentTimeframe
    amounts: list[HourlyEventCount]
    work: AgentTasks
    errors: list[ActivityEntry]


async def diagnose(request: Request) -> Response:
    """
    Report on an agent's tasks, errors and activity, to the agent itself and to admins with `privileged=1`.

    Errors are the runs that the agent reported as failed. Token usage is not recorded yet and always empty.
    """
    query = query_of(request, AgentActivityQuery)
    agent, privileged = await agent_with_access(request, privileged=query.privileged == "1", refusal=REFUSAL)
    hours = hours_of(query.hours, QUERY_ERRORS)
    sections = sections_of(query.section, tuple(SECTIONS), QUERY_ERRORS)
    ports, principal = ports_of(request), principal_of(request)
    look = AgentTimeframe(agent=agent, privileged=privileged, hours=hours, until=ports.clock.now())
    reads, before = ports.reads.agent_activity, look.since - timedelta(hours=hours)
    found = DiagnosticsData(
        look,
        await reads.event_counts(principal, look.id, since=before, split=look.since),
        await reads.work(principal, agent.name, since=before, split=look.since, latest=MOST_RECENT),
        await reads.entries_by(principal, look.id, since=look.since, kinds=AGENT_FAILURE_KINDS, limit=MOST_ERRORS),
    )
    told: dict[str, Any] = {
        "agent": {
            "id": agent.number,
            "name": agent.name,
            "role": agent.role,
            "status": shown_status(agent, at=look.until),
        },
        "timeframe": look.timeframe,
    }
    return json_response(told | {name: tell(found) for name, tell in SECTIONS.items() if name in sections})


def _summary(found: DiagnosticsData) -> dict[str, Any]:
    kinds = agent_activity.events_by_kind(found.amounts)
    activities, errors = sum(kinds.values()), agent_activity.failure_count(kinds)
    return {
        "tasks_completed": found.work.after,
        "tasks_total": sum(cell.amount for cell in found.work.status_counts),
        "activity_count": activities,
        "error_count": errors,
        "error_rate_percent": round(errors / activities * 100, 2) if activities else 0.0,
    }


def _tasks(found: DiagnosticsData) -> dict[str, Any]:
    by_status: Counter[str] = Counter()
    by_priority: Counter[str] = Counter()
    for cell in found.work.status_counts:
        by_status[cell.status] += cell.amount
        by_priority[cell.priority] += cell.amount
    return {
        "by_status": by_status,
        "by_priority": by_priority,
        "recent_completed": [
            {"id": task.number, "title": task.title, "priority": task.priority,
            "updated_at": task.updated_at // MICROSECONDS_PER_SECOND}
            for task in found.work.latest
        ],
        "throughput_per_day": agent_activity.tasks_per_day(found.work.after, hours=found.timeframe.hours),
    }


def _errors(found: DiagnosticsData) -> dict[str, Any]:
    kinds = agent_activity.events_by_kind(found.amounts)
    failed = Counter({kind: kinds[kind] for kind in AGENT_FAILURE_KINDS if kinds[kind]})
    return {
        "by_type": _by_type(failed),
        "total": sum(failed.values()),
        "recent": [event_payload(entry) for entry in found.errors],
    }


def _activity(found: DiagnosticsData) -> dict[str, Any]:
    moments = ((EPOCH + hour * HOUR, count) for hour, count in agent_activity.events_by_hour(found.amounts))
    return {
        "by_type": _by_type(agent_activity.events_by_kind(found.amounts)),
        "timeline": [{"timestamp": seconds_of(at), "hour": iso_of(at), "count": count} for at, count in moments],
    }


def _by_type(kinds: Counter[str]) -> list[dict[str, Any]]:
    types: Counter[str] = Counter()
    for kind, amount in sorted(kinds.items()):
        types[activity_type_of(kind)] += amount
    return [{"type": type, "count": count} for type, count in types.most_common()]


def _trends(found: DiagnosticsData) -> dict[str, Any]:
    current, previous = agent_activity.compared_periods(found.amounts, found.work, hours=found.timeframe.hours,
    until=found.timeframe.until)
    measured = ("activities", "errors", "tasks_completed")
    return {
        "current_period": _period(current),
        "previous_period": _period(previous),
        "change": {
            f"{name}_pct": agent_activity.percent_change(getattr(current, name),
            getattr(previous, name)) for name in measured
        },
        "alerts": [alert._asdict() for alert in agent_activity.activity_alerts(current, previous)],
    }


def _period(period: ActivityPeriod) -> dict[str, int]:
    return {
        "since": seconds_of(period.since),
        "until": seconds_of(period.until),
        "activities": period.activities,
        "errors": period.errors,
        "tasks_completed": period.tasks_completed,
    }


def _tokens(found: DiagnosticsData) -> dict[str, Any]:
    return {"by_model": [], "total": NO_TOKENS}


SECTIONS: Final[Mapping[str, Callable[[DiagnosticsData], dict[str, Any]]]] = {
    "summary": _summary,
    "tasks": _tasks,
    "errors": _errors,
    "activity": _activity,
    "trends": _trends,
    "tokens": _tokens,
}
ENDPOINTS = [
    Endpoint(
        "GET", "/agents/{id}/diagnostics", diagnose, query=AgentActivityQuery, gives=DiagnosticsPayload, who=VIEWER,
        refuses=(AgentNotFound, ActivityAccessDenied), scope=DIAGNOSTICS, operation_id="fleet_getAgentDiagnostics",
        tags=("Agents",),
    ),
]  # fmt: skip
