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

from mission_core.accounts.scopes import DIAGNOSTICS
from mission_core.agents.model import AgentNotFound
from mission_core.reports import conduct
from mission_core.reports.conduct import FAILED, Amount, Deed, Period, Work
from mission_core.values import EPOCH
from mission_http.fleet.access import VIEWER
from mission_http.fleet.activities import type_of
from mission_http.fleet.attribution import NO_TOKENS
from mission_http.fleet.conduct_payloads import ConductQuery, DiagnosticsPayload
from mission_http.fleet.looking_back import Look, Mistakes, NotYourBusiness, event_of, hours_of, looked_at, sections_of
from mission_http.fleet.wire import SECOND, iso_of, seconds_of, shown_status
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.json import json_of
from mission_http.platform.queries import query_of

REFUSAL: Final = "Diagnostics are self-scoped. Use privileged=1 with admin role for cross-agent access."
MISTAKES: Final = Mistakes(
    "hours must be an integer between 1 and 720",
    "hours must be between 1 and 720",
    "section must include at least one valid value",
)
MOST_RECENT, MOST_ERRORS = 10, 20
HOUR: Final = timedelta(hours=1)


@frozen
class Findings:
    """
    The data of a report: an agent's tasks, events and errors in the timeframe and in the one before.
    """

    look: Look
    amounts: list[Amount]
    work: Work
    errors: list[Deed]


async def diagnose(request: Request) -> Response:
    """
    Report on an agent's tasks, errors and activity, to the agent itself and to admins with `privileged=1`.

    Errors are the runs that the agent reported as failed. Token usage is not recorded yet and always empty.
    """
    query = query_of(request, ConductQuery)
    agent, privileged = await looked_at(request, privileged=query.privileged == "1", refusal=REFUSAL)
    hours = hours_of(query.hours, MISTAKES)
    sections = sections_of(query.section, tuple(SECTIONS), MISTAKES)
    ports, principal = ports_of(request), principal_of(request)
    look = Look(agent=agent, privileged=privileged, hours=hours, until=ports.clock.now())
    reads, before = ports.reads.conduct, look.since - timedelta(hours=hours)
    found = Findings(
        look,
        await reads.amounts(principal, look.id, since=before, split=look.since),
        await reads.work(principal, agent.name, since=before, split=look.since, latest=MOST_RECENT),
        await reads.deeds(principal, look.id, since=look.since, kinds=FAILED, limit=MOST_ERRORS),
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
    return json_of(told | {name: tell(found) for name, tell in SECTIONS.items() if name in sections})


def _summary(found: Findings) -> dict[str, Any]:
    kinds = conduct.counted(found.amounts)
    activities, errors = sum(kinds.values()), conduct.errors_in(kinds)
    return {
        "tasks_completed": found.work.after,
        "tasks_total": sum(cell.amount for cell in found.work.standing),
        "activity_count": activities,
        "error_count": errors,
        "error_rate_percent": round(errors / activities * 100, 2) if activities else 0.0,
    }


def _tasks(found: Findings) -> dict[str, Any]:
    by_status: Counter[str] = Counter()
    by_priority: Counter[str] = Counter()
    for cell in found.work.standing:
        by_status[cell.status] += cell.amount
        by_priority[cell.priority] += cell.amount
    return {
        "by_status": by_status,
        "by_priority": by_priority,
        "recent_completed": [
            {"id": task.number, "title": task.title, "priority": task.priority, "updated_at": task.updated_at // SECOND}
            for task in found.work.latest
        ],
        "throughput_per_day": conduct.throughput(found.work.after, hours=found.look.hours),
    }


def _errors(found: Findings) -> dict[str, Any]:
    kinds = conduct.counted(found.amounts)
    failed = Counter({kind: kinds[kind] for kind in FAILED if kinds[kind]})
    return {
        "by_type": _by_type(failed),
        "total": sum(failed.values()),
        "recent": [event_of(deed) for deed in found.errors],
    }


def _activity(found: Findings) -> dict[str, Any]:
    moments = ((EPOCH + hour * HOUR, count) for hour, count in conduct.timeline(found.amounts))
    return {
        "by_type": _by_type(conduct.counted(found.amounts)),
        "timeline": [{"timestamp": seconds_of(at), "hour": iso_of(at), "count": count} for at, count in moments],
    }


def _by_type(kinds: Counter[str]) -> list[dict[str, Any]]:
    types: Counter[str] = Counter()
    for kind, amount in sorted(kinds.items()):
        types[type_of(kind)] += amount
    return [{"type": type, "count": count} for type, count in types.most_common()]


def _trends(found: Findings) -> dict[str, Any]:
    current, previous = conduct.periods(found.amounts, found.work, hours=found.look.hours, until=found.look.until)
    measured = ("activities", "errors", "tasks_completed")
    return {
        "current_period": _period(current),
        "previous_period": _period(previous),
        "change": {
            f"{name}_pct": conduct.change(getattr(current, name), getattr(previous, name)) for name in measured
        },
        "alerts": [alert._asdict() for alert in conduct.alerts(current, previous)],
    }


def _period(period: Period) -> dict[str, int]:
    return {
        "since": seconds_of(period.since),
        "until": seconds_of(period.until),
        "activities": period.activities,
        "errors": period.errors,
        "tasks_completed": period.tasks_completed,
    }


def _tokens(found: Findings) -> dict[str, Any]:
    return {"by_model": [], "total": NO_TOKENS}


SECTIONS: Final[Mapping[str, Callable[[Findings], dict[str, Any]]]] = {
    "summary": _summary,
    "tasks": _tasks,
    "errors": _errors,
    "activity": _activity,
    "trends": _trends,
    "tokens": _tokens,
}
ENDPOINTS = [
    Endpoint(
        "GET", "/agents/{id}/diagnostics", diagnose, query=ConductQuery, gives=DiagnosticsPayload, who=VIEWER,
        refuses=(AgentNotFound, NotYourBusiness), scope=DIAGNOSTICS, operation_id="fleet_getAgentDiagnostics",
        tags=("Agents",),
    ),
]  # fmt: skip
