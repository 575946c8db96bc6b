"""
Diagnostics report of one agent: its tasks, errors, activity and trends.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Annotated, Any, Final, Literal

from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.key_scopes import DIAGNOSTICS
from mission_core.agents.model import AgentNotFound
from mission_core.agents.queries import AgentRow
from mission_core.lazy_attrs import frozen
from mission_core.reports import agent_activity
from mission_core.reports.agent_activity import (
    AGENT_FAILURE_KINDS,
    ActivityAlert,
    ActivityEntry,
    ActivityPeriod,
    AgentDoneTask,
    AgentTasks,
    HourlyEventCount,
)
from mission_core.usage.queries import UsageSum, sum_of
from mission_core.values import EPOCH
from mission_http.fleet.access import VIEWER
from mission_http.fleet.agent_activity import (
    ActivityAccessDenied,
    AgentActivityQuery,
    AgentTimeframe,
    EventPayload,
    ModelTokensPayload,
    QueryErrorTexts,
    TimeframePayload,
    TokenTotalPayload,
    events_by_type,
    requested_timeframe,
    token_sums,
    token_total,
    tokens_by_model,
)
from mission_http.fleet.wire import FleetPayload, UnixSeconds, iso_of, seconds_of, shown_status
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.json_responses import json_response
from mission_http.platform.shapes import Computed, Of, Payload

ERRORS: Final = QueryErrorTexts(
    denied="Diagnostics are self-scoped. Use privileged=1 with admin role for cross-agent access.",
    hours_malformed="hours must be an integer between 1 and 720",
    hours_out_of_range="hours must be between 1 and 720",
    section_missing="section must include at least one valid value",
)
MOST_RECENT, MOST_ERRORS = 10, 20
HOUR: Final = timedelta(hours=1)


class DiagnosedAgentPayload(FleetPayload[AgentRow]):
    id: Annotated[int, Of("number")]
    name: str
    role: str
    status: Annotated[str, Computed(shown_status)]


class DiagnosticSummaryPayload(Payload):
    tasks_completed: int
    tasks_total: int
    activity_count: int
    error_count: int
    error_rate_percent: float


class CompletedTaskPayload(FleetPayload[AgentDoneTask]):
    id: Annotated[int, Of("number")]
    title: str
    priority: str
    updated_at: UnixSeconds


class DiagnosticTasksPayload(Payload):
    by_status: dict[str, int]
    by_priority: dict[str, int]
    recent_completed: list[CompletedTaskPayload]
    throughput_per_day: float


class TypeCountPayload(Payload):
    type: str
    count: int


class DiagnosticErrorsPayload(Payload):
    by_type: list[TypeCountPayload]
    total: int
    recent: list[EventPayload]


class HourPayload(Payload):
    timestamp: int
    hour: str
    count: int


class DiagnosticActivityPayload(Payload):
    by_type: list[TypeCountPayload]
    timeline: list[HourPayload]


class PeriodPayload(FleetPayload[ActivityPeriod]):
    since: UnixSeconds
    until: UnixSeconds
    activities: int
    errors: int
    tasks_completed: int


class ChangePayload(Payload):
    activities_pct: float
    errors_pct: float
    tasks_completed_pct: float


class TrendAlertPayload(FleetPayload[ActivityAlert]):
    level: Literal["info", "warning"]
    message: str


class TrendsPayload(Payload):
    current_period: PeriodPayload
    previous_period: PeriodPayload
    change: ChangePayload
    alerts: list[TrendAlertPayload]


class TokensPayload(Payload):
    by_model: list[ModelTokensPayload]
    total: TokenTotalPayload


class DiagnosticsPayload(Payload):
    agent: DiagnosedAgentPayload
    timeframe: TimeframePayload
    summary: DiagnosticSummaryPayload | UnsetType = UNSET
    tasks: DiagnosticTasksPayload | UnsetType = UNSET
    errors: DiagnosticErrorsPayload | UnsetType = UNSET
    activity: DiagnosticActivityPayload | UnsetType = UNSET
    trends: TrendsPayload | UnsetType = UNSET
    tokens: TokensPayload | UnsetType = UNSET


@frozen
class DiagnosticsData:
    """
    The data of a report: an agent's tasks, events and errors in the timeframe and in the one before.
    """

    timeframe: AgentTimeframe
    amounts: list[HourlyEventCount]
    work: AgentTasks
    errors: list[ActivityEntry]
    tokens: list[UsageSum]


async def diagnose(request: Request) -> Response:
    """
    Report on an agent's tasks, errors and activity, to the agent itself and to admins with `privileged=1`.

    Errors are the runs that the agent reported as failed. Tokens count from the hour in which the time begins.
    """
    look, sections = await requested_timeframe(request, tuple(SECTIONS), ERRORS)
    ports, principal = ports_of(request), principal_of(request)
    reads, before = ports.reads.agent_activity, look.since - timedelta(hours=look.hours)
    found = DiagnosticsData(
        look,
        await reads.event_counts(principal, look.id, since=before, split=look.since),
        await reads.work(principal, look.agent.name, since=before, split=look.since, latest=MOST_RECENT),
        await reads.entries_by(principal, look.id, since=look.since, kinds=AGENT_FAILURE_KINDS, limit=MOST_ERRORS),
        await token_sums(ports, principal, look) if "tokens" in sections else [],
    )
    return json_response(
        DiagnosticsPayload(
            agent=DiagnosedAgentPayload.of(look.agent, at=look.until),
            timeframe=TimeframePayload.of(look),
            **{name: section(found) for name, section in SECTIONS.items() if name in sections},
        )
    )


def _summary(found: DiagnosticsData) -> DiagnosticSummaryPayload:
    kinds = agent_activity.events_by_kind(found.amounts)
    activities, errors = sum(kinds.values()), agent_activity.failure_count(kinds)
    return DiagnosticSummaryPayload(
        tasks_completed=found.work.after,
        tasks_total=sum(cell.amount for cell in found.work.status_counts),
        activity_count=activities,
        error_count=errors,
        error_rate_percent=round(errors / activities * 100, 2) if activities else 0.0,
    )


def _tasks(found: DiagnosticsData) -> DiagnosticTasksPayload:
    by_status: Counter[str] = Counter()
    by_priority: Counter[str] = Counter()
    for cell in found.work.status_counts:
        by_status[cell.status] += cell.amount
        by_priority[cell.priority] += cell.amount
    return DiagnosticTasksPayload(
        by_status=by_status,
        by_priority=by_priority,
        recent_completed=[CompletedTaskPayload.of(task) for task in found.work.latest],
        throughput_per_day=agent_activity.tasks_per_day(found.work.after, hours=found.timeframe.hours),
    )


def _errors(found: DiagnosticsData) -> DiagnosticErrorsPayload:
    kinds = agent_activity.events_by_kind(found.amounts)
    failed = Counter({kind: kinds[kind] for kind in AGENT_FAILURE_KINDS if kinds[kind]})
    return DiagnosticErrorsPayload(
        by_type=_by_type(failed), total=failed.total(), recent=[EventPayload.of(entry) for entry in found.errors]
    )


def _activity(found: DiagnosticsData) -> DiagnosticActivityPayload:
    moments = ((EPOCH + hour * HOUR, count) for hour, count in agent_activity.events_by_hour(found.amounts))
    return DiagnosticActivityPayload(
        by_type=_by_type(agent_activity.events_by_kind(found.amounts)),
        timeline=[HourPayload(timestamp=seconds_of(at), hour=iso_of(at), count=count) for at, count in moments],
    )


def _by_type(kinds: Counter[str]) -> list[TypeCountPayload]:
    return [TypeCountPayload(type=type, count=count) for type, count in events_by_type(kinds).most_common()]


def _trends(found: DiagnosticsData) -> TrendsPayload:
    current, previous = agent_activity.compared_periods(
        found.amounts, found.work, hours=found.timeframe.hours, until=found.timeframe.until
    )
    changes = {
        f"{name}_pct": agent_activity.percent_change(getattr(current, name), getattr(previous, name))
        for name in ("activities", "errors", "tasks_completed")
    }
    return TrendsPayload(
        current_period=PeriodPayload.of(current),
        previous_period=PeriodPayload.of(previous),
        change=ChangePayload(**changes),
        alerts=[TrendAlertPayload.of(alert) for alert in agent_activity.activity_alerts(current, previous)],
    )


def _tokens(found: DiagnosticsData) -> TokensPayload:
    return TokensPayload(by_model=tokens_by_model(found.tokens), total=token_total(sum_of(found.tokens)))


SECTIONS: Final[Mapping[str, Callable[[DiagnosticsData], Any]]] = {
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
    ),
]  # fmt: skip
