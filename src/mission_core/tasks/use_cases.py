"""
Creating, updating and deleting tasks.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any

from mission_core.accounts.model import Principal, Role, may_write_board, require_role
from mission_core.boards.model import Board, BoardDenied, BoardNotFound, BoardStatus, require_grant
from mission_core.entity_changes import evolve, field_values, new_entity
from mission_core.ids import AgentId, BoardId, BoardNumber, TagId, TaskId, TaskNumber
from mission_core.lazy_attrs import frozen
from mission_core.tasks.comment_creation import new_comment, new_mentions
from mission_core.tasks.comments import Comment
from mission_core.tasks.dependencies import open_dependencies, with_dependencies
from mission_core.tasks.events import TaskCreated, TaskDeleted
from mission_core.tasks.gates import pass_gates, with_authors
from mission_core.tasks.late_results import keep_refused_write
from mission_core.tasks.lease_ownership import LeaseHeldByAnother, TaskWriter, lease_ownership_of, task_writer_of
from mission_core.tasks.mentions import MentionStyle
from mission_core.tasks.model import (
    FINISHED_STATUSES,
    REVIEW_STATUSES,
    BlockedByDependencies,
    DependenciesFrozen,
    FinishedTaskDenied,
    NotYourTask,
    Status,
    Task,
)
from mission_core.tasks.runs import LIVE_STATES, Assignee, TaskResult
from mission_core.tasks.tags_and_custom_fields import with_tags_and_values
from mission_core.tasks.task_access import check_write, get_for_write, get_on_board
from mission_core.tasks.team_rules import TaskAssigneeMismatch, board_role_of, check_agent_update, requested_status
from mission_core.tasks.team_updates import resolve_assignee
from mission_core.tasks.update_effects import apply_update, task_updated
from mission_core.use_case import use_case
from mission_core.values import ABSENT, EMPTY_OBJECT, Absent, JsonText, value_or

if TYPE_CHECKING:
    from mission_core.events.model import Event
    from mission_core.ports import Ports, UnitOfWork


class UpdateMode(Enum):
    """
    The update mode.

    `PLAIN` writes the named fields. `TEAM` applies the team rules for the caller's role (person, worker or lead): a
    move also changes the assignee, and a status that the task already shows is ignored (`tasks.actors`).
    """

    PLAIN = "plain"
    TEAM = "team"


@frozen(kw_only=True)
class CreateTask:
    """
    Create a task. Without a board it goes to the general board, or else to the first active one. *mention_style* is the
    style of mentions in the description.

    *tags* are words; a word that is the name of a tag adds that tag. *values* maps keys of custom fields to values.
    Without *values* no defaults are stored and no field is required.
    """

    title: str
    board: BoardId | BoardNumber | None = None
    board_must_exist: bool = True
    description: str | None = None
    status: Status = Status.INBOX
    priority: str = "medium"
    assignee: AgentId | str | None = None
    due_at: datetime | None = None
    not_before: datetime | None = None
    estimated_hours: float | None = None
    actual_hours: float | None = None
    tags: tuple[str, ...] = ()
    tag_ids: tuple[TagId, ...] = ()
    values: Mapping[str, Any] | Absent = ABSENT
    metadata: JsonText = EMPTY_OBJECT
    depends_on: tuple[TaskId | TaskNumber, ...] = ()
    result: TaskResult | None = None
    error_message: str | None = None
    resolution: str | None = None
    feedback_rating: int | None = None
    feedback_notes: str | None = None
    retry_count: int = 0
    completed_at: datetime | None = None
    max_attempts: int = 5
    mention_style: MentionStyle = MentionStyle.NAMES


@frozen(kw_only=True)
class UpdateTask:
    """
    Change the named fields of a task. An absent field is not changed; null clears it.

    A *comment* is added to the task. *mention_style* is the style of mentions in it and in a new description. With
    *own* an agent may only update its own tasks. An assignee given by id must be an agent that may work on the board.

    *agent* is the agent name that a person or program works for, and *instance* distinguishes several workers of one
    name; `lease_ownership` describes their effect on a lease.

    *tags* replaces words and tags, *tag_ids* replaces tags. *values* maps keys of custom fields to values, and null
    removes a value.
    """

    task: TaskId | TaskNumber
    on: BoardId | None = None
    own: bool = False
    expects: int | None = None
    mode: UpdateMode = UpdateMode.PLAIN
    agent: str | None = None
    instance: str | None = None
    title: str | Absent = ABSENT
    description: str | Absent | None = ABSENT
    status: Status | Absent = ABSENT
    comment: str | None = None
    priority: str | Absent = ABSENT
    board: BoardId | BoardNumber | Absent = ABSENT
    assignee: AgentId | str | Absent | None = ABSENT
    due_at: datetime | Absent | None = ABSENT
    not_before: datetime | Absent | None = ABSENT
    estimated_hours: float | Absent | None = ABSENT
    actual_hours: float | Absent | None = ABSENT
    tags: tuple[str, ...] | Absent = ABSENT
    tag_ids: tuple[TagId, ...] | Absent = ABSENT
    values: Mapping[str, Any] | Absent = ABSENT
    metadata: JsonText | Absent = ABSENT
    depends_on: tuple[TaskId | TaskNumber, ...] | Absent = ABSENT
    result: TaskResult | Absent | None = ABSENT
    error_message: str | Absent | None = ABSENT
    resolution: str | Absent | None = ABSENT
    feedback_rating: int | Absent | None = ABSENT
    feedback_notes: str | Absent | None = ABSENT
    retry_count: int | Absent = ABSENT
    completed_at: datetime | Absent | None = ABSENT
    max_attempts: int | Absent = ABSENT
    mention_style: MentionStyle = MentionStyle.NAMES

    @property
    def is_team_update(self) -> bool:
        """
        Whether the team rules apply.
        """
        return self.mode is UpdateMode.TEAM


@frozen(kw_only=True)
class DeleteTask:
    """
    Delete a task. With *own* an agent may only delete its own tasks.
    """

    task: TaskId | TaskNumber
    on: BoardId | None = None
    own: bool = False
    expects: int | None = None


COMMAND_FIELDS = frozenset({"task", "on", "own", "expects", "mode", "agent", "instance", "comment", "mention_style"})
"""The fields of an update that are not fields of the task."""
SPECIAL_FIELDS = COMMAND_FIELDS | {"status", "board", "assignee", "depends_on", "tags", "tag_ids", "values"}
"""The fields of an update that are not copied to the task as they are."""


@use_case
async def create_task(ports: Ports, principal: Principal, cmd: CreateTask) -> Task:
    """
    Create a task. If it has an assignee, the status inbox becomes assigned.

    Raises:
        BoardNotFound: If there is no such active board for this principal.
        BoardDenied: If the principal may not write to the board, or to any board.
        FinishedTaskDenied: If it is created as done or failed by anybody but an admin.
        OnlyLeadMovesTasks: If a worker creates it in progress or later, and the board lets only its lead move tasks.
        GateClosed: If a gate of the board refuses its status.
        DependencyNotFound: If a named dependency is not on its board.
        TagsNotFound: If the organization lacks a named tag.
        CustomFieldsUnknown: If its board has no such custom field.
        CustomFieldValueInvalid: If a custom field does not accept the value.
        CustomFieldsRequired: If a required custom field has no value.
        BlockedByDependencies: If it has open dependencies, and is assigned or in progress.
        UnknownMentions: If its description mentions a handle that nobody has.
    """
    require_role(principal, Role.OPERATOR)
    if cmd.status in FINISHED_STATUSES and principal.role is not Role.ADMIN:
        raise FinishedTaskDenied
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        board = await _board_for(unit, principal, cmd)
        require_grant(principal, board.id)  # before a ticket number is drawn
        assignee = await resolve_assignee(unit, board_role_of(principal), cmd.assignee, board=board.id)
        callees = await new_mentions(ports, principal, cmd.description, cmd.mention_style, on=board.id)
        unit.rely_on(board)  # it may not be deleted meanwhile
        number, ticket = await ports.numbers.next((principal.organization, "task"), (board.id, "ticket"))
        names = {"id": TaskId(ports.ids.new()), "number": TaskNumber(number), "board": board.id, "ticket": ticket}
        task = await with_tags_and_values(unit, _new_task(cmd, principal, names, assignee, at=now), cmd, new=True)
        if cmd.depends_on:
            task = await with_dependencies(unit, task, cmd.depends_on)
            open_ones = await open_dependencies(unit, task)
            if open_ones and (task.assignee or task.status is not Status.INBOX) and task.status is not Status.BACKLOG:
                raise BlockedByDependencies(task.id, open_ones)
        task, cleared = await _pass_creation_gates(unit, principal, task, at=now)
        task = unit.tasks.add(task)
        unit.record(
            TaskCreated(
                task=task.id, number=number, board=board.id, title=task.title, status=task.status,
                priority=task.priority, assignee=assignee.name if assignee else None,
                agent=assignee.agent if assignee else None, recorded=task.recorded,
                mentions=tuple(each.recipient for each in callees), at=now,
            ),
            *cleared,
        )  # fmt: skip
        unit.result(task.id)
        await unit.commit()
    return task


_COPIED_FIELDS = (
    "title", "description", "priority", "due_at", "not_before", "estimated_hours", "actual_hours", "metadata",
    "result", "error_message", "resolution", "feedback_rating", "feedback_notes", "retry_count", "max_attempts",
)  # fmt: skip


def _new_task(
    cmd: CreateTask, principal: Principal, names: dict[str, Any], assignee: Assignee | None, *, at: datetime
) -> Task:
    status = Status.ASSIGNED if assignee and cmd.status is Status.INBOX else cmd.status
    return new_entity(
        Task,
        organization=principal.organization,
        status=status,
        assignee=assignee,
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
        **{name: getattr(cmd, name) for name in _COPIED_FIELDS},
    )


async def _pass_creation_gates(
    unit: UnitOfWork, principal: Principal, task: Task, *, at: datetime
) -> tuple[Task, tuple[Event, ...]]:
    """
    Return a new task after checking the gates of its board. A task that is recorded as done is not checked. A task
    created in review counts as its assignee's work, unless the assignee is the lead.
    """
    worker = task.assignee
    if task.status in REVIEW_STATUSES and worker is not None:
        lead = await unit.agents.lead(task.board)
        worker = None if lead and lead.name_key == worker.key else worker
    task = with_authors(None, task, asker=principal, workers=[worker])
    return (task, ()) if task.recorded else await pass_gates(unit, principal, None, task, at=at)


async def _board_for(unit: UnitOfWork, principal: Principal, cmd: CreateTask) -> Board:
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
        raise BoardNotFound if may_write_board(principal, None) else BoardDenied
    return general


@use_case
async def update_task(ports: Ports, principal: Principal, cmd: UpdateTask) -> Task:
    """
    Change the named fields of a task. `lease_ownership` describes the effect of a status or assignee on a lease.

    Raises:
        TaskNotFound: If there is no such task (on that board) for this principal.
        NotYourTask: If the agent may only write to its own tasks, and this is not one of them.
        KeyOfAnotherAgent: If an agent below admin names another agent.
        VersionMismatch: If the caller expected another version.
        LeaseHeldByAnother: If somebody else holds the task, and the caller may not end the lease.
        LeaseRequired: If the caller holds it under an explicit lease.
        NotClaimable: If an agent begins a task that is blocked or delayed.
        OnlyLeadMovesTasks: If a worker moves it, and the board lets only its lead move tasks.
        GateClosed: If a gate of its board, or of the board it moves to, refuses the move.
        WeakerGates: If an agent below admin moves it to a board with weaker gates.
        DependencyCycle: If the dependencies would close a cycle.
        TagsNotFound: If the organization lacks a named tag.
        CustomFieldsUnknown: If its board has no such custom field.
        CustomFieldValueInvalid: If a custom field does not accept the value.
        CustomFieldsRequired: If a required custom field has no value.
        BoardNotFound: If it moves to a board that does not exist or is archived.
        BoardDenied: If the principal may not write to its board, or to the board it moves to.
        UnknownMentions: If the comment or description mentions a handle that nobody has.
    """
    require_role(principal, Role.OPERATOR)
    writer = task_writer_of(principal, cmd.agent, cmd.instance)
    try:
        return await _update(ports, writer, cmd)
    except (LeaseHeldByAnother, NotYourTask, TaskAssigneeMismatch):
        await keep_refused_write(ports, writer, cmd)
        raise


async def _update(ports: Ports, writer: TaskWriter, cmd: UpdateTask) -> Task:
    principal, now = writer.principal, ports.clock.now()
    async with ports.unit(principal) as unit:
        found = await get_on_board(unit, cmd.task, cmd.on)
        ownership = await lease_ownership_of(unit, writer, found, cmd, at=now, ids=ports.ids)
        check_write(principal, found, own=cmd.own and not ownership.is_returning, expects=cmd.expects)
        if cmd.is_team_update:
            to, named = (
                requested_status(board_role_of(principal), found, cmd.status),
                frozenset(_present_fields(cmd)) - COMMAND_FIELDS,
            )
            check_agent_update(principal, found, to=to, named=named, commented=bool(cmd.comment))
        described = value_or(cmd.description, None)
        callees = await new_mentions(
            ports, principal, described, cmd.mention_style, on=found.board, already=found.description
        )
        said = await _comment_of(ports, principal, found, cmd, at=now)
        before = await ownership.retake_expired(unit)
        after = await _with_fields(ports, unit, principal, before, cmd)
        changed = await apply_update(unit, ownership, before, after, cmd, said=said, callees=callees, at=now)
        after = changed[0] if changed else found
        if ownership.renew(unit, after) or changed:
            unit.result(found.id)
            await unit.commit()
        if changed:
            after = await unit.tasks.get(found.id)  # with the edits of others that the commit merged
    return after


async def _comment_of(
    ports: Ports, principal: Principal, task: Task, cmd: UpdateTask, *, at: datetime
) -> Comment | None:
    if not cmd.comment:
        return None
    callees = await new_mentions(ports, principal, cmd.comment, cmd.mention_style, on=task.board)
    return await new_comment(ports, principal, task, cmd.comment, callees, at=at)


async def _with_fields(ports: Ports, unit: UnitOfWork, principal: Principal, before: Task, cmd: UpdateTask) -> Task:
    """
    Return the task with the fields that the command names changed, except status and assignee.
    """
    after = evolve(before, **_plain_fields(cmd))
    if not isinstance(cmd.board, Absent):
        after = await _on_board(ports, unit, principal, after, cmd.board)
    after = await with_tags_and_values(unit, after, cmd)
    if not isinstance(cmd.depends_on, Absent):
        after = await with_dependencies(unit, after, cmd.depends_on)
        if before.status is Status.DONE and after.depends_on != before.depends_on:
            raise DependenciesFrozen
    return after


def _present_fields(cmd: UpdateTask) -> dict[str, Any]:
    return {name: value for name, value in field_values(cmd) if value is not ABSENT}


def _plain_fields(cmd: UpdateTask) -> dict[str, Any]:
    return {name: value for name, value in field_values(cmd) if value is not ABSENT and name not in SPECIAL_FIELDS}


async def _on_board(
    ports: Ports, unit: UnitOfWork, principal: Principal, task: Task, to: BoardId | BoardNumber
) -> Task:
    board = await unit.boards.get(to)
    if board.id == task.board:
        return task
    if board.status is not BoardStatus.ACTIVE:
        raise BoardNotFound
    require_grant(principal, board.id)  # before a ticket number is drawn
    unit.rely_on(board)
    (ticket,) = await ports.numbers.next((board.id, "ticket"))
    return evolve(task, board=board.id, ticket=ticket)


@use_case
async def delete_task(ports: Ports, principal: Principal, cmd: DeleteTask) -> Task:
    """
    Delete a task and its runs. Its live lease ends, and its dependents lose the dependency.

    Raises:
        TaskNotFound: If there is no such task (on that board) for this principal.
        VersionMismatch: If the caller expected another version.
    """
    require_role(principal, Role.OPERATOR)
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        task = await get_for_write(unit, principal, cmd.task, on=cmd.on, own=cmd.own, expects=cmd.expects)
        dependents = await unit.tasks.dependents(task.id)
        if task.run is not None:
            run = await unit.runs.get(task.run)
            if run.state in LIVE_STATES:
                ended, revoked = run.revoke("the task was deleted", at=now)
                unit.runs.save(ended)
                unit.record(revoked)
        for each in dependents:
            left = tuple(other for other in each.depends_on if other != task.id)
            unit.without_grants.tasks.save(evolve(each, depends_on=left, updated_at=now))
            unit.record(task_updated(each, "depends_on", at=now))
        await unit.gates.remove_approvals(task)
        unit.tasks.remove(task)
        unit.record(TaskDeleted.of(task, at=now))
        await unit.commit()
    return task
