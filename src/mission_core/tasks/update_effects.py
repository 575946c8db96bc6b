"""
The effects of a task update: the new status and assignee, the gates, the lease, and the events for dependent tasks.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from mission_core.accounts.model import Principal
from mission_core.entity_changes import changed_fields, evolve
from mission_core.events.model import Event
from mission_core.tasks.comments import COMMENTS, Comment
from mission_core.tasks.dependencies import completion_events, dependency_toggled, is_not_started
from mission_core.tasks.events import TaskClaimed, TaskMoved, TaskUpdated
from mission_core.tasks.gates import pass_gates, with_authors
from mission_core.tasks.lease_ownership import LeaseOwnership, end_lease_on_change
from mission_core.tasks.mentions import Mentionable
from mission_core.tasks.model import Status, Task
from mission_core.tasks.team_rules import board_role_of, submitter_after
from mission_core.tasks.team_updates import TargetState, check_may_move, resolve_assignee, resolve_team_update
from mission_core.values import Absent, value_or

if TYPE_CHECKING:
    from mission_core.ports import UnitOfWork
    from mission_core.tasks.use_cases import UpdateTask


async def apply_update(
    unit: UnitOfWork,
    ownership: LeaseOwnership,
    before: Task,
    after: Task,
    cmd: UpdateTask,
    *,
    said: Comment | None = None,
    callees: tuple[Mentionable, ...] = (),
    at: datetime,
) -> list[Task]:
    """
    Apply the status and assignee of an update to a task, and add all writes and events that follow to the unit. The
    other fields were changed before. *before* is the task as `LeaseOwnership.begin` returned it.

    Returns:
        Every task that changed, this one first; none if nothing did.
    """
    after, facts = await _with_status_and_assignee(unit, ownership.writer.principal, before, after, cmd, at=at)
    changed = changed_fields(ownership.task, after)
    if not changed and said is None:
        return []
    if said is not None:
        facts = (*facts, said.commented_event())
    after, more = await ownership.apply_to_lease(unit, before, after, cmd)
    if any(isinstance(each, TaskClaimed) for each in more):
        facts = tuple(each for each in facts if not isinstance(each, TaskMoved))  # the claim event says so already
    after = evolve(after, updated_at=at)
    others, told = await _update_dependents(unit, before, after, at=at)
    after = unit.tasks.save(after, onto_edits=cmd.expects is None)
    mentions = tuple(each.recipient for each in callees)
    unit.record(*facts, *more, *told, task_updated(after, *changed, mentions=mentions, at=at))
    if said is not None:
        unit.repository(COMMENTS).add(said)
    return [after, *others]


async def _with_status_and_assignee(
    unit: UnitOfWork, principal: Principal, before: Task, after: Task, cmd: UpdateTask, *, at: datetime
) -> tuple[Task, tuple[Event, ...]]:
    """
    Return the task with the status and assignee that the command requests, under the rules of its update mode.
    """
    if cmd.is_team_update:
        meant = await resolve_team_update(unit, principal, before, after, status=cmd.status, assignee=cmd.assignee)
    else:
        meant = await _plain_target(unit, principal, before, after, cmd)
    status, assignee = meant.status, meant.assignee
    facts: list[Event] = []
    if status is not before.status:
        arrived, moved = after.move(status, at=at)
        after = arrived if meant.starts_clock else evolve(arrived, started_at=before.started_at)
        after = evolve(after, submitter=submitter_after(principal, before, after))
        facts.append(moved)
    if assignee != before.assignee:
        facts.append(before.assigned_event(assignee, at=at))
        after = evolve(after, assignee=assignee)
    if (status, assignee, after.board) != (before.status, before.assignee, before.board):
        worker = before.assignee or (
            meant.submitted_by if meant.submitted_by != assignee or not cmd.is_team_update else None
        )
        speaks = meant.submitted_by or before.assignee
        after = with_authors(before, after, asker=principal, workers=[worker])
        after, cleared = await pass_gates(unit, principal, before, after, says=bool(cmd.comment), by=speaks, at=at)
        facts += cleared
    return after, tuple(facts)


async def _plain_target(
    unit: UnitOfWork, principal: Principal, before: Task, after: Task, cmd: UpdateTask
) -> TargetState:
    """
    Return the status and assignee of a plain update. A task in the queue that gets an assignee becomes assigned; one
    that loses it goes to the inbox.
    """
    status = value_or(cmd.status, before.status)
    if status is not before.status:
        await check_may_move(unit, principal, before)
    if isinstance(cmd.assignee, Absent):
        return TargetState(status=status, assignee=before.assignee)
    assignee = await resolve_assignee(unit, board_role_of(principal), cmd.assignee, board=after.board)
    if isinstance(cmd.status, Absent) and status is (Status.INBOX if assignee else Status.ASSIGNED):
        status = Status.ASSIGNED if assignee else Status.INBOX
    return TargetState(status=status, assignee=assignee, submitted_by=assignee)


def task_updated(task: Task, *changed: str, at: datetime, mentions: tuple[str, ...] = ()) -> TaskUpdated:
    """
    Return the event that these fields of the task changed.
    """
    return TaskUpdated(task=task.id, board=task.board, title=task.title, changed=changed, mentions=mentions, at=at)


async def _update_dependents(
    unit: UnitOfWork, before: Task, after: Task, *, at: datetime
) -> tuple[list[Task], list[Event]]:
    """
    Update the dependents of a task that became done or was reopened. When it was reopened, unfinished dependents that
    were assigned or begun go back to the inbox without an assignee.
    """
    tasks: list[Task] = []
    if before.status is not Status.DONE:
        return tasks, await completion_events(unit, after, at=at)
    facts: list[Event] = []
    if after.status is Status.DONE:
        return tasks, facts
    everywhere = unit.without_grants
    for each in await unit.tasks.dependents(after.id):
        if each.finished or is_not_started(each):
            unit.rely_on(each)  # nobody may begin it meanwhile
            facts += [] if each.status is Status.DONE else [dependency_toggled(each, after, at=at)]
            continue
        rested, moved = evolve(each, assignee=None).move(Status.INBOX, at=at)
        rested, revoked = await end_lease_on_change(everywhere, each, rested, at=at)
        tasks.append(everywhere.tasks.save(rested))
        facts += [*revoked, evolve(moved, reopened=after.title)]
        facts += [each.assigned_event(None, at=at)] if each.assignee else []
    return tasks, facts
