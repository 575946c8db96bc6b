"""
Responses about errors, tasks, leases, runs, agents, keys, projects and health.
"""

from __future__ import annotations

from typing import Any, Literal

from attrs import frozen
from msgspec import UNSET, UnsetType

from mission_http.platform.error_codes import ErrorCode


@frozen(kw_only=True)
class InjectionPayload:
    rule: str
    description: str


@frozen(kw_only=True)
class ErrorPayload:
    error: str
    details: list[str] | UnsetType = UNSET
    injection: list[InjectionPayload] | UnsetType = UNSET
    missing_mentions: list[str] | UnsetType = UNSET
    code: ErrorCode | UnsetType = UNSET
    hint: str | UnsetType = UNSET


@frozen(kw_only=True)
class TaskPayload:
    id: int
    title: str
    description: str | None
    status: str
    priority: str
    assigned_to: str | None
    created_by: str
    created_at: int
    updated_at: int
    due_date: int | None
    estimated_hours: float | None
    actual_hours: float | None
    tags: list[str]
    metadata: dict[str, Any]
    workspace_id: int
    project_id: int | None
    project_ticket_no: int | None
    outcome: str | None
    error_message: str | None
    resolution: str | None
    feedback_rating: int | None
    feedback_notes: str | None
    retry_count: int
    completed_at: int | None
    github_issue_number: int | None
    github_repo: str | None
    github_synced_at: int | None
    github_branch: str | None
    github_pr_number: int | None
    github_pr_state: str | None
    dispatch_attempts: int
    project_name: str | UnsetType | None = UNSET
    project_prefix: str | UnsetType | None = UNSET
    ticket_ref: str | UnsetType = UNSET
    number: int
    version: int
    fence: int
    attempts: int
    max_attempts: int
    depends_on: list[int]
    blocked_by: list[int]
    not_before: int | None
    output: dict[str, Any] | None
    hand_over: str | None
    recorded: bool
    comment_count: int | UnsetType = UNSET


@frozen(kw_only=True)
class TaskAnswerPayload:
    task: TaskPayload
    unchanged: bool | UnsetType = UNSET


@frozen(kw_only=True)
class PolledPayload:
    task: TaskPayload | None
    reason: Literal["continue_current", "assigned", "at_capacity", "no_tasks_available"]
    agent: str
    timestamp: int


@frozen(kw_only=True)
class TaskListPayload:
    tasks: list[TaskPayload]
    total: int
    page: int | None
    limit: int


@frozen(kw_only=True)
class UpdatedTasksPayload:
    success: bool
    updated: int
    changed: int
    missing: list[int]


@frozen(kw_only=True)
class SuccessPayload:
    success: bool


@frozen(kw_only=True)
class LeasePayload:
    run_id: str
    lease: str
    fence: int
    attempt: int
    expires_at: int
    heartbeat_seconds: int


@frozen(kw_only=True)
class LateResultPayload:
    """
    A result or failure that was handed in after the lease was lost. It did not change the task.
    """

    run_id: str
    fence: int
    agent: str
    notice: str
    outcome: str | None
    resolution: str | None
    output: dict[str, Any] | None
    reason: str | None
    message: str | None
    received_at: int
    adopted_at: int | None


@frozen(kw_only=True)
class ClaimPayload:
    task: TaskPayload | None
    lease: LeasePayload | None
    late_results: list[LateResultPayload]


@frozen(kw_only=True)
class OrderPayload:
    id: str | None
    kind: Literal["continue", "pause", "cancel", "steer"]
    message: str | None


@frozen(kw_only=True)
class BeatPayload:
    order: OrderPayload
    state: str
    expires_at: int
    heartbeat_seconds: int
    late_results: list[LateResultPayload]


@frozen(kw_only=True)
class ExplanationPayload:
    state: str
    since: int
    why: str
    next: str
    late_results: list[LateResultPayload]


@frozen(kw_only=True)
class RunPayload:
    run_id: str
    task_id: int
    fence: int
    attempt: int
    agent: str
    state: str
    claimed_at: int
    expires_at: int
    heartbeat_at: int
    progress: dict[str, Any] | None
    paused: bool
    waiting_for: str | None
    resumes_at: int | None
    ended_at: int | None
    outcome: str | None
    resolution: str | None
    output: dict[str, Any] | None
    reason: str | None
    message: str | None
    note: str | None
    late_result: LateResultPayload | None


@frozen(kw_only=True)
class RunListPayload:
    runs: list[RunPayload]
    total: int


@frozen(kw_only=True)
class TaskStatsPayload:
    total: int
    assigned: int
    in_progress: int
    quality_review: int
    done: int
    completed: int


