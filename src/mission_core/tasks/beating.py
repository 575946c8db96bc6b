"""
Heartbeats: a worker extends its lease, reports progress, and gets the next order.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from attrs import frozen

from mission_core.accounts.model import Principal, Role, require
from mission_core.changes import evolve
from mission_core.errors import InvalidField
from mission_core.events.model import Fact
from mission_core.ids import BoardId, OrderId, RunId, TaskId, TaskNumber
from mission_core.tasks.late_results import LateResult, late_results_of
from mission_core.tasks.model import Status, Task
from mission_core.tasks.ports import Candidate, Change
from mission_core.tasks.runs import ALIVE, LeaseLost, LeaseUnknown, Order, OrderKind, Run, RunState
from mission_core.tasks.work import LONGEST_WAIT, check_lease, expected, run_named
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
class Beat:
    """
    The answer to a heartbeat: the run, the next order for the worker, and late results of earlier runs.
    """

    run: Run
    order: Order | None
    late_results: tuple[LateResult, ...] = ()

    @property
    def instruction(self) -> str:
        """
        The next step of the worker, in one word: `continue`, `pause`, `cancel` or `steer`.
        """
        if self.run.state not in ALIVE:
            return "cancel"
        if self.order is not None:
            return "continue" if self.order.kind is OrderKind.RESUME else self.order.kind.value
        return "pause" if self.run.paused else "continue"


@use_case
async def heartbeat(ports: Ports, principal: Principal, cmd: Heartbeat) -> Beat:
    """
    Extend the lease.

    Raises:
        LeaseUnknown: If the lease was not issued for this task.
        LeaseLost: If the lease has ended.
    """
    require(principal, Role.OPERATOR)
    now, run_id = ports.clock.now(), run_named(ports, cmd.lease)
    if not timedelta(0) < cmd.wait <= LONGEST_WAIT:
        raise InvalidField("wait_seconds", "must be a number from 1 to 2592000", cmd.wait.total_seconds())

    seen: list[Task] = []

    def decide(candidate: Candidate) -> Change | None:
        task, run = candidate.task, candidate.run
        assert run is not None
        seen.append(task)
        if cmd.task not in (task.id, task.number):
            raise LeaseUnknown
        check_lease(ports, task, run, cmd.lease)
        expected(task, cmd.on, cmd.expects)
        if not run.lives(at=now):
            raise LeaseLost(task.id, run.fence, task.fence)
        return evolve(_beating(cmd, task, run, at=now), result=run.id)

    async with ports.unit(principal) as unit:
        unit.runs.heartbeat(run_id, decide)
        change: Change = await unit.commit()
    run = change.run or change.beat
    assert run is not None
    return Beat(run, run.standing_order(), await late_results_of(ports, principal, seen[-1]))


async def beat_again(ports: Ports, principal: Principal, run: RunId) -> Beat:
    """
    Return the answer to a repeated heartbeat: the run as it is now.
    """
    async with ports.unit(principal) as unit:
        found = await unit.runs.get(run)
        task = await unit.tasks.get(found.task)
    return Beat(found, found.standing_order(), await late_results_of(ports, principal, task))


def _beating(cmd: Heartbeat, task: Task, run: Run, *, at: datetime) -> Change:
    kept, facts = run.heartbeat(at=at, progress=cmd.progress, acknowledges=cmd.acknowledges)
    if facts and run.cancelled and not kept.cancelled:
        ended, revoked = kept.revoke("an operator cancelled it", at=at)
        parked, moved = task.freed(ended).move(Status.BACKLOG, at=at)
        return Change(task=parked, run=ended, facts=(*facts, revoked, moved))
    if cmd.waiting_for is not None and kept.state is RunState.LEASED:
        waiting, suspended = kept.suspend(cmd.waiting_for, until=at + cmd.wait, at=at)
        held, moved = task.move(Status.AWAITING_OWNER, at=at)
        return Change(task=held, run=waiting, facts=(*facts, suspended, moved))
    if kept.state is RunState.SUSPENDED and not kept.waits(at=at):
        return _resuming(task, kept, facts, at=at)
    if facts:
        return Change(run=kept, facts=facts)
    return Change(beat=kept)


def _resuming(task: Task, run: Run, facts: tuple[Fact, ...], *, at: datetime) -> Change:
    running, resumed = run.resume(at=at)
    moved, fact = task.move(Status.IN_PROGRESS, at=at)
    return Change(task=moved, run=running, facts=(*facts, resumed, fact))
