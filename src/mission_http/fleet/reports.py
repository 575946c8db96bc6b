"""
Operations for reports: task outcomes, regression since a moment, and workload.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Final, Literal

from starlette.requests import Request
from starlette.responses import Response

from mission_core.reports.queries import AgentWorkload
from mission_core.reports.report_refusals import MomentInFuture
from mission_core.reports.task_outcomes import ResultCounts, TaskOutcomes, task_outcomes
from mission_core.reports.task_regression import RegressionWindow, TaskRegression, task_regression
from mission_core.reports.workload import (
    AgentCapacity,
    QueueState,
    Throughput,
    WorkloadRecommendation,
    WorkloadReport,
    workload_report,
)
from mission_core.reports.workload_thresholds import WorkloadThresholds
from mission_http.fleet.access import VIEWER
from mission_http.fleet.errors import InvalidRequest
from mission_http.fleet.wire import WORKSPACE_NUMBER, FleetPayload, UnixSeconds
from mission_http.platform.endpoints import Endpoint, Handler
from mission_http.platform.errors import FieldsInvalid
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.field_annotations import NumberRange, Query
from mission_http.platform.json_responses import json_response
from mission_http.platform.query_strings import query_of
from mission_http.platform.shapes import Fixed, Given, Of, Payload
from mission_http.platform.value_parsers import LAX

if TYPE_CHECKING:
    from mission_http.settings import Settings

PRIORITIES: Final = ("low", "medium", "high", "critical", "urgent")
NO_START: Final = "beta_start query parameter is required (unix seconds or ISO timestamp)"


class OutcomesQuery(Query):
    timeframe: str = "all"


class RegressionQuery(Query):
    beta_start: str | None = None
    cutover: str | None = None
    lookback_seconds: Annotated[int, NumberRange(0)] = 604_800


class ResultsPayload(Payload):
    success: int
    failed: int
    partial: int
    abandoned: int
    unknown: int


def results_payload(by_result: dict[str, int]) -> ResultsPayload:
    return ResultsPayload(**by_result)


class ResultTallyPayload(ResultsPayload):
    total: int
    success_rate: float


def tally_payloads(counts: dict[str, ResultCounts]) -> dict[str, ResultTallyPayload]:
    return {
        name: ResultTallyPayload(**each.by_result, total=each.total, success_rate=each.success_rate)
        for name, each in counts.items()
    }


class OutcomeSummaryPayload(FleetPayload[TaskOutcomes]):
    total_done: Annotated[int, Of("total")]
    with_outcome: Annotated[int, Of("with_result")]
    by_outcome: Annotated[ResultsPayload, Of("by_result", results_payload)]
    avg_retry_count: Annotated[float, Of("average_retries")]
    avg_time_to_resolution_seconds: Annotated[float, Of("average_seconds")]
    success_rate: float


class CommonErrorPayload(Payload):
    error_message: str
    count: int


def common_errors(errors: list[tuple[str, int]]) -> list[CommonErrorPayload]:
    return [CommonErrorPayload(error_message=text, count=count) for text, count in errors]


class OutcomesPayload(FleetPayload[TaskOutcomes]):
    timeframe: str
    summary: Annotated[OutcomeSummaryPayload, Of()]
    by_agent: Annotated[dict[str, ResultTallyPayload], Of("by_agent", tally_payloads)]
    by_priority: Annotated[dict[str, ResultTallyPayload], Of("by_priority", tally_payloads)]
    common_errors: Annotated[list[CommonErrorPayload], Of("errors", common_errors)]
    record_count: Annotated[int, Of("total")]


class MetricDefinitionsPayload(Payload):
    p95_task_latency_seconds: str
    intervention_rate: str


DEFINITIONS: Final = MetricDefinitionsPayload(
    p95_task_latency_seconds=(
        "The 95th percentile of the time from creation to completion of done tasks (nearest rank)."
    ),
    intervention_rate="The fraction of done tasks with a retry, an error message, or an outcome other than success.",
)


def whole_seconds(length: timedelta | None) -> int | None:
    return None if length is None else length // timedelta(seconds=1)


class RegressionParamsPayload(FleetPayload[TaskRegression]):
    beta_start: Annotated[UnixSeconds, Of("since")]
    lookback_seconds: Annotated[int, Of("lookback", whole_seconds)]


class LatencyPayload(FleetPayload[RegressionWindow]):
    p50: float | None
    p95: float | None
    avg: Annotated[float | None, Of("average")]


class InterventionsPayload(FleetPayload[RegressionWindow]):
    count: Annotated[int, Of("interventions")]
    rate: Annotated[float, Of("intervention_rate")]


class WindowPayload(FleetPayload[RegressionWindow]):
    label: str
    start: UnixSeconds
    end: UnixSeconds
    sample_size: Annotated[int, Of("size")]
    latency_seconds: Annotated[LatencyPayload, Of()]
    interventions: Annotated[InterventionsPayload, Of()]


class WindowsPayload(FleetPayload[TaskRegression]):
    baseline: WindowPayload
    post: WindowPayload


class DeltasPayload(FleetPayload[TaskRegression]):
    p95_latency_seconds: Annotated[float | None, Of("p95_change")]
    intervention_rate: Annotated[float, Of("intervention_change")]


class RegressionPayload(FleetPayload[TaskRegression]):
    metric_definitions: Annotated[MetricDefinitionsPayload, Fixed(DEFINITIONS)]
    params: Annotated[RegressionParamsPayload, Of()]
    windows: Annotated[WindowsPayload, Of()]
    deltas: Annotated[DeltasPayload, Of()]


class CapacityPayload(FleetPayload[Throughput]):
    active_tasks: Annotated[int, Of("active")]
    tasks_last_5m: Annotated[int, Of("arrived")]
    errors_last_5m: Annotated[int, Of("errors")]
    error_rate_5m: Annotated[float, Of("error_rate")]
    completions_last_hour: Annotated[int, Of("done_last_hour")]
    avg_completion_rate_per_hour: Annotated[float, Of("done_per_hour")]


def with_all_priorities(by_priority: dict[str, int]) -> dict[str, int]:
    return dict.fromkeys(PRIORITIES, 0) | by_priority


def wait_confidence(wait: int | None) -> str:
    return "unknown" if wait is None else "calculated"


class QueuePayload(FleetPayload[QueueState]):
    total_pending: Annotated[int, Of("depth")]
    by_status: dict[str, int]
    by_priority: Annotated[dict[str, int], Of("by_priority", with_all_priorities)]
    oldest_pending_age_seconds: Annotated[int | None, Of("oldest", whole_seconds)]
    estimated_wait_seconds: Annotated[int | None, Of("wait")]
    estimated_wait_confidence: Annotated[Literal["calculated", "unknown"], Of("wait", wait_confidence)]


class LoadPayload(FleetPayload[AgentWorkload]):
    agent: Annotated[str, Of("name")]
    assigned: int
    in_progress: int


class CrewPayload(FleetPayload[AgentCapacity]):
    total: int
    online: int
    busy: int
    idle: int
    offline: int
    busy_ratio: float
    load_distribution: Annotated[list[LoadPayload], Of("agent_loads")]


class RecommendationPayload(FleetPayload[WorkloadRecommendation]):
    action: Literal["normal", "throttle", "shed", "pause"]
    reason: str
    details: list[str]
    submit_ok: Annotated[bool, Of("submit")]
    suggested_delay_ms: Annotated[int, Of("delay")]


class ThresholdsPayload(FleetPayload[WorkloadThresholds]):
    queue_depth_normal: int
    queue_depth_throttle: int
    queue_depth_shed: int
    busy_agent_ratio_throttle: Annotated[float, Of("busy_ratio_throttle")]
    busy_agent_ratio_shed: Annotated[float, Of("busy_ratio_shed")]
    error_rate_throttle: float
    error_rate_shed: float
    recent_window_seconds: int


class WorkloadPayload(FleetPayload[WorkloadReport]):
    timestamp: Annotated[UnixSeconds, Of("at")]
    workspace_id: Annotated[int, Fixed(WORKSPACE_NUMBER)]
    capacity: CapacityPayload
    queue: QueuePayload
    agents: CrewPayload
    recommendation: RecommendationPayload
    thresholds: Annotated[ThresholdsPayload, Given()]


async def outcomes(request: Request) -> Response:
    """
    Report the outcomes of done tasks.

    The timeframe is day, week, month or all; any other value means all.
    """
    timeframe = query_of(request, OutcomesQuery).timeframe or "all"
    return json_response(OutcomesPayload.of(await task_outcomes(ports_of(request), principal_of(request), timeframe)))


async def regression(request: Request) -> Response:
    """
    Compare the tasks done since a moment with those done just before it.

    The moment, `beta_start` or `cutover`, is in Unix seconds or a date. The window before it is as long as the one
    after it, but at least a minute and at most `lookback_seconds`.
    """
    query = query_of(request, RegressionQuery)
    since = _start(query.beta_start or query.cutover)
    lookback = timedelta(seconds=min(query.lookback_seconds, 1 << 32))
    found = await task_regression(ports_of(request), principal_of(request), since, lookback)
    return json_response(RegressionPayload.of(found))


def _start(text: str | None) -> datetime:
    """
    Parse the moment that separates the two windows of the report.

    Raises:
        InvalidRequest: If it is missing or malformed.
    """
    try:
        return LAX.moment(text).replace(microsecond=0)
    except FieldsInvalid:
        raise InvalidRequest(NO_START) from None


def workload_handler(thresholds: WorkloadThresholds) -> Handler:
    """
    Create the handler of the workload report with these thresholds.
    """
    shown = ThresholdsPayload.of(thresholds)

    async def workload_signals(request: Request) -> Response:
        """
        Report the workload, the capacity of the agents, and whether more tasks should be submitted.

        Fields of the last 5 minutes cover the recent window of the thresholds, in whole minutes.
        """
        found = await workload_report(ports_of(request), principal_of(request), thresholds)
        return json_response(WorkloadPayload.of(found, thresholds=shown))

    return workload_signals


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
            refuses=(MomentInFuture,), limits=("read",), operation_id="fleet_getTaskRegression", tags=("Tasks",),
        ),
        Endpoint(
            "GET", "/workload", workload_handler(settings.workload), gives=WorkloadPayload, who=VIEWER,
            operation_id="fleet_getWorkloadSignals", tags=("System",),
        ),
    ]  # fmt: skip
