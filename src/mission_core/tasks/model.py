"""
The task entity, its statuses, and the rules of a status change.
"""

from __future__ import annotations

import json
from datetime import datetime
from enum import StrEnum
from operator import attrgetter
from typing import TYPE_CHECKING, Final
from uuid import UUID

from attrs import field
from attrs.validators import optional

from mission_core.entity_changes import evolve
from mission_core.errors import Conflict, Denied, Invalid, InvalidField, NotFound, StaleWrite
from mission_core.events.model import Actor, Event
from mission_core.field_types import with_type_validators
from mission_core.ids import AgentId, BoardId, OrganizationId, RunId, TagId, TaskId, TaskNumber
from mission_core.lazy_attrs import define, field_names, frozen
from mission_core.tasks.authors import author_of_actor, author_of_assignee
from mission_core.tasks.events import TaskAssigned, TaskClaimed, TaskMoved
from mission_core.tasks.github_links import NO_GITHUB_LINKS, GitHubLinks
from mission_core.tasks.runs import (
    Assignee,
    Failure,
    ImplicitHolder,
    LeaseTerms,
    Outcome,
    RetryClass,
    Run,
    SecretHolder,
    TaskResult,
)
from mission_core.values import (
    EMPTY_OBJECT,
    JsonText,
    checked_text,
    json_object,
    number_between,
    storable_json,
    text,
    utc_moment,
    whole_number,
)

if TYPE_CHECKING:
    from attrs import Attribute


