"""
Tasks: what is to be done, where it stands, and what a move does to it.
"""

from __future__ import annotations

import json
from datetime import datetime
from enum import StrEnum
from operator import attrgetter
from typing import TYPE_CHECKING, Final
from uuid import UUID

from attrs import define, field, fields, frozen
from attrs.validators import optional

from mission_core.changes import evolve
from mission_core.errors import Conflict, Denied, Invalid, InvalidField, NotFound, StaleWrite
from mission_core.events.model import Actor, Fact
from mission_core.field_types import typed
from mission_core.ids import AgentId, BoardId, OrganizationId, RunId, TagId, TaskId, TaskNumber
from mission_core.tasks.authors import author_acting, author_named
from mission_core.tasks.facts import TaskAssigned, TaskClaimed, TaskMoved
from mission_core.tasks.runs import (
    Assignee,
    Failure,
    Outcome,
    Pair,
    Result,
    RetryClass,
    Run,
    Secret,
    Terms,
)
from mission_core.tasks.tracking import UNTRACKED, Tracking
from mission_core.values import (
    EMPTY_OBJECT,
    JsonText,
    aware,
    between,
    checked_text,
    json_kept,
    json_object,
    text,
    whole,
)

if TYPE_CHECKING:
    from attrs import Attribute


class Status(StrEnum):
    """
    Where a task stands. Boards show fewer of them; the dialect folds.
    """

    BACKLOG = "backlog"
    INBOX = "inbox"
    ASSIGNED = "assigned"
    AWAITING_OWNER = "awaiting_owner"
    IN_PROGRESS = "in_progress"
    REVIEW = "review"
    QUALITY_REVIEW = "quality_review"
    DONE = "done"
    FAILED = "failed"


IDLE: Final = frozenset({Status.INBOX, Status.ASSIGNED})
FINISHED: Final = frozenset({Status.DONE, Status.FAILED})
IN_REVIEW: Final = frozenset({Status.REVIEW, Status.QUALITY_REVIEW})
PRIORITY_RANK: Final = {"critical": 0, "high": 1, "medium": 2, "low": 3}
MOST_TAGS: Final = 50
MOST_DEPENDENCIES: Final = 200


def rank_of(priority: str) -> int:
    """
    Where a priority stands in the queue; an unknown one comes last.
    """
    return PRIORITY_RANK.get(priority, 4)


@frozen
class Move:
    """
    What arriving at a status does, and which gates it meets.
    """

    starts: bool = False
    stops_clock: bool = False
    completes: bool = False
    needs_approval: bool = False
    needs_review: bool = False
    needs_comment: bool = False


MOVES: Final = {
    Status.BACKLOG: Move(stops_clock=True),
    Status.INBOX: Move(stops_clock=True),
    Status.ASSIGNED: Move(stops_clock=True),
    Status.AWAITING_OWNER: Move(),
    Status.IN_PROGRESS: Move(starts=True),
    Status.REVIEW: Move(stops_clock=True, needs_comment=True),
    Status.QUALITY_REVIEW: Move(stops_clock=True, needs_comment=True),
    Status.DONE: Move(completes=True, needs_approval=True, needs_review=True),
    Status.FAILED: Move(stops_clock=True),
}


class TaskNotFound(NotFound):
    """
    This organization has no such task.
    """

    def __str__(self) -> str:
        return "Task not found"


@define
class GateClosed(Conflict):
    """
    A rule of the board keeps the task from moving. *rule* is the name of the gate.
    """

    rule: str
    task: TaskId

    def __str__(self) -> str:
        return GATE_TEXTS[self.rule]


class CommentRequired(GateClosed):
    """
    Whoever moves work to a review must say something about it.
    """


