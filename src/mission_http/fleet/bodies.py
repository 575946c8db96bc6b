"""
Request bodies and queries for agents, tasks, projects and keys.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Final, Literal

from attrs import field
from starlette.requests import Request

from mission_core.boards.model import BoardStatus
from mission_core.entity_changes import field_values
from mission_core.errors import InvalidField
from mission_core.tasks.model import MOST_DEPENDENCIES, MOST_TAGS, Status
from mission_core.tasks.runs import TaskResult
from mission_core.values import ABSENT, MAX_INTEGER, Absent, JsonText, PageRequest, canonical
from mission_http.fleet.errors import InvalidRequest
from mission_http.fleet.wire import MAX_UNIX_SECONDS, seconds_of
from mission_http.platform.bodies import parsed_body_of
from mission_http.platform.errors import BodyMalformed, BodyMissing, FieldError, FieldsInvalid, single_value_error
from mission_http.platform.field_annotations import (
    Body,
    CustomCheck,
    Length,
    NumberRange,
    Query,
    SchemaOverride,
    TextPattern,
    WireName,
)

Priority = Literal["critical", "high", "medium", "low"]
UnixSeconds = Annotated[int, NumberRange(0, MAX_UNIX_SECONDS)]
Hours = Annotated[float, NumberRange(0, 10_000)]
EntityNumber = Annotated[int, NumberRange(1)]
LongText = Annotated[str, Length(0, 5000)]
Name = Annotated[str, Length(0, 100)]

METADATA_LIMITS: Final = {"implementation_repo": 200, "code_location": 500}


def json_text(value: dict[str, Any] | list[Any]) -> JsonText:
    """
    Convert a JSON object or list to its canonical text; fail if a store cannot hold it.
    """
    try:
        return canonical(value)
    except InvalidField as refusal:
        raise ValueError(refusal.reason) from None


def task_metadata(value: dict[str, Any]) -> JsonText:
    """
    Convert a task's metadata to JSON text. Two known keys must be texts of limited length; all others are free.
    """
    mistakes = []
    for key, most in METADATA_LIMITS.items():
        found = value.get(key, "-")
        if not isinstance(found, str):
            mistakes.append(FieldError((key,), "string_type", "Input should be a valid string", found))
        elif not 1 <= len(found) <= most:
            said = f"{key} cannot be empty" if not found else f"String should have at most {most} characters"
            mistakes.append(FieldError((key,), "string_too_long" if found else "string_too_short", said, found))
    if mistakes:
        raise FieldsInvalid(tuple(mistakes))
    return json_text(value)


def stripped_text(value: str) -> str:
    """
    Strip white space around a text.
    """
    return value.strip()


def require_unique(values: list[str]) -> list[str]:
    """
    Require that no two texts are equal.
    """
    if len(set(values)) < len(values):
        raise ValueError("must not name anything twice")
    return values


def boolean_or_bit(value: object) -> bool:
    """
    Parse a boolean, also from 0 or 1.
    """
    if isinstance(value, bool) or (isinstance(value, int) and value in (0, 1)):
        return bool(value)
    raise single_value_error("bool_type", "Input should be a valid boolean, 0 or 1", value)


def unix_seconds(value: object) -> int:
    """
    Parse Unix seconds, also from an ISO 8601 date or time. A time without a zone is in UTC.
    """
    if isinstance(value, str):
        try:
            told = datetime.fromisoformat(value)
            value = seconds_of(told if told.tzinfo else told.replace(tzinfo=UTC))
        except (ValueError, OverflowError):
            raise single_value_error("datetime_parsing", INVALID_MOMENT, value) from None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_UNIX_SECONDS:
        raise single_value_error("datetime_type", INVALID_MOMENT, value)
    return value


INVALID_MOMENT: Final = f"must be Unix seconds from 0 to {MAX_UNIX_SECONDS}, or an ISO 8601 date or time between these"
DueDate = Annotated[
    Any,
    CustomCheck(unix_seconds),
    SchemaOverride({"anyOf": [{"type": "integer", "minimum": 0, "maximum": MAX_UNIX_SECONDS}, {"type": "string"}]}),
]
"""Both forms are accepted: document 1.2.0 says text, but its server took seconds."""
OBJECT_SCHEMA: Final = SchemaOverride({"type": "object", "additionalProperties": True})
JsonObjectText = Annotated[dict[str, Any], CustomCheck(json_text), OBJECT_SCHEMA]
"""A JSON object, converted to its canonical text."""
Metadata = Annotated[dict[str, Any], CustomCheck(task_metadata), OBJECT_SCHEMA]
BooleanOrBit = Annotated[Any, CustomCheck(boolean_or_bit), SchemaOverride({"type": "boolean"})]


class PagedListQuery(Query):
    """
    Paging of a list; *after* is the number of the last row of the page before.
    """

    limit: Annotated[int, NumberRange(0)] = 50
    offset: Annotated[int, NumberRange(0)] = 0
    after: Annotated[int | None, NumberRange(0)] = None

    def page(self) -> PageRequest:
        """
        Return the requested page, limited to 200 rows.
        """
        return PageRequest(limit=min(self.limit, 200), offset=self.offset, after=self.after)


class UnlimitedListQuery(Query):
    """
    Paging of a list, without a limit by default; *after* is the number of the last row of the page before.
    """

    limit: Annotated[int | None, NumberRange(0)] = None
    offset: Annotated[int, NumberRange(0)] = 0
    after: Annotated[int | None, NumberRange(0)] = None

    def page(self) -> PageRequest:
        """
        Return the requested page.
        """
        limit = MAX_INTEGER if self.limit is None else self.limit
        return PageRequest(limit=limit, offset=self.offset, after=self.after)


class TaskPageQuery(PagedListQuery):
    status: str | None = None
    assigned_to: str | None = None
    priority: str | None = None
    project_id: Annotated[int | None, NumberRange(0)] = None


class QueueQuery(Query):
    agent: Annotated[str | None, CustomCheck(stripped_text), Length(0, 100)] = None
    max_capacity: Annotated[str | None, SchemaOverride({"type": "integer", "minimum": 1, "maximum": 20})] = None

    @property
    def max_in_progress(self) -> int | None:
        """
        The most tasks in progress at once, if given.

        Raises:
            InvalidRequest: If it is no number from 1 to 20.
        """
        if self.max_capacity is None:
            return None
        if not re.fullmatch(r"0*(?:[1-9]|1[0-9]|20)", self.max_capacity, re.ASCII):
            raise InvalidRequest("Invalid max_capacity. Expected integer 1..20.")
        return int(self.max_capacity)


class AgentPageQuery(PagedListQuery):
    status: str | None = None
    role: str | None = None
    show_hidden: str | None = None


class ProjectListQuery(Query):
    include_archived: Annotated[str | None, WireName("includeArchived")] = None


class DeleteProjectQuery(Query):
    mode: str | None = None


class TaskFields(Body):
    """
    Fields of a task for its creation and for changes. Null clears an optional field.
    """

    description: LongText | Absent | None = ABSENT
    status: Status | Absent = ABSENT
    priority: Priority | Absent = ABSENT
    project_id: EntityNumber | Absent = ABSENT
    assigned_to: Annotated[str, CustomCheck(stripped_text), Length(0, 100)] | Absent | None = ABSENT
    created_by: Name | Absent = ABSENT
    due_date: DueDate | Absent | None = ABSENT
    estimated_hours: Hours | Absent | None = ABSENT
    actual_hours: Hours | Absent | None = ABSENT
    outcome: TaskResult | Absent | None = ABSENT
    error_message: LongText | Absent | None = ABSENT
    resolution: LongText | Absent | None = ABSENT
    feedback_rating: Annotated[int, NumberRange(1, 5)] | Absent | None = ABSENT
    feedback_notes: LongText | Absent | None = ABSENT
    retry_count: Annotated[int, NumberRange(0)] | Absent = ABSENT
    completed_at: UnixSeconds | Absent | None = ABSENT
    tags: Annotated[list[Annotated[str, Length(1, 100)]], Length(0, MOST_TAGS)] | Absent = ABSENT
    metadata: Metadata | Absent = ABSENT
    depends_on: Annotated[list[EntityNumber], Length(0, MOST_DEPENDENCIES)] | Absent = ABSENT
    not_before: UnixSeconds | Absent | None = ABSENT
    max_attempts: Annotated[int, NumberRange(1, 1000)] | Absent = ABSENT


class CreateTaskBody(TaskFields):
    title: Annotated[str, Length(1, 500, says="Title is required")]


class UpdateTaskBody(TaskFields):
    title: Annotated[str, Length(1, 500, says="Title is required")] | Absent = ABSENT

    @property
    def changes_nothing(self) -> bool:
        """
        Whether the body changes no field.
        """
        return {name for name, value in field_values(self) if value is not ABSENT} <= {"created_by"}


class TaskStatusBody(Body):
    id: EntityNumber
    status: Status


class UpdateTasksBody(Body):
    tasks: Annotated[list[TaskStatusBody], Length(1, 100, says="At least one task is required")]


TASK_FIELD_NAMES: Final = {
    "project_id": "board",
    "assigned_to": "assignee",
    "due_date": "due_at",
    "outcome": "result",
    "created_by": "",
}
TASK_TIME_FIELDS: Final = frozenset({"due_date", "completed_at", "not_before"})


class CreateAgentBody(Body):
    name: Annotated[str, Length(1, 100, says="Name is required")]
    role: Annotated[str, Length(1, 100, says="Role is required")] | Absent = ABSENT
    openclaw_id: (
        Annotated[str, Length(1, 100), TextPattern("[a-z0-9][a-z0-9-]*", says="openclaw_id must be kebab-case")]
        | Absent
    ) = ABSENT
    session_key: Annotated[str, Length(0, 200)] | Absent = ABSENT
    soul_content: Annotated[str, Length(0, 50_000)] | Absent = ABSENT
    status: Literal["online", "offline", "busy", "idle", "error"] = "offline"
    config: dict[str, Any] = field(factory=dict)
    template: Name | Absent = ABSENT
    gateway_config: dict[str, Any] = field(factory=dict)
    write_to_gateway: bool = False
    provision_openclaw_workspace: bool = False
    openclaw_workspace_path: Annotated[str, Length(1, 500)] | Absent = ABSENT
    runtime_type: Literal["hermes", "openclaw", "claude", "codex", "custom"] | Absent = ABSENT


class RegisterAgentBody(Body):
    """
    The request body as documented. The handler validates it itself, with the original API's error texts.
    """

    name: Annotated[str, TextPattern(r"\s*[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}\s*")]
    role: Literal["coder", "reviewer", "tester", "devops", "researcher", "assistant", "agent"] = "agent"
    capabilities: list[str] = field(factory=list)
    framework: str | Absent = ABSENT


class TokenUsageBody(Body):
    model: str
    inputTokens: int
    outputTokens: int
    taskId: int | Absent = ABSENT
    cacheReadTokens: int = 0
    cacheWriteTokens: int = 0
    reasoningTokens: int = 0
    provider: str | Absent = ABSENT
    reportId: str | Absent = ABSENT


class AgentHeartbeatBody(Body):
    """
    The request body as documented. The handler accepts any body.
    """

    connection_id: str | Absent = ABSENT
    status: str | Absent = ABSENT
    last_activity: str | Absent = ABSENT
    token_usage: TokenUsageBody | Absent = ABSENT


class MakeKeyBody(Body):
    """
    The request body as documented. The handler validates it itself, with the original API's error texts.
    """

    name: Annotated[str, Length(1, 128)] = "default"
    scopes: list[str] = field(factory=list)
    expires_at: int | Absent = ABSENT
    expires_in_days: float | Absent = ABSENT


class RevokeKeyBody(Body):
    key_id: EntityNumber


class GatesBody(Body):
    """
    Gates of a project by name. Gates that are not sent stay as they are.
    """

    forbids_unknown: ClassVar[bool] = True

    require_approval_for_done: bool | Absent = ABSENT
    require_review_before_done: bool | Absent = ABSENT
    comment_required_for_review: bool | Absent = ABSENT
    block_status_changes_with_pending_approval: bool | Absent = ABSENT
    only_lead_can_change_status: bool | Absent = ABSENT

    def named(self) -> dict[str, bool]:
        """
        Return the gates that were sent.
        """
        given = dict(field_values(self))
        return {name: value for name, value in given.items() if value is not ABSENT}


class CreateProjectBody(Body):
    name: Any = None
    slug: str | None = None
    description: LongText | None = None
    ticket_prefix: str | None = None
    ticketPrefix: str | None = None
    github_repo: Annotated[str, Length(0, 200)] | None = None
    deadline: UnixSeconds | None = None
    color: Annotated[str, Length(0, 32)] | None = None
    gates: GatesBody = GatesBody()


class UpdateProjectBody(Body):
    forbids_unknown: ClassVar[bool] = True

    name: Annotated[str, CustomCheck(stripped_text), Length(1, 200, says="Name is required")] | Absent = ABSENT
    description: LongText | Absent | None = ABSENT
    ticket_prefix: Annotated[str, Length(0, 64)] | Absent = ABSENT
    ticketPrefix: Annotated[str, Length(0, 64)] | Absent = ABSENT
    status: BoardStatus | Absent = ABSENT
    github_repo: Annotated[str, Length(0, 200)] | Absent | None = ABSENT
    deadline: UnixSeconds | Absent | None = ABSENT
    color: Annotated[str, Length(0, 32)] | Absent | None = ABSENT
    github_sync_enabled: BooleanOrBit | Absent = ABSENT
    github_labels_initialized: BooleanOrBit | Absent = ABSENT
    github_default_branch: Annotated[str, Length(1, 255)] | Absent = ABSENT
    assigned_agents: (
        Annotated[list[Annotated[str, Length(1, 100)]], Length(0, 100), CustomCheck(require_unique)] | Absent
    ) = ABSENT
    gates: GatesBody | Absent = ABSENT

    def __attrs_post_init__(self) -> None:
        if all(value is ABSENT for _, value in field_values(self)):
            raise ValueError("At least one field is required")
        if self.ticket_prefix is not ABSENT and self.ticketPrefix is not ABSENT:
            raise ValueError("Use only one ticket prefix field")


async def required_object_of(request: Request, otherwise: str = "Request body required") -> dict[str, Any]:
    """
    Read a JSON object from the request body.

    Raises:
        InvalidRequest: With this text, if there is no body or it is anything else.
    """
    with suppress(BodyMissing, BodyMalformed):
        body = await parsed_body_of(request)
        if isinstance(body, dict):
            return body
    raise InvalidRequest(otherwise)
