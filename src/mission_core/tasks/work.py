"""
Taking work under a lease, and everything that happens to it until it is handed in.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from hmac import compare_digest
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from mission_core.accounts.model import AgentPrincipal, NotYourAgent, Principal, Role, board_of, require
from mission_core.errors import InvalidField, VersionMismatch
from mission_core.events.model import Fact
from mission_core.ids import BoardId, OrderId, RunId, TaskId, TaskNumber
from mission_core.tasks.dependencies import told_of_finishing
from mission_core.tasks.model import (
    NotClaimable,
    Status,
    Task,
    TaskNotFound,
)
from mission_core.tasks.ports import Candidate, Change, Decide, Wanted
from mission_core.tasks.reach import own_tasks_only
from mission_core.tasks.runs import (
    ALIVE,
    Assignee,
    Failure,
    LeaseLost,
    LeaseUnknown,
    NotRunning,
    Order,
    OrderKind,
    Outcome,
    Pair,
    Run,
    RunState,
    Secret,
    Terms,
)
from mission_core.values import JsonText, name_key

if TYPE_CHECKING:
    from mission_core.ports import Ports, UnitOfWork

SHORTEST_TERM = timedelta(seconds=1)
LONGEST_TERM = timedelta(hours=24)
LONGEST_WAIT = timedelta(days=30)


@frozen(kw_only=True)
class ClaimNext:
    """
    Take the next work there is for this name: its own principal's for an agent, any for an operator.
    """

    agent: str | None = None
    board: BoardId | None = None
    terms: Terms = Terms()


@frozen(kw_only=True)
class ClaimTask:
    """
    Take this very task.
    """

    task: TaskId | TaskNumber
    on: BoardId | None = None
    agent: str | None = None
    terms: Terms = Terms()
    expects: int | None = None


@frozen(kw_only=True)
class Heartbeat:
    """
    Say that the work goes on: extend the lease, tell progress, acknowledge an order, or begin to wait for a person.
    """

    task: TaskId | TaskNumber
    on: BoardId | None = None
    lease: str
    progress: JsonText | None = None
    acknowledges: OrderId | None = None
    waiting_for: str | None = None
    wait: timedelta = timedelta(days=1)
    expects: int | None = None


@frozen(kw_only=True)
class CompleteTask:
    """
    Hand in the result.
    """

    task: TaskId | TaskNumber
    on: BoardId | None = None
    lease: str
    outcome: Outcome = Outcome()
    expects: int | None = None


@frozen(kw_only=True)
class FailTask:
    """
    Say that the work failed.
    """

    task: TaskId | TaskNumber
    on: BoardId | None = None
    lease: str
    failure: Failure
    expects: int | None = None


@frozen(kw_only=True)
class ReleaseTask:
    """
    Give the work back, with a note for whoever takes it next.
    """

    task: TaskId | TaskNumber
    on: BoardId | None = None
    lease: str
    note: str | None = None
    expects: int | None = None


@frozen(kw_only=True)
class GiveOrder:
    """
    Order something of whoever works on the task. *to* names who gets stolen work.
    """

    task: TaskId | TaskNumber
    on: BoardId | None = None
    kind: OrderKind
    message: str | None = None
    to: str | None = None
    expects: int | None = None


@frozen
class Claimed:
    """
    A task, the run that took it, and the lease's secret.
    """

    task: Task
    run: Run
    lease: str


@frozen
class Beat:
    """
    What a heartbeat answers: the run as it goes on, and the order the worker must follow now.
    """

    run: Run
    order: Order | None

    @property
    def instruction(self) -> str:
        """
        What the worker does now, in one word: `continue`, `pause`, `cancel` or `steer`.
        """
        if self.run.state not in ALIVE:
            return "cancel"
        if self.order is not None:
            return "continue" if self.order.kind is OrderKind.RESUME else self.order.kind.value
        return "pause" if self.run.paused else "continue"


def claimant(principal: Principal, agent: str | None) -> Assignee:
    """
    Under which name the principal takes work.

    Raises:
        NotYourAgent: If an agent names another.
        InvalidField: If an operator names none.
    """
    if isinstance(principal, AgentPrincipal):
        if agent is not None and name_key(agent) != name_key(principal.name):
            raise NotYourAgent
        return Assignee(principal.name, principal.agent)
    if not agent:
        raise InvalidField("agent", "is required: say which agent takes the work", agent)
    return Assignee(agent)


def checked(terms: Terms) -> Terms:
    """
    The terms themselves.

    Raises:
        InvalidField: If the lease would be too short or too long, or its delays no time to wait.
    """
    if not SHORTEST_TERM <= terms.term <= LONGEST_TERM:
        raise InvalidField("lease_seconds", "must be a number from 1 to 86400", terms.term.total_seconds())
    for name in ("delay", "longest_delay"):
        if not timedelta(0) <= getattr(terms, name) <= LONGEST_WAIT:
            raise InvalidField(name, f"must be a time from nothing to {LONGEST_WAIT.days} days", getattr(terms, name))
    return terms


async def claim_next(ports: Ports, principal: Principal, cmd: ClaimNext) -> Claimed | None:
    """
    Take the next work: by priority, then due date (none last), then age. Never what is blocked, resting or taken.
    """
    require(principal, Role.OPERATOR)
    by, now = claimant(principal, cmd.agent), ports.clock.now()
    take = taking(by, principal, id=RunId(ports.ids.new()), terms=checked(cmd.terms), at=now)
    async with ports.unit(principal) as unit:
        board = cmd.board or board_of(principal)
        if cmd.board is not None:
            await unit.boards.get(cmd.board)
        unit.tasks.expire_due(noticing_expiry(now), at=now)
        unit.tasks.claim_next(Wanted(name_key=by.key, board=board), take, at=now)
        taken = await unit.commit()
    return _claimed(ports, taken)


async def claim_task(ports: Ports, principal: Principal, cmd: ClaimTask) -> Claimed:
    """
    Take this very task.

    Raises:
        TaskNotFound: If there is no such task for this principal.
        NotClaimable: If it is blocked, resting, taken, or in no state to be worked on.
        VersionMismatch: If the caller expected another version.
    """
    require(principal, Role.OPERATOR)
    by, now = claimant(principal, cmd.agent), ports.clock.now()
    take = taking(by, principal, id=RunId(ports.ids.new()), terms=checked(cmd.terms), at=now)

    def decide(candidate: Candidate) -> Change | None:
        _expected(candidate.task, cmd.on, cmd.expects)
        facts: tuple[Fact, ...] = ()
        ended = None
        if candidate.run is not None and not candidate.run.lives(at=now):
            lapsed = noticing_expiry(now)(candidate)
            if lapsed is not None and lapsed.task is not None:
                facts, ended = lapsed.facts, lapsed.run
                candidate = evolve(candidate, task=lapsed.task, run=None)
        change = take(candidate)
        if change is None:
            why = candidate.task.claimable(
                at=now, open_dependencies=candidate.open_dependencies, by=by, run=candidate.run
            )
            raise NotClaimable(candidate.task.id, why or "it was taken")
        return evolve(change, run=ended, facts=(*facts, *change.facts))

    async with ports.unit(principal) as unit:
        unit.tasks.claim(cmd.task, decide)
        taken = await unit.commit()
    claimed = _claimed(ports, taken)
    assert claimed is not None
    return claimed


def taking(
    by: Assignee, principal: Principal, *, id: RunId, terms: Terms, at: datetime, holder: Secret | Pair = Secret()
) -> Decide:
    """
    The decision to take a candidate, if it may be taken.
    """

    def decide(candidate: Candidate) -> Change | None:
        task = candidate.task
        if task.claimable(at=at, open_dependencies=candidate.open_dependencies, by=by, run=candidate.run):
            return None
        taken, run, claimed = task.claim(id=id, by=by, actor=principal.actor, holder=holder, terms=terms, at=at)
        return Change(task=taken, new_run=run, facts=(claimed,), result=run.id)

    return decide


def noticing_expiry(at: datetime) -> Decide:
    """
    The decision to end a run whose lease ran out, and to put its task where it belongs.
    """

    def decide(candidate: Candidate) -> Change | None:
        run = candidate.run
        if run is None or run.state not in ALIVE or run.lives(at=at):
            return None
        ended, expired = run.expire(at=at)
        assert ended.failure is not None
        task, moved = candidate.task.lose(ended, ended.failure, since=run.expires_at, at=at)
        return Change(task=task, run=ended, facts=(expired, moved))

    return decide


def _claimed(ports: Ports, taken: Change | None) -> Claimed | None:
    if taken is None:
        return None
    task, run = taken.task, taken.new_run
    assert task is not None
    assert run is not None
    return Claimed(task, run, ports.secrets.lease(run.id, run.fence))


async def claimed_again(ports: Ports, principal: Principal, run: RunId) -> Claimed:
    """
    What a claim answered, for a repeat of it: the lease is an HMAC, so it can be told again.
    """
    async with ports.unit(principal) as unit:
        found = await unit.runs.get(run)
        task = await unit.tasks.get(found.task)
    return Claimed(task, found, ports.secrets.lease(found.id, found.fence))


async def sweep(ports: Ports, principal: Principal, *, limit: int = 64) -> int:
    """
    Notice leases that ran out.

    Returns:
        How many tasks were put where they belong.
    """
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        unit.tasks.expire_due(noticing_expiry(now), at=now, limit=limit)
        return int(await unit.commit() or 0)


def _expected(task: Task, on: BoardId | None, expects: int | None) -> None:
    if on is not None and task.board != on:
        raise TaskNotFound
    if expects is not None and expects != task.version:
        raise VersionMismatch(expects, task.version)


def _run_named(ports: Ports, lease: str) -> RunId:
    run = ports.secrets.run_of(lease)
    if run is None:
        raise LeaseUnknown
    return run


def _check_lease(ports: Ports, task: Task, run: Run, lease: str) -> None:
    if run.implicit or run.task != task.id or not compare_digest(ports.secrets.lease(run.id, run.fence), lease):
        raise LeaseUnknown


async def heartbeat(ports: Ports, principal: Principal, cmd: Heartbeat) -> Beat:
    """
    Extend the lease.

    Raises:
        LeaseUnknown: If the lease is none of this task's.
        LeaseLost: If it has ended.
    """
    require(principal, Role.OPERATOR)
    now, run_id = ports.clock.now(), _run_named(ports, cmd.lease)
    if not timedelta(0) < cmd.wait <= LONGEST_WAIT:
        raise InvalidField("wait_seconds", "must be a number from 1 to 2592000", cmd.wait.total_seconds())

    def decide(candidate: Candidate) -> Change | None:
        task, run = candidate.task, candidate.run
        assert run is not None
        if cmd.task not in (task.id, task.number):
            raise LeaseUnknown
        _check_lease(ports, task, run, cmd.lease)
        _expected(task, cmd.on, cmd.expects)
        if not run.lives(at=now):
            raise LeaseLost(task.id, run.fence, task.fence)
        return evolve(_beating(cmd, task, run, at=now), result=run.id)

    async with ports.unit(principal) as unit:
        unit.runs.heartbeat(run_id, decide)
        change: Change = await unit.commit()
    run = change.run or change.beat
    assert run is not None
    return Beat(run, run.standing_order())


async def beat_again(ports: Ports, principal: Principal, run: RunId) -> Beat:
    """
    What a heartbeat answered, for a repeat of it: the run as it stands.
    """
    async with ports.unit(principal) as unit:
        found = await unit.runs.get(run)
    return Beat(found, found.standing_order())


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


async def _held(
    ports: Ports, unit: UnitOfWork, task: TaskId | TaskNumber, on: BoardId | None, lease: str
) -> tuple[Task, Run]:
    found = await unit.tasks.get(task)
    if on is not None and found.board != on:
        raise TaskNotFound
    run = await unit.runs.get(_run_named(ports, lease))
    _check_lease(ports, found, run, lease)
    return found, run


async def complete_task(ports: Ports, principal: Principal, cmd: CompleteTask) -> Task:
    """
    Accept the result of a run. On a gated board the task goes to review.

    Raises:
        TaskNotFound: If there is no such task for this principal.
        LeaseUnknown: If the lease is none of this task's.
        LeaseLost: If it has ended; a repeat with the same lease and content answers as the first time.
        VersionMismatch: If the caller expected another version.
    """
    require(principal, Role.OPERATOR)
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        task, run = await _held(ports, unit, cmd.task, cmd.on, cmd.lease)
        if run.state is RunState.COMPLETED and run.outcome == cmd.outcome:
            return await unit.tasks.get(task.id)  # what was read above may be older than the run
        _expected(task, None, cmd.expects)
        passage = await unit.gates.of(task)
        run, completed = run.complete(cmd.outcome, at=now, current=task.fence)
        task, moved = task.finish(cmd.outcome, passage=passage, at=now)
        unit.rely_on(passage.board)
        told = await told_of_finishing(unit, task, at=now)
        return await _ended(unit, run, task, completed, moved, *told)


async def fail_task(ports: Ports, principal: Principal, cmd: FailTask) -> Task:
    """
    Accept that a run failed. What follows is the retry class of the reason.

    Raises:
        TaskNotFound: If there is no such task for this principal.
        LeaseUnknown: If the lease is none of this task's.
        LeaseLost: If it has ended; a repeat with the same lease and content answers as the first time.
        VersionMismatch: If the caller expected another version.
    """
    require(principal, Role.OPERATOR)
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        task, run = await _held(ports, unit, cmd.task, cmd.on, cmd.lease)
        if run.state is RunState.FAILED and run.failure == cmd.failure:
            return await unit.tasks.get(task.id)  # what was read above may be older than the run
        _expected(task, None, cmd.expects)
        run, failed = run.fail(cmd.failure, at=now, current=task.fence)
        task, moved = task.lose(run, cmd.failure, since=now, at=now)
        return await _ended(unit, run, task, failed, moved)


async def release_task(ports: Ports, principal: Principal, cmd: ReleaseTask) -> Task:
    """
    Take the work back unfinished; it is claimable at once and the attempt does not count.

    Raises:
        TaskNotFound: If there is no such task for this principal.
        LeaseUnknown: If the lease is none of this task's.
        LeaseLost: If it has ended; a repeat with the same lease and note answers as the first time.
        VersionMismatch: If the caller expected another version.
    """
    require(principal, Role.OPERATOR)
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        task, run = await _held(ports, unit, cmd.task, cmd.on, cmd.lease)
        if run.state is RunState.RELEASED and run.note == cmd.note:
            return await unit.tasks.get(task.id)  # what was read above may be older than the run
        _expected(task, None, cmd.expects)
        run, released = run.release(cmd.note, at=now, current=task.fence)
        task, moved = task.put_back(run, note=cmd.note, at=now)
        return await _ended(unit, run, task, released, moved)


async def _ended(unit: UnitOfWork, run: Run, task: Task, *facts: Fact) -> Task:
    unit.runs.save(run)
    task = unit.tasks.save(task)
    unit.record(*facts)
    unit.result(task.id)
    await unit.commit()
    return task


async def give_order(ports: Ports, principal: Principal, cmd: GiveOrder) -> Task:
    """
    Order something of whoever works on the task. Stealing ends the run at once, resuming and cancelling end a wait at
    once, and cancelling ends an implicit lease; everything else is told by heartbeats until one acknowledges it.

    Raises:
        TaskNotFound: If there is no such task for this principal.
        NotRunning: If nobody holds a lease on it.
        OutOfReach: If its holder polled for it, and so hears of nothing.
        NotYourTask: If an agent that is no lead orders another one.
        VersionMismatch: If the caller expected another version.
    """
    require(principal, Role.OPERATOR)
    if cmd.kind is OrderKind.STEER and not cmd.message:
        raise InvalidField("message", "is required to steer", cmd.message)
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        task = await unit.tasks.get(cmd.task)
        _expected(task, cmd.on, cmd.expects)
        run = await unit.runs.get(task.run) if task.run else None
        if run is None or not run.lives(at=now):
            raise NotRunning(task.id)
        if not (isinstance(principal, AgentPrincipal) and principal.lead):
            own_tasks_only(principal, run.by.name)
        order = Order(
            id=OrderId(ports.ids.new()), kind=cmd.kind, message=cmd.message, by=principal.actor.name, at=now
        )
        task = _ordered(unit, task, run, order, cmd.to)
        unit.result(task.id)
        await unit.commit()
    return task


def _ordered(unit: UnitOfWork, task: Task, run: Run, order: Order, to: str | None) -> Task:
    if order.kind is OrderKind.STEAL:
        ended, revoked = run.revoke(order.message or "an operator took it", at=order.at)
        freed = evolve(task, run=None, assignee=Assignee(to) if to else None, fence=task.fence + 1)
        moved, fact = freed.move(freed.at_rest(), at=order.at)
        unit.runs.save(ended)
        unit.record(revoked, fact)
        return unit.tasks.save(evolve(moved, attempts=max(task.attempts - 1, 0)))
    if order.kind is OrderKind.CANCEL and run.implicit:
        ended, revoked = run.revoke(order.message or "an operator cancelled it", at=order.at)
        parked, fact = evolve(task.freed(ended), fence=task.fence + 1).move(Status.BACKLOG, at=order.at)
        unit.runs.save(ended)
        unit.record(revoked, fact)
        return unit.tasks.save(parked)
    if order.kind in (OrderKind.RESUME, OrderKind.CANCEL) and run.state is RunState.SUSPENDED:
        running, resumed = run.resume(at=order.at)
        moved, fact = task.move(Status.IN_PROGRESS, at=order.at)
        if order.kind is OrderKind.CANCEL or order.message:
            told = order if order.kind is OrderKind.CANCEL else evolve(order, kind=OrderKind.STEER)
            running, given = running.order(told)
            unit.record(given)
        unit.runs.save(running)
        unit.record(resumed, fact)
        return unit.tasks.save(moved)
    ordered, given = run.order(order)
    unit.runs.save(ordered)
    unit.rely_on(task)
    unit.record(given)
    return task

