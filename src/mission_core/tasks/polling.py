"""
Polling the queue: the way of callers who know no leases to take work, under an implicit lease of their pair.
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
    Why a poll answers what it does.
    """

    CONTINUE = "continue_current"
    ASSIGNED = "assigned"
    AT_CAPACITY = "at_capacity"
    NOTHING = "no_tasks_available"


@frozen(kw_only=True)
class PollQueue:
    """
    Ask for the task to work on: the current one, else the next. *agent* is for whom a person or a program asks,
    *instance* which of several at work under one name this is, and *most* how many tasks may be in progress under that
    name at once.
    """

    agent: str | None = None
    instance: str | None = None
    most: int | None = None


@frozen(kw_only=True)
class RenewPair:
    """
    Say that a pair is still there.
    """

    agent: str | None = None
    instance: str | None = None


@frozen
class Polled:
    """
    The task to work on, if there is one.
    """

    reason: Reason
    task: TaskId | None = None


@use_case
async def poll_queue(ports: Ports, principal: Principal, cmd: PollQueue) -> Polled:
    """
    The task the pair works on already, else the next one, taken under an implicit lease of the pair. The order is that
    of claims. A task that is held, in progress without a lease, is the current one of whom it is assigned to, but for
    instances.

    Raises:
        NotYourAgent: If an agent below admin asks for another.
        InvalidField: If an operator asks for nobody.
        StaleWrite: If another request of the same pair came in between; asked again, it is answered alike.
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
    What a poll answers that takes nothing, or None where it would take the next task if there is one.

    Raises:
        NotYourAgent: If an agent below admin asks for another.
        InvalidField: If an operator asks for nobody.
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
        raise InvalidField("agent", "is required: say which agent takes the work", cmd.agent)
    return worker


def _goes_on_with(worker: Worker, each: InHand) -> bool:
    return worker.instance is None if each.run is None else each.run.held_by(worker.pair)


def _still_free(worker: Worker, most: int | None, *, at: datetime) -> Agrees:
    """
    A poll takes nothing where another one of the same pair, or of the same name up to its capacity, was faster.
    """
    return lambda in_hand: _answered(worker, most, in_hand, at=at) is None


@use_case
async def renew_pair(ports: Ports, principal: Principal, cmd: RenewPair) -> int:
    """
    Extend the implicit leases of a pair by a term from now, each in a unit of its own; those renewed within the last
    minute are left alone.

    Returns:
        How many were extended.

    Raises:
        NotYourAgent: If an agent below admin speaks for another.
    """
    worker = worker_of(principal, cmd.agent, cmd.instance)
    if worker is None:
        return 0
    in_hand = await ports.reads.tasks.in_hand(principal, worker.by.name)
    return await _renew(ports, principal, worker, in_hand, at=ports.clock.now())


async def _renew(
    ports: Ports, principal: Principal, worker: Worker, in_hand: Sequence[InHand], *, at: datetime
) -> int:
    # What was taken on a board that the principal may not write on any more is left to run out.
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
            continue  # its task was deleted this very moment
    return renewed
