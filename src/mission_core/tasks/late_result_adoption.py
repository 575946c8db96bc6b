"""
Adoption of late results: a task is completed with the result that a former worker sent after its lease was lost.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from mission_core.accounts.model import Principal, Role, require_role
from mission_core.entity_changes import evolve
from mission_core.errors import Conflict, Denied
from mission_core.events.model import Event
from mission_core.ids import BoardId, RunId, TaskId, TaskNumber
from mission_core.lazy_attrs import define, frozen
from mission_core.tasks.dependencies import open_dependencies
from mission_core.tasks.events import RunResultAdopted
from mission_core.tasks.late_results import LATE_RESULTS, LateResult, LateResultNotFound, late_result_id
from mission_core.tasks.lease_ownership import task_writer_of
from mission_core.tasks.leases import accept_result, check_expected, check_lease, run_of_lease
from mission_core.tasks.model import REVIEW_STATUSES, BlockedByDependencies, Status, Task
from mission_core.tasks.runs import LIVE_STATES, Assignee, Outcome, Run, RunState
from mission_core.tasks.task_access import get_on_board
from mission_core.use_case import use_case

if TYPE_CHECKING:
    from mission_core.ports import Ports, UnitOfWork


@frozen(kw_only=True)
class AdoptLateResult:
    """
    Complete a task with the late result of *run*. The current holder sends its *lease*; an operator sends none.
    """

    task: TaskId | TaskNumber
    on: BoardId | None = None
    run: RunId
    lease: str | None = None
    expects: int | None = None


@define(repr=False)
class LateResultNotAdoptable(Conflict):
    """
    The late result cannot complete the task.

    Args:
        why: The reason.
    """

    code = "not_adoptable"

    task: TaskId
    why: str

    says = "this late result cannot be adopted: {self.why}"


class AdoptionNeedsLease(Denied):
    """
    A worker must hold the task to adopt a late result.
    """

    code = "lease_needed"
    says = "only an operator may adopt a late result without the lease of the task's current holder"


@use_case
async def adopt_result(ports: Ports, principal: Principal, cmd: AdoptLateResult) -> Task:
    """
    Complete a task with a late result. It meets every gate of the board, and its first worker becomes an author of the
    task. If an operator adopts it, any lease on the task ends.

    Raises:
        TaskNotFound: If there is no such task for this principal.
        LateResultNotFound: If the task has no late result of this run.
        AdoptionNeedsLease: If a worker sends no lease.
        LeaseUnknown: If the lease was not issued for this task.
        LeaseLost: If the lease has ended. A repeat returns the first result.
        LateResultNotAdoptable: If it is a failure, was adopted before, or the task is done or in review.
        BlockedByDependencies: If an operator adopts it for a task with open dependencies.
        GateClosed: If a gate of the board refuses the move.
        OnlyLeadMovesTasks: If a worker adopts it, and the board lets only its lead move tasks.
        VersionMismatch: If the caller expected another version.
    """
    require_role(principal, Role.OPERATOR)
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        task = await get_on_board(unit, cmd.task, cmd.on)
        late = await _late_result(unit, task, cmd.run)
        run = await _current_run(ports, unit, principal, task, cmd.lease)
        mine = cmd.lease is None or (
            run is not None and run.state is RunState.COMPLETED and run.outcome == late.outcome
        )
        if late.adopted_at is not None and mine:
            return await unit.tasks.get(task.id)  # the task read above may be older than the adoption
        if cmd.lease is not None and run is not None:
            run.require_live(now, current=task.fence)
        check_expected(task, None, cmd.expects)
        outcome = _adoptable_outcome(task, late)
        if cmd.lease is None:
            task, run, facts = await _end_current_run(unit, task, run, late, at=now)
        else:
            assert run is not None
            run, completed = run.complete(outcome, at=now, current=task.fence)
            facts = (completed,)
        first = Assignee(late.by, late.by_agent)
        done, handed = await accept_result(unit, principal, task, outcome, by=first, at=now)
        if done.status is Status.REVIEW:
            done = evolve(done, submitter=late.by_agent or done.submitter)
        if run is not None:
            unit.runs.save(run)
        unit.tasks.save(done, onto_edits=cmd.expects is None)
        unit.repository(LATE_RESULTS).save(evolve(late, adopted_at=now))
        adopted = RunResultAdopted(task=task.id, run=late.run, fence=late.fence, by=late.by, at=now)
        unit.record(adopted, *facts, *handed)
        unit.result(task.id)
        await unit.commit()
        return await unit.tasks.get(task.id)


async def _current_run(
    ports: Ports, unit: UnitOfWork, principal: Principal, task: Task, lease: str | None
) -> Run | None:
    """
    Return the run of the lease that was sent; for an operator without one, the task's current run.

    Raises:
        AdoptionNeedsLease: If a worker sends no lease.
        LeaseUnknown: If the lease was not issued for this task.
    """
    if lease is None:
        if not task_writer_of(principal).overrides_leases:
            raise AdoptionNeedsLease
        return await unit.runs.get(task.run) if task.run else None
    run = await unit.runs.get(run_of_lease(ports, lease))
    check_lease(ports, task, run, lease)
    return run


async def _late_result(unit: UnitOfWork, task: Task, run: RunId) -> LateResult:
    late = await unit.repository(LATE_RESULTS).get(late_result_id(run))
    if late.task != task.id:
        raise LateResultNotFound
    return late


def _adoptable_outcome(task: Task, late: LateResult) -> Outcome:
    """
    Return the outcome of a late result.

    Raises:
        LateResultNotAdoptable: If it cannot complete the task.
    """
    why = None
    if late.adopted_at is not None:
        why = "it was adopted before"
    elif task.status is Status.DONE or task.status in REVIEW_STATUSES:
        why = f"the task is in {task.status.value} already"
    if why is None and late.outcome is not None:
        return late.outcome
    raise LateResultNotAdoptable(task.id, why or "it is a failure and cannot complete the task")


async def _end_current_run(
    unit: UnitOfWork, task: Task, run: Run | None, late: LateResult, *, at: datetime
) -> tuple[Task, Run | None, tuple[Event, ...]]:
    """
    Return the task with its current run ended, for an operator.

    Raises:
        BlockedByDependencies: If the task has no live run, and has open dependencies.
    """
    worker = task.assignee or Assignee(late.by, late.by_agent)
    taken = evolve(task, fence=task.fence + 1, assignee=worker)
    if run is None or run.state not in LIVE_STATES:
        open_ones = await open_dependencies(unit, task)
        if open_ones:
            raise BlockedByDependencies(task.id, open_ones)
        return taken, None, ()
    if not run.is_live(at=at):
        ended, expired = run.expire(at=at)
        return taken, ended, (expired,)
    ended, revoked = run.revoke("a late result was adopted", at=at)
    return taken, ended, (revoked,)