class Status(StrEnum):
    """
    The status of a task. The Boards dialect folds these nine into four.
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


IDLE_STATUSES: Final = frozenset({Status.INBOX, Status.ASSIGNED})
FINISHED_STATUSES: Final = frozenset({Status.DONE, Status.FAILED})
REVIEW_STATUSES: Final = frozenset({Status.REVIEW, Status.QUALITY_REVIEW})
PRIORITY_RANK: Final = {"critical": 0, "high": 1, "medium": 2, "low": 3}
MOST_TAGS: Final = 50
MOST_DEPENDENCIES: Final = 200


def priority_rank_of(priority: str) -> int:
    """
    Return the sort rank of a priority: 0 is claimed first, and an unknown priority last.
    """
    return PRIORITY_RANK.get(priority, 4)


@frozen
class StatusRules:
    """
    The effects of entering a status, and the gates that guard it.
    """

    starts: bool = False
    stops_clock: bool = False
    completes: bool = False
    needs_approval: bool = False
    needs_review: bool = False
    needs_comment: bool = False


STATUS_RULES: Final = {
    Status.BACKLOG: StatusRules(stops_clock=True),
    Status.INBOX: StatusRules(stops_clock=True),
    Status.ASSIGNED: StatusRules(stops_clock=True),
    Status.AWAITING_OWNER: StatusRules(),
    Status.IN_PROGRESS: StatusRules(starts=True),
    Status.REVIEW: StatusRules(stops_clock=True, needs_comment=True),
    Status.QUALITY_REVIEW: StatusRules(stops_clock=True, needs_comment=True),
    Status.DONE: StatusRules(completes=True, needs_approval=True, needs_review=True),
    Status.FAILED: StatusRules(stops_clock=True),
}


class TaskNotFound(NotFound):
    """
    The organization has no such task.
    """

    says = "Task not found"


@define(repr=False)
class GateClosed(Conflict):
    """
    A gate of the board refuses the status change.

    Args:
        rule: The name of the gate.
    """

    rule: str
    task: TaskId

    def __str__(self) -> str:
        return self.says or GATE_TEXTS[self.rule]


class CommentRequired(GateClosed):
    """
    The board requires a comment before a task enters review.
    """


GATE_TEXTS: Final = {
    "require_approval_for_done": "Task can only be marked done when a linked approval has been approved.",
    "require_review_before_done": "Task can only be marked done from review when the board rule is enabled.",
    "block_status_changes_with_pending_approval": ("Task status cannot be changed while a linked approval is pending."),
    "comment_required_for_review": "Comment is required.",
}
HELD_BY_APPROVAL: Final = "an approval of it is pending, and its board allows no status change meanwhile"


class FinishedTaskDenied(Denied):
    """
    Only an admin may create a task that is already finished (work done elsewhere).
    """

    code = "recording_denied"
    says = (
        "only an admin may create a task as finished (work done elsewhere); "
        "create it open and move it through its gates"
    )


@define(repr=False)
class BlockedByDependencies(Conflict):
    """
    The task depends on tasks that are not done.
    """

    code = "blocked"

    task: TaskId
    by: tuple[TaskId, ...]

    says = "Task is blocked by incomplete dependencies."


class DependencyCycle(Conflict):
    """
    The dependency would close a cycle.
    """

    says = "Dependency cycle detected. Remove the cycle before saving."


class SelfDependency(Invalid):
    """
    A task cannot depend on itself.
    """

    code = "depends_on_itself"
    says = "Task cannot depend on itself."


class DependenciesFrozen(Conflict):
    """
    The dependencies of a done task cannot change.
    """

    says = "Cannot change task dependencies after a task is done."


@define(repr=False)
class DependencyNotFound(NotFound):
    """
    A named dependency does not exist on the task's board.
    """

    missing: tuple[TaskId | TaskNumber, ...]

    says = "One or more dependency tasks were not found on this board."


@define(repr=False)
class NotClaimable(Conflict):
    """
    The task cannot be claimed now.

    Args:
        why: The reason.
    """

    task: TaskId
    why: str

    says = "this task cannot be claimed: {self.why}"


class NotYourTask(Denied):
    """
    The task is assigned to another agent.
    """

    says = "Access denied: agent key may only access its own tasks."


def valid_tags(instance: object, attribute: Attribute[tuple[str, ...]], value: tuple[str, ...]) -> None:
    """
    Validate a list of tags: their number and the length of each.
    """
    if len(value) > MOST_TAGS:
        raise InvalidField(attribute.name, f"must have at most {MOST_TAGS} entries", value)
    for i, tag in enumerate(value):
        checked_text(f"{attribute.name}.{i}", tag, least=1, most=100)


DETAIL_FIELDS: Final = (
    "title", "description", "priority", "due_at", "estimated_hours", "actual_hours", "tags", "tag_ids", "metadata",
    "field_values", "feedback_rating", "feedback_notes", "tracking",
)  # fmt: skip
"""The fields that no status, assignee or run depends on. Two writers may change different ones of them at once."""


@frozen
class TaskWorkVersion:
    """
    The version of a task without the edits of details, as it was read. A decision that rests on no detail relies on it
    instead of the whole task.
    """

    id: TaskId
    version: int


@frozen(kw_only=True, field_transformer=with_type_validators)
class Task:
    """
    A piece of work on a board.

    *fence* is the fence of the latest lease, *attempts* the number of runs that count against *max_attempts*, and *run*
    the live run. *started_at* is the start of the current work, *begun_at* the start of the first. *submitter* is the
    worker that last moved the task to review. *authors* are the ids of everybody who worked on the task or handed it
    in. *passed* are the other boards on which the task had its present status: when it returns to one of them, no gate
    is asked again. *late_results* is the number of its late results, which is stored beside the task and not written by
    `save`.

    *edits* counts the versions that changed nothing but `DETAIL_FIELDS`.

    *tags* are free words; *tag_ids* are tags of the organization, in the order in which they were added. *field_values*
    maps the ids of custom fields to values.
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
    due_at: datetime | None = field(default=None, validator=optional(utc_moment))
    not_before: datetime | None = field(default=None, validator=optional(utc_moment))
    estimated_hours: float | None = field(default=None, validator=optional(number_between(0, 10_000)))
    actual_hours: float | None = field(default=None, validator=optional(number_between(0, 10_000)))
    tags: tuple[str, ...] = field(default=(), validator=valid_tags)
    metadata: JsonText = field(default=EMPTY_OBJECT, validator=json_object)
    depends_on: tuple[TaskId, ...] = ()
    result: TaskResult | None = None
    error_message: str | None = field(default=None, validator=optional(text(most=5000)))
    resolution: str | None = field(default=None, validator=optional(text(most=5000)))
    output: JsonText | None = field(default=None, validator=optional(storable_json))
    feedback_rating: int | None = field(default=None, validator=optional(whole_number(1, 5)))
    feedback_notes: str | None = field(default=None, validator=optional(text(most=5000)))
    retry_count: int = field(default=0, validator=whole_number(0))
    recorded: bool = False
    fence: int = field(default=0, validator=whole_number(0))
    attempts: int = field(default=0, validator=whole_number(0))
    max_attempts: int = field(default=5, validator=whole_number(1, 1000))
    run: RunId | None = None
    tag_ids: tuple[TagId, ...] = ()
    field_values: JsonText = field(default=EMPTY_OBJECT, validator=json_object)
    hand_over: str | None = field(default=None, validator=optional(text(most=5000)))
    created_at: datetime = field(validator=utc_moment)
    updated_at: datetime = field(validator=utc_moment)
    moved_at: datetime = field(validator=utc_moment)
    started_at: datetime | None = field(default=None, validator=optional(utc_moment))
    completed_at: datetime | None = field(default=None, validator=optional(utc_moment))
    begun_at: datetime | None = field(default=None, validator=optional(utc_moment))
    submitter: AgentId | None = None
    authors: tuple[UUID, ...] = ()
    passed: tuple[BoardId, ...] = ()
    tracking: GitHubLinks = NO_GITHUB_LINKS
    late_results: int = 0
    version: int = 0
    edits: int = 0

    def next_version(self, before: Task) -> Task:
        """
        Return the task with its next version number, where *before* is the task as it was read.
        """
        edited = bool(_work_fields_of(self) == _work_fields_of(before))
        return evolve(self, version=before.version + 1, edits=before.edits + edited)

    def merged_onto(self, before: Task, fresh: Task) -> Task:
        """
        Return the task as it is saved when the row has changed from *before* to *fresh*: the details that others
        changed meanwhile are kept.

        Raises:
            StaleWrite: If something other than details changed meanwhile, or both writers changed the same detail.
        """
        edited = {name for name in DETAIL_FIELDS if getattr(before, name) != getattr(fresh, name)}
        ours = {name for name in DETAIL_FIELDS if getattr(before, name) != getattr(self, name)}
        if fresh.work_version != before.work_version or edited & ours:
            raise StaleWrite("task", self.id)
        merged = evolve(self, **{name: getattr(fresh, name) for name in edited})
        return evolve(merged, updated_at=max(self.updated_at, fresh.updated_at)).next_version(fresh)

    @property
    def work_version(self) -> TaskWorkVersion:
        """
        The task's version without the edits of details.
        """
        return TaskWorkVersion(self.id, self.version - self.edits)

    @property
    def priority_rank(self) -> int:
        """
        The sort rank of the task's priority in the queue.
        """
        return priority_rank_of(self.priority)

    @property
    def tag_and_field_ids(self) -> frozenset[UUID]:
        """
        The ids of the task's tags, and of the custom fields that the task has values for.
        """
        fields = () if self.field_values == EMPTY_OBJECT else map(UUID, json.loads(self.field_values))
        return frozenset((*self.tag_ids, *fields))

    @property
    def finished(self) -> bool:
        """
        Whether the task is done or failed.
        """
        return self.status in FINISHED_STATUSES

    @property
    def done_at(self) -> datetime | None:
        """
        The time at which the task was done, or None.
        """
        return (self.completed_at or self.moved_at) if self.status is Status.DONE else None

    def move(self, to: Status, *, at: datetime) -> tuple[Task, TaskMoved]:
        """
        Return the task at another status, with the times that `STATUS_RULES` sets or clears. A failed task that is
        reopened gets all its attempts back. Gates are checked in `gates.py`.
        """
        move = STATUS_RULES[to]
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
        return moved, TaskMoved(task=self.id, board=self.board, title=self.title, was=self.status, status=to, at=at)

    def idle_status(self) -> Status:
        """
        Return the idle status that fits the assignee: assigned or inbox.
        """
        return Status.ASSIGNED if self.assignee else Status.INBOX

    def why_not_claimable(
        self, *, at: datetime, open_dependencies: int, by: Assignee, run: Run | None, held: bool = False
    ) -> str | None:
        """
        Return the reason why *by* cannot claim the task now, or None.
        """
        if run is not None and run.is_live(at=at):
            return f"{run.worker_name} holds a lease on it until {run.expires_at.isoformat()}"
        if self.status not in IDLE_STATUSES:
            return f"its status is {self.status.value}, and only inbox and assigned tasks can be claimed"
        if held:
            return HELD_BY_APPROVAL
        return self.why_not_ready(at=at, open_dependencies=open_dependencies, by=by)

    def why_not_ready(self, *, at: datetime, open_dependencies: int, by: Assignee) -> str | None:
        """
        Return the reason why *by* cannot begin the task now, whatever its status, or None.
        """
        if open_dependencies:
            return f"it depends on {open_dependencies} task{'s' if open_dependencies > 1 else ''} not yet done"
        if self.not_before is not None and at < self.not_before:
            return f"it is delayed until {self.not_before.isoformat()}"
        if self.assignee is not None and self.assignee.key != by.key:
            return f"it is assigned to {self.assignee.name}"
        return None

    def claim(
        self,
        *,
        id: RunId,
        by: Assignee,
        actor: Actor,
        holder: SecretHolder | ImplicitHolder,
        terms: LeaseTerms,
        at: datetime,
    ) -> tuple[Task, Run, TaskClaimed]:
        """
        Return the task in progress under a new lease, with the next fence and attempt.
        """
        moved, _ = self.move(Status.IN_PROGRESS, at=at)
        return moved.begin_run(id=id, was=self.status, by=by, actor=actor, holder=holder, terms=terms, at=at)

    def begin_run(
        self,
        *,
        id: RunId,
        was: Status,
        by: Assignee,
        actor: Actor,
        holder: SecretHolder | ImplicitHolder,
        terms: LeaseTerms,
        at: datetime,
    ) -> tuple[Task, Run, TaskClaimed]:
        """
        Return the task, which is already in progress, under a new lease, with the next fence and attempt.
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
        workers = (author_of_assignee(by), *([author_of_actor(actor)] if actor.kind == "agent" else []))
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
        Return the task at this status after the result of its run was accepted.
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

    def after_failure(self, run: Run, failure: Failure, *, since: datetime, at: datetime) -> tuple[Task, TaskMoved]:
        """
        Return the task after its run failed, or its lease expired at *since*. The task goes back to the queue after a
        delay, waits for a person, is parked in the backlog, or fails for good.
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
        freed = self.without_run(run)
        if to in IDLE_STATUSES:
            to = freed.idle_status()  # a task that was claimed unassigned becomes unassigned again
        moved, fact = freed.move(to, at=at)
        rests = since + run.delay if to in IDLE_STATUSES else None
        failed = TaskResult.FAILED if to is Status.FAILED else self.result
        message = failure.message or failure.reason.code
        return evolve(moved, not_before=rests, error_message=message, result=failed), fact

    def after_release(self, run: Run, *, note: str | None, at: datetime) -> tuple[Task, TaskMoved]:
        """
        Return the task after its run was released: claimable at once, with the attempt returned. If the run was
        cancelled, the task is parked in the backlog.
        """
        freed = self.without_run(run)
        moved, fact = freed.move(Status.BACKLOG if run.cancelled else freed.idle_status(), at=at)
        return evolve(moved, attempts=max(self.attempts - 1, 0), hand_over=note), fact

    def after_revocation(self, run: Run | None, *, at: datetime) -> tuple[Task, TaskMoved]:
        """
        Return the task after its work was taken away: unassigned in the inbox, with the attempt of its run returned. If
        the run was cancelled, the task is parked in the backlog.
        """
        to = Status.BACKLOG if run is not None and run.cancelled else Status.INBOX
        moved, fact = evolve(self, run=None, assignee=None, fence=self.fence + 1).move(to, at=at)
        return evolve(moved, attempts=max(self.attempts - (run is not None), 0)), fact

    def without_assignee(self, *, at: datetime) -> tuple[Task, tuple[Event, ...]]:
        """
        Return the task without its assignee. An assigned task goes to the inbox.
        """
        freed, facts = evolve(self, assignee=None, updated_at=at), [self.assigned_event(None, at=at)]
        if self.status is not Status.ASSIGNED:
            return freed, tuple(facts)
        moved, fact = freed.move(Status.INBOX, at=at)
        return moved, (fact, *facts)

    def assigned_event(self, assignee: Assignee | None, *, at: datetime) -> TaskAssigned:
        """
        Return the event of a change of assignee.
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

    def without_run(self, run: Run) -> Task:
        """
        Return the task without its run. A task that was claimed unassigned loses its assignee too.
        """
        return evolve(self, run=None, assignee=None if run.from_queue else self.assignee)


_NON_WORK_FIELDS: Final = {*DETAIL_FIELDS, "version", "edits", "late_results", "updated_at"}
_work_fields_of: Final = attrgetter(*(name for name in field_names(Task) if name not in _NON_WORK_FIELDS))
"""Reads the values of all fields that are not details."""
