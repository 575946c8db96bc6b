"""
The dashboard operation: metrics of tasks and agents over a range of time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from mission_core.boards.model import BoardDenied, BoardNotFound
from mission_core.ids import BoardId
from mission_core.reports.board_metrics import METRICS_RANGES, BoardMetrics, MetricsPoint, MetricsSeries, board_metrics
from mission_core.reports.queries import PendingApproval, ReportScope
from mission_http.boards.access import USER
from mission_http.boards.metric_payloads import DashboardMetrics, DashboardQuery
from mission_http.boards.wire import naive, time_from, uuid_from
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.json_responses import json_response
from mission_http.platform.query_strings import query_of

PointPayload = Callable[[MetricsPoint], dict[str, Any]]


async def dashboard_metrics(request: Request) -> Response:
    """
    Read the metrics of a range of time, with those of the range before it.

    Throughput counts tasks by the time they were done. Cycle time is the number of hours from the first start of work
    on a task until it was done. Work in progress counts tasks by their present status and the time they entered it. An
    unknown group has no boards. A board outside the given group is not counted.
    """
    query = query_of(request, DashboardQuery)
    ports, principal = ports_of(request), principal_of(request)
    board = None if query.board_id is None else await ports.reads.boards.check(principal, BoardId(query.board_id))
    scope = ReportScope(board=board, group=query.group_id)
    found = await board_metrics(ports, principal, scope, METRICS_RANGES[query.range_key])
    return json_response(_dashboard(found, query.range_key))


def _dashboard(found: BoardMetrics, range: str) -> dict[str, Any]:
    def both(shown: PointPayload) -> dict[str, Any]:
        return {
            "primary": _series(found.primary, range, shown),
            "comparison": _series(found.comparison, range, shown),
        }

    return {
        "range": range,
        "generated_at": naive(found.at),
        "kpis": {
            "active_agents": found.active_agents,
            "tasks_in_progress": found.stages["in_progress"],
            **{f"{stage}_tasks": amount for stage, amount in found.stages.items()},
            "error_rate_pct": found.error_rate,
            "median_cycle_time_hours_7d": found.median_cycle,
        },
        "throughput": both(lambda point: {"value": point.stages["done"]}),
        "cycle_time": both(lambda point: {"value": point.mean_cycle}),
        "error_rate": both(lambda point: {"value": point.error_rate}),
        "wip": both(lambda point: point.stages),
        "pending_approvals": {
            "total": found.pending.total,
            "items": [_pending_from(row) for row in found.pending.rows],
        },
    }


def _pending_from(row: PendingApproval) -> dict[str, Any]:
    return {
        "approval_id": uuid_from(row.id),
        "board_id": uuid_from(row.board),
        "board_name": row.board_name,
        "action_type": row.action,
        "confidence": row.confidence,
        "created_at": time_from(row.created_at),
        "task_title": row.task_title,
    }


def _series(series: MetricsSeries, range: str, shown: PointPayload) -> dict[str, Any]:
    points = [{"period": naive(point.period), **shown(point)} for point in series.points]
    return {"range": range, "bucket": series.bucket, "points": points}


ENDPOINTS = [
    Endpoint(
        "GET", "/metrics/dashboard", dashboard_metrics, query=DashboardQuery, gives=DashboardMetrics, who=USER,
        refuses=(BoardNotFound, BoardDenied), tags=("metrics",),
    ),
]  # fmt: skip
