"""
Leases: claiming a task, and completing, failing or releasing it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from hmac import compare_digest
from typing import TYPE_CHECKING
from uuid import UUID

from mission_core.accounts.model import AgentPrincipal, KeyOfAnotherAgent, Principal, Role, board_of, require_role
from mission_core.entity_changes import evolve, require_version
from mission_core.errors import InvalidField
from mission_core.events.model import Event
from mission_core.ids import BoardId, RunId, TaskId, TaskNumber
from mission_core.lazy_attrs import frozen
from mission_core.tasks.dependencies import completion_events
from mission_core.tasks.gates import decide_claim, pass_gates, status_after_work, with_authors
from mission_core.tasks.late_results import LateResult, keep_late_result, late_results_of
from mission_core.tasks.model import (
    GateClosed,
    NotClaimable,
    Status,
    Task,
    TaskNotFound,
)
from mission_core.tasks.ports import Candidate, ClaimFilter, Decide, TaskChange
from mission_core.tasks.runs import (
    LIVE_STATES,
    Assignee,
    Failure,
    ImplicitHolder,
    LeaseTerms,
    LeaseUnknown,
    Outcome,
    Run,
    RunState,
    SecretHolder,
)
from mission_core.tasks.team_rules import BoardRole, OnlyLeadMovesTasks, board_role_of
from mission_core.use_case import use_case
from mission_core.values import name_key

if TYPE_CHECKING:
    from mission_core.ports import Ports, UnitOfWork

SHORTEST_TERM = timedelta(seconds=1)
LONGEST_TERM = timedelta(hours=24)
LONGEST_WAIT = timedelta(days=30)


@frozen(kw_only=True)
class ClaimNext:
    """
    Claim the next task of the queue. An agent claims under its own name, an operator under any.
    """

    agent: str | None = None
    board: BoardId | None = None
    terms: LeaseTerms = LeaseTerms()


@frozen(kw_only=True)
class ClaimTask:
    """
    Claim this task.
    """

    task: TaskId | TaskNumber
    on: BoardId | None = None
    agent: str | None = None
    terms: LeaseTerms = LeaseTerms()
    expects: int | None = None


@frozen(kw_only=True)
class CompleteTask:
    """
    Complete a task with a result.
    """

    task: TaskId | TaskNumber
    on: BoardId | None = None
    lease: str
    outcome: Outcome = Outcome()
    expects: int | None = None


@frozen(kw_only=True)
class FailTask:
    """
    Report that the work on a task failed.
    """

    task: TaskId | TaskNumber
    on: BoardId | None = None
    lease: str
    failure: Failure
    expects: int | None = None


@frozen(kw_only=True)
class ReleaseTask:
    """
    Release a task unfinished, with a note for the next worker.
    """

    task: TaskId | TaskNumber
    on: BoardId | None = None
    lease: str
    note: str | None = None
    expects: int | None = None


@frozen
class ClaimResult:
    """
    The answer to a claim: the task, its run, the lease secret, and late results of earlier runs.
    """

    task: Task
    run: Run
    lease: str
    late_results: tuple[LateResult, ...] = ()


def claiming_assignee(principal: Principal, agent: str | None) -> Assignee:
    """
    Return the assignee that the principal claims for.

    Raises:
        KeyOfAnotherAgent: If an agent names another agent.
        InvalidField: If an operator names no agent.
    """
    if isinstance(principal, AgentPrincipal):
        if agent is not None and name_key(agent) != name_key(principal.name):
            raise KeyOfAnotherAgent
        return Assignee(principal.name, principal.agent)
    if not agent:
        raise InvalidField("agent", "is required: name the agent that gets the task", agent)
    return Assignee(agent)


def checked_terms(terms: LeaseTerms) -> LeaseTerms:
    """
    Return the terms, if they are valid.

    Raises:
        InvalidField: If the term or a delay is out of range.
    """
    if not SHORTEST_TERM <= terms.term <= LONGEST_TERM:
        raise InvalidField("lease_seconds", "must be a number from 1 to 86400", terms.term.total_seconds())
    for name in ("delay", "longest_delay"):
        if not timedelta(0) <= getattr(terms, name) <= LONGEST_WAIT:
            raise InvalidField(name, f"must be a time from 0 to {LONGEST_WAIT.days} days", getattr(terms, name))
    return terms


@use_case
async def claim_next(ports: Ports, principal: Principal, cmd: ClaimNext) -> ClaimResult | None:
    """
    Claim the next task: by priority, then due date (none last), then age. Blocked, delayed and claimed tasks are
    skipped.
    """
    require_role(principal, Role.OPERATOR)
    by, now = claiming_assignee(principal, cmd.agent), ports.clock.now()
    take = claim_decision(by, principal, id=RunId(ports.ids.new()), terms=checked_terms(cmd.terms), at=now)
    async with ports.unit(principal) as unit:
        board = cmd.board or board_of(principal)
        if cmd.board is not None:
            await unit.boards.get(cmd.board)
        unit.tasks.expire_due(expiry_decision(now), at=now)
        wanted = ClaimFilter(name_key=by.key, board=board, worker=board_role_of(principal) is BoardRole.WORKER)
        unit.tasks.claim_next(wanted, take, at=now)
        taken = await unit.commit()
    return await _claim_result(ports, principal, taken)


@use_case
async def claim_task(ports: Ports, principal: Principal, cmd: ClaimTask) -> ClaimResult:
    """
    Claim this task.

    Raises:
        TaskNotFound: If there is no such task for this principal.
        NotClaimable: If it is blocked, delayed, claimed, or not in the queue.
        OnlyLeadMovesTasks: If a worker claims it, and the board lets only its lead move tasks.
        BudgetReached: If a hard budget has no room for another run.
        VersionMismatch: If the caller expected another version.
    """
    require_role(principal, Role.OPERATOR)
    by, now = claiming_assignee(principal, cmd.agent), ports.clock.now()
    take = claim_decision(by, principal, id=RunId(ports.ids.new()), terms=checked_terms(cmd.terms), at=now)

    def decide(candidate: Candidate) -> TaskChange | None:
        check_expected(candidate.task, cmd.on, cmd.expects)
        facts: tuple[Event, ...] = ()
        ended = None
        if candidate.run is not None and not candidate.run.is_live(at=now):
            lapsed = expiry_decision(now)(candidate)
            if lapsed is not None and lapsed.task is not None:
                facts, ended = lapsed.events, lapsed.run
                budgets = candidate.budgets and candidate.budgets.after_end_of(candidate.run)
                candidate = evolve(candidate, task=lapsed.task, run=None, budgets=budgets)
        change = take(candidate)
        if change is None:
            why = candidate.task.why_not_claimable(
                at=now, open_dependencies=candidate.open_dependencies, by=by, run=candidate.run, held=candidate.held
            )
            if why is None:
                decide_claim(candidate, asker=principal)
                refusal = candidate.budgets and candidate.budgets.refusal_of_claim(candidate.task, by)
                if refusal:
                    raise refusal
            raise NotClaimable(candidate.task.id, why or "it was claimed meanwhile")
        return evolve(change, run=ended, events=(*facts, *change.events))

    async with ports.unit(principal) as unit:
        unit.tasks.claim(cmd.task, decide)
        taken = await unit.commit()
    claimed = await _claim_result(ports, principal, taken)
    assert claimed is not None
    return claimed


def claim_decision(
    by: Assignee,
    principal: Principal,
    *,
    id: RunId,
    terms: LeaseTerms,
    at: datetime,
    holder: SecretHolder | ImplicitHolder = SecretHolder(),
) -> Decide:
    """
    Return the decision that claims a candidate, if it is claimable.
    """

    def decide(candidate: Candidate) -> TaskChange | None:
        task, waits_for, run = candidate.task, candidate.open_dependencies, candidate.run
        if task.why_not_claimable(at=at, open_dependencies=waits_for, by=by, run=run, held=candidate.held):
            return None
        try:
            decide_claim(candidate, asker=principal)
        except (OnlyLeadMovesTasks, GateClosed):
            return None
        if candidate.budgets is not None and candidate.budgets.refusal_of_claim(task, by):
            return None
        taken, run, claimed = task.claim(id=id, by=by, actor=principal.actor, holder=holder, terms=terms, at=at)
        return TaskChange(task=taken, new_run=run, events=(claimed,), result=run.id)

    return decide


def expiry_decision(at: datetime) -> Decide:
    """
    Return the decision that ends a run whose lease has expired, and puts its task back in the queue (or parks or fails
    it).
    """

    def decide(candidate: Candidate) -> TaskChange | None:
        run = candidate.run
        if run is None or run.state not in LIVE_STATES or run.is_live(at=at):
            return None
        ended, expired = run.expire(at=at)
        assert ended.failure is not None
        task, moved = candidate.task.after_failure(ended, ended.failure, since=run.expires_at, at=at)
        return TaskChange(task=task, run=ended, events=(expired, moved))

    return decide


async def _claim_result(ports: Ports, principal: Principal, taken: TaskChange | None) -> ClaimResult | None:
    if taken is None:
        return None
    task, run = taken.task, taken.new_run
    assert task is not None
    assert run is not None
    late_results = await late_results_of(ports, principal, task)
    return ClaimResult(task, run, ports.secrets.lease(run.id, run.fence), late_results)


async def repeat_claim(ports: Ports, principal: Principal, run: UUID) -> ClaimResult:
    """
    Return the answer to a repeated claim. The lease is an HMAC, so it can be computed again.
    """
    async with ports.unit(principal) as unit:
        found = await unit.runs.get(RunId(run))
        task = await unit.tasks.get(found.task)
    late_results = await late_results_of(ports, principal, task)
    return ClaimResult(task, found, ports.secrets.lease(found.id, found.fence), late_results)


@use_case
async def expire_leases(ports: Ports, principal: Principal, *, limit: int = 64) -> int:
    """
    Expire leases that are past their end.

    Returns:
        The number of tasks that changed.
    """
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        unit.tasks.expire_due(expiry_decision(now), at=now, limit=limit)
        return int(await unit.commit() or 0)


def check_expected(task: Task, on: BoardId | None, expects: int | None) -> None:
    """
    Check the board and the version that the caller expects of the task.

    Raises:
        TaskNotFound: If the task is not on the board *on*.
        VersionMismatch: If its version is not *expects*.
    """
    if on is not None and task.board != on:
        raise TaskNotFound
    require_version(task, expects)


def run_of_lease(ports: Ports, lease: str) -> RunId:
    """
    Return the run that a lease names.

    Raises:
        LeaseUnknown: If the lease was never issued.
    """
    run = ports.secrets.run_of_lease(lease)
    if run is None:
        raise LeaseUnknown
    return run


def check_lease(ports: Ports, task: Task, run: Run, lease: str) -> None:
    """
    Check that this is the lease of the task's run.

    Raises:
        LeaseUnknown: If it is another lease, or the run's lease is implicit and so has no secret.
    """
    if run.is_implicit or run.task != task.id or not compare_digest(ports.secrets.lease(run.id, run.fence), lease):
        raise LeaseUnknown


async def _task_and_run(
    ports: Ports, unit: UnitOfWork, task: TaskId | TaskNumber, on: BoardId | None, lease: str
) -> tuple[Task, Run]:
    found = await unit.tasks.get(task)
    if on is not None and found.board != on:
        raise TaskNotFound
    run = await unit.runs.get(run_of_lease(ports, lease))
    check_lease(ports, found, run, lease)
    return found, run


@use_case
async def complete_task(ports: Ports, principal: Principal, cmd: CompleteTask) -> Task:
    """
    Accept the result of a run. The task becomes done. If a gate requires a review or approval, it goes to review
    instead, assigned to the board's lead. A result that comes after the lease was lost is refused, and stored as a late
    result.

    Raises:
        TaskNotFound: If there is no such task for this principal.
        LeaseUnknown: If the lease was not issued for this task.
        LeaseLost: If the lease has ended. A repeat with the same lease and content returns the first result.
        OnlyLeadMovesTasks: If a worker completes it, and the board lets only its lead move tasks.
        GateClosed: If an approval of the task is pending, and its board blocks status changes meanwhile.
        CommentRequired: If the board requires a comment for review, and there is neither one nor a resolution.
        VersionMismatch: If the caller expected another version.
    """
    require_role(principal, Role.OPERATOR)
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        task, run = await _task_and_run(ports, unit, cmd.task, cmd.on, cmd.lease)
        if run.state is RunState.COMPLETED and run.outcome == cmd.outcome:
            return await unit.tasks.get(task.id)  # the task read above may be older than the run
        if not run.is_live(at=now):
            raise await keep_late_result(unit, task, run, cmd.outcome, at=now)
        check_expected(task, None, cmd.expects)
        run, completed = run.complete(cmd.outcome, at=now, current=task.fence)
        task, facts = await accept_result(unit, principal, task, cmd.outcome, by=run.by, at=now)
        return await _save_ended_run(unit, run, task, completed, *facts, onto_edits=cmd.expects is None)


async def accept_result(
    unit: UnitOfWork, principal: Principal, task: Task, outcome: Outcome, *, by: Assignee, at: datetime
) -> tuple[Task, tuple[Event, ...]]:
    """
    Return a task whose result is accepted: done, or in review with the board's lead, if it has one. *by* did the work.
    A resolution counts as the comment that a review requires.

    Raises:
        OnlyLeadMovesTasks: If a worker hands it in, and the board lets only its lead move tasks.
        GateClosed: If a gate of its board refuses the move.
    """
    status = status_after_work(await unit.gates.context_of(task, Status.DONE))
    done, moved = task.finish(outcome, status, at=at)
    facts: list[Event] = [moved]
    lead = await unit.agents.lead(task.board) if status is Status.REVIEW else None
    if lead is not None:
        unit.rely_on(lead.placement)
        done = evolve(done, assignee=Assignee(lead.name, lead.id))
        facts += [] if done.assignee == task.assignee else [task.assigned_event(done.assignee, at=at)]
    done = with_authors(task, done, asker=principal, workers=[by])
    says = bool(outcome.resolution and outcome.resolution.strip())
    done, cleared = await pass_gates(unit, principal, task, done, says=says, by=task.assignee, at=at)
    return done, (*facts, *cleared, *await completion_events(unit, done, at=at))


@use_case
async def fail_task(ports: Ports, principal: Principal, cmd: FailTask) -> Task:
    """
    Accept that a run failed. The retry class of the reason decides what follows. A failure that comes after the lease
    was lost is refused, and stored as a late result.

    Raises:
        TaskNotFound: If there is no such task for this principal.
        LeaseUnknown: If the lease was not issued for this task.
        LeaseLost: If the lease has ended. A repeat with the same lease and content returns the first result.
        VersionMismatch: If the caller expected another version.
    """
    require_role(principal, Role.OPERATOR)
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        task, run = await _task_and_run(ports, unit, cmd.task, cmd.on, cmd.lease)
        if run.state is RunState.FAILED and run.failure == cmd.failure:
            return await unit.tasks.get(task.id)  # the task read above may be older than the run
        if not run.is_live(at=now):
            raise await keep_late_result(unit, task, run, cmd.failure, at=now)
        check_expected(task, None, cmd.expects)
        run, failed = run.fail(cmd.failure, at=now, current=task.fence)
        task, moved = task.after_failure(run, cmd.failure, since=now, at=now)
        return await _save_ended_run(unit, run, task, failed, moved, onto_edits=cmd.expects is None)


@use_case
async def release_task(ports: Ports, principal: Principal, cmd: ReleaseTask) -> Task:
    """
    Release a task unfinished. It is claimable at once, and the attempt does not count.

    Raises:
        TaskNotFound: If there is no such task for this principal.
        LeaseUnknown: If the lease was not issued for this task.
        LeaseLost: If the lease has ended. A repeat with the same lease and note returns the first result.
        VersionMismatch: If the caller expected another version.
    """
    require_role(principal, Role.OPERATOR)
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        task, run = await _task_and_run(ports, unit, cmd.task, cmd.on, cmd.lease)
        if run.state is RunState.RELEASED and run.note == cmd.note:
            return await unit.tasks.get(task.id)  # the task read above may be older than the run
        check_expected(task, None, cmd.expects)
        run, released = run.release(cmd.note, at=now, current=task.fence)
        task, moved = task.after_release(run, note=cmd.note, at=now)
        return await _save_ended_run(unit, run, task, released, moved, onto_edits=cmd.expects is None)


async def _save_ended_run(unit: UnitOfWork, run: Run, task: Task, *facts: Event, onto_edits: bool) -> Task:
    unit.runs.save(run)
    unit.tasks.save(task, onto_edits=onto_edits)
    unit.record(*facts)
    unit.result(task.id)
    await unit.commit()
    return await unit.tasks.get(task.id)
