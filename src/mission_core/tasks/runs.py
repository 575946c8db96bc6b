"""
Runs: attempts at a task, each under a lease.

A claim is a lease, never a name: it has a secret, a fence that grows with every claim of the task, and an end. A run
that ended stays ended.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum, StrEnum
from typing import Final

from attrs import define, field, frozen
from attrs.validators import optional

from mission_core.changes import evolve
from mission_core.errors import Conflict, Denied, Exhausted, InvalidField, NotFound
from mission_core.events.model import Actor, Fact
from mission_core.field_types import typed
from mission_core.ids import AgentId, BoardId, OrderId, OrganizationId, RunId, TaskId
from mission_core.tasks.facts import (
    OrderAcknowledged,
    OrderGiven,
    RunCompleted,
    RunExpired,
    RunFailed,
    RunReleased,
    RunResumed,
    RunRevoked,
    RunSuspended,
)
from mission_core.values import JsonText, aware, json_kept, name_key, text, whole

PAIR_TERM: Final = timedelta(minutes=10)
"""An implicit lease ends this long after the pair's last request."""
PAIR_RENEWAL: Final = timedelta(minutes=1)
"""An implicit lease is renewed at most this often."""
MOST_ORDERS: Final = 16
LONGEST_INSTANCE: Final = 100
LONGEST_KEY: Final = 400
"""A name of a hundred characters may have a longer key."""


class RunState(StrEnum):
    """
    Where a run is. Only the first two are alive.
    """

    LEASED = "leased"
    SUSPENDED = "suspended"
    COMPLETED = "completed"
    FAILED = "failed"
    RELEASED = "released"
    EXPIRED = "expired"
    REVOKED = "revoked"


ALIVE: Final = frozenset({RunState.LEASED, RunState.SUSPENDED})


class RetryClass(StrEnum):
    """
    What follows a failure: another attempt, a person, or nothing.
    """

    RETRY = "retry"
    PERSON = "person"
    NEVER = "never"


class FailureReason(Enum):
    """
    Why a run failed; each reason carries its retry class.
    """

    TRANSIENT = ("transient", RetryClass.RETRY)
    RATE_LIMITED = ("rate_limited", RetryClass.RETRY)
    TIMEOUT = ("timeout", RetryClass.RETRY)
    CRASHED = ("crashed", RetryClass.RETRY)
    TOOL_FAILED = ("tool_failed", RetryClass.RETRY)
    LEASE_EXPIRED = ("lease_expired", RetryClass.RETRY)
    UNCLEAR = ("unclear", RetryClass.PERSON)
    ACCESS_MISSING = ("access_missing", RetryClass.PERSON)
    IMPOSSIBLE = ("impossible", RetryClass.NEVER)
    REFUSED = ("refused", RetryClass.NEVER)

    def __init__(self, code: str, retry: RetryClass) -> None:
        self.code = code
        self.retry = retry


FAILURE_BY_CODE: Final = {reason.code: reason for reason in FailureReason}


class OrderKind(StrEnum):
    """
    What an operator may order; `steal` takes effect at once, the others through a heartbeat.
    """

    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    STEER = "steer"
    STEAL = "steal"


class Result(StrEnum):
    """
    How finished work went.
    """

    SUCCESS = "success"
    FAILED = "failed"
    PARTIAL = "partial"
    ABANDONED = "abandoned"


@define
class LeaseLost(Conflict):
    """
    A run was written to after its lease had ended.
    """

    task: TaskId
    fence: int
    current: int
    note: str | None = None
    """What became of a result that came too late."""

    def __str__(self) -> str:
        newer = f" (its fences reached {self.current})" if self.current != self.fence else ""
        noted = f"; {self.note}" if self.note else ""
        return f"lease {self.fence} of this task has ended{newer}; if the task is still open, claim it again{noted}"


class LeaseUnknown(Denied):
    """
    The lease is none of this task's.
    """

    def __str__(self) -> str:
        return "this lease was not given out for this task; send the lease that claiming it returned"


class RunNotFound(NotFound):
    """
    This organization has no such run.
    """

    def __str__(self) -> str:
        return "Run not found"


