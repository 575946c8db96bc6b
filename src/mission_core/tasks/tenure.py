"""
Lease ownership: the effect of a write of status or assignee on the lease of a task.

Such a write does not name a lease. Its effect depends on the writer and on the holder of the task:

- *The holder of the implicit lease* continues it (in progress), hands the work in (done, review, quality review),
  reports a failure (failed), or releases the task (any other status or assignee). The run ends as completed, failed or
  released. The task gets the requested status, if the board's gates allow it.
- *The former holder of an implicit lease that expired* takes the task again and then writes as its holder, if the task
  is still in the queue, or failed because of that expiry. If somebody else has the task by now, the write is refused
  (`HeldByAnother`).
- *An agent, on a task without a holder*, takes an implicit lease by moving the task to in progress, or by becoming its
  assignee there. This is refused while the task is blocked or delayed. Any other status is simply written.
- *An agent, on a task of another holder*, is refused. A lead, and an admin's key, may override the lease like an
  operator.
- *The holder of an explicit lease* is told to use it (`UseTheLease`).
- *An operator* ends any lease, and raises the fence. A task that stays in progress is then held by its assignee without
  a lease. An operator who polled the queue for an agent and writes without naming one acts as the holder of that lease.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from attrs import define, frozen

from mission_core.accounts.model import AgentPrincipal, Principal, Role, identity_of
from mission_core.changes import evolve
from mission_core.errors import Conflict
from mission_core.ids import RunId, TaskId
from mission_core.tasks.actors import PLACES, part_of, place_asked
from mission_core.tasks.dependencies import open_dependencies
from mission_core.tasks.gates import pass_gates
from mission_core.tasks.model import IDLE, NotClaimable, Status, Task
from mission_core.tasks.pairs import Worker, renewing, worker_of
from mission_core.tasks.runs import (
    ALIVE,
    Failure,
    FailureReason,
    Outcome,
    Pair,
    Result,
    Run,
    RunState,
    Secret,
)
from mission_core.values import Absent, present

if TYPE_CHECKING:
    from mission_core.events.model import Fact
    from mission_core.ports import IdFactory, UnitOfWork
    from mission_core.tasks.use_cases import UpdateTask

HANDED_IN: Final = frozenset({Status.DONE, Status.REVIEW, Status.QUALITY_REVIEW})
QUEUED: Final = IDLE | {Status.BACKLOG}
OPEN: Final = frozenset({Status.INBOX, Status.BACKLOG})
"""A task that was claimed unassigned loses its assignee when it is released to one of these."""


@define
class HeldByAnother(Conflict):
    """
    Another agent or person has the task. *until* is the expiry of their lease, if they have one.
    """

    task: TaskId
    by: str
    until: datetime | None = None

    def __str__(self) -> str:
        if self.until is None:
            return f"{self.by} has this task now; poll the queue for another one"
        return f"{self.by} holds this task under a lease until {self.until.isoformat()}; poll the queue for another one"


@define
class UseTheLease(Conflict):
    """
    The caller holds an explicit lease on the task and must send it.
    """

    task: TaskId

    def __str__(self) -> str:
        return "you hold this task under a lease; complete, fail or release it with the lease that its claim returned"


@frozen(kw_only=True)
class Writer:
    """
    The caller of a write: an operator, or a *worker* under an agent name. With *decides* the caller may end the leases
    of others.
    """

    principal: Principal
    worker: Worker | None
    instance: str | None
    decides: bool

    def holds(self, run: Run) -> bool:
        """
        Whether the caller holds this implicit lease. An operator who names no agent holds each lease that they took
        themselves.
        """
        if self.worker is not None:
            return self.worker.holds(run)
        holder = run.holder
        if not isinstance(holder, Pair) or holder.principal != identity_of(self.principal):
            return False
        return self.instance in (None, holder.instance)


def writer_of(principal: Principal, agent: str | None = None, instance: str | None = None) -> Writer:
    """
    Return the writer for a principal and the agent name it sends (`worker_of`). Operators may end the leases of others,
    and so may leads and admin keys under their own name.

    Raises:
        NotYourAgent: If an agent below admin names another agent.
        InvalidField: If the name or the instance is invalid.
    """
    worker = worker_of(principal, agent, instance)
    leads = isinstance(principal, AgentPrincipal) and (principal.lead or principal.role is Role.ADMIN)
    decides = worker is None or (worker.itself and leads)
    return Writer(principal=principal, worker=worker, instance=instance, decides=decides)


@frozen(kw_only=True)
class Tenure:
    """
    The relation of a writer to the lease of a task.

    *run* is the task's live run, and *lapsed* the writer's own latest run of the task, if its lease expired. *asked* is
    the requested status. Only a write that names a status or an assignee *touches* the lease.
    """

    writer: Writer
    task: Task
    run: Run | None
    lapsed: Run | None
    asked: Status | None
    touches: bool
    at: datetime
    ids: IdFactory

    @property
    def returns(self) -> bool:
        """
        Whether the writer's lease has expired, and the task is in the queue, held by somebody else, or failed because
        of that expiry.
        """
        if self.lapsed is None:
            return False
        if self.run is not None or self.task.status in IDLE:
            return True
        if self.task.status is Status.FAILED:
            return self.task.fence == self.lapsed.fence
        worker = self.writer.worker
        held = self.task.status is Status.IN_PROGRESS
        return held and worker is not None and worker.is_other_than(self.task.assignee)

    async def begin(self, unit: UnitOfWork) -> Task:
        """
        Return the task before the write is applied: an expired lease is recorded, and a former holder takes the task
        again.

        Raises:
            HeldByAnother: If a former holder comes back, and somebody else has the task.
            NotClaimable: If a former holder comes back, and the task has open dependencies.
            OnlyLeadsMove: If a former holder comes back, and the board lets only its lead move tasks.
            GateClosed: If a former holder comes back, and a gate of the board refuses the move.
        """
        task, run, worker = self.task, self.run, self.writer.worker
        if worker is None or not self.touches:
            return task
        if run is not None and not run.lives(at=self.at):
            task, run = self._expired(unit, run), None
        if self.lapsed is None or not self.returns:
            return task
        if run is not None:
            raise HeldByAnother(task.id, run.worker, run.expires_at)
        if task.assignee is not None and worker.is_other_than(task.assignee):
            raise HeldByAnother(task.id, task.assignee.name)
        await _ready(unit, evolve(task, not_before=None), worker, at=self.at)
        begun, _ = task.move(Status.IN_PROGRESS, at=self.at)
        begun = evolve(begun, started_at=self.lapsed.claimed_at)  # for the writer the work never stopped
        begun, _ = await pass_gates(unit, self.writer.principal, task, begun, at=self.at)
        taken, run, claimed = worker.begin(begun, id=RunId(self.ids.new()), was=task.status, at=self.at)
        unit.runs.add(run)
        unit.record(claimed)
        return taken

    def _expired(self, unit: UnitOfWork, run: Run) -> Task:
        ended, expired = run.expire(at=self.at)
        assert ended.failure is not None
        task, moved = self.task.lose(ended, ended.failure, since=run.expires_at, at=self.at)
        unit.runs.save(ended)
        unit.record(expired, moved)
        return task

    def goes_on(self, unit: UnitOfWork, after: Task) -> bool:
        """
        Renew the writer's own implicit lease, if the write repeats that the task is in progress and the lease is due
        for renewal.

        Returns:
            Whether the lease is renewed.
        """
        run = self.run
        if run is None or after.run != run.id or self.asked is not Status.IN_PROGRESS:
            return False
        if not run.lives(at=self.at) or not self.writer.holds(run) or run.renew(at=self.at) is None:
            return False
        unit.runs.heartbeat(run.id, renewing(self.at))
        return True

    async def settle(
        self, unit: UnitOfWork, before: Task, after: Task, cmd: UpdateTask
    ) -> tuple[Task, tuple[Fact, ...]]:
        """
        Return the task after the write, and the events of its lease: a new one, a continued one, or its end.

        Raises:
            HeldByAnother: If somebody else holds the lease, and the writer may not end it.
            UseTheLease: If the writer holds the task under an explicit lease.
            NotClaimable: If an agent begins a task that is blocked or delayed.
        """
        if before.run is None:
            return await self._begun(unit, before, after)
        if before.status is after.status and before.assignee == after.assignee:
            return await _along(unit, before, after), ()
        run = await unit.runs.get(before.run)
        if run.lives(at=self.at):
            if self.writer.holds(run):
                run, after, fact = _handed_in(evolve(run, board=after.board), after, cmd, at=self.at)
                unit.runs.save(run)
                return after, (fact,)
            worker = self.writer.worker
            if isinstance(run.holder, Secret) and worker is not None and not worker.is_other_than(run.by):
                raise UseTheLease(after.id)
            if not self.writer.decides:
                raise HeldByAnother(after.id, run.worker, run.expires_at)
        return await without_lease(unit, before, after, at=self.at)

    async def _begun(self, unit: UnitOfWork, before: Task, after: Task) -> tuple[Task, tuple[Fact, ...]]:
        worker = self.writer.worker
        arrives = before.status is not Status.IN_PROGRESS
        takes_over = after.assignee is not None and after.assignee != before.assignee
        begins = after.status is Status.IN_PROGRESS and (arrives or takes_over)
        if worker is None or not begins or worker.is_other_than(after.assignee):
            return after, ()
        await _ready(unit, after, worker, at=self.at)
        begun = evolve(after, assignee=before.assignee)
        taken, run, claimed = worker.begin(begun, id=RunId(self.ids.new()), was=before.status, at=self.at)
        unit.runs.add(run)
        return taken, (claimed,)


async def tenure_of(
    unit: UnitOfWork, writer: Writer, task: Task, cmd: UpdateTask, *, at: datetime, ids: IdFactory
) -> Tenure:
    """
    Return the relation of the command's writer to the lease of the task.
    """
    asked = _asked(writer, task, cmd)
    touches = asked is not None or not isinstance(cmd.assignee, Absent)
    run = await unit.runs.get(task.run) if task.run else None
    if run is not None and run.state not in ALIVE:
        run = None
    lapsed = None
    holds = run is not None and run.lives(at=at) and writer.holds(run)
    if writer.worker is not None and task.fence and asked is not None and asked not in QUEUED and not holds:
        last = await unit.runs.last_of(task.id, writer.worker.pair)
        if last is not None and (last.state is RunState.EXPIRED or (last.id == task.run and not last.lives(at=at))):
            lapsed = last
    return Tenure(writer=writer, task=task, run=run, lapsed=lapsed, asked=asked, touches=touches, at=at, ids=ids)


def _asked(writer: Writer, task: Task, cmd: UpdateTask) -> Status | None:
    """
    Return the status that the command requests. In team mode the present status counts as none, except that in progress
    may be repeated to renew the lease.
    """
    if isinstance(cmd.status, Absent):
        return None
    if not cmd.by_team:
        return cmd.status
    if PLACES[cmd.status] is Status.IN_PROGRESS is task.status:
        return Status.IN_PROGRESS
    return place_asked(part_of(writer.principal), task, cmd.status)


async def without_lease(unit: UnitOfWork, before: Task, after: Task, *, at: datetime) -> tuple[Task, tuple[Fact, ...]]:
    """
    Return the task with its lease revoked, if its status or assignee changed. A task that only moves to another board
    keeps its lease.
    """
    if before.run is None:
        return after, ()
    if before.status is after.status and before.assignee == after.assignee:
        return await _along(unit, before, after), ()
    run = await unit.runs.get(before.run)
    after = evolve(after, run=None, fence=after.fence + 1)
    if run.state not in ALIVE:
        return after, ()
    run, revoked = evolve(run, board=after.board).revoke("the task was changed by hand", at=at)
    unit.runs.save(run)
    return after, (revoked,)


async def _along(unit: UnitOfWork, before: Task, after: Task) -> Task:
    if before.run is not None and before.board != after.board:
        run = await unit.runs.get(before.run)
        unit.runs.save(evolve(run, board=after.board))
    return after


async def _ready(unit: UnitOfWork, task: Task, worker: Worker, *, at: datetime) -> None:
    """
    Check that the worker may begin the task.

    Raises:
        NotClaimable: If the task is blocked, delayed, or assigned to another name.
    """
    open_ones = await open_dependencies(unit, task)
    why = task.unready(at=at, open_dependencies=len(open_ones), by=worker.by)
    if why is not None:
        raise NotClaimable(task.id, why)


def _handed_in(run: Run, task: Task, cmd: UpdateTask, *, at: datetime) -> tuple[Run, Task, Fact]:
    """
    Return the run ended by its holder's write, and the task without it.
    """
    if task.status in HANDED_IN:
        result = present(cmd.result, None) or Result.SUCCESS
        outcome = Outcome(result=result, resolution=present(cmd.resolution, None))
        done, completed = run.complete(outcome, at=at, current=run.fence)
        return done, evolve(task, run=None, hand_over=None), completed
    if task.status is Status.FAILED:
        failure = Failure(reason=FailureReason.IMPOSSIBLE, message=present(cmd.error_message, None))
        lost, failed = run.fail(failure, at=at, current=run.fence)
        return lost, evolve(task, run=None), failed
    given_back, released = run.release(None, at=at, current=run.fence)
    stays_theirs = task.status not in OPEN or not isinstance(cmd.assignee, Absent)
    left = evolve(task, run=None) if stays_theirs else task.freed(run)
    return given_back, evolve(left, attempts=max(task.attempts - 1, 0), hand_over=None), released
