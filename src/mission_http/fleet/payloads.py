"""
Responses about errors, tasks, leases, runs, agents, keys, projects and health.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from msgspec import UNSET, Raw, UnsetType

from mission_core.accounts.model import ApiKey
from mission_core.agents.model import Agent
from mission_core.agents.queries import AgentRow, AgentTaskCounts, ApiKeyRow
from mission_core.boards.queries import BoardRow
from mission_core.projections import Constant, EncodedField, JsonEncoding
from mission_core.tasks.explanations import Explanation
from mission_core.tasks.heartbeats import HeartbeatResult
from mission_core.tasks.late_results import NOTICE, LateResult
from mission_core.tasks.leases import ClaimResult
from mission_core.tasks.queries import Dependency, RunRow, TaskRow
from mission_http.fleet.wire import (
    WORKSPACE_NUMBER,
    FleetPayload,
    UnixSeconds,
    heartbeat_seconds,
    seconds_of,
    shown_status,
    tag_names_of,
)
from mission_http.platform.shapes import Computed, DatabaseValue, Fixed, Given, Of, Payload

if TYPE_CHECKING:
    from datetime import datetime


NUMBER: Final = attrgetter("number")


def tags_of(row: TaskRow) -> Any:
    return tag_names_of(row) if row.tagged else Raw(row.tags.encode())


def ticket_reference(row: TaskRow) -> str | UnsetType:
    return row.ticket_reference or UNSET


def dependency_numbers(dependencies: tuple[Dependency, ...]) -> list[int]:
    return list(map(NUMBER, dependencies))


def open_dependency_numbers(dependencies: tuple[Dependency, ...]) -> list[int]:
    return [each.number for each in dependencies if not each.done] if dependencies else []


NO_DEPENDENCIES: Final = DatabaseValue(Constant([]), while_empty=("depends_on",))
TAG_WORDS: Final = DatabaseValue(EncodedField("tags", JsonEncoding.JSON), while_empty=("tag_ids",))
TICKET_REFERENCE: Final = DatabaseValue(EncodedField("ticket_reference", JsonEncoding.TEXT))


class TaskPayload(FleetPayload[TaskRow]):
    id: Annotated[int, Of("number")]
    title: str
    description: str | None
    status: str
    priority: str
    assigned_to: Annotated[str | None, Of("assignee")]
    created_by: Annotated[str, Of("creator_name")]
    created_at: UnixSeconds
    updated_at: UnixSeconds
    due_date: Annotated[UnixSeconds | None, Of("due_at")]
    estimated_hours: float | None
    actual_hours: float | None
    tags: Annotated[list[str], Computed(tags_of, reads=("tags", "tagged")), TAG_WORDS]
    metadata: dict[str, Any]
    workspace_id: Annotated[int, Fixed(WORKSPACE_NUMBER)]
    project_id: Annotated[int | None, Of("board_number")]
    project_ticket_no: Annotated[int | None, Of("ticket")]
    outcome: Annotated[str | None, Of("result")]
    error_message: str | None
    resolution: str | None
    feedback_rating: int | None
    feedback_notes: str | None
    retry_count: int
    completed_at: UnixSeconds | None
    github_issue_number: Annotated[int | None, Of("github_issue")]
    github_repo: str | None
    github_synced_at: UnixSeconds | None
    github_branch: str | None
    github_pr_number: Annotated[int | None, Of("github_pull_request")]
    github_pr_state: Annotated[str | None, Of("github_pull_request_state")]
    dispatch_attempts: Annotated[int, Fixed(0)]
    project_name: Annotated[str | UnsetType | None, Of("board_name")] = UNSET
    project_prefix: Annotated[str | UnsetType | None, Of("ticket_prefix")] = UNSET
    ticket_ref: Annotated[
        str | UnsetType, Computed(ticket_reference, reads=("ticket_prefix", "ticket")), TICKET_REFERENCE
    ] = UNSET
    number: int
    version: int
    fence: int
    attempts: int
    max_attempts: int
    depends_on: Annotated[list[int], Of("dependencies", dependency_numbers), NO_DEPENDENCIES]
    blocked_by: Annotated[list[int], Of("dependencies", open_dependency_numbers), NO_DEPENDENCIES]
    not_before: UnixSeconds | None
    output: dict[str, Any] | None
    hand_over: str | None
    recorded: bool
    comment_count: Annotated[int | UnsetType, Given()] = UNSET


def without_project(task: TaskPayload) -> TaskPayload:
    """
    Leave out the project's name and ticket prefix.
    """
    task.project_name = task.project_prefix = task.ticket_ref = UNSET
    return task


class TaskAnswerPayload(Payload):
    task: TaskPayload
    unchanged: bool | UnsetType = UNSET


class PolledPayload(Payload):
    task: TaskPayload | None
    reason: Literal["continue_current", "assigned", "at_capacity", "no_tasks_available"]
    agent: str
    timestamp: int


class TaskListPayload(Payload):
    tasks: list[TaskPayload]
    total: int
    page: int | None
    limit: int


class UpdatedTasksPayload(Payload):
    success: bool
    updated: int
    changed: int
    missing: list[int]


class SuccessPayload(Payload):
    success: bool


class LeasePayload(FleetPayload[ClaimResult]):
    run_id: Annotated[str, Of("run.id")]
    lease: str
    fence: Annotated[int, Of("run.fence")]
    attempt: Annotated[int, Of("run.attempt")]
    expires_at: Annotated[UnixSeconds, Of("run.expires_at")]
    heartbeat_seconds: Annotated[int, Of("run.term", heartbeat_seconds)]


class LateResultPayload(FleetPayload[LateResult]):
    """
    A result or failure that was handed in after the lease was lost. It did not change the task.
    """

    run_id: Annotated[str, Of("run")]
    fence: int
    agent: Annotated[str, Of("by")]
    notice: Annotated[str, Fixed(NOTICE)]
    outcome: Annotated[str | None, Of("result")]
    resolution: str | None
    output: dict[str, Any] | None
    reason: Annotated[str | None, Of("failure")]
    message: str | None
    received_at: UnixSeconds
    adopted_at: UnixSeconds | None


class ClaimPayload(Payload):
    task: TaskPayload | None
    lease: LeasePayload | None
    late_results: list[LateResultPayload]


class OrderPayload(FleetPayload[HeartbeatResult]):
    id: Annotated[str | None, Of("order.id")]
    kind: Annotated[Literal["continue", "pause", "cancel", "steer", "budget_reached"], Of("instruction")]
    message: Annotated[str | None, Of("message")]


class BeatPayload(FleetPayload[HeartbeatResult]):
    order: Annotated[OrderPayload, Of()]
    state: Annotated[str, Of("run.state")]
    expires_at: Annotated[UnixSeconds, Of("run.expires_at")]
    heartbeat_seconds: Annotated[int, Of("run.term", heartbeat_seconds)]
    late_results: list[LateResultPayload]


class ExplanationPayload(FleetPayload[Explanation]):
    state: str
    since: UnixSeconds
    why: str
    next: str
    late_results: list[LateResultPayload]


class RunPayload(FleetPayload[RunRow]):
    run_id: Annotated[str, Of("id")]
    task_id: Annotated[int, Given()]
    fence: int
    attempt: int
    agent: Annotated[str, Of("by")]
    state: str
    claimed_at: UnixSeconds
    expires_at: UnixSeconds
    heartbeat_at: UnixSeconds
    progress: dict[str, Any] | None
    paused: bool
    waiting_for: str | None
    resumes_at: UnixSeconds | None
    ended_at: UnixSeconds | None
    outcome: Annotated[str | None, Of("result")]
    resolution: str | None
    output: dict[str, Any] | None
    reason: Annotated[str | None, Of("failure")]
    message: str | None
    note: str | None
    late_result: Annotated[LateResultPayload | None, Given()]


class RunListPayload(Payload):
    runs: list[RunPayload]
    total: int


class TaskStatsPayload(FleetPayload[AgentTaskCounts]):
    total: int
    assigned: int
    in_progress: int
    quality_review: int
    done: int
    completed: Annotated[int, Of("done")]


class AgentPayload(FleetPayload[AgentRow]):
    id: Annotated[int, Of("number")]
    name: str
    role: str
    session_key: str | None
    soul_content: Annotated[str | None, Of("soul")]
    status: Annotated[str, Given()]
    last_seen: Annotated[UnixSeconds | None, Of("last_seen_at")]
    last_activity: Annotated[str | None, Of("activity")]
    created_at: UnixSeconds
    updated_at: UnixSeconds
    config: dict[str, Any]
    workspace_id: Annotated[int, Fixed(WORKSPACE_NUMBER)]
    source: str
    content_hash: Annotated[str | None, Fixed(None)]
    workspace_path: str | None
    hidden: int
    working_memory: str
    runtime_type: str | None
    claude_base_session_id: Annotated[str | None, Fixed(None)]
    claude_base_session_created_at: Annotated[int | None, Fixed(None)]
    version: int
    taskStats: Annotated[TaskStatsPayload | UnsetType, Given()] = UNSET


def agent_payload(row: AgentRow, *, at: datetime, **more: Any) -> AgentPayload:
    """
    Return the payload of an agent that was read alone, with its status at this time.
    """
    return AgentPayload.of(row, status=shown_status(row, at=at), **more)


class AgentAnswerPayload(Payload):
    agent: AgentPayload


class MadeAgentPayload(Payload):
    agent: AgentPayload
    agent_token: str | UnsetType = UNSET
    warning: str | UnsetType = UNSET


class AgentListPayload(Payload):
    agents: list[AgentPayload]
    total: int
    page: int | None
    limit: int


class NamedAgentPayload(FleetPayload[AgentRow]):
    id: Annotated[int, Of("number")]
    name: str
    role: str


class RegisteredAgentPayload(FleetPayload[Agent]):
    id: Annotated[int, Of("number")]
    name: str
    role: str
    status: Annotated[str, Fixed("idle")]
    created_at: UnixSeconds
    version: int


class RegistrationPayload(Payload):
    agent: RegisteredAgentPayload
    registered: bool
    message: str
    agent_token: str | UnsetType = UNSET


class WorkItemPayload(FleetPayload[TaskRow]):
    id: Annotated[int, Of("number")]
    title: str
    status: str
    priority: str
    due_date: Annotated[UnixSeconds | None, Of("due_at")]
    implementation_repo: Annotated[str | UnsetType, Given()] = UNSET
    code_location: Annotated[str | UnsetType, Given()] = UNSET


class NotificationItemPayload(Payload):
    id: int
    type: str
    title: str
    message: str
    created_at: int


class WorkItemsPayload(Payload):
    type: Literal["assigned_tasks", "notifications", "urgent_activities"]
    count: int
    items: list[WorkItemPayload] | list[NotificationItemPayload]


class AgentHeartbeatPayload(Payload):
    status: Literal["HEARTBEAT_OK", "WORK_ITEMS_FOUND"] | UnsetType = UNSET
    agent: str | UnsetType = UNSET
    checked_at: int | UnsetType = UNSET
    message: str | UnsetType = UNSET
    work_items: list[WorkItemsPayload] | UnsetType = UNSET
    total_items: int | UnsetType = UNSET
    error: str | UnsetType = UNSET
    token_recorded: bool | UnsetType = UNSET
    token_error: str | UnsetType = UNSET
    order: OrderPayload | UnsetType = UNSET


class KeyPayload(FleetPayload[ApiKeyRow]):
    id: Annotated[int, Of("number")]
    name: str
    key_prefix: Annotated[str, Of("prefix")]
    scopes: list[str]
    created_by: str | None
    expires_at: UnixSeconds | None
    revoked_at: UnixSeconds | None
    last_used_at: UnixSeconds | None
    created_at: UnixSeconds
    updated_at: UnixSeconds


class KeyholderPayload(Payload):
    id: int
    name: str


class KeyListPayload(Payload):
    agent: KeyholderPayload
    keys: list[KeyPayload]


class NewKeyPayload(FleetPayload[ApiKey]):
    id: Annotated[int, Of("number")]
    name: str
    key_prefix: Annotated[str, Of("prefix")]
    scopes: list[str]
    expires_at: UnixSeconds | None
    created_at: UnixSeconds


class MadeKeyPayload(Payload):
    key: NewKeyPayload
    api_key: str | UnsetType = UNSET


class RevokedKeyPayload(FleetPayload[ApiKey]):
    success: Annotated[bool, Fixed(True)]
    key_id: Annotated[int, Of("number")]
    revoked_at: Annotated[UnixSeconds, Of("revoked_at", seconds_of)]


class GatesPayload(FleetPayload[BoardRow]):
    require_approval_for_done: bool
    require_review_before_done: bool
    comment_required_for_review: bool
    block_status_changes_with_pending_approval: bool
    only_lead_can_change_status: bool


class ProjectPayload(FleetPayload[BoardRow]):
    id: Annotated[int, Of("number")]
    workspace_id: Annotated[int, Fixed(WORKSPACE_NUMBER)]
    name: str
    slug: Annotated[str, Of("handle")]
    description: str | None
    ticket_prefix: str
    ticket_counter: int
    status: Literal["active", "archived"]
    github_repo: str | None
    deadline: UnixSeconds | None
    color: str | None
    github_sync_enabled: int
    github_labels_initialized: int
    github_default_branch: str
    created_at: UnixSeconds
    updated_at: UnixSeconds
    gates: Annotated[GatesPayload, Of()]
    version: int
    task_count: Annotated[int | UnsetType, Given()] = UNSET
    assigned_agents: Annotated[list[str] | UnsetType, Given()] = UNSET


class ProjectAnswerPayload(Payload):
    project: ProjectPayload


class DeletedProjectPayload(Payload):
    success: bool
    mode: Literal["archive", "delete"]


class ProjectListPayload(Payload):
    projects: list[ProjectPayload]
