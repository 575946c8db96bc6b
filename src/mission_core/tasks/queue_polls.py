"""
Queue polling: a caller without leases asks for its next task and gets it under an implicit lease.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from mission_core.accounts.model import Principal, Role, board_of, may_write_board, require_role
from mission_core.errors import InvalidField, NotFound
from mission_core.ids import RunId, TaskId
from mission_core.lazy_attrs import frozen
from mission_core.tasks.implicit_leases import IMPLICIT_LEASE_TERMS, LeaseCaller, lease_caller_of, renewal_decision
from mission_core.tasks.leases import claim_decision, expiry_decision
from mission_core.tasks.ports import BudgetReached, CapacityCheck, ClaimFilter, TaskInProgress
from mission_core.tasks.team_rules import BoardRole, board_role_of
from mission_core.use_case import use_case

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mission_core.ports import Ports
    from mission_core.tasks.model import Task


class PollReason(StrEnum):
    """
    The reason of the answer to a poll.
    """

    CONTINUE = "continue_current"
    ASSIGNED = "assigned"
    AT_CAPACITY = "at_capacity"
    NOTHING = "no_tasks_available"


@frozen(kw_only=True)
class PollQueue:
    """
    Ask for a task to work on: the current one, else the next one of the queue. *agent* is the agent name that a person
    or program asks for, *instance* distinguishes several workers of one name, and *max_in_progress* limits the tasks in
    progress under that name.
    """

    agent: str | None = None
    instance: str | None = None
    max_in_progress: int | None = None


@frozen(kw_only=True)
class RenewImplicitLeases:
    """
    Renew the implicit leases of an agent name and instance. With *asks_budgets* also those that were renewed within the
    last minute are checked for hard budgets.
    """

    agent: str | None = None
    instance: str | None = None
    asks_budgets: bool = False


@frozen
class RenewedLeases:
    """
    The number of leases that were extended, and the hard budget that kept another one from it.
    """

    count: int = 0
    budget_reached: BudgetReached | None = None


@frozen
class PollResult:
    """
    The answer to a poll: the reason, and the task to work on, if there is one; *claimed* is that task, if the poll has
    claimed it.
    """

    reason: PollReason
    task: TaskId | None = None
    claimed: Task | None = None


@use_case
async def poll_queue(ports: Ports, principal: Principal, cmd: PollQueue) -> PollResult:
    """
    Return the task that the caller already works on, else claim the next one under an implicit lease. The order is that
    of claims. A task in progress without a lease is the current task of its assignee, unless the caller sends an
    instance.

    Raises:
        KeyOfAnotherAgent: If an agent below admin asks for another agent.
        InvalidField: If an operator names no agent.
        StaleWrite: If another request of the same caller came in between. The next attempt returns its task.
    """
    require_role(principal, Role.OPERATOR)
    worker, now = _caller_of(principal, cmd), ports.clock.now()
    in_hand = await ports.reads.tasks.in_progress(principal, worker.by.name)
    await _renew(ports, principal, worker, in_hand, at=now)
    found = _result_without_claim(worker, cmd.max_in_progress, in_hand, at=now)
    if found is not None:
        return found
    id = RunId(ports.ids.new())
    take = claim_decision(worker.by, principal, id=id, terms=IMPLICIT_LEASE_TERMS, at=now, holder=worker.holder)
    async with ports.unit(principal) as unit:
        unit.tasks.expire_due(expiry_decision(now), at=now)
        at_work = board_role_of(principal) is BoardRole.WORKER
        wanted = ClaimFilter(name_key=worker.by.key, board=board_of(principal), worker=at_work)
        unit.tasks.claim_next(wanted, take, at=now, agrees=_capacity_check(worker, cmd.max_in_progress, at=now))
        taken = await unit.commit()
    if taken is None:
        return PollResult(PollReason.NOTHING)
    return PollResult(PollReason.ASSIGNED, taken.task.id, taken.task)


async def peek_queue(ports: Ports, principal: Principal, cmd: PollQueue) -> PollResult | None:
    """
    Return the answer to a poll that claims nothing, or None if a poll would try to claim the next task.

    Raises:
        KeyOfAnotherAgent: If an agent below admin asks for another agent.
        InvalidField: If an operator names no agent.
    """
    worker = _caller_of(principal, cmd)
    in_hand = await ports.reads.tasks.in_progress(principal, worker.by.name)
    return _result_without_claim(worker, cmd.max_in_progress, in_hand, at=ports.clock.now())


def _result_without_claim(
    worker: LeaseCaller, most: int | None, in_hand: Sequence[TaskInProgress], *, at: datetime
) -> PollResult | None:
    counted = [each for each in in_hand if each.is_active(at=at)]
    current = next((each for each in counted if _is_current(worker, each)), None)
    if current is not None:
        return PollResult(PollReason.CONTINUE, current.task)
    return PollResult(PollReason.AT_CAPACITY) if most is not None and len(counted) >= most else None


def _caller_of(principal: Principal, cmd: PollQueue) -> LeaseCaller:
    worker = lease_caller_of(principal, cmd.agent, cmd.instance)
    if worker is None:
        raise InvalidField("agent", "is required: name the agent that gets the task", cmd.agent)
    return worker


def _is_current(worker: LeaseCaller, each: TaskInProgress) -> bool:
    return worker.instance is None if each.run is None else each.run.is_held_by(worker.holder)


def _capacity_check(worker: LeaseCaller, most: int | None, *, at: datetime) -> CapacityCheck:
    """
    Return the check that no other poll of the same caller, or of the same name up to its capacity, was faster.
    """
    return lambda in_hand: _result_without_claim(worker, most, in_hand, at=at) is None


@use_case
async def renew_implicit_leases(ports: Ports, principal: Principal, cmd: RenewImplicitLeases) -> RenewedLeases:
    """
    Extend the caller's implicit leases by a term from now, each in a unit of its own. Leases renewed within the last
    minute are left alone, and so are those of runs that a hard budget has no room for.

    Raises:
        KeyOfAnotherAgent: If an agent below admin names another agent.
    """
    worker = lease_caller_of(principal, cmd.agent, cmd.instance)
    if worker is None:
        return RenewedLeases()
    in_hand = await ports.reads.tasks.in_progress(principal, worker.by.name)
    return await _renew(ports, principal, worker, in_hand, at=ports.clock.now(), asks_budgets=cmd.asks_budgets)


async def _renew(
    ports: Ports,
    principal: Principal,
    worker: LeaseCaller,
    in_hand: Sequence[TaskInProgress],
    *,
    at: datetime,
    asks_budgets: bool = False,
) -> RenewedLeases:
    # A lease on a board that the principal may no longer write to is left to expire.
    mine = (each.run for each in in_hand if each.run is not None and may_write_board(principal, each.run.board))
    runs = [run for run in mine if run.is_live(at=at)]
    renewed, budgets_reached = 0, list[BudgetReached]()
    for run in runs:
        if not worker.holds(run) or (run.renew(at=at) is None and not asks_budgets):
            continue
        try:
            async with ports.unit(principal) as unit:
                unit.runs.heartbeat(run.id, renewal_decision(at, budgets_reached))
                renewed += await unit.commit() is not None
        except NotFound:
            continue  # the task was deleted meanwhile
    return RenewedLeases(renewed, next(iter(budgets_reached), None))