GATE_TEXTS: Final = {
    "require_approval_for_done": "Task can only be marked done when a linked approval has been approved.",
    "require_review_before_done": "Task can only be marked done from review when the board rule is enabled.",
    "block_status_changes_with_pending_approval": (
        "Task status cannot be changed while a linked approval is pending."
    ),
    "comment_required_for_review": "Comment is required.",
}
HELD: Final = "an approval that is asked for it is pending, and its board lets nothing move meanwhile"


class RecordingDenied(Denied):
    """
    Only an admin may record work as done that was finished elsewhere.
    """

    def __str__(self) -> str:
        return (
            "only an admin may create a task as finished (work done elsewhere); "
            "create it open and move it through its gates"
        )


@define
class Blocked(Conflict):
    """
    The task depends on others that are not done.
    """

    task: TaskId
    by: tuple[TaskId, ...]

    def __str__(self) -> str:
        return "Task is blocked by incomplete dependencies."


class DependencyCycle(Conflict):
    """
    A dependency would make a task wait for itself.
    """

    def __str__(self) -> str:
        return "Dependency cycle detected. Remove the cycle before saving."


class DependsOnItself(Invalid):
    """
    A task cannot wait for itself.
    """

    def __str__(self) -> str:
        return "Task cannot depend on itself."


class DependenciesFrozen(Conflict):
    """
    A done task's dependencies stay as they are.
    """

    def __str__(self) -> str:
        return "Cannot change task dependencies after a task is done."


@define
class DependencyNotFound(NotFound):
    """
    Named dependencies that the task's board does not have.
    """

    missing: tuple[TaskId | TaskNumber, ...]

    def __str__(self) -> str:
        return "One or more dependency tasks were not found on this board."


@define
class NotClaimable(Conflict):
    """
    The task cannot be taken now.
    """

    task: TaskId
    why: str

    def __str__(self) -> str:
        return f"this task cannot be claimed: {self.why}"


class NotYourTask(Denied):
    """
    The task belongs to another agent.
    """

    def __str__(self) -> str:
        return "Access denied: agent key may only access its own tasks."


def tags_of(instance: object, attribute: Attribute[tuple[str, ...]], value: tuple[str, ...]) -> None:
    """
    Refuse more tags than fit, and tags that are empty or too long.
    """
    if len(value) > MOST_TAGS:
        raise InvalidField(attribute.name, f"must have at most {MOST_TAGS} entries", value)
    for i, tag in enumerate(value):
        checked_text(f"{attribute.name}.{i}", tag, least=1, most=100)


DETAILS: Final = (
    "title", "description", "priority", "due_at", "estimated_hours", "actual_hours", "tags", "tag_ids", "metadata",
    "field_values", "feedback_rating", "feedback_notes", "tracking",
)  # fmt: skip
"""The fields of a task on which nothing rests that becomes of it: its status, its assignee, its runs."""


