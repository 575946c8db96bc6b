"""
Query and responses of the attribution and diagnostics reports of an agent.
"""

from __future__ import annotations

from typing import Any, Literal

from attrs import frozen
from msgspec import UNSET, UnsetType

from mission_http.platform.shapes import Payload


@frozen(kw_only=True)
class AgentActivityQuery:
    """
    Query of a report on one agent: the hours it covers, and its sections, separated by commas.
    """

    hours: str | None = None
    section: str | None = None
    privileged: str | None = None


class TimeframePayload(Payload):
    hours: int
    since: int
    until: int


class TypeCountPayload(Payload):
    type: str
    count: int


class EventPayload(Payload):
    id: int
    type: str
    description: str
    data: dict[str, Any] | None
    created_at: int


class ActivityPayload(EventPayload):
    entity_type: str
    entity_id: int | None


class LifetimePayload(Payload):
    tasks_total: int
    tasks_completed: int
    tasks_active: int
    comments_authored: int


class IdentityPayload(Payload):
    id: int
    name: str
    role: str
    status: str
    last_seen: int | None
    last_activity: str | None
    created_at: int
    session_key: Literal["***"] | None
    has_soul: bool
    config_keys: list[str]
    lifetime_stats: LifetimePayload


class AuditEntryPayload(Payload):
    id: int
    action: str
    actor: str
    detail: dict[str, Any] | None
    created_at: int


class AuditPayload(Payload):
    total_activities: int
    by_type: dict[str, int]
    activities: list[ActivityPayload]
    audit_log_entries: list[AuditEntryPayload]


class AuthoredCommentPayload(Payload):
    id: int
    task_id: int
    content: str
    created_at: int
    mentions: list[str]
    task_title: str
    content_preview: str


class MutationSummaryPayload(Payload):
    task_mutations_count: int
    comments_count: int
    status_changes_count: int


class MutationsPayload(Payload):
    task_mutations: list[ActivityPayload]
    comments: list[AuthoredCommentPayload]
    status_changes: list[EventPayload]
    summary: MutationSummaryPayload


class TokenTotalPayload(Payload):
    input_tokens: int
    output_tokens: int
    requests: int


class ModelTokensPayload(Payload):
    model: str
    input_tokens: int
    output_tokens: int
    request_count: int


class DayTokensPayload(TokenTotalPayload):
    date: str
    day_bucket: int


class CostPayload(Payload):
    by_model: list[ModelTokensPayload]
    total: TokenTotalPayload
    daily_trend: list[DayTokensPayload]


class AttributionPayload(Payload):
    agent_name: str
    timeframe: TimeframePayload
    access_scope: Literal["self", "privileged"]
    identity: IdentityPayload | UnsetType = UNSET
    audit: AuditPayload | UnsetType = UNSET
    mutations: MutationsPayload | UnsetType = UNSET
    cost: CostPayload | UnsetType = UNSET


class DiagnosedAgentPayload(Payload):
    id: int
    name: str
    role: str
    status: str


class DiagnosticSummaryPayload(Payload):
    tasks_completed: int
    tasks_total: int
    activity_count: int
    error_count: int
    error_rate_percent: float


class CompletedTaskPayload(Payload):
    id: int
    title: str
    priority: str
    updated_at: int


class DiagnosticTasksPayload(Payload):
    by_status: dict[str, int]
    by_priority: dict[str, int]
    recent_completed: list[CompletedTaskPayload]
    throughput_per_day: float


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


class PeriodPayload(Payload):
    since: int
    until: int
    activities: int
    errors: int
    tasks_completed: int


class ChangePayload(Payload):
    activities_pct: float
    errors_pct: float
    tasks_completed_pct: float


class TrendAlertPayload(Payload):
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
