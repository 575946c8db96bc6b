"""
Lease ownership: the effect of a write of status or assignee on the lease of a task.

Such a write does not name a lease. Its effect depends on the writer and on the holder of the task:

- *The holder of the implicit lease* continues it (in progress), hands the work in (done, review, quality review),
  reports a failure (failed), or releases the task (any other status or assignee). The run ends as completed, failed or
  released. The task gets the requested status, if the board's gates allow it.
- *The former holder of an implicit lease that expired* takes the task again and then writes as its holder, if the task
  is still in the queue, or failed because of that expiry. If somebody else has the task by now, the write is refused
  (`LeaseHeldByAnother`).
- *An agent, on a task without a holder*, takes an implicit lease by moving the task to in progress, or by becoming its
  assignee there. This is refused while the task is blocked or delayed. Any other status is simply written.
- *An agent, on a task of another holder*, is refused. A lead, and an admin's key, may override the lease like an
  operator.
- *The holder of an explicit lease* is told to use it (`LeaseRequired`).
- *An operator* ends any lease, and raises the fence. A task that stays in progress is then held by its assignee without
  a lease. An operator who polled the queue for an agent and writes without naming one acts as the holder of that lease.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from mission_core.accounts.model import AgentPrincipal, Principal, Role, identity_of
from mission_core.entity_changes import evolve
from mission_core.errors import Conflict
from mission_core.ids import RunId, TaskId
from mission_core.lazy_attrs import define, frozen
from mission_core.tasks.dependencies import open_dependencies
from mission_core.tasks.gates import pass_gates
from mission_core.tasks.implicit_leases import LeaseCaller, lease_caller_of, renewal_decision
from mission_core.tasks.model import IDLE_STATUSES, NotClaimable, Status, Task
from mission_core.tasks.runs import (
    LIVE_STATES,
    Failure,
    FailureReason,
    ImplicitHolder,
    Outcome,
    Run,
    RunState,
    SecretHolder,
    TaskResult,
)
from mission_core.tasks.team_rules import TEAM_STATUSES, board_role_of, requested_status
from mission_core.values import Absent, value_or

if TYPE_CHECKING:
    from mission_core.events.model import Event
    from mission_core.ports import IdFactory, UnitOfWork
    from mission_core.tasks.use_cases import UpdateTask

SUBMITTED_STATUSES: Final = frozenset({Status.DONE, Status.REVIEW, Status.QUALITY_REVIEW})
QUEUED_STATUSES: Final = IDLE_STATUSES | {Status.BACKLOG}
UNASSIGNING_STATUSES: Final = frozenset({Status.INBOX, Status.BACKLOG})
"""A task that was claimed unassigned loses its assignee when it is released to one of these."""


@define(repr=False)
class LeaseHeldByAnother(Conflict):
    """
    Another agent or person has the task.

    Args:
        until: The expiry of their lease, if they have one.
    """

    code = "held_by_another"

    task: TaskId
    by: str
    until: datetime | None = None

    def __str__(self) -> str:
        if self.until is None:
            return f"{self.by} has this task now; poll the queue for another one"
        return f"{self.by} holds this task under a lease until {self.until.isoformat()}; poll the queue for another one"


@define(repr=False)
class LeaseRequired(Conflict):
    """
    The caller holds an explicit lease on the task and must send it.
    """

    code = "use_the_lease"

    task: TaskId

    says = "you hold this task under a lease; complete, fail or release it with the lease that its claim returned"


@frozen(kw_only=True)
class TaskWriter:
    """
    The caller of a write: an operator, or a *caller* under an agent name. With *overrides_leases* the caller may end
    the leases of others.
    """

    principal: Principal
    caller: LeaseCaller | None
    instance: str | None
    overrides_leases: bool

    def holds_lease(self, run: Run) -> bool:
        """
        Whether the caller holds this implicit lease. An operator who names no agent holds each lease that they took
        themselves.
        """
        if self.caller is not None:
            return self.caller.holds(run)
        holder = run.holder
        if not isinstance(holder, ImplicitHolder) or holder.principal != identity_of(self.principal):
            return False
        return self.instance in (None, holder.instance)


def task_writer_of(principal: Principal, agent: str | None = None, instance: str | None = None) -> TaskWriter:
    """
    Return the writer for a principal and the agent name it sends (`lease_caller_of`). Operators may end the leases of
    others, and so may leads and admin keys under their own name.

    Raises:
        KeyOfAnotherAgent: If an agent below admin names another agent.
        InvalidField: If the name or the instance is invalid.
    """
    worker = lease_caller_of(principal, agent, instance)
    leads = isinstance(principal, AgentPrincipal) and (principal.lead or principal.role is Role.ADMIN)
    decides = worker is None or (worker.is_agent and leads)
    return TaskWriter(principal=principal, caller=worker, instance=instance, overrides_leases=decides)


@frozen(kw_only=True)
class LeaseOwnership:
    """
    The relation of a writer to the lease of a task.

    *run* is the task's live run, and *expired_run* the writer's own latest run of the task, if its lease expired.
    *requested* is the requested status. Only a write that names a status or an assignee *affects_lease* the lease.
    """

    writer: TaskWriter
    task: Task
    run: Run | None
    expired_run: Run | None
    requested: Status | None
    affects_lease: bool
    at: datetime
    ids: IdFactory

    @property
    def is_returning(self) -> bool:
        """
        Whether the writer's lease has expired, and the task is in the queue, held by somebody else, or failed because
        of that expiry.
        """
        if self.expired_run is None:
            return False
        if self.run is not None or self.task.status in IDLE_STATUSES:
            return True
        if self.task.status is Status.FAILED:
            return self.task.fence == self.expired_run.fence
        worker = self.writer.caller
        held = self.task.status is Status.IN_PROGRESS
        return held and worker is not None and worker.differs_from(self.task.assignee)

    async def retake_expired(self, unit: UnitOfWork) -> Task:
        """
        Return the task before the write is applied: an expired lease is recorded, and a former holder takes the task
        again.

        Raises:
            LeaseHeldByAnother: If a former holder comes back, and somebody else has the task.
            NotClaimable: If a former holder comes back, and the task has open dependencies.
            OnlyLeadMovesTasks: If a former holder comes back, and the board lets only its lead move tasks.
            GateClosed: If a former holder comes back, and a gate of the board refuses the move.
        """
        task, run, worker = self.task, self.run, self.writer.caller
        if worker is None or not self.affects_lease:
            return task
        if run is not None and not run.is_live(at=self.at):
            task, run = self._expire_run(unit, run), None
        if self.expired_run is None or not self.is_returning:
            return task
        if run is not None:
            raise LeaseHeldByAnother(task.id, run.worker_name, run.expires_at)
        if task.assignee is not None and worker.differs_from(task.assignee):
            raise LeaseHeldByAnother(task.id, task.assignee.name)
        await _require_ready(unit, evolve(task, not_before=None), worker, at=self.at)
        begun, _ = task.move(Status.IN_PROGRESS, at=self.at)
        begun = evolve(begun, started_at=self.expired_run.claimed_at)  # for the writer the work never stopped
        begun, _ = await pass_gates(unit, self.writer.principal, task, begun, at=self.at)
        taken, run, claimed = worker.begin_run(begun, id=RunId(self.ids.new()), was=task.status, at=self.at)
        unit.runs.add(run)
        unit.record(claimed)
        return taken

    def _expire_run(self, unit: UnitOfWork, run: Run) -> Task:
        ended, expired = run.expire(at=self.at)
        assert ended.failure is not None
        task, moved = self.task.after_failure(ended, ended.failure, since=run.expires_at, at=self.at)
        unit.runs.save(ended)
        unit.record(expired, moved)
        return task

    def renew(self, unit: UnitOfWork, after: Task) -> bool:
        """
        Renew the writer's own implicit lease, if the write repeats that the task is in progress and the lease is due
        for renewal.

        Returns:
            Whether the lease is renewed.
        """
        run = self.run
        if run is None or after.run != run.id or self.requested is not Status.IN_PROGRESS:
            return False
        if not run.is_live(at=self.at) or not self.writer.holds_lease(run) or run.renew(at=self.at) is None:
            return False
        unit.runs.heartbeat(run.id, renewal_decision(self.at))
        return True

    async def apply_to_lease(
        self, unit: UnitOfWork, before: Task, after: Task, cmd: UpdateTask
    ) -> tuple[Task, tuple[Event, ...]]:
        """
        Return the task after the write, and the events of its lease: a new one, a continued one, or its end.

        Raises:
            LeaseHeldByAnother: If somebody else holds the lease, and the writer may not end it.
            LeaseRequired: If the writer holds the task under an explicit lease.
            NotClaimable: If an agent begins a task that is blocked or delayed.
        """
        if before.run is None:
            return await self._begin_run(unit, before, after)
        if before.status is after.status and before.assignee == after.assignee:
            return await _move_run_to_board(unit, before, after), ()
        run = await unit.runs.get(before.run)
        if run.is_live(at=self.at):
            if self.writer.holds_lease(run):
                run, after, fact = _end_run_by_holder(evolve(run, board=after.board), after, cmd, at=self.at)
                unit.runs.save(run)
                return after, (fact,)
            worker = self.writer.caller
            if isinstance(run.holder, SecretHolder) and worker is not None and not worker.differs_from(run.by):
                raise LeaseRequired(after.id)
            if not self.writer.overrides_leases:
                raise LeaseHeldByAnother(after.id, run.worker_name, run.expires_at)
        return await end_lease_on_change(unit, before, after, at=self.at)

    async def _begin_run(self, unit: UnitOfWork, before: Task, after: Task) -> tuple[Task, tuple[Event, ...]]:
        worker = self.writer.caller
        arrives = before.status is not Status.IN_PROGRESS
        takes_over = after.assignee is not None and after.assignee != before.assignee
        begins = after.status is Status.IN_PROGRESS and (arrives or takes_over)
        if worker is None or not begins or worker.differs_from(after.assignee):
            return after, ()
        await _require_ready(unit, after, worker, at=self.at)
        begun = evolve(after, assignee=before.assignee)
        taken, run, claimed = worker.begin_run(begun, id=RunId(self.ids.new()), was=before.status, at=self.at)
        unit.runs.add(run)
        return taken, (claimed,)


async def lease_ownership_of(
    unit: UnitOfWork, writer: TaskWriter, task: Task, cmd: UpdateTask, *, at: datetime, ids: IdFactory
) -> LeaseOwnership:
    """
    Return the relation of the command's writer to the lease of the task.
    """
    asked = _requested_status(writer, task, cmd)
    touches = asked is not None or not isinstance(cmd.assignee, Absent)
    run = await unit.runs.get(task.run) if task.run else None
    if run is not None and run.state not in LIVE_STATES:
        run = None
    lapsed = None
    holds = run is not None and run.is_live(at=at) and writer.holds_lease(run)
    if writer.caller is not None and task.fence and asked is not None and asked not in QUEUED_STATUSES and not holds:
        last = await unit.runs.last_of(task.id, writer.caller.holder)
        if last is not None and (last.state is RunState.EXPIRED or (last.id == task.run and not last.is_live(at=at))):
            lapsed = last
    return LeaseOwnership(
        writer=writer, task=task, run=run, expired_run=lapsed, requested=asked, affects_lease=touches, at=at, ids=ids
    )


def _requested_status(writer: TaskWriter, task: Task, cmd: UpdateTask) -> Status | None:
    """
    Return the status that the command requests. In team mode the present status counts as none, except that in progress
    may be repeated to renew the lease.
    """
    if isinstance(cmd.status, Absent):
        return None
    if not cmd.is_team_update:
        return cmd.status
    if TEAM_STATUSES[cmd.status] is Status.IN_PROGRESS is task.status:
        return Status.IN_PROGRESS
    return requested_status(board_role_of(writer.principal), task, cmd.status)


async def end_lease_on_change(
    unit: UnitOfWork, before: Task, after: Task, *, at: datetime
) -> tuple[Task, tuple[Event, ...]]:
    """
    Return the task with its lease revoked, if its status or assignee changed. A task that only moves to another board
    keeps its lease.
    """
    if before.run is None:
        return after, ()
    if before.status is after.status and before.assignee == after.assignee:
        return await _move_run_to_board(unit, before, after), ()
    run = await unit.runs.get(before.run)
    after = evolve(after, run=None, fence=after.fence + 1)
    if run.state not in LIVE_STATES:
        return after, ()
    run, revoked = evolve(run, board=after.board).revoke("the task was changed by hand", at=at)
    unit.runs.save(run)
    return after, (revoked,)


async def _move_run_to_board(unit: UnitOfWork, before: Task, after: Task) -> Task:
    if before.run is not None and before.board != after.board:
        run = await unit.runs.get(before.run)
        unit.runs.save(evolve(run, board=after.board))
    return after


async def _require_ready(unit: UnitOfWork, task: Task, worker: LeaseCaller, *, at: datetime) -> None:
    """
    Check that the worker may begin the task.

    Raises:
        NotClaimable: If the task is blocked, delayed, or assigned to another name.
    """
    open_ones = await open_dependencies(unit, task)
    why = task.why_not_ready(at=at, open_dependencies=len(open_ones), by=worker.by)
    if why is not None:
        raise NotClaimable(task.id, why)


def _end_run_by_holder(run: Run, task: Task, cmd: UpdateTask, *, at: datetime) -> tuple[Run, Task, Event]:
    """
    Return the run ended by its holder's write, and the task without it.
    """
    if task.status in SUBMITTED_STATUSES:
        result = value_or(cmd.result, None) or TaskResult.SUCCESS
        outcome = Outcome(result=result, resolution=value_or(cmd.resolution, None))
        done, completed = run.complete(outcome, at=at, current=run.fence)
        return done, evolve(task, run=None, hand_over=None), completed
    if task.status is Status.FAILED:
        failure = Failure(reason=FailureReason.IMPOSSIBLE, message=value_or(cmd.error_message, None))
        lost, failed = run.fail(failure, at=at, current=run.fence)
        return lost, evolve(task, run=None), failed
    given_back, released = run.release(None, at=at, current=run.fence)
    stays_theirs = task.status not in UNASSIGNING_STATUSES or not isinstance(cmd.assignee, Absent)
    left = evolve(task, run=None) if stays_theirs else task.without_run(run)
    return given_back, evolve(left, attempts=max(task.attempts - 1, 0), hand_over=None), released