@define
class NotRunning(Conflict):
    """
    An order was given to a task that nobody works on under a lease.
    """

    task: TaskId

    def __str__(self) -> str:
        return "nobody holds a lease on this task, so there is nobody to order"


@define
class OutOfReach(Conflict):
    """
    An order was given to whoever works under an implicit lease, and so sends no heartbeats that would tell it.
    """

    task: TaskId
    by: str

    def __str__(self) -> str:
        return f"{self.by} polled for this task and sends no heartbeats that an order could answer; cancel or steal it"


class TooManyOrders(Exhausted):
    """
    So many orders wait for a heartbeat already.
    """

    def __str__(self) -> str:
        return f"{MOST_ORDERS} orders wait for the worker's next heartbeat already; cancel or steal the run instead"


@frozen(field_transformer=typed)
class Assignee:
    """
    Whose work it is: a name, and the agent of that name once one is registered.
    """

    name: str = field(validator=text(least=1, most=100))
    agent: AgentId | None = field(default=None, eq=False)

    @property
    def key(self) -> str:
        """
        What the name is compared by.
        """
        return name_key(self.name)


@frozen
class Secret:
    """
    A lease held by whoever shows its secret.
    """


@frozen(field_transformer=typed)
class Pair:
    """
    An implicit lease, held by a principal working under an agent's name (and instance, where it tells one). *name* is
    the name's key.
    """

    principal: str
    name: str = field(validator=text(least=1, most=LONGEST_KEY))
    instance: str | None = field(default=None, validator=optional(text(least=1, most=LONGEST_INSTANCE)))


@frozen(kw_only=True, field_transformer=typed)
class Terms:
    """
    How long leases last and how failed attempts are spaced.
    """

    term: timedelta = timedelta(minutes=5)
    delay: timedelta = timedelta(seconds=5)
    longest_delay: timedelta = timedelta(minutes=10)

    def delay_after(self, attempt: int) -> timedelta:
        """
        How long a task rests after its failed *attempt*: doubling from the first, up to the longest.
        """
        times = 1 << min(attempt - 1, 30)
        return self.longest_delay if self.delay > self.longest_delay // times else self.delay * times


@frozen(kw_only=True, field_transformer=typed)
class Outcome:
    """
    What came of the work.
    """

    result: Result = Result.SUCCESS
    resolution: str | None = field(default=None, validator=optional(text(most=5000)))
    output: JsonText | None = field(default=None, validator=optional(json_kept))


@frozen(kw_only=True, field_transformer=typed)
class Failure:
    """
    What went wrong.
    """

    reason: FailureReason
    message: str | None = field(default=None, validator=optional(text(most=5000)))


@frozen(kw_only=True, field_transformer=typed)
class Order:
    """
    An operator's order, repeated in every heartbeat's answer until its id is acknowledged.
    """

    id: OrderId
    kind: OrderKind
    message: str | None = field(default=None, validator=optional(text(most=5000)))
    by: str
    at: datetime = field(validator=aware)


