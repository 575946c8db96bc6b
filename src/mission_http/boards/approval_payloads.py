"""
Queries, bodies and responses of the operations on approvals. The class names are the component names of the OpenAPI
document.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from attrs import field

from mission_core.approvals.model import ApprovalStatus
from mission_core.approvals.queries import ApprovalRow, LinkedTask
from mission_core.approvals.use_cases import DecideApproval, RequestApproval
from mission_core.ids import AgentId, ApprovalId, BoardId, TaskId
from mission_core.values import ABSENT, Absent, canonical
from mission_http.boards.payloads import MaybeObject, NumberedPageQuery, none_if_blank
from mission_http.boards.wire import BoardsPayload, JsonObject, uuid_from
from mission_http.platform.errors import FieldsInvalid
from mission_http.platform.field_annotations import Body, CustomCheck, NumberRange
from mission_http.platform.shapes import Computed, Of
from mission_http.platform.value_parsers import LAX

ApprovalStatusText = Literal["pending", "approved", "rejected"]
Confidence = Annotated[float, NumberRange(0, 100)]
DECISION_CHANNEL: Final = "Boards API"
TASK_ID_KEYS: Final = ("task_ids", "taskIds", "taskIDs", "task_id", "taskId", "taskID")
"""The keys of a payload that hold ids of tasks."""


class ApprovalListQuery(NumberedPageQuery):
    status: ApprovalStatusText | None = None


def first_task(shown: ApprovalRow) -> bytes | None:
    return shown.tasks[0].task if shown.tasks else None


def ids_of_tasks(tasks: tuple[LinkedTask, ...]) -> list[str]:
    return [uuid_from(each.task) for each in tasks]


def titles_of_tasks(tasks: tuple[LinkedTask, ...]) -> list[str]:
    return [each.title for each in tasks if each.title is not None]


def ids_of_used_tasks(tasks: tuple[LinkedTask, ...]) -> list[str]:
    return [uuid_from(each.task) for each in tasks if each.used]


class ApprovalRead(BoardsPayload[ApprovalRow]):
    action_type: Annotated[str, Of("action")]
    task_id: Annotated[UUID | None, Computed(first_task)]
    task_ids: Annotated[list[UUID], Of("tasks", ids_of_tasks)]
    payload: Annotated[MaybeObject, Of("arguments")]
    confidence: Confidence
    rubric_scores: Annotated[dict[str, int] | None, Of("scores")]
    status: ApprovalStatusText
    id: UUID
    board_id: Annotated[UUID, Of("board")]
    task_titles: Annotated[list[str], Of("tasks", titles_of_tasks)]
    agent_id: Annotated[UUID | None, Of("agent")]
    created_at: datetime
    resolved_at: datetime | None
    number: int
    digest: Annotated[str, Of("digest", bytes.hex)]
    requested_by: Annotated[str, Of("asker")]
    resolved_by: Annotated[str | None, Of("decider")]
    resolved_through: Annotated[str | None, Of("decided_through")]
    resolution_reason: Annotated[str | None, Of("reason")]
    used_task_ids: Annotated[list[UUID], Of("tasks", ids_of_used_tasks)]
    version: int


class ApprovalCreate(Body):
    action_type: str
    task_id: UUID | None = None
    task_ids: list[UUID] = field(factory=list)
    payload: JsonObject | None = None
    confidence: Confidence
    rubric_scores: dict[str, int] | None = None
    status: ApprovalStatusText = "pending"
    agent_id: UUID | None = None
    lead_reasoning: Annotated[str | None, CustomCheck(none_if_blank)] = None

    def __attrs_post_init__(self) -> None:
        if not (self.lead_reasoning or _has_reason(self._payload_object())):
            raise ValueError("lead reasoning is required")

    def command(self, board: BoardId) -> RequestApproval:
        told = self._payload_object()
        if not _has_reason(told):
            told["reason"] = self.lead_reasoning
        named = [] if self.task_id is None else [self.task_id]
        return RequestApproval(
            board=board,
            action=self.action_type,
            confidence=self.confidence,
            tasks=tuple(TaskId(id) for id in (*named, *self.task_ids, *_tasks_in(told))),
            arguments=canonical(told),
            scores=None if self.rubric_scores is None else canonical(self.rubric_scores),
            agent=AgentId(self.agent_id) if self.agent_id else None,
            status=ApprovalStatus(self.status),
            through=DECISION_CHANNEL,
        )

    def _payload_object(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.payload) if self.payload else {}
        return told


class ApprovalUpdate(Body):
    status: ApprovalStatusText | Absent | None = ABSENT
    reason: Annotated[str | None, CustomCheck(none_if_blank)] = None

    def __attrs_post_init__(self) -> None:
        if self.status is None:
            raise ValueError("status is required")

    def command(self, approval: ApprovalId, *, on: BoardId, expects: int | None) -> DecideApproval:
        status = ApprovalStatus(self.status) if isinstance(self.status, str) else ABSENT
        return DecideApproval(
            approval=approval, on=on, status=status, reason=self.reason, through=DECISION_CHANNEL, expects=expects
        )


def _has_reason(told: dict[str, Any]) -> bool:
    """
    Whether a payload contains a reason.
    """
    decision = told.get("decision")
    reasons = (told.get("reason"), decision.get("reason") if isinstance(decision, dict) else None)
    return any(isinstance(reason, str) and reason.strip() for reason in reasons)


def _tasks_in(told: dict[str, Any]) -> Iterator[UUID]:
    """
    The ids of tasks in a payload; values that are not UUIDs are skipped.
    """
    for name in TASK_ID_KEYS:
        named = told.get(name)
        for each in named if isinstance(named, list) else [named]:
            if isinstance(each, str):
                try:
                    yield LAX.uuid(each)
                except FieldsInvalid:
                    continue
