"""
Tenure: how whoever writes to a task stands to its lease, and what the write does to it.

What a plain write of status or assignee means depends on who writes, and on who has the task:

- *Whoever holds the implicit lease* goes on with it (in progress), hands the work in (done, a review), says that it
  failed (failed), or gives it back (any other status, another assignee). The run ends as completed, failed or
  released; the status is the one that was asked for, and the board's gates have their say.
- *A pair whose lease ran out* takes the task again, and then writes as its holder: if the task is in the queue still,
  or failed for good by that very expiry. If anybody else has it by now, it is told who (`HeldByAnother`).
- *An agent, of a task that nobody has*, takes it under an implicit lease by moving it to in progress, or by taking it
  over there; never what is blocked or rests. Every other status is just written.
- *An agent, of a task that somebody else has*, is told who. A lead, and an admin's key, decide like an operator.
- *Whoever holds a secret lease* is told to use it (`UseTheLease`).
- *An operator* ends whatever lease there is, and raises the fence; in progress, the task is held by its assignee. An
  operator who polled for an agent and names none when writing hands in what that poll took.
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
"""Given back to these, work that came from the open queue belongs to nobody."""


@define
class HeldByAnother(Conflict):
    """
    Somebody else has the task; *until* is the end of their lease, if they have one.
    """

    task: TaskId
    by: str
    until: datetime | None = None

    def __str__(self) -> str:
        if self.until is None:
            return f"{self.by} has this task by now; poll the queue for another one"
        return f"{self.by} holds this task under a lease until {self.until.isoformat()}; poll the queue for another one"


@define
class UseTheLease(Conflict):
    """
    A plain write came from whoever holds a lease with a secret.
    """

    task: TaskId

    def __str__(self) -> str:
        return "this task is under a lease: complete, fail or release it with the lease that its claim returned"


@frozen(kw_only=True)
class Writer:
    """
    Who writes: an operator, or a *worker*. Whoever *decides* may end what others hold.
    """

    principal: Principal
    worker: Worker | None
    instance: str | None
    decides: bool

    def holds(self, run: Run) -> bool:
        """
        Whether the implicit lease is theirs; an operator's who names no agent is each that they took.
        """
        if self.worker is not None:
            return self.worker.holds(run)
        holder = run.holder
        if not isinstance(holder, Pair) or holder.principal != identity_of(self.principal):
            return False
        return self.instance in (None, holder.instance)


def writer_of(principal: Principal, agent: str | None = None, instance: str | None = None) -> Writer:
    """
    Who writes: a worker, as `worker_of` tells. Operators decide, and so do leads and admins' keys under their own name.

    Raises:
        NotYourAgent: If an agent below admin names another.
        InvalidField: If name or instance are none that can be kept.
    """
    worker = worker_of(principal, agent, instance)
    leads = isinstance(principal, AgentPrincipal) and (principal.lead or principal.role is Role.ADMIN)
    decides = worker is None or (worker.itself and leads)
    return Writer(principal=principal, worker=worker, instance=instance, decides=decides)


@frozen(kw_only=True)
class Tenure:
    """
    How a writer stands to a task that they write to: its run that has not ended, and their own last run of it if that
    ran out. *asked* is the status they ask for; only who asks for one, or for an assignee, *touches* a lease.
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
        Whether the writer comes back to what ran out under them: it is in the queue still, with somebody else, or
        failed for good by that very expiry.
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
        The task as the writer finds it: with a lease that ran out noticed, and taken again if they return.

        Raises:
            HeldByAnother: If they return, and somebody else has it.
            NotClaimable: If they return, and it depends on work that is not done.
            OnlyLeadsMove: If they return, and only leads move tasks on its board.
            GateClosed: If they return, and a gate of its board keeps it from moving.
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
        begun = evolve(begun, started_at=self.lapsed.claimed_at)  # to the writer it never stopped
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
        Renew the writer's own implicit lease, if they ask for a task in progress that is so already, and it must be
        written by now.
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
        The task as the write leaves it, with what becomes of its lease: it is taken, goes on, or ends.

        Raises:
            HeldByAnother: If somebody else holds it, and the writer does not decide.
            UseTheLease: If the writer holds it under a secret lease.
            NotClaimable: If they would begin what is blocked or rests.
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
    How the writer of this command stands to the task. Only who asks for a status that work has can return to it.
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
    return Tenure(
        writer=writer, task=task, run=run, lapsed=lapsed, asked=asked, touches=touches, at=at, ids=ids
    )


def _asked(writer: Writer, task: Task, cmd: UpdateTask) -> Status | None:
    """
    The status that the command asks for. On a team only another place is; but that work goes on may be said again.
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
    The task with its lease ended by hand, if its status or assignee changed under it. To another board the lease goes
    along.
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
    Raises:
        NotClaimable: If the task is blocked, rests, or is assigned to another name.
    """
    open_ones = await open_dependencies(unit, task)
    why = task.unready(at=at, open_dependencies=len(open_ones), by=worker.by)
    if why is not None:
        raise NotClaimable(task.id, why)


def _handed_in(run: Run, task: Task, cmd: UpdateTask, *, at: datetime) -> tuple[Run, Task, Fact]:
    """
    The run ended as its holder's write says, and the task without it.
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