@frozen(kw_only=True)
class AgentPayload:
    id: int
    name: str
    role: str
    session_key: str | None
    soul_content: str | None
    status: str
    last_seen: int | None
    last_activity: str | None
    created_at: int
    updated_at: int
    config: dict[str, Any]
    workspace_id: int
    source: str
    content_hash: str | None
    workspace_path: str | None
    hidden: int
    working_memory: str
    runtime_type: str | None
    claude_base_session_id: str | None
    claude_base_session_created_at: int | None
    version: int
    taskStats: TaskStatsPayload | UnsetType = UNSET


@frozen(kw_only=True)
class AgentAnswerPayload:
    agent: AgentPayload


@frozen(kw_only=True)
class MadeAgentPayload:
    agent: AgentPayload
    agent_token: str | UnsetType = UNSET
    warning: str | UnsetType = UNSET


@frozen(kw_only=True)
class AgentListPayload:
    agents: list[AgentPayload]
    total: int
    page: int | None
    limit: int


@frozen(kw_only=True)
class RegisteredAgentPayload:
    id: int
    name: str
    role: str
    status: str
    created_at: int
    version: int


@frozen(kw_only=True)
class RegistrationPayload:
    agent: RegisteredAgentPayload
    registered: bool
    message: str
    agent_token: str | UnsetType = UNSET


@frozen(kw_only=True)
class WorkItemPayload:
    id: int
    title: str
    status: str
    priority: str
    due_date: int | None
    implementation_repo: str | UnsetType = UNSET
    code_location: str | UnsetType = UNSET


@frozen(kw_only=True)
class WorkItemsPayload:
    type: Literal["assigned_tasks", "notifications", "urgent_activities"]
    count: int
    items: list[WorkItemPayload]


@frozen(kw_only=True)
class AgentHeartbeatPayload:
    status: Literal["HEARTBEAT_OK", "WORK_ITEMS_FOUND"] | UnsetType = UNSET
    agent: str | UnsetType = UNSET
    checked_at: int | UnsetType = UNSET
    message: str | UnsetType = UNSET
    work_items: list[WorkItemsPayload] | UnsetType = UNSET
    total_items: int | UnsetType = UNSET
    error: str | UnsetType = UNSET
    token_recorded: bool | UnsetType = UNSET


@frozen(kw_only=True)
class KeyPayload:
    id: int
    name: str
    key_prefix: str
    scopes: list[str]
    created_by: str | None
    expires_at: int | None
    revoked_at: int | None
    last_used_at: int | None
    created_at: int
    updated_at: int


@frozen(kw_only=True)
class KeyholderPayload:
    id: int
    name: str


@frozen(kw_only=True)
class KeyListPayload:
    agent: KeyholderPayload
    keys: list[KeyPayload]


@frozen(kw_only=True)
class NewKeyPayload:
    id: int
    name: str
    key_prefix: str
    scopes: list[str]
    expires_at: int | None
    created_at: int


@frozen(kw_only=True)
class MadeKeyPayload:
    key: NewKeyPayload
    api_key: str | UnsetType = UNSET


@frozen(kw_only=True)
class RevokedKeyPayload:
    success: bool
    key_id: int
    revoked_at: int


@frozen(kw_only=True)
class GatesPayload:
    require_approval_for_done: bool
    require_review_before_done: bool
    comment_required_for_review: bool
    block_status_changes_with_pending_approval: bool
    only_lead_can_change_status: bool


@frozen(kw_only=True)
class ProjectPayload:
    id: int
    workspace_id: int
    name: str
    slug: str
    description: str | None
    ticket_prefix: str
    ticket_counter: int
    status: Literal["active", "archived"]
    github_repo: str | None
    deadline: int | None
    color: str | None
    github_sync_enabled: int
    github_labels_initialized: int
    github_default_branch: str
    created_at: int
    updated_at: int
    gates: GatesPayload
    version: int
    task_count: int | UnsetType = UNSET
    assigned_agents: list[str] | UnsetType = UNSET


@frozen(kw_only=True)
class ProjectAnswerPayload:
    project: ProjectPayload


@frozen(kw_only=True)
class DeletedProjectPayload:
    success: bool
    mode: Literal["archive", "delete"]


@frozen(kw_only=True)
class ProjectListPayload:
    projects: list[ProjectPayload]


@frozen(kw_only=True)
class HealthPayload:
    status: Literal["ok", "degraded"]
    db: Literal["ok", "error"]
    ts: str
    code: ErrorCode | UnsetType = UNSET
