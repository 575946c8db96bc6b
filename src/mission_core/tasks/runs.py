"""
Runs: the attempts at a task, each under a lease.

A lease has a fence, which grows with every claim of the task, and an expiry. An explicit lease is held by its secret,
an implicit lease by a principal and an agent name. A run that has ended never changes again.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum, StrEnum
from typing import Final

from attrs import field
from attrs.validators import optional

from mission_core.entity_changes import evolve
from mission_core.errors import Conflict, Denied, Exhausted, InvalidField, NotFound
from mission_core.events.model import Actor, Event
from mission_core.field_types import with_type_validators
from mission_core.ids import AgentId, BoardId, OrderId, OrganizationId, RunId, TaskId
from mission_core.lazy_attrs import define, frozen
from mission_core.tasks.events import (
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
from mission_core.values import JsonText, name_key, storable_json, text, utc_moment, whole_number

IMPLICIT_LEASE_TERM: Final = timedelta(minutes=10)
"""The term of an implicit lease, counted from the holder's latest request."""
IMPLICIT_LEASE_RENEWAL_INTERVAL: Final = timedelta(minutes=1)
"""The shortest time between two renewals of an implicit lease."""
MOST_ORDERS: Final = 16
LONGEST_INSTANCE: Final = 100
LONGEST_NAME_KEY: Final = 400
"""The longest key of an agent name. It can be longer than the name, which has at most 100 characters."""


class RunState(StrEnum):
    """
    The state of a run. Only leased and suspended runs are live.
    """

    LEASED = "leased"
    SUSPENDED = "suspended"
    COMPLETED = "completed"
    FAILED = "failed"
    RELEASED = "released"
    EXPIRED = "expired"
    REVOKED = "revoked"


LIVE_STATES: Final = frozenset({RunState.LEASED, RunState.SUSPENDED})


class RetryClass(StrEnum):
    """
    The consequence of a failure: another attempt, a person's decision, or no retry.
    """

    RETRY = "retry"
    PERSON = "person"
    NEVER = "never"


class FailureReason(Enum):
    """
    The reason of a failed run, with its retry class.
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
    The kinds of order an operator can give. `steal` takes effect at once, the others with the worker's next heartbeat.
    """

    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    STEER = "steer"
    STEAL = "steal"


class TaskResult(StrEnum):
    """
    The result of finished work.
    """

    SUCCESS = "success"
    FAILED = "failed"
    PARTIAL = "partial"
    ABANDONED = "abandoned"


@define(repr=False)
class LeaseLost(Conflict):
    """
    The run's lease has ended, so the write is refused.
    """

    task: TaskId
    fence: int
    current: int
    note: str | None = None
    """Says whether the late result of this write was stored."""

    def __str__(self) -> str:
        newer = f" (the task's fence is now {self.current})" if self.current != self.fence else ""
        noted = f"; {self.note}" if self.note else ""
        return f"lease {self.fence} of this task has ended{newer}; if the task is still open, claim it again{noted}"


class LeaseUnknown(Denied):
    """
    The lease was not issued for this task.
    """

    says = "this lease was not issued for this task; send the lease that the claim returned"


class RunNotFound(NotFound):
    """
    The organization has no such run.
    """

    says = "Run not found"


@define(repr=False)
class NoLiveLease(Conflict):
    """
    The task has no live lease, so there is no worker to give the order to.
    """

    code = "not_running"

    task: TaskId

    says = "this task has no live lease, so there is no worker to give the order to"


@define(repr=False)
class OrderNotDeliverable(Conflict):
    """
    The task is under an implicit lease. Its worker sends no heartbeats and would never get the order.
    """

    code = "out_of_reach"

    task: TaskId
    by: str

    says = "{self.by} has an implicit lease and sends no heartbeats, so it cannot get this order; cancel or steal"


class TooManyOrders(Exhausted):
    """
    Too many orders of this run are waiting for a heartbeat.
    """

    def __str__(self) -> str:
        return f"{MOST_ORDERS} orders already wait for the worker's next heartbeat; cancel or steal the run instead"


@frozen(field_transformer=with_type_validators)
class Assignee:
    """
    The name that a task is assigned to, and the agent with that name, once there is one.
    """

    name: str = field(validator=text(least=1, most=100))
    agent: AgentId | None = field(default=None, eq=False)

    @property
    def key(self) -> str:
        """
        The key by which names are compared.
        """
        return name_key(self.name)


@frozen
class SecretHolder:
    """
    The holder of an explicit lease: the caller that sends its secret.
    """


@frozen(field_transformer=with_type_validators)
class ImplicitHolder:
    """
    The holder of an implicit lease: a principal, the key of the agent name it works under, and the instance, if it
    sends one.
    """

    principal: str
    name: str = field(validator=text(least=1, most=LONGEST_NAME_KEY))
    instance: str | None = field(default=None, validator=optional(text(least=1, most=LONGEST_INSTANCE)))