@frozen(kw_only=True, field_transformer=typed)
class Run:
    """
    One attempt at a task. Strict: a run that ended stays ended.

    The end of the lease, its last heartbeat and its progress are a record beside the run: heartbeats write them
    without a version.
    """

    id: RunId
    organization: OrganizationId
    board: BoardId
    task: TaskId
    fence: int = field(validator=whole(1))
    attempt: int = field(validator=whole(1))
    by: Assignee
    actor: Actor
    holder: Secret | Pair = Secret()
    from_queue: bool = False
    state: RunState = RunState.LEASED
    term: timedelta
    delay: timedelta
    claimed_at: datetime = field(validator=aware)
    expires_at: datetime = field(validator=aware)
    heartbeat_at: datetime = field(validator=aware)
    progress: JsonText | None = field(default=None, validator=optional(json_kept))
    orders: tuple[Order, ...] = ()
    paused: bool = False
    waiting_for: str | None = field(default=None, validator=optional(text(least=1, most=5000)))
    resumes_at: datetime | None = field(default=None, validator=optional(aware))
    ended_at: datetime | None = field(default=None, validator=optional(aware))
    outcome: Outcome | None = None
    failure: Failure | None = None
    note: str | None = field(default=None, validator=optional(text(most=5000)))
    version: int = 0

    @property
    def retry_at(self) -> datetime:
        """
        When the task may be claimed again, should this lease run out unrenewed.
        """
        return self.expires_at + self.delay

    @property
    def worker(self) -> str:
        """
        Who works on it, as people are told: a name, and which of several of that name where it is known.
        """
        instance = self.holder.instance if isinstance(self.holder, Pair) else None
        return f"{self.by.name} ({instance})" if instance else self.by.name

    @property
    def implicit(self) -> bool:
        """
        Whether no secret belongs to it: a pair holds it, and every request of the pair renews it.
        """
        return isinstance(self.holder, Pair)

    @property
    def cancelled(self) -> bool:
        """
        Whether an operator ordered the work to end.
        """
        return any(order.kind is OrderKind.CANCEL for order in self.orders)

    def lives(self, *, at: datetime) -> bool:
        """
        Whether it may still be written to.
        """
        return self.state in ALIVE and at < self.expires_at

    def waits(self, *, at: datetime) -> bool:
        """
        Whether it waits for a person; after the wait's own end the lease runs again.
        """
        return self.state is RunState.SUSPENDED and self.resumes_at is not None and at < self.resumes_at

    def must_live(self, at: datetime, *, current: int) -> None:
        """
        Raises:
            LeaseLost: If it ended, or ran out before *at*.
        """
        if not self.lives(at=at):
            raise LeaseLost(self.task, self.fence, current)

    def heartbeat(
        self, *, at: datetime, progress: JsonText | None = None, acknowledges: OrderId | None = None
    ) -> tuple[Run, tuple[Fact, ...]]:
        """
        The run with its lease extended by a term, and what acknowledging the order made true.

        Raises:
            LeaseLost: If it ended, or ran out before *at*.
        """
        self.must_live(at, current=self.fence)
        facts: tuple[Fact, ...] = ()
        kept = self
        acknowledged = next((order for order in self.orders if order.id == acknowledges), None)
        if acknowledged is not None:
            rest = tuple(order for order in self.orders if order.id != acknowledges)
            kept = evolve(self, orders=rest, paused=_paused_after(acknowledged.kind, self.paused))
            facts = (
                OrderAcknowledged(
                    task=self.task, run=self.id, order=acknowledged.id, order_kind=acknowledged.kind, at=at
                ),
            )
        if self.waits(at=at):
            return evolve(kept, heartbeat_at=at, progress=progress or self.progress), facts
        end = max(self.expires_at, at + self.term)  # a clock that was put back takes away nothing that was promised
        return evolve(kept, expires_at=end, heartbeat_at=at, progress=progress or self.progress), facts

    def standing_order(self) -> Order | None:
        """
        The order the worker must be told next; a cancellation goes before all others. A run that ended has none.
        """
        if self.state not in ALIVE:
            return None
        return next((o for o in self.orders if o.kind is OrderKind.CANCEL), self.orders[0] if self.orders else None)

    def order(self, order: Order) -> tuple[Run, OrderGiven]:
        """
        The run with one more order waiting for its worker.

        Raises:
            NotRunning: If it ended.
            OutOfReach: If its lease is implicit.
            TooManyOrders: If too many wait already.
        """
        if self.state not in ALIVE:
            raise NotRunning(self.task)
        if self.implicit:
            raise OutOfReach(self.task, self.by.name)
        if order.kind is OrderKind.CANCEL:
            orders: tuple[Order, ...] = (order,)
        elif order.kind is OrderKind.STEER:
            orders = (*self.orders, order)
        else:
            orders = (*(o for o in self.orders if o.kind not in (OrderKind.PAUSE, OrderKind.RESUME)), order)
        if len(orders) > MOST_ORDERS:
            raise TooManyOrders
        given = OrderGiven(
            task=self.task, run=self.id, order=order.id, order_kind=order.kind, message=order.message, at=order.at
        )
        return evolve(self, orders=orders), given

    def suspend(self, waiting_for: str, *, until: datetime, at: datetime) -> tuple[Run, RunSuspended]:
        """
        Wait for a person: until the decision, or until *until*, no heartbeat is due.

        Raises:
            LeaseLost: If it ended, or ran out before *at*.
            InvalidField: If the wait would be over already.
        """
        self.must_live(at, current=self.fence)
        if until <= at:
            raise InvalidField("until", "must lie in the future", until)
        waiting = evolve(
            self, state=RunState.SUSPENDED, waiting_for=waiting_for, resumes_at=until, expires_at=until + self.term
        )
        return waiting, RunSuspended(task=self.task, run=self.id, waiting_for=waiting_for, until=until, at=at)

    def resume(self, *, at: datetime) -> tuple[Run, RunResumed]:
        """
        Start the lease again with a fresh term.

        Raises:
            LeaseLost: If it ended, or ran out before *at*.
        """
        self.must_live(at, current=self.fence)
        running = evolve(
            self, state=RunState.LEASED, waiting_for=None, resumes_at=None, expires_at=at + self.term, heartbeat_at=at
        )
        return running, RunResumed(task=self.task, run=self.id, at=at)

    def complete(self, outcome: Outcome, *, at: datetime, current: int) -> tuple[Run, RunCompleted]:
        """
        Accept the result of this run.

        Raises:
            LeaseLost: If it ended, or ran out before *at*.
        """
        self.must_live(at, current=current)
        done = evolve(self, state=RunState.COMPLETED, outcome=outcome, ended_at=at)
        return done, RunCompleted(task=self.task, run=self.id, fence=self.fence, outcome=outcome, at=at)

    def fail(self, failure: Failure, *, at: datetime, current: int) -> tuple[Run, RunFailed]:
        """
        Accept that this run failed.

        Raises:
            LeaseLost: If it ended, or ran out before *at*.
        """
        self.must_live(at, current=current)
        ended = evolve(self, state=RunState.FAILED, failure=failure, ended_at=at)
        failed = RunFailed(
            task=self.task, run=self.id, fence=self.fence, reason=failure.reason.code, message=failure.message, at=at
        )
        return ended, failed

    def release(self, note: str | None, *, at: datetime, current: int) -> tuple[Run, RunReleased]:
        """
        Give the work back unfinished, with a note for whoever takes it next.

        Raises:
            LeaseLost: If it ended, or ran out before *at*.
        """
        self.must_live(at, current=current)
        ended = evolve(self, state=RunState.RELEASED, note=note, ended_at=at)
        return ended, RunReleased(task=self.task, run=self.id, fence=self.fence, note=note, at=at)

    def expire(self, *, at: datetime) -> tuple[Run, RunExpired]:
        """
        The run after its lease ran out.
        """
        silence = f"no {'request' if self.implicit else 'heartbeat'} since {self.heartbeat_at.isoformat()}"
        lost = Failure(reason=FailureReason.LEASE_EXPIRED, message=silence)
        ended = evolve(self, state=RunState.EXPIRED, failure=lost, ended_at=self.expires_at)
        return ended, RunExpired(task=self.task, run=self.id, fence=self.fence, ran_out_at=self.expires_at, at=at)

    def revoke(self, why: str, *, at: datetime) -> tuple[Run, RunRevoked]:
        """
        The run after the work was taken from it.
        """
        ended = evolve(self, state=RunState.REVOKED, note=why, ended_at=at)
        return ended, RunRevoked(task=self.task, run=self.id, fence=self.fence, why=why, at=at)

    def renew(self, *, at: datetime) -> Run | None:
        """
        An implicit lease after another request of its pair, or None where that need not be written yet.

        Raises:
            LeaseLost: If it ended, or ran out before *at*.
        """
        self.must_live(at, current=self.fence)
        if at - self.heartbeat_at < PAIR_RENEWAL:
            return None
        return evolve(self, expires_at=max(self.expires_at, at + self.term), heartbeat_at=at)

    def held_by(self, holder: Secret | Pair) -> bool:
        """
        Whether it is the implicit lease of this very pair.
        """
        return isinstance(holder, Pair) and self.holder == holder


def _paused_after(kind: OrderKind, paused: bool) -> bool:
    return {OrderKind.PAUSE: True, OrderKind.RESUME: False}.get(kind, paused)
