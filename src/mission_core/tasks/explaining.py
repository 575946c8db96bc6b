"""
Telling where a task stands: every unfinished one is in exactly one state.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from attrs import frozen

from mission_core.tasks.model import HELD, IDLE, Status, Task, TaskNotFound
from mission_core.tasks.runs import ALIVE, Run

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.ids import BoardId, TaskId, TaskNumber
    from mission_core.ports import Ports


class State(StrEnum):
    """
    Where a task can stand.
    """

    CLAIMABLE = "claimable"
    LEASED = "leased"
    HELD = "held"
    PARKED = "parked"
    WAITING = "waiting"
    BLOCKED = "blocked"
    FINISHED = "finished"


@frozen(kw_only=True)
class Explanation:
    """
    The state, since when, why, and what happens next.
    """

    state: State
    since: datetime
    why: str
    next: str


async def explain_task(
    ports: Ports, principal: Principal, task: TaskId | TaskNumber, *, on: BoardId | None = None
) -> Explanation:
    """
    Which state a task is in, since when, and what happens next.

    Raises:
        TaskNotFound: If there is no such task (on that board) for this principal.
    """
    reading = await ports.reads.tasks.reading(principal, task)
    if on is not None and reading.task.board != on:
        raise TaskNotFound
    return explain(
        reading.task, run=reading.run, blocked_by=reading.blocked_by, held=reading.held, at=ports.clock.now()
    )


def explain(
    task: Task, *, run: Run | None, blocked_by: tuple[Task, ...], held: bool = False, at: datetime
) -> Explanation:
    """
    Where *task* stands at that moment, given its live run, the dependencies that are not done, and whether an approval
    that is pending holds it.
    """
    if run is not None and run.lives(at=at):
        return _of_run(task, run, at=at)
    if run is not None and run.state in ALIVE:
        task = _after_lapse(task, run)
    state, why, then = _of_task(task, blocked_by, held=held, at=at)
    return Explanation(state=state, since=task.moved_at, why=why, next=then)


def _of_run(task: Task, run: Run, *, at: datetime) -> Explanation:
    if run.waits(at=at) and run.resumes_at is not None:
        return Explanation(
            state=State.WAITING,
            since=task.moved_at,
            why=f"{run.by.name} waits for a person: {run.waiting_for}",
            next=f"an operator resumes it, or its lease starts again at {run.resumes_at.isoformat()}",
        )
    ends = run.expires_at.isoformat()
    return Explanation(
        state=State.LEASED,
        since=run.claimed_at,
        why=f"{run.worker} works on it (fence {run.fence}, attempt {run.attempt})",
        next=f"without a {'request of theirs' if run.implicit else 'heartbeat'} the lease ends at {ends}",
    )


def _of_task(task: Task, blocked_by: tuple[Task, ...], *, held: bool, at: datetime) -> tuple[State, str, str]:
    whom = task.assignee.name if task.assignee else None
    if task.finished:
        return State.FINISHED, f"it is {task.status.value}", "nothing, unless somebody reopens it"
    if task.status is Status.IN_PROGRESS:
        return State.HELD, f"{whom or 'somebody'} works on it without a lease", "whoever holds it moves it on"
    if task.status is Status.BACKLOG:
        return State.PARKED, "it is in the backlog", "somebody moves it to the inbox"
    if task.status not in IDLE:
        return State.WAITING, f"it is in {task.status.value}", "a person decides and moves it"
    if blocked_by:
        names = ", ".join(f"#{each.number}" for each in blocked_by[:5])
        return State.BLOCKED, f"it depends on {names}", "it becomes claimable when they are done"
    if held:
        return State.BLOCKED, HELD, "it becomes claimable when somebody decides"
    if task.not_before is not None and at < task.not_before:
        until = task.not_before.isoformat()
        return State.WAITING, f"it rests until {until}", "it becomes claimable then"
    return State.CLAIMABLE, "nothing stands in its way", f"the next claim{f' of {whom}' if whom else ''} may take it"


def _after_lapse(task: Task, run: Run) -> Task:
    """
    The task as it will stand once somebody notices that its lease ran out.
    """
    expired, _ = run.expire(at=run.expires_at)
    assert expired.failure is not None
    lost, _ = task.lose(expired, expired.failure, since=run.expires_at, at=run.expires_at)
    return lost
