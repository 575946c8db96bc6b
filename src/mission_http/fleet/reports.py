"""
Operations for reports: task outcomes, regression since a moment, and workload.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response

from mission_core.reports.task_outcomes import ResultCounts, task_outcomes
from mission_core.reports.task_regression import MomentInFuture, RegressionWindow, TaskRegression, task_regression
from mission_core.reports.workload import (
    AgentCapacity,
    QueueState,
    WorkloadRecommendation,
    WorkloadReport,
    WorkloadThresholds,
    workload_report,
)
from mission_http.fleet.access import VIEWER
from mission_http.fleet.errors import InvalidRequest
from mission_http.fleet.report_payloads import OutcomesPayload, RegressionPayload, WorkloadPayload
from mission_http.fleet.wire import WORKSPACE_NUMBER, seconds_of
from mission_http.platform.endpoints import Endpoint, Handler
from mission_http.platform.errors import FieldsInvalid
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.field_annotations import NumberRange
from mission_http.platform.json_responses import json_response
from mission_http.platform.query_strings import query_of
from mission_http.platform.value_parsers import LAX

if TYPE_CHECKING:
    from mission_http.settings import Settings

PRIORITIES: Final = ("low", "medium", "high", "critical", "urgent")
NO_START: Final = "beta_start query parameter is required (unix seconds or ISO timestamp)"
DEFINITIONS: Final = {
    "p95_task_latency_seconds": (
        "The 95th percentile of the time from creation to completion of done tasks (nearest rank)."
    ),
    "intervention_rate": (
        "The fraction of done tasks with a retry, an error message, or an outcome other than success."
    ),
}


@frozen(kw_only=True)
class OutcomesQuery:
    timeframe: str = "all"


@frozen(kw_only=True)
class RegressionQuery:
    beta_start: str | None = None
    cutover: str | None = None
    lookback_seconds: Annotated[int, NumberRange(0)] = 604_800


async def outcomes(request: Request) -> Response:
    """
    Report the outcomes of done tasks.

    The timeframe is day, week, month or all; any other value means all.
    """
    timeframe = query_of(request, OutcomesQuery).timeframe or "all"
    found = await task_outcomes(ports_of(request), principal_of(request), timeframe)
    return json_response(
        {
            "timeframe": found.timeframe,
            "summary": {
                "total_done": found.total,
                "with_outcome": found.with_result,
                "by_outcome": found.by_result,
                "avg_retry_count": found.average_retries,
                "avg_time_to_resolution_seconds": found.average_seconds,
                "success_rate": found.success_rate,
            },
            "by_agent": {name: _tally(each) for name, each in found.by_agent.items()},
            "by_priority": {name: _tally(each) for name, each in found.by_priority.items()},
            "common_errors": [{"error_message": text, "count": count} for text, count in found.errors],
            "record_count": found.total,
        }
    )


def _tally(tally: ResultCounts) -> dict[str, Any]:
    return {**tally.by_result, "total": tally.total, "success_rate": tally.success_rate}


async def regression(request: Request) -> Response:
    """
    Compare the tasks done since a moment with those done just before it.

    The moment, `beta_start` or `cutover`, is in Unix seconds or a date. The window before it is as long as the one
    after it, but at least a minute and at most `lookback_seconds`.
    """
    query = query_of(request, RegressionQuery)
    since = _start(query.beta_start or query.cutover)
    lookback = timedelta(seconds=min(query.lookback_seconds, 1 << 32))
    return json_response(_regression(await task_regression(ports_of(request), principal_of(request), since, lookback)))


def _start(text: str | None) -> datetime:
    """
    Parse the moment.

    Raises:
        Unacceptable: If it is missing or malformed.
    """
    try:
        return LAX.moment(text).replace(microsecond=0)
    except FieldsInvalid:
        raise InvalidRequest(NO_START) from None


def _regression(found: TaskRegression) -> dict[str, Any]:
    return {
        "metric_definitions": DEFINITIONS,
        "params": {"beta_start": seconds_of(found.since), "lookback_seconds": found.lookback // timedelta(seconds=1)},
        "windows": {"baseline": _window(found.baseline), "post": _window(found.post)},
        "deltas": {"p95_latency_seconds": found.p95_change, "intervention_rate": found.intervention_change},
    }


def _window(window: RegressionWindow) -> dict[str, Any]:
    return {
        "label": window.label,
        "start": seconds_of(window.start),
        "end": seconds_of(window.end),
        "sample_size": window.size,
        "latency_seconds": {"p50": window.p50, "p95": window.p95, "avg": window.average},
        "interventions": {"count": window.interventions, "rate": window.intervention_rate},
    }


def workload_handler(thresholds: WorkloadThresholds) -> Handler:
    """
    Create the handler of the workload report with these thresholds.
    """
    shown = {
        "queue_depth_normal": thresholds.queue_depth_normal,
        "queue_depth_throttle": thresholds.queue_depth_throttle,
        "queue_depth_shed": thresholds.queue_depth_shed,
        "busy_agent_ratio_throttle": thresholds.busy_ratio_throttle,
        "busy_agent_ratio_shed": thresholds.busy_ratio_shed,
        "error_rate_throttle": thresholds.error_rate_throttle,
        "error_rate_shed": thresholds.error_rate_shed,
        "recent_window_seconds": thresholds.recent_window_seconds,
    }

    async def workload_signals(request: Request) -> Response:
        """
        Report the workload, the capacity of the agents, and whether more tasks should be submitted.

        Fields of the last 5 minutes cover the recent window of the thresholds, in whole minutes.
        """
        found = await workload_report(ports_of(request), principal_of(request), thresholds)
        return json_response(_workload(found) | {"thresholds": shown})

    return workload_signals


def _workload(found: WorkloadReport) -> dict[str, Any]:
    capacity = found.capacity
    return {
        "timestamp": seconds_of(found.at),
        "workspace_id": WORKSPACE_NUMBER,
        "capacity": {
            "active_tasks": capacity.active,
            "tasks_last_5m": capacity.arrived,
            "errors_last_5m": capacity.errors,
            "error_rate_5m": capacity.error_rate,
            "completions_last_hour": capacity.done_last_hour,
            "avg_completion_rate_per_hour": capacity.done_per_hour,
        },
        "queue": _queue(found.queue),
        "agents": _agent_capacity(found.agents),
        "recommendation": _recommendation(found.recommendation),
    }


def _queue(queue: QueueState) -> dict[str, Any]:
    return {
        "total_pending": queue.depth,
        "by_status": queue.by_status,
        "by_priority": dict.fromkeys(PRIORITIES, 0) | queue.by_priority,
        "oldest_pending_age_seconds": None if queue.oldest is None else queue.oldest // timedelta(seconds=1),
        "estimated_wait_seconds": queue.wait,
        "estimated_wait_confidence": "unknown" if queue.wait is None else "calculated",
    }


def _agent_capacity(crew: AgentCapacity) -> dict[str, Any]:
    return {
        "total": crew.total,
        "online": crew.online,
        "busy": crew.busy,
        "idle": crew.idle,
        "offline": crew.offline,
        "busy_ratio": crew.busy_ratio,
        "load_distribution": [
            {"agent": each.agent, "assigned": each.assigned, "in_progress": each.in_progress}
            for each in crew.agent_loads
        ],
    }


def _recommendation(advice: WorkloadRecommendation) -> dict[str, Any]:
    return {
        "action": advice.action.value,
        "reason": advice.reason,
        "details": advice.details,
        "submit_ok": advice.submit,
        "suggested_delay_ms": advice.delay,
    }


def report_endpoints(settings: Settings) -> list[Endpoint]:
    """
    Return the operations for reports.
    """
    return [
        Endpoint(
            "GET", "/tasks/outcomes", outcomes, query=OutcomesQuery, gives=OutcomesPayload, who=VIEWER,
            operation_id="fleet_getTaskOutcomes", tags=("Tasks",),
        ),
        Endpoint(
            "GET", "/tasks/regression", regression, query=RegressionQuery, gives=RegressionPayload, who=VIEWER,
            refuses=(MomentInFuture,), limits=("read",),
            operation_id="fleet_getTaskRegression", tags=("Tasks",),
        ),
        Endpoint(
            "GET", "/workload", workload_handler(settings.workload), gives=WorkloadPayload, who=VIEWER,
            operation_id="fleet_getWorkloadSignals", tags=("System",),
        ),
    ]  # fmt: skip
