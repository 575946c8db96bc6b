"""
The workload report: the task queue, the agents' capacity, and a recommendation whether to send more tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from mission_core.agents.model import ONLINE
from mission_core.lazy_attrs import frozen
from mission_core.reports.hourly_counters import ASSIGNMENT_KINDS, CREATION_KINDS, FAILURE_KINDS, TASK_COUNTERS
from mission_core.reports.queries import (
    AgentWorkload,
    AgentWorkloads,
    HourRange,
    MinuteCount,
    MinuteRange,
    ReportCounts,
    ReportScope,
)
from mission_core.reports.workload_thresholds import WorkloadThresholds
from mission_core.tasks.model import Status
from mission_core.values import moment

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.ports import Ports

OPEN_STATUSES: Final = (Status.INBOX, Status.ASSIGNED, Status.IN_PROGRESS, Status.REVIEW, Status.QUALITY_REVIEW)
"""The statuses of tasks that are open and counted in the queue."""
ACTIVE_STATUSES: Final = OPEN_STATUSES[1:]
BUSY: Final = "busy"
IDLE: Final = "idle"
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)


class WorkloadAction(StrEnum):
    """
    The recommended action for a sender of tasks, from best to worst.
    """

    NORMAL = "normal"
    THROTTLE = "throttle"
    SHED = "shed"
    PAUSE = "pause"


DELAYS_OF_ACTION: Final = {
    WorkloadAction.NORMAL: 0,
    WorkloadAction.THROTTLE: 2_000,
    WorkloadAction.SHED: 10_000,
    WorkloadAction.PAUSE: 30_000,
}
"""The milliseconds to wait before sending more tasks."""


@frozen(kw_only=True)
class Throughput:
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
class QueueState:
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
class AgentCapacity:
    """
    The number of agents by status. Busy and idle agents are online. *agent_loads* lists those that are not
    offline, the ones with the most tasks first.
    """

    total: int
    busy: int
    idle: int
    offline: int
    agent_loads: tuple[AgentWorkload, ...]

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
class WorkloadRecommendation:
    """
    The recommended action for a sender of tasks, with reasons.
    """

    action: WorkloadAction
    reason: str
    details: tuple[str, ...]

    @property
    def submit(self) -> bool:
        """
        Whether more tasks may be sent.
        """
        return self.action in (WorkloadAction.NORMAL, WorkloadAction.THROTTLE)

    @property
    def delay(self) -> int:
        """
        The milliseconds to wait before sending more tasks.
        """
        return DELAYS_OF_ACTION[self.action]


@frozen(kw_only=True)
class WorkloadReport:
    """
    The task queue, the agents' capacity, and the recommendation.
    """

    at: datetime
    capacity: Throughput
    queue: QueueState
    agents: AgentCapacity
    recommendation: WorkloadRecommendation


async def workload_report(ports: Ports, principal: Principal, thresholds: WorkloadThresholds) -> WorkloadReport:
    """
    The workload report of the principal's organization. It reads counters and agents, not tasks.
    """
    now = ports.clock.now()
    minutes = MinuteRange(now - HOUR, now - timedelta(seconds=thresholds.recent_window_seconds))
    counts = await ports.reads.reports.counts(principal, ReportScope(), HourRange(now - DAY, now - DAY), minutes)
    capacity = throughput_of(counts)
    crew = agent_capacity_of(await ports.reads.reports.agent_workloads(principal, at=now))
    queue = queue_of(counts, pace=capacity.done_last_hour, at=now)
    recommendation = recommend(capacity, queue, crew, thresholds)
    return WorkloadReport(at=now, capacity=capacity, queue=queue, agents=crew, recommendation=recommendation)


def throughput_of(counts: ReportCounts) -> Throughput:
    """
    The rates of arriving, failing and completed tasks. A window consists of whole minutes or hours, including the
    current one.
    """
    errors = _sum(counts.minute_counts, lambda each: each.what in FAILURE_KINDS)
    everything = _sum(counts.minute_counts, lambda each: each.what not in TASK_COUNTERS)
    done = sum(each.amount for each in counts.bucket_counts if each.what == Status.DONE)
    return Throughput(
        active=sum(each.amount for each in counts.status_counts if each.status in ACTIVE_STATUSES),
        arrived=_sum(counts.minute_counts, lambda each: each.what in CREATION_KINDS | ASSIGNMENT_KINDS),
        errors=errors,
        error_rate=round(errors / everything, 4) if everything else 0.0,
        done_last_hour=max(sum(each.amount for each in counts.minute_counts if each.what == Status.DONE), 0),
        done_per_hour=round(max(done, 0) / 24, 2),
    )


def _sum(recent: Iterable[MinuteCount], counts: Callable[[MinuteCount], bool]) -> int:
    return sum(each.near for each in recent if counts(each))


def queue_of(counts: ReportCounts, *, pace: int, at: datetime) -> QueueState:
    """
    The open tasks, of which *pace* are completed in an hour.
    """
    by_status = dict.fromkeys((status.value for status in OPEN_STATUSES), 0)
    by_priority: dict[str, int] = {}
    for each in counts.status_counts:
        if each.status in by_status:
            by_status[each.status] += each.amount
            by_priority[each.priority] = by_priority.get(each.priority, 0) + each.amount
    return QueueState(
        by_status=by_status,
        by_priority=by_priority,
        oldest=None if counts.oldest is None else max(at - moment(counts.oldest), timedelta(0)),
        wait=round(sum(by_status.values()) * 3600 / pace) if pace else None,
    )


def agent_capacity_of(staff: AgentWorkloads) -> AgentCapacity:
    """
    The number of agents by status, and the tasks of each.
    """
    there = sorted(staff.rows, key=lambda each: (-each.assigned - each.in_progress, each.name))
    statuses = [_status_of_work(each) for each in there]
    return AgentCapacity(
        total=staff.total,
        busy=statuses.count(BUSY),
        idle=statuses.count(IDLE),
        offline=staff.total - len(there),
        agent_loads=tuple(there),
    )


def _status_of_work(agent: AgentWorkload) -> str:
    """
    The agent's shown status. An agent that reports only that it is online is busy if it has tasks in progress,
    otherwise idle.
    """
    if agent.status == ONLINE:
        return BUSY if agent.in_progress else IDLE
    return agent.status


def recommend(
    capacity: Throughput, queue: QueueState, crew: AgentCapacity, thresholds: WorkloadThresholds
) -> WorkloadRecommendation:
    """
    The worst action that the error rate, the queue depth or the agents require.
    """
    judged = [
        _action_for("Error rate", capacity.error_rate, thresholds.error_rate_throttle, thresholds.error_rate_shed),
        _action_for("Queue depth", queue.depth, thresholds.queue_depth_throttle, thresholds.queue_depth_shed),
        _action_for("Busy agent ratio", crew.busy_ratio, thresholds.busy_ratio_throttle, thresholds.busy_ratio_shed),
    ]
    if not crew.online:
        judged.insert(0, (WorkloadAction.PAUSE, "No agents online" if crew.total else "No agents registered"))
    bad = [(action, told) for action, told in judged if action is not WorkloadAction.NORMAL]
    if not bad:
        details = ("All metrics within normal bounds",)
        return WorkloadRecommendation(
            action=WorkloadAction.NORMAL, reason="There is room for more work", details=details
        )
    worst = max((action for action, _ in bad), key=list(WorkloadAction).index)
    reason = next(told for action, told in bad if action is worst)
    return WorkloadRecommendation(action=worst, reason=reason, details=tuple(told for _, told in bad))


def _action_for(name: str, value: float, throttle: float, shed: float) -> tuple[WorkloadAction, str]:
    for action, limit in ((WorkloadAction.SHED, shed), (WorkloadAction.THROTTLE, throttle)):
        if value >= limit:
            return action, f"{name} {value:g} has reached the {action.value} threshold of {limit:g}"
    return WorkloadAction.NORMAL, ""