@frozen(kw_only=True, field_transformer=with_type_validators)
class LeaseTerms:
    """
    The term of a lease, and the delays between failed attempts.
    """

    term: timedelta = timedelta(minutes=5)
    delay: timedelta = timedelta(seconds=5)
    longest_delay: timedelta = timedelta(minutes=10)

    def delay_after(self, attempt: int) -> timedelta:
        """
        Return the delay after this failed attempt: doubled with each attempt, up to the longest.
        """
        times = 1 << min(attempt - 1, 30)
        return self.longest_delay if self.delay > self.longest_delay // times else self.delay * times


@frozen(kw_only=True, field_transformer=with_type_validators)
class Outcome:
    """
    The accepted result of a run: its resolution text and its output.
    """

    result: TaskResult = TaskResult.SUCCESS
    resolution: str | None = field(default=None, validator=optional(text(most=5000)))
    output: JsonText | None = field(default=None, validator=optional(storable_json))


@frozen(kw_only=True, field_transformer=with_type_validators)
class Failure:
    """
    The reason of a failed run, and a message.
    """

    reason: FailureReason
    message: str | None = field(default=None, validator=optional(text(most=5000)))


@frozen(kw_only=True, field_transformer=with_type_validators)
class Order:
    """
    An operator's order. Each heartbeat repeats it until the worker acknowledges its id.
    """

    id: OrderId
    kind: OrderKind
    message: str | None = field(default=None, validator=optional(text(most=5000)))
    by: str
    at: datetime = field(validator=utc_moment)


