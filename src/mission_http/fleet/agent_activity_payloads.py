"""
Query and responses of the attribution and diagnostics reports of an agent.
"""

from __future__ import annotations

from typing import Any, Literal

from attrs import frozen
from msgspec import UNSET, UnsetType


@frozen(kw_only=True)
class AgentActivityQuery:
    """
    Query of a report on one agent: the hours it covers, and its sections, separated by commas.
    """

    hours: str | None = None
    section: str | None = None
    privileged: str | None = None


@frozen(kw_only=True)
class TimeframePayload:
    hours: int
    since: int
    until: int


@frozen(kw_only=True)
class TypeCountPayload:
    type: str
    count: int


@frozen(kw_only=True)
class EventPayload:
    id: int
    type: str
    description: str
    data: dict[str, Any] | None
    created_at: int


@frozen(kw_only=True)
class ActivityPayload(EventPayload):
    entity_type: str
    entity_id: int | None


@frozen(kw_only=True)
class LifetimePayload:
    tasks_total: int
    tasks_completed: int
    tasks_active: int
    comments_authored: int


@frozen(kw_only=True)
class IdentityPayload:
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


@frozen(kw_only=True)
class AuditEntryPayload:
    id: int
    action: str
    actor: str
    detail: dict[str, Any] | None
    created_at: int


@frozen(kw_only=True)
class AuditPayload:
    total_activities: int
    by_type: dict[str, int]
    activities: list[ActivityPayload]
    audit_log_entries: list[AuditEntryPayload]


@frozen(kw_only=True)
class AuthoredCommentPayload:
    id: int
    task_id: int
    content: str
    created_at: int
    mentions: list[str]
    task_title: str
    content_preview: str


@frozen(kw_only=True)
class MutationSummaryPayload:
    task_mutations_count: int
    comments_count: int
    status_changes_count: int


@frozen(kw_only=True)
class MutationsPayload:
    task_mutations: list[ActivityPayload]
    comments: list[AuthoredCommentPayload]
    status_changes: list[EventPayload]
    summary: MutationSummaryPayload


@frozen(kw_only=True)
class TokenTotalPayload:
    input_tokens: int
    output_tokens: int
    requests: int


@frozen(kw_only=True)
class ModelTokensPayload:
    model: str
    input_tokens: int
    output_tokens: int
    request_count: int


@frozen(kw_only=True)
class DayTokensPayload(TokenTotalPayload):
    date: str
    day_bucket: int


@frozen(kw_only=True)
class CostPayload:
    by_model: list[ModelTokensPayload]
    total: TokenTotalPayload
    daily_trend: list[DayTokensPayload]


@frozen(kw_only=True)
class AttributionPayload:
    agent_name: str
    timeframe: TimeframePayload
    access_scope: Literal["self", "privileged"]
    identity: IdentityPayload | UnsetType = UNSET
    audit: AuditPayload | UnsetType = UNSET
    mutations: MutationsPayload | UnsetType = UNSET
    cost: CostPayload | UnsetType = UNSET


@frozen(kw_only=True)
class DiagnosedAgentPayload:
    id: int
    name: str
    role: str
    status: str


@frozen(kw_only=True)
class DiagnosticSummaryPayload:
    tasks_completed: int
    tasks_total: int
    activity_count: int
    error_count: int
    error_rate_percent: float


@frozen(kw_only=True)
class CompletedTaskPayload:
    id: int
    title: str
    priority: str
    updated_at: int


@frozen(kw_only=True)
class DiagnosticTasksPayload:
    by_status: dict[str, int]
    by_priority: dict[str, int]
    recent_completed: list[CompletedTaskPayload]
    throughput_per_day: float


@frozen(kw_only=True)
class DiagnosticErrorsPayload:
    by_type: list[TypeCountPayload]
    total: int
    recent: list[EventPayload]


@frozen(kw_only=True)
class HourPayload:
    timestamp: int
    hour: str
    count: int


@frozen(kw_only=True)
class DiagnosticActivityPayload:
    by_type: list[TypeCountPayload]
    timeline: list[HourPayload]


@frozen(kw_only=True)
class PeriodPayload:
    since: int
    until: int
    activities: int
    errors: int
    tasks_completed: int


@frozen(kw_only=True)
class ChangePayload:
    activities_pct: float
    errors_pct: float
    tasks_completed_pct: float


@frozen(kw_only=True)
class TrendAlertPayload:
    level: Literal["info", "warning"]
    message: str


@frozen(kw_only=True)
class TrendsPayload:
    current_period: PeriodPayload
    previous_period: PeriodPayload
    change: ChangePayload
    alerts: list[TrendAlertPayload]


@frozen(kw_only=True)
class TokensPayload:
    by_model: list[ModelTokensPayload]
    total: TokenTotalPayload


@frozen(kw_only=True)
class DiagnosticsPayload:
    agent: DiagnosedAgentPayload
    timeframe: TimeframePayload
    summary: DiagnosticSummaryPayload | UnsetType = UNSET
    tasks: DiagnosticTasksPayload | UnsetType = UNSET
    errors: DiagnosticErrorsPayload | UnsetType = UNSET
    activity: DiagnosticActivityPayload | UnsetType = UNSET
    trends: TrendsPayload | UnsetType = UNSET
    tokens: TokensPayload | UnsetType = UNSET
