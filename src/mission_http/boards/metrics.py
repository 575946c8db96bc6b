"""
The dashboard operation: metrics of tasks and agents over a range of time.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from operator import attrgetter, itemgetter
from typing import Annotated, Literal
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from mission_core.boards.model import BoardDenied, BoardNotFound
from mission_core.ids import BoardId
from mission_core.reports.board_metrics import METRICS_RANGES, BoardMetrics, MetricsPoint, MetricsSeries, board_metrics
from mission_core.reports.queries import PendingApproval, PendingApprovals, ReportScope
from mission_core.reports.usage import usage_of_scope
from mission_core.usage.queries import window_of_last
from mission_http.boards.access import USER
from mission_http.boards.usage_payloads import UsageTotalsRead
from mission_http.boards.wire import BoardsPayload
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.field_annotations import Query
from mission_http.platform.json_responses import json_response
from mission_http.platform.query_strings import query_of
from mission_http.platform.shapes import Computed, Given, Of

RangeKey = Literal["24h", "3d", "7d", "14d", "1m", "3m", "6m", "1y"]
Bucket = Literal["hour", "day", "week", "month"]
Measure = Callable[[MetricsPoint], float]


class DashboardQuery(Query):
    range_key: RangeKey = "24h"
    board_id: UUID | None = None
    group_id: UUID | None = None


class DashboardKpis(BoardsPayload[BoardMetrics]):
    active_agents: int
    tasks_in_progress: Annotated[int, Of("stages", itemgetter("in_progress"))]
    inbox_tasks: Annotated[int, Of("stages", itemgetter("inbox"))]
    in_progress_tasks: Annotated[int, Of("stages", itemgetter("in_progress"))]
    review_tasks: Annotated[int, Of("stages", itemgetter("review"))]
    done_tasks: Annotated[int, Of("stages", itemgetter("done"))]
    error_rate_pct: Annotated[float, Of("error_rate")]
    median_cycle_time_hours_7d: Annotated[float | None, Of("median_cycle")]


def measured(point: MetricsPoint, measure: Measure) -> float:
    return measure(point)


class DashboardSeriesPoint(BoardsPayload[MetricsPoint]):
    period: datetime
    value: Annotated[float, Computed(measured)]


class DashboardRangeSeries(BoardsPayload[MetricsSeries]):
    range: Annotated[RangeKey, Given()]
    bucket: Bucket
    points: list[DashboardSeriesPoint]


class DashboardSeriesSet(BoardsPayload[BoardMetrics]):
    primary: DashboardRangeSeries
    comparison: DashboardRangeSeries


def series_with(measure: Measure) -> Computed:
    """
    The source of a field that shows one value of each point.
    """
    return Computed(lambda found, range: DashboardSeriesSet.of(found, range=range, measure=measure))


class DashboardWipPoint(BoardsPayload[MetricsPoint]):
    period: datetime
    inbox: Annotated[int, Of("stages", itemgetter("inbox"))]
    in_progress: Annotated[int, Of("stages", itemgetter("in_progress"))]
    review: Annotated[int, Of("stages", itemgetter("review"))]
    done: Annotated[int, Of("stages", itemgetter("done"))]


class DashboardWipRangeSeries(BoardsPayload[MetricsSeries]):
    range: Annotated[RangeKey, Given()]
    bucket: Bucket
    points: list[DashboardWipPoint]


class DashboardWipSeriesSet(BoardsPayload[BoardMetrics]):
    primary: DashboardWipRangeSeries
    comparison: DashboardWipRangeSeries


class DashboardPendingApproval(BoardsPayload[PendingApproval]):
    approval_id: Annotated[UUID, Of("id")]
    board_id: Annotated[UUID, Of("board")]
    board_name: str
    action_type: Annotated[str, Of("action")]
    confidence: float
    created_at: datetime
    task_title: str | None = None


class DashboardPendingApprovals(BoardsPayload[PendingApprovals]):
    total: int
    items: Annotated[list[DashboardPendingApproval], Of("rows")]


class DashboardMetrics(BoardsPayload[BoardMetrics]):
    range: Annotated[RangeKey, Given()]
    generated_at: Annotated[datetime, Of("at")]
    kpis: Annotated[DashboardKpis, Of()]
    throughput: Annotated[DashboardSeriesSet, series_with(lambda point: point.stages["done"])]
    cycle_time: Annotated[DashboardSeriesSet, series_with(attrgetter("mean_cycle"))]
    error_rate: Annotated[DashboardSeriesSet, series_with(attrgetter("error_rate"))]
    wip: Annotated[DashboardWipSeriesSet, Of()]
    pending_approvals: Annotated[DashboardPendingApprovals, Of("pending")]
    usage: Annotated[UsageTotalsRead, Given()]


async def dashboard_metrics(request: Request) -> Response:
    """
    Read the metrics of a range of time, with those of the range before it.

    Throughput counts tasks by the time they were done. Cycle time is the number of hours from the first start of work
    on a task until it was done. Work in progress counts tasks by their present status and the time they entered it. An
    unknown group has no boards. A board outside the given group is not counted. `usage` has the tokens and their cost
    in the range, which begins at a whole hour, or for more than two days at a whole day.
    """
    query = query_of(request, DashboardQuery)
    ports, principal = ports_of(request), principal_of(request)
    board = None if query.board_id is None else await ports.reads.boards.check(principal, BoardId(query.board_id))
    scope = ReportScope(board=board, group=query.group_id)
    length = METRICS_RANGES[query.range_key]
    found = await board_metrics(ports, principal, scope, length)
    usage = await usage_of_scope(ports, principal, scope, window_of_last(length.length, now=found.at))
    return json_response(DashboardMetrics.of(found, range=query.range_key, usage=UsageTotalsRead.of(usage)))


ENDPOINTS = [
    Endpoint(
        "GET", "/metrics/dashboard", dashboard_metrics, query=DashboardQuery, gives=DashboardMetrics, who=USER,
        refuses=(BoardNotFound, BoardDenied), tags=("metrics",),
    ),
]  # fmt: skip
