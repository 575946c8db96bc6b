"""
The effects of a task update: the new status and assignee, the gates, the lease, and the events for dependent tasks.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from mission_core.accounts.model import Principal
from mission_core.changes import differing, evolve
from mission_core.events.model import Fact
from mission_core.tasks.actors import part_of, submitter_after
from mission_core.tasks.comments import COMMENTS, Comment
from mission_core.tasks.dependencies import at_rest, toggled, told_of_finishing
from mission_core.tasks.facts import TaskClaimed, TaskMoved, TaskUpdated
from mission_core.tasks.gates import authored, pass_gates
from mission_core.tasks.mentions import Callee
from mission_core.tasks.model import Status, Task
from mission_core.tasks.teamwork import Meant, as_team, assignee_for, check_mover
from mission_core.tasks.tenure import Tenure, without_lease
from mission_core.values import Absent, present

if TYPE_CHECKING:
    from mission_core.ports import UnitOfWork
    from mission_core.tasks.use_cases import UpdateTask


async def carried_out(
    unit: UnitOfWork,
    tenure: Tenure,
    before: Task,
    after: Task,
    cmd: UpdateTask,
    *,
    said: Comment | None = None,
    callees: tuple[Callee, ...] = (),
    at: datetime,
) -> list[Task]:
    """
    Apply the status and assignee of an update to a task, and add all writes and events that follow to the unit. The
    other fields were changed before. *before* is the task as `Tenure.begin` returned it.

    Returns:
        Every task that changed, this one first; none if nothing did.
    """
    after, facts = await _moved(unit, tenure.writer.principal, before, after, cmd, at=at)
    changed = differing(tenure.task, after)
    if not changed and said is None:
        return []
    if said is not None:
        facts = (*facts, said.said())
    after, more = await tenure.settle(unit, before, after, cmd)
    if any(isinstance(each, TaskClaimed) for each in more):
        facts = tuple(each for each in facts if not isinstance(each, TaskMoved))  # the claim event says so already
    after = evolve(after, updated_at=at)
    others, told = await _dependents_told(unit, before, after, at=at)
    after = unit.tasks.save(after)
    mentions = tuple(each.recipient for each in callees)
    unit.record(*facts, *more, *told, updated(after, *changed, mentions=mentions, at=at))
    if said is not None:
        unit.rows(COMMENTS).add(said)
    return [after, *others]


async def _moved(
    unit: UnitOfWork, principal: Principal, before: Task, after: Task, cmd: UpdateTask, *, at: datetime
) -> tuple[Task, tuple[Fact, ...]]:
    """
    Return the task with the status and assignee that the command requests, under the rules of its update mode.
    """
    if cmd.by_team:
        meant = await as_team(unit, principal, before, after, status=cmd.status, assignee=cmd.assignee)
    else:
        meant = await _as_said(unit, principal, before, after, cmd)
    status, assignee = meant.status, meant.assignee
    facts: list[Fact] = []
    if status is not before.status:
        arrived, moved = after.move(status, at=at)
        after = arrived if meant.starts else evolve(arrived, started_at=before.started_at)
        after = evolve(after, submitter=submitter_after(principal, before, after))
        facts.append(moved)
    if assignee != before.assignee:
        facts.append(before.assigned_to(assignee, at=at))
        after = evolve(after, assignee=assignee)
    if (status, assignee, after.board) != (before.status, before.assignee, before.board):
        worker = before.assignee or (meant.brought_by if meant.brought_by != assignee or not cmd.by_team else None)
        speaks = meant.brought_by or before.assignee
        after = authored(before, after, asker=principal, workers=[worker])
        after, cleared = await pass_gates(unit, principal, before, after, says=bool(cmd.comment), by=speaks, at=at)
        facts += cleared
    return after, tuple(facts)


async def _as_said(unit: UnitOfWork, principal: Principal, before: Task, after: Task, cmd: UpdateTask) -> Meant:
    """
    Return the status and assignee of a plain update. A task in the queue that gets an assignee becomes assigned; one
    that loses it goes to the inbox.
    """
    status = present(cmd.status, before.status)
    if status is not before.status:
        await check_mover(unit, principal, before)
    if isinstance(cmd.assignee, Absent):
        return Meant(status=status, assignee=before.assignee)
    assignee = await assignee_for(unit, part_of(principal), cmd.assignee, board=after.board)
    if isinstance(cmd.status, Absent) and status is (Status.INBOX if assignee else Status.ASSIGNED):
        status = Status.ASSIGNED if assignee else Status.INBOX
    return Meant(status=status, assignee=assignee, brought_by=assignee)


def updated(task: Task, *changed: str, at: datetime, mentions: tuple[str, ...] = ()) -> TaskUpdated:
    """
    Return the event that these fields of the task changed.
    """
    return TaskUpdated(task=task.id, board=task.board, title=task.title, changed=changed, mentions=mentions, at=at)


async def _dependents_told(
    unit: UnitOfWork, before: Task, after: Task, *, at: datetime
) -> tuple[list[Task], list[Fact]]:
    """
    Update the dependents of a task that became done or was reopened. When it was reopened, unfinished dependents that
    were assigned or begun go back to the inbox without an assignee.
    """
    tasks: list[Task] = []
    if before.status is not Status.DONE:
        return tasks, await told_of_finishing(unit, after, at=at)
    facts: list[Fact] = []
    if after.status is Status.DONE:
        return tasks, facts
    everywhere = unit.everywhere
    for each in await unit.tasks.dependents(after.id):
        if each.finished or at_rest(each):
            unit.rely_on(each)  # nobody may begin it meanwhile
            facts += [] if each.status is Status.DONE else [toggled(each, after, at=at)]
            continue
        rested, moved = evolve(each, assignee=None).move(Status.INBOX, at=at)
        rested, revoked = await without_lease(everywhere, each, rested, at=at)
        tasks.append(everywhere.tasks.save(rested))
        facts += [*revoked, evolve(moved, reopened=after.title)]
        facts += [each.assigned_to(None, at=at)] if each.assignee else []
    return tasks, facts