@frozen(kw_only=True, field_transformer=with_type_validators)
class Run:
    """
    An attempt at a task. A run that has ended never changes again.

    The lease's expiry, last heartbeat and progress are stored beside the run: heartbeats write them without a new
    version.
    """

    id: RunId
    organization: OrganizationId
    board: BoardId
    task: TaskId
    fence: int = field(validator=whole_number(1))
    attempt: int = field(validator=whole_number(1))
    by: Assignee
    actor: Actor
    holder: SecretHolder | ImplicitHolder = SecretHolder()
    from_queue: bool = False
    state: RunState = RunState.LEASED
    term: timedelta
    delay: timedelta
    claimed_at: datetime = field(validator=utc_moment)
    expires_at: datetime = field(validator=utc_moment)
    heartbeat_at: datetime = field(validator=utc_moment)
    progress: JsonText | None = field(default=None, validator=optional(storable_json))
    orders: tuple[Order, ...] = ()
    paused: bool = False
    waiting_for: str | None = field(default=None, validator=optional(text(least=1, most=5000)))
    resumes_at: datetime | None = field(default=None, validator=optional(utc_moment))
    ended_at: datetime | None = field(default=None, validator=optional(utc_moment))
    outcome: Outcome | None = None
    failure: Failure | None = None
    note: str | None = field(default=None, validator=optional(text(most=5000)))
    version: int = 0

    @property
    def retry_at(self) -> datetime:
        """
        The time from which the task may be claimed again if this lease expires.
        """
        return self.expires_at + self.delay

    @property
    def worker_name(self) -> str:
        """
        The worker's name for people, with its instance if it has one.
        """
        instance = self.holder.instance if isinstance(self.holder, ImplicitHolder) else None
        return f"{self.by.name} ({instance})" if instance else self.by.name

    @property
    def is_implicit(self) -> bool:
        """
        Whether the lease is implicit: it has no secret, and every request of its holder renews it.
        """
        return isinstance(self.holder, ImplicitHolder)

    @property
    def cancelled(self) -> bool:
        """
        Whether an operator ordered the run to be cancelled.
        """
        return any(order.kind is OrderKind.CANCEL for order in self.orders)

    def is_live(self, *, at: datetime) -> bool:
        """
        Whether the run may still be written to: it has not ended, and its lease has not expired.
        """
        return self.state in LIVE_STATES and at < self.expires_at

    def is_waiting(self, *, at: datetime) -> bool:
        """
        Whether the run waits for a person. After *resumes_at* its lease runs again.
        """
        return self.state is RunState.SUSPENDED and self.resumes_at is not None and at < self.resumes_at

    def require_live(self, at: datetime, *, current: int) -> None:
        """
        Refuse a write to a run that has ended.

        Raises:
            LeaseLost: If the run ended, or its lease expired before *at*.
        """
        if not self.is_live(at=at):
            raise LeaseLost(self.task, self.fence, current)

    def heartbeat(
        self, *, at: datetime, progress: JsonText | None = None, acknowledges: OrderId | None = None
    ) -> tuple[Run, tuple[Event, ...]]:
        """
        Return the run with its lease extended by a term, and the events of an acknowledged order.

        Raises:
            LeaseLost: If the run ended, or its lease expired before *at*.
        """
        self.require_live(at, current=self.fence)
        facts: tuple[Event, ...] = ()
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
        if self.is_waiting(at=at):
            return evolve(kept, heartbeat_at=at, progress=progress or self.progress), facts
        end = max(self.expires_at, at + self.term)  # never shorten a lease, even if the clock went back
        return evolve(kept, expires_at=end, heartbeat_at=at, progress=progress or self.progress), facts

    def next_order(self) -> Order | None:
        """
        Return the next order for the worker, cancellation first; None if there is none or the run has ended.
        """
        if self.state not in LIVE_STATES:
            return None
        return next((o for o in self.orders if o.kind is OrderKind.CANCEL), self.orders[0] if self.orders else None)

    def with_order(self, order: Order) -> tuple[Run, OrderGiven]:
        """
        Return the run with another order waiting for its worker.

        Raises:
            NoLiveLease: If the run has ended.
            OrderNotDeliverable: If its lease is implicit.
            TooManyOrders: If too many orders are waiting.
        """
        if self.state not in LIVE_STATES:
            raise NoLiveLease(self.task)
        if self.is_implicit:
            raise OrderNotDeliverable(self.task, self.by.name)
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
        Suspend the run until a person decides, or until *until*. Meanwhile no heartbeat is due.

        Raises:
            LeaseLost: If the run ended, or its lease expired before *at*.
            InvalidField: If *until* is not in the future.
        """
        self.require_live(at, current=self.fence)
        if until <= at:
            raise InvalidField("until", "must be in the future", until)
        waiting = evolve(
            self, state=RunState.SUSPENDED, waiting_for=waiting_for, resumes_at=until, expires_at=until + self.term
        )
        return waiting, RunSuspended(task=self.task, run=self.id, waiting_for=waiting_for, until=until, at=at)

    def resume(self, *, at: datetime) -> tuple[Run, RunResumed]:
        """
        Start the lease again with a full term.

        Raises:
            LeaseLost: If the run ended, or its lease expired before *at*.
        """
        self.require_live(at, current=self.fence)
        running = evolve(
            self, state=RunState.LEASED, waiting_for=None, resumes_at=None, expires_at=at + self.term, heartbeat_at=at
        )
        return running, RunResumed(task=self.task, run=self.id, at=at)

    def complete(self, outcome: Outcome, *, at: datetime, current: int) -> tuple[Run, RunCompleted]:
        """
        Accept the result of this run.

        Raises:
            LeaseLost: If the run ended, or its lease expired before *at*.
        """
        self.require_live(at, current=current)
        done = evolve(self, state=RunState.COMPLETED, outcome=outcome, ended_at=at)
        return done, RunCompleted(task=self.task, run=self.id, fence=self.fence, outcome=outcome, at=at)

    def fail(self, failure: Failure, *, at: datetime, current: int) -> tuple[Run, RunFailed]:
        """
        Accept that this run failed.

        Raises:
            LeaseLost: If the run ended, or its lease expired before *at*.
        """
        self.require_live(at, current=current)
        ended = evolve(self, state=RunState.FAILED, failure=failure, ended_at=at)
        failed = RunFailed(
            task=self.task, run=self.id, fence=self.fence, reason=failure.reason.code, message=failure.message, at=at
        )
        return ended, failed

    def release(self, note: str | None, *, at: datetime, current: int) -> tuple[Run, RunReleased]:
        """
        Release the task unfinished, with a note for the next worker.

        Raises:
            LeaseLost: If the run ended, or its lease expired before *at*.
        """
        self.require_live(at, current=current)
        ended = evolve(self, state=RunState.RELEASED, note=note, ended_at=at)
        return ended, RunReleased(task=self.task, run=self.id, fence=self.fence, note=note, at=at)

    def expire(self, *, at: datetime) -> tuple[Run, RunExpired]:
        """
        Return the run after its lease expired.
        """
        silence = f"no {'request' if self.is_implicit else 'heartbeat'} since {self.heartbeat_at.isoformat()}"
        lost = Failure(reason=FailureReason.LEASE_EXPIRED, message=silence)
        ended = evolve(self, state=RunState.EXPIRED, failure=lost, ended_at=self.expires_at)
        return ended, RunExpired(task=self.task, run=self.id, fence=self.fence, ran_out_at=self.expires_at, at=at)

    def revoke(self, why: str, *, at: datetime) -> tuple[Run, RunRevoked]:
        """
        Return the run after its lease was revoked.
        """
        ended = evolve(self, state=RunState.REVOKED, note=why, ended_at=at)
        return ended, RunRevoked(task=self.task, run=self.id, fence=self.fence, why=why, at=at)

    def renew(self, *, at: datetime) -> Run | None:
        """
        Return the run with its implicit lease renewed, or None if the last renewal is less than a minute old.

        Raises:
            LeaseLost: If the run ended, or its lease expired before *at*.
        """
        self.require_live(at, current=self.fence)
        if at - self.heartbeat_at < IMPLICIT_LEASE_RENEWAL_INTERVAL:
            return None
        return evolve(self, expires_at=max(self.expires_at, at + self.term), heartbeat_at=at)

    def is_held_by(self, holder: SecretHolder | ImplicitHolder) -> bool:
        """
        Whether this is an implicit lease of exactly this holder.
        """
        return isinstance(holder, ImplicitHolder) and self.holder == holder


def _paused_after(kind: OrderKind, paused: bool) -> bool:
    return {OrderKind.PAUSE: True, OrderKind.RESUME: False}.get(kind, paused)
