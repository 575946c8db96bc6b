"""
Approvals: requests by agents, and decisions by people.

A request names an action, its arguments, and tasks with their fences. The approval stores the digest of all these, the
requester, and the decision: who made it, when, why, and through which channel. It lets each of its tasks pass once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Final
from uuid import UUID

from attrs import evolve, field
from attrs.validators import optional

from mission_core.agents.model import Agent
from mission_core.boards.model import Board
from mission_core.errors import Conflict, Denied, NotFound
from mission_core.events.model import Actor, Event
from mission_core.field_types import with_type_validators
from mission_core.ids import AgentId, ApprovalId, ApprovalLinkId, ApprovalNumber, BoardId, OrganizationId, TaskId
from mission_core.kinds import Kind
from mission_core.lazy_attrs import define, frozen
from mission_core.tasks.model import Task
from mission_core.values import JsonText, canonical, json_object, number_between, text, utc_moment, whole_number

MOST_TASKS_PER_APPROVAL: Final = 50
LONGEST_ACTION: Final = 500
LONGEST_REASON: Final = 5000


class ApprovalStatus(StrEnum):
    """
    The decision about a request, or pending.
    """

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"


class ApprovalNotFound(NotFound):
    """
    The board has no such approval.
    """

    says = "Approval not found"


class ApprovalLinkNotFound(NotFound):
    """
    There is no such link between an approval and a task.
    """


class AgentsCannotDecide(Denied):
    """
    Only people decide about approvals, not agents.
    """

    code = "agents_do_not_decide"
    says = "only people may decide about approvals, not agents"


@define(repr=False)
class ApprovalTasksNotFound(NotFound):
    """
    The board does not have these tasks.
    """

    code = "tasks_missing"

    missing: tuple[TaskId, ...]

    says = "One or more tasks were not found on this board."


@define(repr=False)
class ApprovalAlreadyPending(Conflict):
    """
    A task can have only one pending approval.

    Args:
        conflicts: The tasks that have a pending approval, each with that approval.
    """

    code = "pending_already"

    conflicts: tuple[tuple[TaskId, ApprovalId], ...] = ()

    says = "Each task can have only one pending approval."


class ApprovalAlreadyLinked(Conflict):
    """
    The approval is already linked to this task.
    """

    code = "linked_already"
    says = "this approval is already linked to this task"


@define(repr=False)
class ApprovalAlreadyDecided(Conflict):
    """
    The approval was decided differently before.
    """

    code = "decided_already"

    approval: ApprovalId
    status: ApprovalStatus
    by: str
    at: datetime | None

    def __str__(self) -> str:
        when = f" at {self.at.isoformat()}" if self.at else ""
        return f"{self.by} {self.status.value} this{when}; set it to pending to decide again"


@frozen(kw_only=True, field_transformer=with_type_validators)
class Approval:
    """
    A request for approval and the decision about it. A reopened approval keeps its last decision.

    *confidence* is the requester's confidence from 0 to 100, *scores* are its parts by rubric, and *agent* is the agent
    that will do the action.
    """

    id: ApprovalId
    number: ApprovalNumber
    organization: OrganizationId
    board: BoardId
    action: str = field(validator=text(most=LONGEST_ACTION))
    arguments: JsonText | None = field(default=None, validator=optional(json_object))
    confidence: float = field(validator=number_between(0, 100))
    scores: JsonText | None = field(default=None, validator=optional(json_object))
    agent: AgentId | None = None
    digest: bytes
    status: ApprovalStatus = ApprovalStatus.PENDING
    asker: str = field(validator=text(most=200))
    asker_kind: str
    asker_id: UUID | None = None
    decider: str | None = field(default=None, validator=optional(text(most=200)))
    decider_kind: str | None = None
    decider_id: UUID | None = None
    decided_through: str | None = field(default=None, validator=optional(text(most=100)))
    reason: str | None = field(default=None, validator=optional(text(most=LONGEST_REASON)))
    created_at: datetime = field(validator=utc_moment)
    resolved_at: datetime | None = field(default=None, validator=optional(utc_moment))
    version: int = 0

    @property
    def pending(self) -> bool:
        """
        Whether the approval is undecided.
        """
        return self.status is ApprovalStatus.PENDING

    def decide(
        self, status: ApprovalStatus, *, by: Actor, through: str, reason: str | None = None, at: datetime
    ) -> tuple[Approval, ApprovalDecided]:
        """
        Return the approval with a decision.

        Raises:
            AgentsCannotDecide: If an agent decides.
            ApprovalAlreadyDecided: If it is already decided.
        """
        if by.kind == "agent":
            raise AgentsCannotDecide
        if not self.pending:
            raise ApprovalAlreadyDecided(self.id, self.status, self.decider or "somebody", self.resolved_at)
        decided = evolve(
            self, status=status, decider=by.name, decider_kind=by.kind, decider_id=by.id, decided_through=through,
            reason=reason, resolved_at=at,
        )  # fmt: skip
        return decided, ApprovalDecided.of(
            self, status=status, digest=self.digest.hex(), through=through, reason=reason, at=at
        )

    def reopen(self, *, by: Actor, at: datetime) -> tuple[Approval, ApprovalReopened]:
        """
        Return the approval as pending again.

        Raises:
            AgentsCannotDecide: If an agent reopens it.
        """
        if by.kind == "agent":
            raise AgentsCannotDecide
        return evolve(self, status=ApprovalStatus.PENDING), ApprovalReopened.of(self, was=self.status, at=at)


@frozen(kw_only=True, field_transformer=with_type_validators)
class ApprovalLink:
    """
    The link between an approval and a task. *fence* is the task's fence at the request, *place* its position in the
    list of tasks.

    *status* copies the approval's status. While it is pending, *pending_for* is the task; a unique index on it allows
    one pending approval per task.
    """

    id: ApprovalLinkId
    organization: OrganizationId
    board: BoardId
    approval: ApprovalId
    task: TaskId
    place: int = field(validator=whole_number(0))
    fence: int = field(validator=whole_number(0))
    status: ApprovalStatus
    pending_for: TaskId | None = None
    used_at: datetime | None = field(default=None, validator=optional(utc_moment))
    version: int = 0

    @classmethod
    def of(
        cls,
        approval: Approval,
        task: TaskId,
        *,
        id: ApprovalLinkId,
        place: int,
        fence: int,
        used_at: datetime | None = None,
    ) -> ApprovalLink:
        """
        Return the link of an approval to a task.
        """
        return cls(
            id=id,
            organization=approval.organization,
            board=approval.board,
            approval=approval.id,
            task=task,
            place=place,
            fence=fence,
            status=approval.status,
            pending_for=task if approval.pending else None,
            used_at=used_at,
        )

    @property
    def is_usable(self) -> bool:
        """
        Whether the approval is approved and not yet used for this task.
        """
        return self.status is ApprovalStatus.APPROVED and self.used_at is None

    def with_status_of(self, approval: Approval) -> ApprovalLink:
        """
        Return the link with the approval's present status. A reopened approval can be used again.
        """
        pending_for, used_at = (self.task, None) if approval.pending else (None, self.used_at)
        return evolve(self, status=approval.status, pending_for=pending_for, used_at=used_at)

    def use(self, *, at: datetime) -> tuple[ApprovalLink, ApprovalUsed]:
        """
        Return the link after it let its task pass.
        """
        used = ApprovalUsed(approval=self.approval, board=self.board, passed=self.task, at=at)
        return evolve(self, used_at=at), used


APPROVALS: Final = Kind(
    entity=Approval,
    name="approvals",
    missing=ApprovalNotFound,
    indexed_by=(("board",), ("board", "status"), ("status",)),
    cascades_from={"board": Board},
    nulled_on_removal_of={"agent": Agent},
)
APPROVAL_LINKS: Final = Kind(
    entity=ApprovalLink,
    name="approval_links",
    missing=ApprovalLinkNotFound,
    unique={("board", "pending_for"): ApprovalAlreadyPending, ("approval", "task"): ApprovalAlreadyLinked},
    cascades_from={"approval": Approval, "task": Task},
)
"""There is no index by board alone: the query planner would prefer it to the index on pending links."""


def digest_of(action: str, arguments: JsonText | None, tasks: Iterable[tuple[TaskId, int]]) -> bytes:
    """
    Return the digest of a request: its action, its arguments, and its tasks with their fences.
    """
    named = [[str(task), fence] for task, fence in tasks]
    return sha256(canonical([action, None if arguments is None else json.loads(arguments), named]).encode()).digest()


@frozen(kw_only=True, eq=False, repr=False)
class ApprovalRequested(Event):
    """
    An approval was requested.
    """

    kind = "approval.requested"

    approval: ApprovalId
    number: int
    board: BoardId
    action: str
    confidence: float
    tasks: tuple[TaskId, ...]
    digest: str


@frozen(kw_only=True, eq=False, repr=False)
class ApprovalDecided(Event):
    """
    A person decided about an approval.
    """

    kind = "approval.decided"

    approval: ApprovalId
    number: int
    board: BoardId
    action: str
    status: ApprovalStatus
    digest: str
    through: str
    reason: str | None


@frozen(kw_only=True, eq=False, repr=False)
class ApprovalReopened(Event):
    """
    A decision was taken back, and the approval is pending again.
    """

    kind = "approval.reopened"

    approval: ApprovalId
    number: int
    board: BoardId
    action: str
    was: ApprovalStatus


@frozen(kw_only=True, eq=False, repr=False)
class ApprovalUsed(Event):
    """
    A task *passed* a gate with an approval, which is used up for this task.
    """

    kind = "approval.used"

    approval: ApprovalId
    board: BoardId
    passed: TaskId
