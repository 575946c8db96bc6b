"""
Responses of the reports, the search and the index.
"""

from __future__ import annotations

from typing import Any, Literal

from attrs import frozen
from msgspec import UNSET, UnsetType


@frozen(kw_only=True)
class ResultsPayload:
    success: int
    failed: int
    partial: int
    abandoned: int
    unknown: int


@frozen(kw_only=True)
class ResultTallyPayload:
    success: int
    failed: int
    partial: int
    abandoned: int
    unknown: int
    total: int
    success_rate: float


@frozen(kw_only=True)
class OutcomeSummaryPayload:
    total_done: int
    with_outcome: int
    by_outcome: ResultsPayload
    avg_retry_count: float
    avg_time_to_resolution_seconds: float
    success_rate: float


@frozen(kw_only=True)
class CommonErrorPayload:
    error_message: str
    count: int


@frozen(kw_only=True)
class OutcomesPayload:
    timeframe: str
    summary: OutcomeSummaryPayload
    by_agent: dict[str, ResultTallyPayload]
    by_priority: dict[str, ResultTallyPayload]
    common_errors: list[CommonErrorPayload]
    record_count: int


@frozen(kw_only=True)
class MetricDefinitionsPayload:
    p95_task_latency_seconds: str
    intervention_rate: str


@frozen(kw_only=True)
class RegressionParamsPayload:
    beta_start: int
    lookback_seconds: int


@frozen(kw_only=True)
class LatencyPayload:
    p50: float | None
    p95: float | None
    avg: float | None


@frozen(kw_only=True)
class InterventionsPayload:
    count: int
    rate: float


@frozen(kw_only=True)
class WindowPayload:
    label: str
    start: int
    end: int
    sample_size: int
    latency_seconds: LatencyPayload
    interventions: InterventionsPayload


@frozen(kw_only=True)
class WindowsPayload:
    baseline: WindowPayload
    post: WindowPayload


@frozen(kw_only=True)
class DeltasPayload:
    p95_latency_seconds: float | None
    intervention_rate: float


@frozen(kw_only=True)
class RegressionPayload:
    metric_definitions: MetricDefinitionsPayload
    params: RegressionParamsPayload
    windows: WindowsPayload
    deltas: DeltasPayload


@frozen(kw_only=True)
class CapacityPayload:
    active_tasks: int
    tasks_last_5m: int
    errors_last_5m: int
    error_rate_5m: float
    completions_last_hour: int
    avg_completion_rate_per_hour: float


@frozen(kw_only=True)
class QueuePayload:
    total_pending: int
    by_status: dict[str, int]
    by_priority: dict[str, int]
    oldest_pending_age_seconds: int | None
    estimated_wait_seconds: int | None
    estimated_wait_confidence: Literal["calculated", "unknown"]


@frozen(kw_only=True)
class LoadPayload:
    agent: str
    assigned: int
    in_progress: int


@frozen(kw_only=True)
class CrewPayload:
    total: int
    online: int
    busy: int
    idle: int
    offline: int
    busy_ratio: float
    load_distribution: list[LoadPayload]


@frozen(kw_only=True)
class RecommendationPayload:
    action: Literal["normal", "throttle", "shed", "pause"]
    reason: str
    details: list[str]
    submit_ok: bool
    suggested_delay_ms: int


@frozen(kw_only=True)
class ThresholdsPayload:
    queue_depth_normal: int
    queue_depth_throttle: int
    queue_depth_shed: int
    busy_agent_ratio_throttle: float
    busy_agent_ratio_shed: float
    error_rate_throttle: float
    error_rate_shed: float
    recent_window_seconds: int


@frozen(kw_only=True)
class WorkloadPayload:
    timestamp: int
    workspace_id: int
    capacity: CapacityPayload
    queue: QueuePayload
    agents: CrewPayload
    recommendation: RecommendationPayload
    thresholds: ThresholdsPayload


@frozen(kw_only=True)
class FindPayload:
    type: str
    id: int
    title: str
    subtitle: str | UnsetType = UNSET
    excerpt: str | UnsetType = UNSET
    created_at: int
    relevance: int


@frozen(kw_only=True)
class SearchPayload:
    query: str
    count: int
    results: list[FindPayload]


@frozen(kw_only=True)
class IndexedPayload:
    path: str
    methods: list[str]
    description: str
    tag: str
    auth: str


@frozen(kw_only=True)
class IndexPayload:
    version: str
    generated_at: str
    total_endpoints: int
    endpoints: list[IndexedPayload]
    event_stream: dict[str, Any]
    docs: dict[str, str]
