"""
Queue polling: a caller without leases asks for its next task and gets it under an implicit lease.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from attrs import frozen

from mission_core.accounts.model import Principal, Role, board_of, require, writes_on
from mission_core.errors import InvalidField, NotFound
from mission_core.ids import RunId, TaskId
from mission_core.tasks.actors import Part, part_of
from mission_core.tasks.pairs import PAIR_TERMS, Worker, renewing, worker_of
from mission_core.tasks.ports import Agrees, InHand, Wanted
from mission_core.tasks.work import noticing_expiry, taking
from mission_core.use_case import use_case

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mission_core.ports import Ports


class Reason(StrEnum):
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
    or program asks for, *instance* distinguishes several workers of one name, and *most* limits the tasks in progress
    under that name.
    """

    agent: str | None = None
    instance: str | None = None
    most: int | None = None


@frozen(kw_only=True)
class RenewPair:
    """
    Renew the implicit leases of an agent name and instance.
    """

    agent: str | None = None
    instance: str | None = None


@frozen
class Polled:
    """
    The answer to a poll: the reason, and the task to work on, if there is one.
    """

    reason: Reason
    task: TaskId | None = None


@use_case
async def poll_queue(ports: Ports, principal: Principal, cmd: PollQueue) -> Polled:
    """
    Return the task that the caller already works on, else claim the next one under an implicit lease. The order is that
    of claims. A task in progress without a lease is the current task of its assignee, unless the caller sends an
    instance.

    Raises:
        NotYourAgent: If an agent below admin asks for another agent.
        InvalidField: If an operator names no agent.
        StaleWrite: If another request of the same caller came in between. The next attempt returns its task.
    """
    require(principal, Role.OPERATOR)
    worker, now = _asking(principal, cmd), ports.clock.now()
    in_hand = await ports.reads.tasks.in_hand(principal, worker.by.name)
    await _renew(ports, principal, worker, in_hand, at=now)
    found = _answered(worker, cmd.most, in_hand, at=now)
    if found is not None:
        return found
    id = RunId(ports.ids.new())
    take = taking(worker.by, principal, id=id, terms=PAIR_TERMS, at=now, holder=worker.pair)
    async with ports.unit(principal) as unit:
        unit.tasks.expire_due(noticing_expiry(now), at=now)
        at_work = part_of(principal) is Part.WORKER
        wanted = Wanted(name_key=worker.by.key, board=board_of(principal), worker=at_work)
        unit.tasks.claim_next(wanted, take, at=now, agrees=_still_free(worker, cmd.most, at=now))
        taken = await unit.commit()
    return Polled(Reason.ASSIGNED, taken.task.id) if taken else Polled(Reason.NOTHING)


async def look_at_queue(ports: Ports, principal: Principal, cmd: PollQueue) -> Polled | None:
    """
    Return the answer to a poll that claims nothing, or None if a poll would try to claim the next task.

    Raises:
        NotYourAgent: If an agent below admin asks for another agent.
        InvalidField: If an operator names no agent.
    """
    worker = _asking(principal, cmd)
    in_hand = await ports.reads.tasks.in_hand(principal, worker.by.name)
    return _answered(worker, cmd.most, in_hand, at=ports.clock.now())


def _answered(worker: Worker, most: int | None, in_hand: Sequence[InHand], *, at: datetime) -> Polled | None:
    counted = [each for each in in_hand if each.counts(at=at)]
    current = next((each for each in counted if _goes_on_with(worker, each)), None)
    if current is not None:
        return Polled(Reason.CONTINUE, current.task)
    return Polled(Reason.AT_CAPACITY) if most is not None and len(counted) >= most else None


def _asking(principal: Principal, cmd: PollQueue) -> Worker:
    worker = worker_of(principal, cmd.agent, cmd.instance)
    if worker is None:
        raise InvalidField("agent", "is required: name the agent that gets the task", cmd.agent)
    return worker


def _goes_on_with(worker: Worker, each: InHand) -> bool:
    return worker.instance is None if each.run is None else each.run.held_by(worker.pair)


def _still_free(worker: Worker, most: int | None, *, at: datetime) -> Agrees:
    """
    Return the check that no other poll of the same caller, or of the same name up to its capacity, was faster.
    """
    return lambda in_hand: _answered(worker, most, in_hand, at=at) is None


@use_case
async def renew_pair(ports: Ports, principal: Principal, cmd: RenewPair) -> int:
    """
    Extend the caller's implicit leases by a term from now, each in a unit of its own. Leases renewed within the last
    minute are left alone.

    Returns:
        The number of leases extended.

    Raises:
        NotYourAgent: If an agent below admin names another agent.
    """
    worker = worker_of(principal, cmd.agent, cmd.instance)
    if worker is None:
        return 0
    in_hand = await ports.reads.tasks.in_hand(principal, worker.by.name)
    return await _renew(ports, principal, worker, in_hand, at=ports.clock.now())


async def _renew(ports: Ports, principal: Principal, worker: Worker, in_hand: Sequence[InHand], *, at: datetime) -> int:
    # A lease on a board that the principal may no longer write to is left to expire.
    mine = (each.run for each in in_hand if each.run is not None and writes_on(principal, each.run.board))
    runs = [run for run in mine if run.lives(at=at)]
    renewed = 0
    for run in runs:
        if not worker.holds(run) or run.renew(at=at) is None:
            continue
        try:
            async with ports.unit(principal) as unit:
                unit.runs.heartbeat(run.id, renewing(at))
                renewed += await unit.commit() is not None
        except NotFound:
            continue  # the task was deleted meanwhile
    return renewed
