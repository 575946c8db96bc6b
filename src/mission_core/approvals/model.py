"""
Approvals: agents ask, people decide.

A request names exactly what is to be done: an action, its arguments, and tasks, each at the fence it had. The digest of
all that is kept with it, and so is who asked, who decided, when, why and through what. For each of its tasks it is good
once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Final
from uuid import UUID

from attrs import define, evolve, field, frozen
from attrs.validators import optional

from mission_core.agents.model import Agent
from mission_core.boards.model import Board
from mission_core.errors import Conflict, Denied, NotFound
from mission_core.events.model import Actor, Fact
from mission_core.field_types import typed
from mission_core.ids import AgentId, ApprovalId, ApprovalLinkId, ApprovalNumber, BoardId, OrganizationId, TaskId
from mission_core.kinds import Kind
from mission_core.tasks.model import Task
from mission_core.values import JsonText, aware, between, canonical, json_object, text, whole

MOST_TASKS: Final = 50
LONGEST_ACTION: Final = 500
LONGEST_REASON: Final = 5000


class ApprovalStatus(StrEnum):
    """
    What was said to a request, if anything was.
    """

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"


class ApprovalNotFound(NotFound):
    """
    The board has no such approval.
    """

    def __str__(self) -> str:
        return "Approval not found"


class ApprovalLinkNotFound(NotFound):
    """
    No approval is linked in this way.
    """


class AgentsDoNotDecide(Denied):
    """
    What an agent asks for is decided by a person.
    """

    def __str__(self) -> str:
        return "agents ask for approvals, and people decide about them"


@define
class TasksMissing(NotFound):
    """
    Named tasks that the board does not have.
    """

    missing: tuple[TaskId, ...]

    def __str__(self) -> str:
        return "One or more tasks were not found on this board."


@define
class PendingAlready(Conflict):
    """
    Of each task one approval at a time is pending. *conflicts* are the tasks with those that are.
    """

    conflicts: tuple[tuple[TaskId, ApprovalId], ...] = ()

    def __str__(self) -> str:
        return "Each task can have only one pending approval."


class LinkedAlready(Conflict):
    """
    An approval is linked to a task once.
    """

    def __str__(self) -> str:
        return "this approval is linked to this task already"


@define
class DecidedAlready(Conflict):
    """
    Somebody decided otherwise before.
    """

    approval: ApprovalId
    status: ApprovalStatus
    by: str
    at: datetime | None

    def __str__(self) -> str:
        when = f" at {self.at.isoformat()}" if self.at else ""
        return f"{self.by} {self.status.value} this{when}; move it back to pending to decide it anew"


@frozen(kw_only=True, field_transformer=typed)
class Approval:
    """
    A request for approval, and the decision about it. The last decision stays on what is asked for again.

    *confidence* is how sure the asker is, from 0 to 100, *scores* by which rubrics, and *agent* who is to do it.
    """

    id: ApprovalId
    number: ApprovalNumber
    organization: OrganizationId
    board: BoardId
    action: str = field(validator=text(most=LONGEST_ACTION))
    arguments: JsonText | None = field(default=None, validator=optional(json_object))
    confidence: float = field(validator=between(0, 100))
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
    created_at: datetime = field(validator=aware)
    resolved_at: datetime | None = field(default=None, validator=optional(aware))
    version: int = 0

    @property
    def pending(self) -> bool:
        """
        Whether it waits for a decision.
        """
        return self.status is ApprovalStatus.PENDING

    def decide(
        self, status: ApprovalStatus, *, by: Actor, through: str, reason: str | None = None, at: datetime
    ) -> tuple[Approval, ApprovalDecided]:
        """
        The approval with a decision.

        Raises:
            AgentsDoNotDecide: If it is an agent's.
            DecidedAlready: If there is one already.
        """
        if by.kind == "agent":
            raise AgentsDoNotDecide
        if not self.pending:
            raise DecidedAlready(self.id, self.status, self.decider or "somebody", self.resolved_at)
        decided = evolve(
            self, status=status, decider=by.name, decider_kind=by.kind, decider_id=by.id, decided_through=through,
            reason=reason, resolved_at=at,
        )  # fmt: skip
        return decided, ApprovalDecided(
            approval=self.id, number=self.number, board=self.board, action=self.action, status=status,
            digest=self.digest.hex(), through=through, reason=reason, at=at,
        )  # fmt: skip

    def ask_again(self, *, by: Actor, at: datetime) -> tuple[Approval, ApprovalReopened]:
        """
        The approval as if nothing had been decided.

        Raises:
            AgentsDoNotDecide: If an agent would take a decision back.
        """
        if by.kind == "agent":
            raise AgentsDoNotDecide
        reopened = ApprovalReopened(
            approval=self.id, number=self.number, board=self.board, action=self.action, was=self.status, at=at
        )
        return evolve(self, status=ApprovalStatus.PENDING), reopened


@frozen(kw_only=True, field_transformer=typed)
class ApprovalLink:
    """
    That an approval is about a task, which had this *fence* when it was asked for. *place* tells its tasks' order.

    Its status is the approval's. *pending_for* is the task while it is pending, so that there is one of these.
    """

    id: ApprovalLinkId
    organization: OrganizationId
    board: BoardId
    approval: ApprovalId
    task: TaskId
    place: int = field(validator=whole(0))
    fence: int = field(validator=whole(0))
    status: ApprovalStatus
    pending_for: TaskId | None = None
    used_at: datetime | None = field(default=None, validator=optional(aware))
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
        The link of an approval to a task.
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
    def good(self) -> bool:
        """
        Whether it still lets its task pass.
        """
        return self.status is ApprovalStatus.APPROVED and self.used_at is None

    def following(self, approval: Approval) -> ApprovalLink:
        """
        The link as the approval stands by now. What is asked for again is not used up any more.
        """
        pending_for, used_at = (self.task, None) if approval.pending else (None, self.used_at)
        return evolve(self, status=approval.status, pending_for=pending_for, used_at=used_at)

    def use(self, *, at: datetime) -> tuple[ApprovalLink, ApprovalUsed]:
        """
        The link after its task passed on it.
        """
        used = ApprovalUsed(approval=self.approval, board=self.board, passed=self.task, at=at)
        return evolve(self, used_at=at), used


APPROVALS: Final = Kind(
    entity=Approval,
    name="approvals",
    missing=ApprovalNotFound,
    found_by=(("board",), ("board", "status"), ("status",)),
    goes_with={"board": Board},
    forgets={"agent": Agent},
)
APPROVAL_LINKS: Final = Kind(
    entity=ApprovalLink,
    name="approval_links",
    missing=ApprovalLinkNotFound,
    unique={("board", "pending_for"): PendingAlready, ("approval", "task"): LinkedAlready},
    goes_with={"approval": Approval, "task": Task},
)
"""Not found by their board alone: an index by that would be taken where the one by what is pending is meant."""


def digest_of(action: str, arguments: JsonText | None, tasks: Iterable[tuple[TaskId, int]]) -> bytes:
    """
    The digest of what is asked for: an action, its arguments, and tasks with their fences.
    """
    named = [[str(task), fence] for task, fence in tasks]
    return sha256(canonical([action, None if arguments is None else json.loads(arguments), named]).encode()).digest()


@frozen(kw_only=True)
class ApprovalRequested(Fact):
    """
    Somebody asked for an approval.
    """

    kind = "approval.requested"
    about = "approval"

    approval: ApprovalId
    number: int
    board: BoardId
    action: str
    confidence: float
    tasks: tuple[TaskId, ...]
    digest: str


@frozen(kw_only=True)
class ApprovalDecided(Fact):
    """
    A person decided about a request.
    """

    kind = "approval.decided"
    about = "approval"

    approval: ApprovalId
    number: int
    board: BoardId
    action: str
    status: ApprovalStatus
    digest: str
    through: str
    reason: str | None


@frozen(kw_only=True)
class ApprovalReopened(Fact):
    """
    A decision was taken back: the request is pending again.
    """

    kind = "approval.reopened"
    about = "approval"

    approval: ApprovalId
    number: int
    board: BoardId
    action: str
    was: ApprovalStatus


@frozen(kw_only=True)
class ApprovalUsed(Fact):
    """
    A task *passed* on an approval, which is used up for it.
    """

    kind = "approval.used"
    about = "approval"

    approval: ApprovalId
    board: BoardId
    passed: TaskId
