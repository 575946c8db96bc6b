"""
Query and response of the dashboard. The class names are the component names of the OpenAPI document.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from attrs import frozen

RangeKey = Literal["24h", "3d", "7d", "14d", "1m", "3m", "6m", "1y"]
Bucket = Literal["hour", "day", "week", "month"]


@frozen(kw_only=True)
class DashboardQuery:
    range_key: RangeKey = "24h"
    board_id: UUID | None = None
    group_id: UUID | None = None


@frozen(kw_only=True)
class DashboardKpis:
    active_agents: int
    tasks_in_progress: int
    inbox_tasks: int
    in_progress_tasks: int
    review_tasks: int
    done_tasks: int
    error_rate_pct: float
    median_cycle_time_hours_7d: float | None


@frozen(kw_only=True)
class DashboardSeriesPoint:
    period: datetime
    value: float


@frozen(kw_only=True)
class DashboardRangeSeries:
    range: RangeKey
    bucket: Bucket
    points: list[DashboardSeriesPoint]


@frozen(kw_only=True)
class DashboardSeriesSet:
    primary: DashboardRangeSeries
    comparison: DashboardRangeSeries


@frozen(kw_only=True)
class DashboardWipPoint:
    period: datetime
    inbox: int
    in_progress: int
    review: int
    done: int


@frozen(kw_only=True)
class DashboardWipRangeSeries:
    range: RangeKey
    bucket: Bucket
    points: list[DashboardWipPoint]


@frozen(kw_only=True)
class DashboardWipSeriesSet:
    primary: DashboardWipRangeSeries
    comparison: DashboardWipRangeSeries


@frozen(kw_only=True)
class DashboardPendingApproval:
    approval_id: UUID
    board_id: UUID
    board_name: str
    action_type: str
    confidence: float
    created_at: datetime
    task_title: str | None = None


@frozen(kw_only=True)
class DashboardPendingApprovals:
    total: int
    items: list[DashboardPendingApproval]


@frozen(kw_only=True)
class DashboardMetrics:
    range: RangeKey
    generated_at: datetime
    kpis: DashboardKpis
    throughput: DashboardSeriesSet
    cycle_time: DashboardSeriesSet
    error_rate: DashboardSeriesSet
    wip: DashboardWipSeriesSet
    pending_approvals: DashboardPendingApprovals
