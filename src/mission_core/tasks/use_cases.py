"""
Making, editing and removing tasks.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any

from attrs import asdict, evolve, frozen

from mission_core.accounts.model import Principal, Role, require
from mission_core.boards.model import Board, BoardNotFound, BoardStatus
from mission_core.events.model import Fact
from mission_core.ids import BoardId, BoardNumber, TagId, TaskId, TaskNumber
from mission_core.tasks.commenting import called_in, composed, has_spoken
from mission_core.tasks.comments import COMMENTS, Comment
from mission_core.tasks.dependencies import AT_REST, depending, open_dependencies
from mission_core.tasks.facts import TaskAssigned, TaskCreated, TaskDeleted, TaskUpdated
from mission_core.tasks.fields import carrying
from mission_core.tasks.mentions import Callee, Calling
from mission_core.tasks.model import (
    FINISHED,
    IDLE,
    MOVES,
    Blocked,
    DependenciesFrozen,
    RecordingDenied,
    Status,
    Task,
)
from mission_core.tasks.reach import task_for
from mission_core.tasks.runs import ALIVE, Assignee, Result
from mission_core.values import ABSENT, EMPTY_OBJECT, Absent, JsonText, present

if TYPE_CHECKING:
    from mission_core.ports import Ports, UnitOfWork


class Manner(Enum):
    """
    How a person's write is meant.

    `PLAIN` changes what it names. `TEAM` also hands work over: to the inbox or a review it leaves its assignee (a
    review goes to the board's lead), what is blocked settles in the inbox, and a status sent again means nothing.
    """

    PLAIN = "plain"
    TEAM = "team"


@frozen(kw_only=True)
class CreateTask:
    """
    Make a task. Without a board it goes to the general one. *calling* is how its description calls somebody.

    *tags* are words, of which those that name tags of the organization stand for them. *values* of custom fields go by
    key; where none are given, not even the defaults are kept, and nothing is required.
    """

    title: str
    board: BoardId | BoardNumber | None = None
    board_must_exist: bool = True
    description: str | None = None
    status: Status = Status.INBOX
    priority: str = "medium"
    assignee: str | None = None
    due_at: datetime | None = None
    not_before: datetime | None = None
    estimated_hours: float | None = None
    actual_hours: float | None = None
    tags: tuple[str, ...] = ()
    tag_ids: tuple[TagId, ...] = ()
    values: Mapping[str, Any] | Absent = ABSENT
    metadata: JsonText = EMPTY_OBJECT
    depends_on: tuple[TaskId | TaskNumber, ...] = ()
    result: Result | None = None
    error_message: str | None = None
    resolution: str | None = None
    feedback_rating: int | None = None
    feedback_notes: str | None = None
    retry_count: int = 0
    completed_at: datetime | None = None
    max_attempts: int = 5
    calling: Calling = Calling.NAMES


@frozen(kw_only=True)
class UpdateTask:
    """
    Change the named fields of a task. Absent is not null, and null is not default.

    The status is left alone while it is one of *unless*. A *comment* is kept beside the task. *calling* is how that,
    or a new description, calls somebody. With *own* an agent's key reaches its own tasks only.

    *tags* replace words and tags alike, *tag_ids* the tags; *values* of custom fields go by key, and null takes one
    away.
    """

    task: TaskId | TaskNumber
    on: BoardId | None = None
    own: bool = False
    expects: int | None = None
    manner: Manner = Manner.PLAIN
    title: str | Absent = ABSENT
    description: str | Absent | None = ABSENT
    status: Status | Absent = ABSENT
    unless: tuple[Status, ...] = ()
    comment: str | None = None
    priority: str | Absent = ABSENT
    board: BoardId | BoardNumber | Absent = ABSENT
    assignee: str | Absent | None = ABSENT
    due_at: datetime | Absent | None = ABSENT
    not_before: datetime | Absent | None = ABSENT
    estimated_hours: float | Absent | None = ABSENT
    actual_hours: float | Absent | None = ABSENT
    tags: tuple[str, ...] | Absent = ABSENT
    tag_ids: tuple[TagId, ...] | Absent = ABSENT
    values: Mapping[str, Any] | Absent = ABSENT
    metadata: JsonText | Absent = ABSENT
    depends_on: tuple[TaskId | TaskNumber, ...] | Absent = ABSENT
    result: Result | Absent | None = ABSENT
    error_message: str | Absent | None = ABSENT
    resolution: str | Absent | None = ABSENT
    feedback_rating: int | Absent | None = ABSENT
    feedback_notes: str | Absent | None = ABSENT
    retry_count: int | Absent = ABSENT
    completed_at: datetime | Absent | None = ABSENT
    max_attempts: int | Absent = ABSENT
    calling: Calling = Calling.NAMES


@frozen(kw_only=True)
class DeleteTask:
    """
    Remove a task. With *own* an agent's key reaches its own tasks only.
    """

    task: TaskId | TaskNumber
    on: BoardId | None = None
    own: bool = False
    expects: int | None = None


BESIDE = (
    "task", "on", "own", "expects", "manner", "status", "unless", "comment", "calling", "board", "assignee",
    "depends_on", "tags", "tag_ids", "values",
)  # fmt: skip
"""Fields of an update that are more than a value to keep."""


async def create_task(ports: Ports, principal: Principal, cmd: CreateTask) -> Task:
    """
    Make a task. Inbox work with an assignee is assigned.

    Raises:
        BoardNotFound: If there is no such active board for this principal.
        RecordingDenied: If it is made as done by anybody but an admin.
        DependencyNotFound: If its board lacks a named dependency.
        TagsMissing: If the organization lacks a named tag.
        FieldsUnknown: If its board asks for no such value.
        FieldValueInvalid: If a value is none that its field takes.
        FieldsRequired: If a value is missing that its board requires.
        Blocked: If it depends on open work and would be assigned or under way.
        UnknownMentions: If its description calls by handle whom nobody knows.
    """
    require(principal, Role.OPERATOR)
    if cmd.status in FINISHED and principal.role is not Role.ADMIN:
        raise RecordingDenied
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        board = await _board_for(unit, cmd)
        callees = await called_in(ports, principal, cmd.description, cmd.calling, on=board.id)
        number, ticket = await ports.numbers.draw((principal.organization, "task"), (board.id, "ticket"))
        names = {"id": TaskId(ports.ids.new()), "number": TaskNumber(number), "board": board.id, "ticket": ticket}
        task = await carrying(unit, _new_task(cmd, principal, names, at=now), cmd, new=True)
        if cmd.depends_on:
            task = await depending(unit, task, cmd.depends_on)
            open_ones = await open_dependencies(unit, task)
            if open_ones and (task.assignee or task.status is not Status.INBOX) and task.status is not Status.BACKLOG:
                raise Blocked(task.id, open_ones)
        task = unit.tasks.add(task)
        unit.record(
            TaskCreated(
                task=task.id, number=number, board=board.id, title=task.title, status=task.status,
                priority=task.priority, assignee=cmd.assignee, recorded=task.recorded,
                mentions=tuple(each.recipient for each in callees), at=now,
            )
        )  # fmt: skip
        unit.result(task.id)
        await unit.commit()
    return task


_COPIED = (
    "title", "description", "priority", "due_at", "not_before", "estimated_hours", "actual_hours", "metadata",
    "result", "error_message", "resolution", "feedback_rating", "feedback_notes", "retry_count", "max_attempts",
)  # fmt: skip


def _new_task(cmd: CreateTask, principal: Principal, names: dict[str, Any], *, at: datetime) -> Task:
    status = Status.ASSIGNED if cmd.assignee and cmd.status is Status.INBOX else cmd.status
    return Task(
        organization=principal.organization,
        status=status,
        assignee=Assignee(cmd.assignee) if cmd.assignee else None,
        creator=principal.actor,
        creator_name=principal.display,
        recorded=status is Status.DONE,
        created_at=at,
        updated_at=at,
        moved_at=at,
        started_at=at if status is Status.IN_PROGRESS else None,
        completed_at=cmd.completed_at or (at if status is Status.DONE else None),
        begun_at=at if status is Status.IN_PROGRESS else None,
        **names,
        **{name: getattr(cmd, name) for name in _COPIED},
    )


async def _board_for(unit: UnitOfWork, cmd: CreateTask) -> Board:
    if cmd.board is not None:
        try:
            board = await unit.boards.get(cmd.board)
        except BoardNotFound:
            if cmd.board_must_exist:
                raise
        else:
            if board.status is BoardStatus.ACTIVE or cmd.board_must_exist:
                return board
    general = await unit.boards.first_active()
    if general is None:
        raise BoardNotFound
    return general


async def update_task(ports: Ports, principal: Principal, cmd: UpdateTask) -> Task:
    """
    Change the named fields of a task. A change of status or assignee ends a live lease and raises the fence.

    Raises:
        TaskNotFound: If there is no such task (on that board) for this principal.
        NotYourTask: If an agent's key reaches its own tasks only, and this is none of them.
        VersionMismatch: If the caller expected another version.
        GateClosed: If a gate of its board keeps it from moving.
        DependencyCycle: If it would wait for itself.
        TagsMissing: If the organization lacks a named tag.
        FieldsUnknown: If its board asks for no such value.
        FieldValueInvalid: If a value is none that its field takes.
        FieldsRequired: If a value is missing that its board requires.
        BoardNotFound: If it moves to a board that does not exist or is archived.
        UnknownMentions: If what is said calls by handle whom nobody knows.
    """
    require(principal, Role.OPERATOR)
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        before = await task_for(unit, principal, cmd.task, on=cmd.on, own=cmd.own, expects=cmd.expects)
        described = present(cmd.description, None)
        callees = await called_in(
            ports, principal, described, cmd.calling, on=before.board, already=before.description
        )
        said = await _said(ports, principal, before, cmd, at=now)
        after = evolve(before, **_named(cmd))
        if not isinstance(cmd.board, Absent):
            after = await _moved_to_board(ports, unit, after, cmd.board)
        after = await carrying(unit, after, cmd)
        if not isinstance(cmd.depends_on, Absent):
            after = await depending(unit, after, cmd.depends_on)
            if before.status is Status.DONE and after.depends_on != before.depends_on:
                raise DependenciesFrozen
        changed = await carried_out(unit, before, after, cmd, said=said, callees=callees, at=now)
        if not changed:
            return before
        unit.result(before.id)
        await unit.commit()
    return changed[0]


async def _said(ports: Ports, principal: Principal, task: Task, cmd: UpdateTask, *, at: datetime) -> Comment | None:
    if not cmd.comment:
        return None
    callees = await called_in(ports, principal, cmd.comment, cmd.calling, on=task.board)
    return await composed(ports, principal, task, cmd.comment, callees, at=at)


async def carried_out(
    unit: UnitOfWork,
    before: Task,
    after: Task,
    cmd: UpdateTask,
    *,
    said: Comment | None = None,
    callees: tuple[Callee, ...] = (),
    at: datetime,
) -> list[Task]:
    """
    Move a task, whose fields are changed already, as the command asks, and remember all that follows from it.

    Returns:
        Every task that changed, this one first; none if nothing did.
    """
    after, facts = await _moved(unit, before, after, cmd, at=at)
    changed = _changed(before, after)
    if not changed and said is None:
        return []
    if said is not None:
        facts = (*facts, said.said())
    after, more = await _without_lease(unit, before, after, at=at)
    after = evolve(after, updated_at=at)
    others, reset = await _dependents_reset(unit, before, after, at=at)
    after = unit.tasks.save(after)
    mentions = tuple(each.recipient for each in callees)
    unit.record(*facts, *more, *reset, TaskUpdated(task=after.id, changed=changed, mentions=mentions, at=at))
    if said is not None:
        unit.rows(COMMENTS).add(said)
    return [after, *others]


def _named(cmd: UpdateTask) -> dict[str, Any]:
    given = asdict(cmd, recurse=False)
    return {name: value for name, value in given.items() if name not in BESIDE and value is not ABSENT}


def _changed(before: Task, after: Task) -> tuple[str, ...]:
    old, new = asdict(before, recurse=False), asdict(after, recurse=False)
    return tuple(sorted(name for name in old if old[name] != new[name]))


async def _moved_to_board(ports: Ports, unit: UnitOfWork, task: Task, to: BoardId | BoardNumber) -> Task:
    board = await unit.boards.get(to)
    if board.id == task.board:
        return task
    if board.status is not BoardStatus.ACTIVE:
        raise BoardNotFound
    (ticket,) = await ports.numbers.draw((board.id, "ticket"))
    return evolve(task, board=board.id, ticket=ticket)


async def _moved(
    unit: UnitOfWork, before: Task, after: Task, cmd: UpdateTask, *, at: datetime
) -> tuple[Task, tuple[Fact, ...]]:
    """
    The task with the status and assignee the command asks for, as its manner means them.
    """
    if cmd.manner is Manner.TEAM and cmd.assignee is None and before.assignee and before.assignee.agent is None:
        cmd = evolve(cmd, assignee=ABSENT)  # a team is not shown names that no agent has
    status = _asked_status(before, cmd)
    assignee = before.assignee if isinstance(cmd.assignee, Absent) else Assignee(cmd.assignee) if cmd.assignee else None
    if cmd.manner is Manner.TEAM:
        status, assignee = await _as_team(unit, before, after, cmd, status, assignee)
    facts: list[Fact] = []
    if status is not before.status:
        owner = _named_owner(before, cmd)
        handed = {before.status, status} <= IDLE  # changing hands in the queue meets no gate
        for each in {before.board: before, after.board: after}.values():  # where it leaves, and where it arrives
            passage = await unit.gates.of(each)
            unit.rely_on(passage.board)
            if passage.rules.comment_required_for_review and MOVES[status].needs_comment:
                passage = evolve(passage, commented=bool(cmd.comment) or await has_spoken(unit, before, owner))
            arrived, moved = each.move(status, at=at, passage=None if handed else passage)
        after = arrived
        facts.append(moved)
    if assignee != before.assignee:
        facts.append(
            TaskAssigned(
                task=before.id, was=before.assignee.name if before.assignee else None,
                assignee=assignee.name if assignee else None, agent=None, at=at,
            )
        )  # fmt: skip
    return evolve(after, assignee=assignee), tuple(facts)


def _named_owner(before: Task, cmd: UpdateTask) -> Assignee | None:
    """
    Whose work it is that moves: of whom the command names, else of whom had it.
    """
    if not isinstance(cmd.assignee, str) or not cmd.assignee:
        return before.assignee
    named = Assignee(cmd.assignee)
    return before.assignee if before.assignee and before.assignee.key == named.key else named


def _asked_status(before: Task, cmd: UpdateTask) -> Status:
    if not isinstance(cmd.status, Absent) and before.status not in cmd.unless:
        return cmd.status
    if isinstance(cmd.assignee, Absent) or cmd.manner is Manner.TEAM:
        return before.status
    if cmd.assignee and before.status is Status.INBOX:
        return Status.ASSIGNED
    if not cmd.assignee and before.status is Status.ASSIGNED:
        return Status.INBOX
    return before.status


async def _as_team(
    unit: UnitOfWork, before: Task, after: Task, cmd: UpdateTask, status: Status, assignee: Assignee | None
) -> tuple[Status, Assignee | None]:
    moves = status is not before.status
    settled = not moves and status in FINISHED | {Status.BACKLOG}
    if not settled and await open_dependencies(unit, after):
        return Status.INBOX, None
    explicit = not isinstance(cmd.assignee, Absent)
    if moves and status is Status.REVIEW:
        lead = await unit.agents.lead(after.board)
        return status, Assignee(lead.name, lead.id) if lead else assignee if explicit else None
    if moves and status is Status.INBOX and not explicit:
        return status, None
    if status in IDLE and (moves or assignee != before.assignee):
        return Status.ASSIGNED if assignee else Status.INBOX, assignee
    return status, assignee


async def _without_lease(
    unit: UnitOfWork, before: Task, after: Task, *, at: datetime
) -> tuple[Task, tuple[Fact, ...]]:
    """
    The task with its live lease ended, if its status or assignee changed under it. To another board the lease goes
    along.
    """
    stays = before.status is after.status and before.assignee == after.assignee
    if before.run is None or (stays and before.board == after.board):
        return after, ()
    run = await unit.runs.get(before.run)
    if stays:
        unit.runs.save(evolve(run, board=after.board))
        return after, ()
    after = evolve(after, run=None, fence=after.fence + 1)
    if run.state not in ALIVE:
        return after, ()
    run = evolve(run, board=after.board)
    run, revoked = run.revoke("the task was changed by hand", at=at)
    unit.runs.save(run)
    return after, (revoked,)


async def _dependents_reset(
    unit: UnitOfWork, before: Task, after: Task, *, at: datetime
) -> tuple[list[Task], list[Fact]]:
    """
    When a done task is reopened, those that wait for it go back to rest.
    """
    tasks: list[Task] = []
    facts: list[Fact] = []
    if not (before.status is Status.DONE and after.status is not Status.DONE):
        return tasks, facts
    for each in await unit.tasks.dependents(after.id):
        if each.finished or each.status in AT_REST:
            unit.rely_on(each)  # that nobody takes it up meanwhile
            continue
        rested, moved = evolve(each, assignee=None).move(Status.INBOX, at=at)
        rested, revoked = await _without_lease(unit, each, rested, at=at)
        tasks.append(unit.tasks.save(rested))
        facts += [*revoked, moved]
    return tasks, facts


async def delete_task(ports: Ports, principal: Principal, cmd: DeleteTask) -> Task:
    """
    Remove a task; its live lease ends, and what depended on it no longer does.

    Raises:
        TaskNotFound: If there is no such task (on that board) for this principal.
        VersionMismatch: If the caller expected another version.
    """
    require(principal, Role.OPERATOR)
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        task = await task_for(unit, principal, cmd.task, on=cmd.on, own=cmd.own, expects=cmd.expects)
        dependents = await unit.tasks.dependents(task.id)
        if task.run is not None:
            run = await unit.runs.get(task.run)
            if run.state in ALIVE:
                run, revoked = run.revoke("the task was deleted", at=now)
                unit.runs.save(run)
                unit.record(revoked)
        for each in dependents:
            left = tuple(other for other in each.depends_on if other != task.id)
            unit.tasks.save(evolve(each, depends_on=left, updated_at=now))
            unit.record(TaskUpdated(task=each.id, changed=("depends_on",), at=now))
        unit.tasks.remove(task)
        unit.record(TaskDeleted(task=task.id, number=task.number, title=task.title, at=now))
        await unit.commit()
    return task
