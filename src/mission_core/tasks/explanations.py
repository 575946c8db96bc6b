"""
Explanations of the state of a task. Every task is in exactly one state, with a reason and a next step.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from mission_core.accounts.model import SystemPrincipal
from mission_core.entity_changes import evolve
from mission_core.lazy_attrs import frozen
from mission_core.tasks.late_results import LateResult, late_results_of
from mission_core.tasks.model import HELD_BY_APPROVAL, IDLE_STATUSES, Status, Task, TaskNotFound
from mission_core.tasks.runs import LIVE_STATES, Run

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.ids import BoardId, TaskId, TaskNumber
    from mission_core.ports import Ports
    from mission_core.tasks.ports import Budgets
    from mission_core.tasks.queries import ExplanationInput


UNREGISTERED: Final = "which is not registered"
MOST_DEPENDENCIES_NAMED: Final = 5
"""The number of dependencies that an explanation names."""


class TaskState(StrEnum):
    """
    The states of a task in an explanation.
    """

    CLAIMABLE = "claimable"
    LEASED = "leased"
    HELD = "held"
    PARKED = "parked"
    WAITING = "waiting"
    BLOCKED = "blocked"
    FINISHED = "finished"


StateReason = tuple[TaskState, str, str]
"""A state, its reason, and the next step."""


@frozen(kw_only=True)
class Explanation:
    """
    The state of a task, its start, its reason, the next step, and the late results that can be adopted.
    """

    state: TaskState
    since: datetime
    why: str
    next: str
    late_results: tuple[LateResult, ...] = ()


async def explain_task(
    ports: Ports, principal: Principal, task: TaskId | TaskNumber, *, on: BoardId | None = None
) -> Explanation:
    """
    Explain the state of a task.

    Raises:
        TaskNotFound: If there is no such task (on that board) for this principal.
    """
    reading, now = await ports.reads.tasks.explanation_input(principal, task), ports.clock.now()
    if on is not None and reading.task.board != on:
        raise TaskNotFound
    late_results = await late_results_of(ports, principal, reading.task)
    budgets = None
    if reading.has_budgets:
        everybody = SystemPrincipal(organization=principal.organization)
        budgets = await ports.reads.usage.budgets(everybody, at=now)
    return evolve(explain_input(reading, at=now, budgets=budgets), late_results=late_results)


def explain_input(reading: ExplanationInput, *, at: datetime, budgets: Budgets | None = None) -> Explanation:
    """
    Return the explanation of a task from what was read about it.
    """
    run = reading.run
    if run is not None and run.is_live(at=at):
        return _state_of_run(reading.task, run, at=at)
    if run is not None and run.state in LIVE_STATES:
        reading = reading._replace(task=_after_expiry(reading.task, run))
    task = reading.task
    state, why, then = _state_of_task(task) or _state_in_queue(reading, budgets, at=at)
    rested = task.not_before if state is TaskState.CLAIMABLE else None
    return Explanation(state=state, since=max(task.moved_at, rested or task.moved_at), why=why, next=then)


def _state_of_run(task: Task, run: Run, *, at: datetime) -> Explanation:
    if run.is_waiting(at=at) and run.resumes_at is not None:
        return Explanation(
            state=TaskState.WAITING,
            since=task.moved_at,
            why=f"{run.by.name} waits for a person: {run.waiting_for}",
            next=f"an operator resumes it, or its lease starts again at {run.resumes_at.isoformat()}",
        )
    ends = run.expires_at.isoformat()
    return Explanation(
        state=TaskState.LEASED,
        since=run.claimed_at,
        why=f"{run.worker_name} works on it (fence {run.fence}, attempt {run.attempt})",
        next=f"without another {'request' if run.is_implicit else 'heartbeat'} the lease expires at {ends}",
    )


def _state_of_task(task: Task) -> StateReason | None:
    """
    Return the state of a task without a live lease, or None if it is in the queue.
    """
    if task.finished:
        return TaskState.FINISHED, f"it is {task.status.value}", "nothing, unless it is reopened"
    if task.status is Status.IN_PROGRESS:
        whom = task.assignee.name if task.assignee else "somebody"
        stranger = f" ({UNREGISTERED})" if _is_unregistered(task) else ""
        why = f"{whom}{stranger} works on it without a lease"
        return TaskState.HELD, why, "its assignee moves it on, or a person moves it back to the inbox"
    if task.status is Status.BACKLOG:
        return TaskState.PARKED, "it is in the backlog", "somebody moves it to the inbox"
    if task.status not in IDLE_STATUSES:
        return TaskState.WAITING, f"it is in {task.status.value}", "a person decides and moves it"
    return None


def _state_in_queue(reading: ExplanationInput, budgets: Budgets | None, *, at: datetime) -> StateReason:
    """
    Return the state of a task in the queue: claimable, or blocked for all of these reasons.
    """
    found = [*_obstacles_in_queue(reading, budgets, at=at)]
    if found:
        return found[0][0], "; ".join(why for _, why, _ in found), "; ".join(then for _, _, then in found)
    assignee = reading.task.assignee
    whose = f" of {assignee.name}" if assignee else ""
    return TaskState.CLAIMABLE, "nothing blocks it", f"the next claim{whose} may take it"


def _obstacles_in_queue(reading: ExplanationInput, budgets: Budgets | None, *, at: datetime) -> Iterator[StateReason]:
    task = reading.task
    failed = [each for each in reading.blocked_by if each.status is Status.FAILED]
    others = [each for each in reading.blocked_by if each.status is not Status.FAILED]
    if failed:
        names = _names_of(failed)
        then = f"it does not resolve by itself: reopen {names}, or remove the dependency"
        yield TaskState.BLOCKED, f"it depends on {names}, which failed", then
    if others:
        yield TaskState.BLOCKED, f"it depends on {_names_of(others)}", "it becomes claimable when they are done"
    if reading.held:
        yield TaskState.BLOCKED, HELD_BY_APPROVAL, "it becomes claimable when somebody decides"
    if task.assignee is not None and _is_unregistered(task):
        then = (
            f"it does not resolve by itself: register {task.assignee.name}, assign it to somebody else, or let an "
            "operator claim it in that name"
        )
        yield TaskState.BLOCKED, f"it is assigned to {task.assignee.name}, {UNREGISTERED}", then
    if task.assignee is not None and reading.confined_to not in (None, task.board):
        then = f"it does not resolve by itself: move {task.assignee.name} or the task, or assign it to somebody else"
        yield TaskState.BLOCKED, f"it is assigned to {task.assignee.name}, which works on another board", then
    if task.assignee is not None and reading.left_to_lead:
        why = f"only its board's lead may move tasks, and it is assigned to {task.assignee.name}, which is not the lead"
        then = "it does not resolve by itself: assign it to the lead, or let an operator claim it in that name"
        yield TaskState.BLOCKED, why, then
    full = budgets.refusal_of_claim(task, task.assignee) if budgets else None
    if full is not None:
        yield TaskState.BLOCKED, full.why, f"it becomes claimable when {full.remedy}"
    if task.not_before is not None and at < task.not_before:
        yield TaskState.WAITING, f"it is delayed until {task.not_before.isoformat()}", "it becomes claimable then"


def _names_of(tasks: list[Task]) -> str:
    return ", ".join(f"#{each.number}" for each in tasks[:MOST_DEPENDENCIES_NAMED])


def _is_unregistered(task: Task) -> bool:
    """
    Whether the task is assigned to a name that no agent has.
    """
    return task.assignee is not None and task.assignee.agent is None


def _after_expiry(task: Task, run: Run) -> Task:
    """
    Return the task as it will be once the expiry of its lease is recorded.
    """
    expired, _ = run.expire(at=run.expires_at)
    assert expired.failure is not None
    lost, _ = task.after_failure(expired, expired.failure, since=run.expires_at, at=run.expires_at)
    return lost
