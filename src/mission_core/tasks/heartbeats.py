"""
Heartbeats: a worker extends its lease, reports progress, and gets the next order.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from mission_core.accounts.model import Principal, Role, require_role
from mission_core.entity_changes import evolve
from mission_core.errors import InvalidField
from mission_core.events.model import Event
from mission_core.ids import BoardId, OrderId, RunId, TaskId, TaskNumber
from mission_core.lazy_attrs import frozen
from mission_core.tasks.late_results import LateResult, late_results_of
from mission_core.tasks.leases import LONGEST_WAIT, check_expected, check_lease, run_of_lease
from mission_core.tasks.model import Status, Task
from mission_core.tasks.ports import BudgetReached, Candidate, TaskChange
from mission_core.tasks.runs import LIVE_STATES, LeaseLost, LeaseUnknown, Order, OrderKind, Run, RunState
from mission_core.use_case import use_case
from mission_core.values import JsonText

if TYPE_CHECKING:
    from mission_core.ports import Ports


@frozen(kw_only=True)
class Heartbeat:
    """
    Extend a lease, report progress, acknowledge an order, or suspend the lease to wait for a person.
    """

    task: TaskId | TaskNumber
    on: BoardId | None = None
    lease: str
    progress: JsonText | None = None
    acknowledges: OrderId | None = None
    waiting_for: str | None = None
    wait: timedelta = timedelta(days=1)
    expects: int | None = None


@frozen
class HeartbeatResult:
    """
    The answer to a heartbeat: the run, the next order for the worker, and late results of earlier runs; or, instead of
    an order, the hard budget that has no room for the run to go on. Then the lease was not extended.
    """

    run: Run
    order: Order | None
    late_results: tuple[LateResult, ...] = ()
    budget_reached: BudgetReached | None = None

    @property
    def instruction(self) -> str:
        """
        The next step of the worker, in one word: `continue`, `pause`, `cancel`, `steer` or `budget_reached`.
        """
        if self.run.state not in LIVE_STATES:
            return "cancel"
        if self.budget_reached is not None:
            return "budget_reached"
        if self.order is not None:
            return "continue" if self.order.kind is OrderKind.RESUME else self.order.kind.value
        return "pause" if self.run.paused else "continue"

    @property
    def message(self) -> str | None:
        """
        The text of the instruction: that of an order, or which budget is reached.
        """
        if self.budget_reached is not None:
            return str(self.budget_reached)
        return None if self.order is None else self.order.message


@use_case
async def heartbeat(ports: Ports, principal: Principal, cmd: Heartbeat) -> HeartbeatResult:
    """
    Extend the lease, unless a hard budget has no room for the run to go on.

    Raises:
        LeaseUnknown: If the lease was not issued for this task.
        LeaseLost: If the lease has ended.
    """
    require_role(principal, Role.OPERATOR)
    now, run_id = ports.clock.now(), run_of_lease(ports, cmd.lease)
    if not timedelta(0) < cmd.wait <= LONGEST_WAIT:
        raise InvalidField("wait_seconds", "must be a number from 1 to 2592000", cmd.wait.total_seconds())

    seen: list[Task] = []
    reached: list[BudgetReached | None] = []

    def decide(candidate: Candidate) -> TaskChange | None:
        task, run = candidate.task, candidate.run
        assert run is not None
        seen.append(task)
        if cmd.task not in (task.id, task.number):
            raise LeaseUnknown
        check_lease(ports, task, run, cmd.lease)
        check_expected(task, cmd.on, cmd.expects)
        if not run.is_live(at=now):
            raise LeaseLost(task.id, run.fence, task.fence)
        reached.append(None if candidate.budgets is None else candidate.budgets.refusal_of_renewal(run, at=now))
        change = evolve(_heartbeat_change(cmd, task, run, at=now), result=run.id)
        return _without_extension(change, run) if reached[-1] else change

    async with ports.unit(principal) as unit:
        unit.runs.heartbeat(run_id, decide)
        change: TaskChange = await unit.commit()
    run = change.run or change.heartbeat
    assert run is not None
    late_results, order = await late_results_of(ports, principal, seen[-1]), run.next_order()
    if reached[-1] is not None and (order is None or order.kind is not OrderKind.CANCEL):
        return HeartbeatResult(run, None, late_results, budget_reached=reached[-1])
    return HeartbeatResult(run, order, late_results)


def _without_extension(change: TaskChange, run: Run) -> TaskChange:
    """
    Return a change in which the lease of a run that goes on ends when it ended before. If the run begins to wait for a
    person, it ends with the wait at the earliest, but gets no further term.
    """
    kept = change.run or change.heartbeat
    if kept is None or kept.state not in LIVE_STATES:
        return change
    kept = evolve(kept, expires_at=max(run.expires_at, kept.resumes_at or run.expires_at))
    return evolve(change, run=change.run and kept, heartbeat=change.heartbeat and kept)


async def repeat_heartbeat(ports: Ports, principal: Principal, run: UUID) -> HeartbeatResult:
    """
    Return the answer to a repeated heartbeat: the run as it is now.
    """
    async with ports.unit(principal) as unit:
        found = await unit.runs.get(RunId(run))
        task = await unit.tasks.get(found.task)
    return HeartbeatResult(found, found.next_order(), await late_results_of(ports, principal, task))


def _heartbeat_change(cmd: Heartbeat, task: Task, run: Run, *, at: datetime) -> TaskChange:
    kept, facts = run.heartbeat(at=at, progress=cmd.progress, acknowledges=cmd.acknowledges)
    if facts and run.cancelled and not kept.cancelled:
        ended, revoked = kept.revoke("an operator cancelled it", at=at)
        parked, moved = task.without_run(ended).move(Status.BACKLOG, at=at)
        return TaskChange(task=parked, run=ended, events=(*facts, revoked, moved))
    if cmd.waiting_for is not None and kept.state is RunState.LEASED:
        waiting, suspended = kept.suspend(cmd.waiting_for, until=at + cmd.wait, at=at)
        held, moved = task.move(Status.AWAITING_OWNER, at=at)
        return TaskChange(task=held, run=waiting, events=(*facts, suspended, moved))
    if kept.state is RunState.SUSPENDED and not kept.is_waiting(at=at):
        return _resume_change(task, kept, facts, at=at)
    if facts:
        return TaskChange(run=kept, events=facts)
    return TaskChange(heartbeat=kept)


def _resume_change(task: Task, run: Run, facts: tuple[Event, ...], *, at: datetime) -> TaskChange:
    running, resumed = run.resume(at=at)
    moved, fact = task.move(Status.IN_PROGRESS, at=at)
    return TaskChange(task=moved, run=running, events=(*facts, resumed, fact))