@frozen(kw_only=True, field_transformer=typed)
class Task:
    """
    A piece of work on a board.

    *fence* is the last one given out, *attempts* how many runs have been spent, *run* the live one if there is any.
    *started_at* is when the work under way began, *begun_at* when any work on it first did.
    *submitter* is the worker that brought it to review last. *authors* are all who worked on it or handed it in.
    *passed* are other boards on which it stood in its present status: coming back, it meets no gate there again.
    *late_results* is how many of its runs have a late result: a record beside the task, without a version, that saving
    it does not write.

    *edits* counts those of its versions that changed nothing but `DETAILS`.

    *tags* are words that are no tags of the organization; those it carries by id, in the order in which it got them.
    *field_values* holds the values of its custom fields by their ids.
    """

    id: TaskId
    number: TaskNumber
    organization: OrganizationId
    board: BoardId
    ticket: int | None = None
    title: str = field(validator=text(most=500))
    description: str | None = field(default=None, validator=optional(text(most=20_000)))
    status: Status = Status.INBOX
    priority: str = field(default="medium", validator=text(least=1, most=100))
    assignee: Assignee | None = None
    creator: Actor
    creator_name: str = field(validator=text(most=200))
    due_at: datetime | None = field(default=None, validator=optional(aware))
    not_before: datetime | None = field(default=None, validator=optional(aware))
    estimated_hours: float | None = field(default=None, validator=optional(between(0, 10_000)))
    actual_hours: float | None = field(default=None, validator=optional(between(0, 10_000)))
    tags: tuple[str, ...] = field(default=(), validator=tags_of)
    metadata: JsonText = field(default=EMPTY_OBJECT, validator=json_object)
    depends_on: tuple[TaskId, ...] = ()
    result: Result | None = None
    error_message: str | None = field(default=None, validator=optional(text(most=5000)))
    resolution: str | None = field(default=None, validator=optional(text(most=5000)))
    output: JsonText | None = field(default=None, validator=optional(json_kept))
    feedback_rating: int | None = field(default=None, validator=optional(whole(1, 5)))
    feedback_notes: str | None = field(default=None, validator=optional(text(most=5000)))
    retry_count: int = field(default=0, validator=whole(0))
    recorded: bool = False
    fence: int = field(default=0, validator=whole(0))
    attempts: int = field(default=0, validator=whole(0))
    max_attempts: int = field(default=5, validator=whole(1, 1000))
    run: RunId | None = None
    tag_ids: tuple[TagId, ...] = ()
    field_values: JsonText = field(default=EMPTY_OBJECT, validator=json_object)
    hand_over: str | None = field(default=None, validator=optional(text(most=5000)))
    created_at: datetime = field(validator=aware)
    updated_at: datetime = field(validator=aware)
    moved_at: datetime = field(validator=aware)
    started_at: datetime | None = field(default=None, validator=optional(aware))
    completed_at: datetime | None = field(default=None, validator=optional(aware))
    begun_at: datetime | None = field(default=None, validator=optional(aware))
    submitter: AgentId | None = None
    authors: tuple[UUID, ...] = ()
    passed: tuple[BoardId, ...] = ()
    tracking: Tracking = UNTRACKED
    late_results: int = 0
    version: int = 0
    edits: int = 0

    def next_version(self, before: Task) -> Task:
        """
        The task as it is saved, where it was read as *before*.
        """
        edited = bool(_WORK_OF(self) == _WORK_OF(before))
        return evolve(self, version=before.version + 1, edits=before.edits + edited)

    def onto(self, before: Task, fresh: Task) -> Task:
        """
        The task as it is saved, where it was read as *before* and is *fresh* by now: with all details that somebody
        else has edited meanwhile.

        Raises:
            StaleWrite: If more than details were changed meanwhile, or both changed the same detail.
        """
        edited = {name for name in DETAILS if getattr(before, name) != getattr(fresh, name)}
        ours = {name for name in DETAILS if getattr(before, name) != getattr(self, name)}
        if fresh.version - fresh.edits != before.version - before.edits or edited & ours:
            raise StaleWrite("task", self.id)
        merged = evolve(self, **{name: getattr(fresh, name) for name in edited})
        return evolve(merged, updated_at=max(self.updated_at, fresh.updated_at)).next_version(fresh)

    @property
    def rank(self) -> int:
        """
        Where its priority stands in the queue.
        """
        return rank_of(self.priority)

    @property
    def carries(self) -> frozenset[UUID]:
        """
        The tags it has, or had when they were there, and the custom fields it has values of.
        """
        fields = () if self.field_values == EMPTY_OBJECT else map(UUID, json.loads(self.field_values))
        return frozenset((*self.tag_ids, *fields))

    @property
    def finished(self) -> bool:
        """
        Whether no more work is expected.
        """
        return self.status in FINISHED

    @property
    def done_at(self) -> datetime | None:
        """
        When it was done, if it is.
        """
        return (self.completed_at or self.moved_at) if self.status is Status.DONE else None

    def move(self, to: Status, *, at: datetime) -> tuple[Task, TaskMoved]:
        """
        The task at another status, its clocks set as the table of moves says. What had failed for good and is taken
        up again has all its attempts before it. Whether its board lets it pass is asked in `gates.py`.
        """
        move = MOVES[to]
        moved = evolve(
            self,
            status=to,
            attempts=0 if self.status is Status.FAILED and to is not Status.FAILED else self.attempts,
            moved_at=at,
            updated_at=at,
            started_at=at if move.starts else None if move.stops_clock else self.started_at,
            completed_at=(self.completed_at or at) if move.completes else self.completed_at,
            begun_at=(self.begun_at or at) if move.starts else self.begun_at,
            passed=(),
        )
        return moved, TaskMoved(
            task=self.id, board=self.board, title=self.title, was=self.status, status=to, at=at
        )

    def at_rest(self) -> Status:
        """
        The idle status that fits its assignee.
        """
        return Status.ASSIGNED if self.assignee else Status.INBOX

    def claimable(
        self, *, at: datetime, open_dependencies: int, by: Assignee, run: Run | None, held: bool = False
    ) -> str | None:
        """
        Why it cannot be claimed at this moment, or None.
        """
        if run is not None and run.lives(at=at):
            return f"{run.worker} holds a lease on it until {run.expires_at.isoformat()}"
        if self.status not in IDLE:
            return f"its status is {self.status.value}, and only inbox and assigned work is handed out"
        if held:
            return HELD
        return self.unready(at=at, open_dependencies=open_dependencies, by=by)

    def unready(self, *, at: datetime, open_dependencies: int, by: Assignee) -> str | None:
        """
        Why nobody of this name may begin it at this moment, whatever its status, or None.
        """
        if open_dependencies:
            return f"it depends on {open_dependencies} task{'s' if open_dependencies > 1 else ''} that are not done"
        if self.not_before is not None and at < self.not_before:
            return f"it rests until {self.not_before.isoformat()}"
        if self.assignee is not None and self.assignee.key != by.key:
            return f"it is assigned to {self.assignee.name}"
        return None

    def claim(
        self, *, id: RunId, by: Assignee, actor: Actor, holder: Secret | Pair, terms: Terms, at: datetime
    ) -> tuple[Task, Run, TaskClaimed]:
        """
        The task in progress under a new lease, with the next fence and attempt.
        """
        moved, _ = self.move(Status.IN_PROGRESS, at=at)
        return moved.leased(id=id, was=self.status, by=by, actor=actor, holder=holder, terms=terms, at=at)

    def leased(
        self, *, id: RunId, was: Status, by: Assignee, actor: Actor, holder: Secret | Pair, terms: Terms, at: datetime
    ) -> tuple[Task, Run, TaskClaimed]:
        """
        The task, in progress already, under a new lease, with the next fence and attempt.
        """
        fence, attempt = self.fence + 1, self.attempts + 1
        run = Run(
            id=id,
            organization=self.organization,
            board=self.board,
            task=self.id,
            fence=fence,
            attempt=attempt,
            by=by,
            actor=actor,
            holder=holder,
            term=terms.term,
            delay=terms.delay_after(attempt),
            claimed_at=at,
            expires_at=at + terms.term,
            heartbeat_at=at,
            from_queue=self.assignee is None,
        )
        workers = (author_named(by), *([author_acting(actor)] if actor.kind == "agent" else []))
        taken = evolve(
            self, assignee=by, fence=fence, attempts=attempt, run=id, not_before=None,
            authors=tuple(dict.fromkeys((*self.authors, *workers))),
        )  # fmt: skip
        claimed = TaskClaimed(
            task=self.id, board=self.board, title=self.title, was=was, run=id, fence=fence, attempt=attempt,
            by=by.name, at=at,
        )  # fmt: skip
        return taken, run, claimed

    def finish(self, outcome: Outcome, status: Status, *, at: datetime) -> tuple[Task, TaskMoved]:
        """
        The task at this status after its run's result was accepted.
        """
        moved, fact = self.move(status, at=at)
        done = evolve(
            moved,
            submitter=self.assignee.agent if self.assignee and moved.status is Status.REVIEW else self.submitter,
            run=None,
            hand_over=None,
            result=outcome.result,
            resolution=outcome.resolution if outcome.resolution is not None else self.resolution,
            output=outcome.output if outcome.output is not None else self.output,
            error_message=None,
        )
        return done, fact

    def lose(self, run: Run, failure: Failure, *, since: datetime, at: datetime) -> tuple[Task, TaskMoved]:
        """
        The task after a run failed or ran out at *since*: back in the queue after a delay, with a person, parked, or
        failed for good.
        """
        if run.cancelled:
            to = Status.BACKLOG
        elif failure.reason.retry is RetryClass.NEVER:
            to = Status.FAILED
        elif failure.reason.retry is RetryClass.PERSON:
            to = Status.AWAITING_OWNER
        elif self.attempts >= self.max_attempts:
            to = Status.FAILED
        else:
            to = Status.ASSIGNED if self.assignee else Status.INBOX
        freed = self.freed(run)
        if to in IDLE:
            to = freed.at_rest()  # who took it from the open queue gives it back there
        moved, fact = freed.move(to, at=at)
        rests = since + run.delay if to in IDLE else None
        failed = Result.FAILED if to is Status.FAILED else self.result
        message = failure.message or failure.reason.code
        return evolve(moved, not_before=rests, error_message=message, result=failed), fact

    def put_back(self, run: Run, *, note: str | None, at: datetime) -> tuple[Task, TaskMoved]:
        """
        The task after a run gave it back: claimable at once (unless the run was cancelled, which parks it), with the
        attempt given back too.
        """
        freed = self.freed(run)
        moved, fact = freed.move(Status.BACKLOG if run.cancelled else freed.at_rest(), at=at)
        return evolve(moved, attempts=max(self.attempts - 1, 0), hand_over=note), fact

    def given_up(self, run: Run | None, *, at: datetime) -> tuple[Task, TaskMoved]:
        """
        The task after whoever had it in hand was taken off it: open to everybody (unless its run was cancelled, which
        parks it), with the attempt of its run given back.
        """
        to = Status.BACKLOG if run is not None and run.cancelled else Status.INBOX
        moved, fact = evolve(self, run=None, assignee=None, fence=self.fence + 1).move(to, at=at)
        return evolve(moved, attempts=max(self.attempts - (run is not None), 0)), fact

    def unassigned(self, *, at: datetime) -> tuple[Task, tuple[Fact, ...]]:
        """
        The task without its assignee; what waited in the queue for that one is open to everybody.
        """
        freed, facts = evolve(self, assignee=None, updated_at=at), [self.assigned_to(None, at=at)]
        if self.status is not Status.ASSIGNED:
            return freed, tuple(facts)
        moved, fact = freed.move(Status.INBOX, at=at)
        return moved, (fact, *facts)

    def assigned_to(self, assignee: Assignee | None, *, at: datetime) -> TaskAssigned:
        """
        The event that the task passes from its assignee to that one.
        """
        was = self.assignee
        return TaskAssigned(
            task=self.id,
            was=was.name if was else None,
            was_agent=was.agent if was else None,
            assignee=assignee.name if assignee else None,
            agent=assignee.agent if assignee else None,
            at=at,
        )

    def freed(self, run: Run) -> Task:
        """
        The task without its run; whoever took it from the open queue no longer owns it.
        """
        return evolve(self, run=None, assignee=None if run.from_queue else self.assignee)


_NO_WORK: Final = {*DETAILS, "version", "edits", "late_results", "updated_at"}
_WORK_OF: Final = attrgetter(*(each.name for each in fields(Task) if each.name not in _NO_WORK))
"""The values of the fields of a task that are no details."""
