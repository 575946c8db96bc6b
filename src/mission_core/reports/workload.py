"""
The workload report: the task queue, the agents' capacity, and a recommendation whether to send more tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

from mission_core.agents.model import OFFLINE, ONLINE
from mission_core.errors import InvalidField
from mission_core.reports.pulse import ASSIGNMENTS, CREATIONS, FAILURES, STANDING
from mission_core.reports.queries import Counts, Hours, Minutes, Recent, Scope, Staff
from mission_core.tasks.model import Status
from mission_core.values import between, moment, whole

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.ports import Ports

WAITING: Final = (Status.INBOX, Status.ASSIGNED, Status.IN_PROGRESS, Status.REVIEW, Status.QUALITY_REVIEW)
"""The statuses of tasks that are open and counted in the queue."""
ACTIVE: Final = WAITING[1:]
BUSY: Final = "busy"
IDLE: Final = "idle"
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)


class Action(StrEnum):
    """
    The recommended action for a sender of tasks, from best to worst.
    """

    NORMAL = "normal"
    THROTTLE = "throttle"
    SHED = "shed"
    PAUSE = "pause"


DELAYS: Final = {Action.NORMAL: 0, Action.THROTTLE: 2_000, Action.SHED: 10_000, Action.PAUSE: 30_000}
"""The milliseconds to wait before sending more tasks."""


@frozen(kw_only=True)
class Thresholds:
    """
    The values from which the recommendation gets worse.
    """

    queue_depth_normal: int = field(default=20, validator=whole(0))
    queue_depth_throttle: int = field(default=50, validator=whole(0))
    queue_depth_shed: int = field(default=100, validator=whole(0))
    busy_ratio_throttle: float = field(default=0.8, validator=between(0, 1))
    busy_ratio_shed: float = field(default=0.95, validator=between(0, 1))
    error_rate_throttle: float = field(default=0.1, validator=between(0, 1))
    error_rate_shed: float = field(default=0.25, validator=between(0, 1))
    recent_window_seconds: int = field(default=300, validator=whole(60, 3600))

    def __attrs_post_init__(self) -> None:
        rising = (
            ("queue_depth_normal", "queue_depth_throttle"),
            ("queue_depth_throttle", "queue_depth_shed"),
            ("busy_ratio_throttle", "busy_ratio_shed"),
            ("error_rate_throttle", "error_rate_shed"),
        )
        for lower, higher in rising:
            least = getattr(self, lower)
            if getattr(self, higher) < least:
                raise InvalidField(higher, f"must not be below {lower}, which is {least}", getattr(self, higher))


@frozen(kw_only=True)
class Capacity:
    """
    The rates of arriving, failing and completed tasks.
    """

    active: int
    arrived: int
    errors: int
    error_rate: float
    done_last_hour: int
    done_per_hour: float


@frozen(kw_only=True)
class Queue:
    """
    The open tasks. *wait* is the estimated seconds until all are done at the last hour's rate.
    """

    by_status: dict[str, int]
    by_priority: dict[str, int]
    oldest: timedelta | None
    wait: int | None

    @property
    def depth(self) -> int:
        """
        The number of open tasks.
        """
        return sum(self.by_status.values())


@frozen(kw_only=True)
class Load:
    """
    The number of tasks assigned to an agent that is not offline.
    """

    agent: str
    assigned: int
    in_progress: int


@frozen(kw_only=True)
class Crew:
    """
    The number of agents by status. Busy and idle agents are online. *loads* lists the agents with the most tasks first.
    """

    total: int
    busy: int
    idle: int
    offline: int
    loads: tuple[Load, ...]

    @property
    def online(self) -> int:
        """
        The number of online agents.
        """
        return self.busy + self.idle

    @property
    def busy_ratio(self) -> float:
        """
        The fraction of online agents that are busy, rounded to hundredths.
        """
        return round(self.busy / self.online, 2) if self.online else 0.0


@frozen(kw_only=True)
class Recommendation:
    """
    The recommended action for a sender of tasks, with reasons.
    """

    action: Action
    reason: str
    details: tuple[str, ...]

    @property
    def submit(self) -> bool:
        """
        Whether more tasks may be sent.
        """
        return self.action in (Action.NORMAL, Action.THROTTLE)

    @property
    def delay(self) -> int:
        """
        The milliseconds to wait before sending more tasks.
        """
        return DELAYS[self.action]


@frozen(kw_only=True)
class Workload:
    """
    The task queue, the agents' capacity, and the recommendation.
    """

    at: datetime
    capacity: Capacity
    queue: Queue
    crew: Crew
    recommendation: Recommendation


async def workload(ports: Ports, principal: Principal, thresholds: Thresholds) -> Workload:
    """
    The workload report of the principal's organization. It reads counters and agents, not tasks.
    """
    now, scope = ports.clock.now(), Scope()
    minutes = Minutes(now - HOUR, now - timedelta(seconds=thresholds.recent_window_seconds))
    counts = await ports.reads.reports.counts(principal, scope, Hours(now - DAY, now - DAY), minutes)
    staff = await ports.reads.reports.staff(principal, scope)
    capacity, crew = capacity_of(counts), crew_of(staff, at=now)
    queue = queue_of(counts, pace=capacity.done_last_hour, at=now)
    recommendation = recommended(capacity, queue, crew, thresholds)
    return Workload(at=now, capacity=capacity, queue=queue, crew=crew, recommendation=recommendation)


def capacity_of(counts: Counts) -> Capacity:
    """
    The rates of arriving, failing and completed tasks. A window consists of whole minutes or hours, including the
    current one.
    """
    errors = _sum(counts.recent, lambda each: each.what in FAILURES)
    everything = _sum(counts.recent, lambda each: each.what not in STANDING)
    done = sum(each.amount for each in counts.happened if each.what == Status.DONE)
    return Capacity(
        active=sum(each.amount for each in counts.standing if each.status in ACTIVE),
        arrived=_sum(counts.recent, lambda each: each.what in CREATIONS | ASSIGNMENTS),
        errors=errors,
        error_rate=round(errors / everything, 4) if everything else 0.0,
        done_last_hour=max(sum(each.amount for each in counts.recent if each.what == Status.DONE), 0),
        done_per_hour=round(max(done, 0) / 24, 2),
    )


def _sum(recent: Iterable[Recent], counts: Callable[[Recent], bool]) -> int:
    return sum(each.near for each in recent if counts(each))


def queue_of(counts: Counts, *, pace: int, at: datetime) -> Queue:
    """
    The open tasks, of which *pace* are completed in an hour.
    """
    by_status = dict.fromkeys((status.value for status in WAITING), 0)
    by_priority: dict[str, int] = {}
    for each in counts.standing:
        if each.status in by_status:
            by_status[each.status] += each.amount
            by_priority[each.priority] = by_priority.get(each.priority, 0) + each.amount
    return Queue(
        by_status=by_status,
        by_priority=by_priority,
        oldest=None if counts.oldest is None else max(at - moment(counts.oldest), timedelta(0)),
        wait=round(sum(by_status.values()) * 3600 / pace) if pace else None,
    )


def crew_of(staff: Iterable[Staff], *, at: datetime) -> Crew:
    """
    The number of agents by status, and the tasks of each.
    """
    staff = list(staff)
    statuses = [_status(each, at=at) for each in staff]
    there = [each for each, status in zip(staff, statuses, strict=True) if status != OFFLINE]
    there.sort(key=lambda each: (-each.assigned - each.in_progress, each.name))
    return Crew(
        total=len(staff),
        busy=statuses.count(BUSY),
        idle=statuses.count(IDLE),
        offline=statuses.count(OFFLINE),
        loads=tuple(
            Load(agent=each.name, assigned=each.assigned, in_progress=each.in_progress) for each in there
        ),
    )


def _status(staff: Staff, *, at: datetime) -> str:
    """
    The agent's shown status. An agent that reports only that it is online is busy if it has tasks in progress,
    otherwise idle.
    """
    status = staff.status(at=at)
    if status == ONLINE:
        return BUSY if staff.in_progress else IDLE
    return status


def recommended(capacity: Capacity, queue: Queue, crew: Crew, thresholds: Thresholds) -> Recommendation:
    """
    The worst action that the error rate, the queue depth or the agents require.
    """
    judged = [
        _judged("Error rate", capacity.error_rate, thresholds.error_rate_throttle, thresholds.error_rate_shed),
        _judged("Queue depth", queue.depth, thresholds.queue_depth_throttle, thresholds.queue_depth_shed),
        _judged("Busy agent ratio", crew.busy_ratio, thresholds.busy_ratio_throttle, thresholds.busy_ratio_shed),
    ]
    if not crew.online:
        judged.insert(0, (Action.PAUSE, "No agents online" if crew.total else "No agents registered"))
    bad = [(action, told) for action, told in judged if action is not Action.NORMAL]
    if not bad:
        details = ("All metrics within normal bounds",)
        return Recommendation(action=Action.NORMAL, reason="There is room for more work", details=details)
    worst = max((action for action, _ in bad), key=list(Action).index)
    reason = next(told for action, told in bad if action is worst)
    return Recommendation(action=worst, reason=reason, details=tuple(told for _, told in bad))


def _judged(name: str, value: float, throttle: float, shed: float) -> tuple[Action, str]:
    for action, limit in ((Action.SHED, shed), (Action.THROTTLE, throttle)):
        if value >= limit:
            return action, f"{name} {value:g} has reached the {action.value} threshold of {limit:g}"
    return Action.NORMAL, ""
