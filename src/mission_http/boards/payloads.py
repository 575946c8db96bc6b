"""
Bodies, queries and responses of boards and tasks, and those that several areas share.

The class names are the component names of the OpenAPI document.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Generic, Literal, TypeVar
from uuid import UUID

from attrs import asdict, field

from mission_core.accounts.organizations import built_in_gateway
from mission_core.boards.model import GateSet
from mission_core.boards.queries import BoardRow
from mission_core.boards.tags import Tag
from mission_core.boards.use_cases import CreateBoard, UpdateBoard
from mission_core.ids import AgentId, BoardId, OrganizationId, TagId, TaskId
from mission_core.projections import Choice, Constant, EncodedField, JsonEncoding
from mission_core.tasks.comments import Comment
from mission_core.tasks.model import Status
from mission_core.tasks.queries import TaskRow
from mission_core.tasks.use_cases import CreateTask, UpdateMode, UpdateTask
from mission_core.values import ABSENT, EMPTY_OBJECT, Absent
from mission_http.boards.wire import (
    BLOCKED_STATUSES,
    RAW_VALUES,
    SHOWN_STATUSES,
    BoardsPayload,
    JsonObject,
    maybe_json,
    raw_json,
    uuid_from,
)
from mission_http.platform.field_annotations import Body, CustomCheck, Length, NumberRange, Query, SchemaOverride
from mission_http.platform.shapes import Computed, DatabaseValue, Of, Payload

T = TypeVar("T")
ShownStatus = Literal["inbox", "in_progress", "review", "done"]
MaybeObject = Annotated[dict[str, Any] | None, SchemaOverride({"anyOf": [{"type": "object"}, {"type": "null"}]})]
GATE_FIELDS: Final = (
    "require_approval_for_done", "require_review_before_done", "comment_required_for_review",
    "block_status_changes_with_pending_approval", "only_lead_can_change_status",
)  # fmt: skip


def stripped(value: str) -> str:
    return value.strip()


def none_if_blank(value: str) -> str | None:
    return value.strip() or None


class LimitOffsetPage(Payload, Generic[T]):
    items: list[T]
    total: int
    limit: int
    offset: int


class PageQuery(Query):
    limit: Annotated[int, NumberRange(1, 200)] = 200
    offset: Annotated[int, NumberRange(0)] = 0


class NumberedPageQuery(PageQuery):
    """
    A page of a list that is sorted by number, ascending or descending. *after* is the `number` of the last item already
    seen.
    """

    after: Annotated[int | None, NumberRange(0)] = None


class OkResponse(Payload):
    ok: bool = True


class BoardListQuery(PageQuery):
    gateway_id: UUID | None = None
    board_group_id: UUID | None = None


def gateway_of(row: BoardRow) -> bytes:
    return row.gateway or built_in_gateway(OrganizationId(UUID(bytes=row.organization))).bytes


def text_or_empty(value: str | None) -> str:
    return value or ""


class BoardRead(BoardsPayload[BoardRow]):
    id: UUID
    organization_id: Annotated[UUID, Of("organization")]
    name: str
    slug: str
    description: Annotated[str, Of("description", text_or_empty)]
    gateway_id: Annotated[UUID | None, Computed(gateway_of)]
    board_group_id: Annotated[UUID | None, Of("group")]
    board_type: str
    objective: str | None
    success_metrics: MaybeObject
    target_date: datetime | None
    goal_confirmed: bool
    goal_source: str | None
    require_approval_for_done: bool
    require_review_before_done: bool
    comment_required_for_review: bool
    block_status_changes_with_pending_approval: bool
    only_lead_can_change_status: bool
    max_agents: int
    created_at: datetime
    updated_at: datetime
    number: int
    ticket_prefix: str
    version: int


def require_complete_goal(board_type: str, objective: str | None, success_metrics: JsonObject | None) -> None:
    """
    Validate that a goal has an objective and success metrics.

    Raises:
        ValueError: If it lacks one of them.
    """
    if board_type == "goal" and not (objective and maybe_json(success_metrics) not in (None, EMPTY_OBJECT)):
        raise ValueError("Confirmed goal boards require objective and success_metrics")


class BoardCreate(Body):
    name: str
    slug: str
    description: Annotated[str, CustomCheck(stripped)]
    gateway_id: UUID | None = None
    board_group_id: UUID | None = None
    board_type: str = "goal"
    objective: str | None = None
    success_metrics: JsonObject | None = None
    target_date: datetime | None = None
    goal_confirmed: bool = False
    goal_source: str | None = None
    require_approval_for_done: bool = True
    require_review_before_done: bool = False
    comment_required_for_review: bool = False
    block_status_changes_with_pending_approval: bool = False
    only_lead_can_change_status: bool = False
    max_agents: Annotated[int, NumberRange(0, 1_000_000)] = 1

    def __attrs_post_init__(self) -> None:
        if not self.description:
            raise ValueError("description is required")
        if self.goal_confirmed:
            require_complete_goal(self.board_type, self.objective, self.success_metrics)

    def command(self) -> CreateBoard:
        gates, named = _gates_and_fields(self)
        return CreateBoard(gates=GateSet(**gates), **named)


class BoardUpdate(Body):
    name: str | Absent = ABSENT
    slug: str | Absent = ABSENT
    description: Annotated[str | None, CustomCheck(none_if_blank)] | Absent = ABSENT
    gateway_id: UUID | Absent | None = ABSENT
    board_group_id: UUID | Absent | None = ABSENT
    board_type: str | Absent = ABSENT
    objective: str | Absent | None = ABSENT
    success_metrics: JsonObject | Absent | None = ABSENT
    target_date: datetime | Absent | None = ABSENT
    goal_confirmed: bool | Absent = ABSENT
    goal_source: str | Absent | None = ABSENT
    require_approval_for_done: bool | Absent = ABSENT
    require_review_before_done: bool | Absent = ABSENT
    comment_required_for_review: bool | Absent = ABSENT
    block_status_changes_with_pending_approval: bool | Absent = ABSENT
    only_lead_can_change_status: bool | Absent = ABSENT
    max_agents: Annotated[int, NumberRange(0, 1_000_000)] | Absent = ABSENT

    def __attrs_post_init__(self) -> None:
        if self.gateway_id is None:
            raise ValueError("gateway_id is required")
        if self.description is None:
            raise ValueError("description is required")

    def command(self, board: BoardId, *, expects: int | None) -> UpdateBoard:
        gates, named = _gates_and_fields(self)
        return UpdateBoard(board=board, expects=expects, gates=gates, **named)


def _gates_and_fields(body: BoardCreate | BoardUpdate) -> tuple[dict[str, bool], dict[str, Any]]:
    """
    The gates that the body of a board contains, and the other fields as those of a command.
    """
    named = sent_fields(body)
    gates: dict[str, bool] = {gate: named.pop(gate) for gate in GATE_FIELDS if gate in named}
    named.pop("gateway_id", None)
    if "board_group_id" in named:
        named["group"] = named.pop("board_group_id")
    return gates, named


def sent_fields(body: Any) -> dict[str, Any]:
    """
    The fields that the body of an update contains.
    """
    return {name: value for name, value in asdict(body, recurse=False).items() if not isinstance(value, Absent)}


class TagRef(BoardsPayload[Tag]):
    id: UUID
    name: str
    slug: str
    color: str


class TaskListQuery(NumberedPageQuery):
    status: str | None = None
    assigned_agent_id: UUID | None = None
    unassigned: bool | None = None


def creating_user(row: TaskRow) -> bytes | None:
    return row.creator_id if row.creator_kind == "user" else None


def ids_of_tags(tags: tuple[Tag, ...]) -> list[TagId]:
    return [tag.id for tag in tags]


def open_dependencies(row: TaskRow) -> list[str]:
    """
    The dependencies of a task that are not done. A deleted dependency is not done.
    """
    if not row.depends_on or row.status == "done":
        return []
    done = {dependency.id for dependency in row.dependencies if dependency.done}
    ids = (row.depends_on[i : i + 16] for i in range(0, len(row.depends_on), 16))
    return [uuid_from(id) for id in ids if id not in done]


def is_blocked(row: TaskRow, blocked_by: list[str]) -> bool:
    return bool(blocked_by) or row.status in BLOCKED_STATUSES


def custom_field_values(row: TaskRow) -> dict[str, Any]:
    """
    A task's value of each custom field of its board, or the field's default.
    """
    kept = {} if row.field_values == EMPTY_OBJECT or not row.fields else RAW_VALUES.decode(row.field_values)
    return {each.field_key: kept.get(str(each.id)) or raw_json(each.default_value) for each in row.fields}


NO_TAGS: Final = DatabaseValue(Constant([]), while_empty=("tag_ids",))
NO_DEPENDENCIES: Final = DatabaseValue(Constant([]), while_empty=("depends_on",))
NO_CUSTOM_FIELDS: Final = DatabaseValue(Constant({}), while_empty=("fields",))
SHOWN_STATUS: Final = DatabaseValue(
    Choice("status", {core: Constant(shown) for core, shown in SHOWN_STATUSES.items()}, Constant(None))
)
STATUS_BLOCKS: Final = DatabaseValue(
    Choice("status", dict.fromkeys(BLOCKED_STATUSES, Constant(True)), Constant(False)), while_empty=("depends_on",)
)
CREATING_USER: Final = DatabaseValue(
    Choice("creator_kind", {"user": EncodedField("creator_id", JsonEncoding.UUID)}, Constant(None))
)
READ_BY_DEPENDENCIES: Final = ("depends_on", "status", "dependencies")


class TaskRead(BoardsPayload[TaskRow]):
    id: UUID
    board_id: Annotated[UUID | None, Of("board")]
    title: str
    description: str | None
    status: Annotated[ShownStatus, Of("status", SHOWN_STATUSES.__getitem__), SHOWN_STATUS]
    priority: str
    due_at: datetime | None
    assigned_agent_id: Annotated[UUID | None, Of("assignee_agent")]
    depends_on_task_ids: Annotated[list[UUID], Of("depends_on"), NO_DEPENDENCIES]
    tag_ids: Annotated[list[UUID], Of("tagged", ids_of_tags), NO_TAGS]
    tags: Annotated[list[TagRef], Of("tagged"), NO_TAGS]
    created_by_user_id: Annotated[
        UUID | None, Computed(creating_user, reads=("creator_kind", "creator_id")), CREATING_USER
    ]
    in_progress_at: Annotated[datetime | None, Of("started_at")]
    created_at: datetime
    updated_at: datetime
    blocked_by_task_ids: Annotated[list[UUID], Computed(open_dependencies, reads=READ_BY_DEPENDENCIES), NO_DEPENDENCIES]
    is_blocked: Annotated[bool, Computed(is_blocked, reads=("status",)), STATUS_BLOCKS]
    custom_field_values: Annotated[
        MaybeObject, Computed(custom_field_values, reads=("field_values", "fields")), NO_CUSTOM_FIELDS
    ]
    number: int
    core_status: Annotated[Status, Of("status")]
    assignee: str | None
    depends_on: Annotated[list[UUID], NO_DEPENDENCIES]
    blocked_by: Annotated[list[UUID], Computed(open_dependencies, reads=READ_BY_DEPENDENCIES), NO_DEPENDENCIES]
    not_before: datetime | None
    fence: int
    attempts: int
    max_attempts: int
    hand_over: str | None
    outcome: Annotated[str | None, Of("result")]
    resolution: str | None
    output: MaybeObject
    error_message: str | None
    recorded: bool
    completed_at: datetime | None
    version: int


class TaskCreate(Body):
    title: str
    description: str | None = None
    status: ShownStatus = "inbox"
    priority: str = "medium"
    due_at: datetime | None = None
    assigned_agent_id: UUID | None = None
    depends_on_task_ids: list[UUID] = field(factory=list)
    tag_ids: list[UUID] = field(factory=list)
    created_by_user_id: UUID | None = None
    custom_field_values: dict[str, Any] = field(factory=dict)
    depends_on: list[UUID] = field(factory=list)
    not_before: datetime | None = None
    max_attempts: Annotated[int, NumberRange(1, 1000)] = 5

    def command(self, board: BoardId) -> CreateTask:
        return CreateTask(
            title=self.title,
            board=board,
            description=self.description,
            status=Status(self.status),
            priority=self.priority,
            assignee=AgentId(self.assigned_agent_id) if self.assigned_agent_id else None,
            due_at=self.due_at,
            not_before=self.not_before,
            depends_on=tuple(TaskId(id) for id in (*self.depends_on_task_ids, *self.depends_on)),
            tag_ids=tuple(map(TagId, self.tag_ids)),
            values=self.custom_field_values,
            max_attempts=self.max_attempts,
        )


class TaskUpdate(Body):
    title: str | Absent = ABSENT
    description: str | Absent | None = ABSENT
    status: ShownStatus | Absent | None = ABSENT
    priority: str | Absent = ABSENT
    due_at: datetime | Absent | None = ABSENT
    assigned_agent_id: UUID | Absent | None = ABSENT
    depends_on_task_ids: list[UUID] | Absent | None = ABSENT
    tag_ids: list[UUID] | Absent | None = ABSENT
    custom_field_values: dict[str, Any] | Absent | None = ABSENT
    comment: Annotated[str | None, CustomCheck(none_if_blank)] = None
    depends_on: list[UUID] | Absent | None = ABSENT
    not_before: datetime | Absent | None = ABSENT
    max_attempts: Annotated[int, NumberRange(1, 1000)] | Absent = ABSENT

    def __attrs_post_init__(self) -> None:
        if self.status is None:
            raise ValueError("status is required")

    def command(self, task: TaskId, *, on: BoardId, expects: int | None) -> UpdateTask:
        plain = ("title", "description", "priority", "due_at", "not_before", "max_attempts")
        named = {name: value for name, value in sent_fields(self).items() if name in plain}
        for ids in (self.depends_on, self.depends_on_task_ids):
            if isinstance(ids, list):
                named["depends_on"] = tuple(TaskId(id) for id in ids)
        if isinstance(self.tag_ids, list):
            named["tag_ids"] = tuple(map(TagId, self.tag_ids))
        if isinstance(self.custom_field_values, dict):
            named["values"] = self.custom_field_values
        if isinstance(self.status, str):
            named["status"] = Status(self.status)
        if not isinstance(self.assigned_agent_id, Absent):
            named["assignee"] = self.assigned_agent_id and AgentId(self.assigned_agent_id)
        return UpdateTask(
            task=task,
            on=on,
            expects=expects,
            mode=UpdateMode.TEAM,
            comment=self.comment,
            **named,
        )


def commenting_agent(comment: Comment) -> UUID | None:
    return comment.author_id if comment.author_kind == "agent" else None


class TaskCommentRead(BoardsPayload[Comment]):
    id: UUID
    message: Annotated[str | None, Of("content")]
    agent_id: Annotated[UUID | None, Computed(commenting_agent)]
    task_id: Annotated[UUID | None, Of("task")]
    created_at: datetime
    number: int
    author: str
    parent_id: Annotated[UUID | None, Of("parent")]
    mentions: list[str]


class TaskCommentCreate(Body):
    message: Annotated[str, CustomCheck(stripped), Length(1)]
    parent_id: UUID | None = None
