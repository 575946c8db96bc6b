"""
Responses of the reports, the search and the index.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import UNSET, UnsetType

from mission_http.platform.shapes import Payload


class ResultsPayload(Payload):
    success: int
    failed: int
    partial: int
    abandoned: int
    unknown: int


class ResultTallyPayload(Payload):
    success: int
    failed: int
    partial: int
    abandoned: int
    unknown: int
    total: int
    success_rate: float


class OutcomeSummaryPayload(Payload):
    total_done: int
    with_outcome: int
    by_outcome: ResultsPayload
    avg_retry_count: float
    avg_time_to_resolution_seconds: float
    success_rate: float


class CommonErrorPayload(Payload):
    error_message: str
    count: int


class OutcomesPayload(Payload):
    timeframe: str
    summary: OutcomeSummaryPayload
    by_agent: dict[str, ResultTallyPayload]
    by_priority: dict[str, ResultTallyPayload]
    common_errors: list[CommonErrorPayload]
    record_count: int


class MetricDefinitionsPayload(Payload):
    p95_task_latency_seconds: str
    intervention_rate: str


class RegressionParamsPayload(Payload):
    beta_start: int
    lookback_seconds: int


class LatencyPayload(Payload):
    p50: float | None
    p95: float | None
    avg: float | None


class InterventionsPayload(Payload):
    count: int
    rate: float


class WindowPayload(Payload):
    label: str
    start: int
    end: int
    sample_size: int
    latency_seconds: LatencyPayload
    interventions: InterventionsPayload


class WindowsPayload(Payload):
    baseline: WindowPayload
    post: WindowPayload


class DeltasPayload(Payload):
    p95_latency_seconds: float | None
    intervention_rate: float


class RegressionPayload(Payload):
    metric_definitions: MetricDefinitionsPayload
    params: RegressionParamsPayload
    windows: WindowsPayload
    deltas: DeltasPayload


class CapacityPayload(Payload):
    active_tasks: int
    tasks_last_5m: int
    errors_last_5m: int
    error_rate_5m: float
    completions_last_hour: int
    avg_completion_rate_per_hour: float


class QueuePayload(Payload):
    total_pending: int
    by_status: dict[str, int]
    by_priority: dict[str, int]
    oldest_pending_age_seconds: int | None
    estimated_wait_seconds: int | None
    estimated_wait_confidence: Literal["calculated", "unknown"]


class LoadPayload(Payload):
    agent: str
    assigned: int
    in_progress: int


class CrewPayload(Payload):
    total: int
    online: int
    busy: int
    idle: int
    offline: int
    busy_ratio: float
    load_distribution: list[LoadPayload]


class RecommendationPayload(Payload):
    action: Literal["normal", "throttle", "shed", "pause"]
    reason: str
    details: list[str]
    submit_ok: bool
    suggested_delay_ms: int


class ThresholdsPayload(Payload):
    queue_depth_normal: int
    queue_depth_throttle: int
    queue_depth_shed: int
    busy_agent_ratio_throttle: float
    busy_agent_ratio_shed: float
    error_rate_throttle: float
    error_rate_shed: float
    recent_window_seconds: int


class WorkloadPayload(Payload):
    timestamp: int
    workspace_id: int
    capacity: CapacityPayload
    queue: QueuePayload
    agents: CrewPayload
    recommendation: RecommendationPayload
    thresholds: ThresholdsPayload


class FindPayload(Payload):
    type: str
    id: int
    title: str
    subtitle: str | UnsetType = UNSET
    excerpt: str | UnsetType = UNSET
    created_at: int
    relevance: int


class SearchPayload(Payload):
    query: str
    count: int
    results: list[FindPayload]


class IndexedPayload(Payload):
    path: str
    methods: list[str]
    description: str
    tag: str
    auth: str


class IndexPayload(Payload):
    version: str
    generated_at: str
    total_endpoints: int
    endpoints: list[IndexedPayload]
    event_stream: dict[str, Any]
    docs: dict[str, str]
