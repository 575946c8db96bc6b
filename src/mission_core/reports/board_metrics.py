"""
Board metrics over a time range, compared with the range before: completed tasks, cycle times, error rates, and tasks by
stage.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from mission_core.lazy_attrs import frozen
from mission_core.reports.hourly_counters import (
    CYCLE_SECONDS,
    CYCLES,
    FAILURE_KINDS,
    STATUSES_BEFORE_WORK,
    TASK_COUNTERS,
)
from mission_core.reports.queries import BucketCount, HourRange, PendingApprovals, ReportScope, StatusCount
from mission_core.tasks.model import Status
from mission_core.values import EPOCH

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.ports import Ports

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
SECONDS_IN_AN_HOUR: Final = 3600
MAX_PENDING_APPROVALS: Final = 10
"""The most pending approvals that the report lists."""


@frozen
class MetricsRange:
    """
    A time range of a report, and the size of the buckets it is divided into: hour, day, week or month.
    """

    length: timedelta
    bucket: str

    @property
    def hours(self) -> int:
        """
        The hours in a bucket of the counters from which the report's buckets are summed.
        """
        return 1 if self.bucket == "hour" else 24


METRICS_RANGES: Final = {
    "24h": MetricsRange(timedelta(hours=24), "hour"),
    "3d": MetricsRange(timedelta(days=3), "day"),
    "7d": MetricsRange(timedelta(days=7), "day"),
    "14d": MetricsRange(timedelta(days=14), "day"),
    "1m": MetricsRange(timedelta(days=30), "day"),
    "3m": MetricsRange(timedelta(days=90), "week"),
    "6m": MetricsRange(timedelta(days=180), "week"),
    "1y": MetricsRange(timedelta(days=365), "month"),
}
STATUSES_OF_STAGE: Final = {
    "inbox": STATUSES_BEFORE_WORK,
    "in_progress": frozenset({Status.IN_PROGRESS}),
    "review": frozenset({Status.REVIEW, Status.QUALITY_REVIEW, Status.FAILED}),
    "done": frozenset({Status.DONE}),
}
"""The stages of work: not started, in progress, under review, done."""
STAGE_OF: Final = {status.value: stage for stage, statuses in STATUSES_OF_STAGE.items() for status in statuses}


@frozen(kw_only=True)
class MetricsPoint:
    """
    The values of one bucket. *mean_cycle* is in hours, 0 if no task with a known start was done; *error_rate* is in
    percent.
    """

    period: datetime
    stages: dict[str, int]
    mean_cycle: float
    error_rate: float


@frozen(kw_only=True)
class MetricsSeries:
    """
    The points of a range: one for each bucket, including empty ones.
    """

    bucket: str
    points: tuple[MetricsPoint, ...]


@frozen(kw_only=True)
class BoardMetrics:
    """
    The metrics of a range and of the range before it, the current tasks by stage, the number of active agents, and the
    pending approvals.
    """

    at: datetime
    primary: MetricsSeries
    comparison: MetricsSeries
    stages: dict[str, int]
    active_agents: int
    error_rate: float
    median_cycle: float | None
    pending: PendingApprovals


async def board_metrics(ports: Ports, principal: Principal, scope: ReportScope, range: MetricsRange) -> BoardMetrics:
    """
    The metrics of the boards in the scope. A range starts at a full hour.

    The report reads counters. Only the median reads tasks, and the number of active agents reads agents, so its cost
    is linear in these.
    """
    now, reads = ports.clock.now(), ports.reads.reports
    start = bucket_start(now - range.length, "hour")
    before = start - range.length
    hours = HourRange(before, start, range.hours)
    counts, active_agents, cycle, pending = await reads.board_metrics(
        principal, scope, hours, limit=MAX_PENDING_APPROVALS
    )
    late = [each for each in counts.bucket_counts if each.late]
    return BoardMetrics(
        at=now,
        primary=series_of(late, start, now, range),
        comparison=series_of((each for each in counts.bucket_counts if not each.late), before, start, range),
        stages=stages_of(counts.status_counts),
        active_agents=active_agents,
        error_rate=error_rate_of(late),
        median_cycle=None if cycle is None else cycle / SECONDS_IN_AN_HOUR,
        pending=pending,
    )


def series_of(happened: Iterable[BucketCount], start: datetime, end: datetime, range: MetricsRange) -> MetricsSeries:
    """
    The counts by bucket.
    """
    found: dict[datetime, list[BucketCount]] = {period: [] for period in bucket_starts(start, end, range.bucket)}
    in_bucket: dict[int, list[BucketCount]] = {}
    for each in happened:
        in_bucket.setdefault(each.bucket, []).append(each)
    for bucket, some in in_bucket.items():
        period = bucket_start(EPOCH + bucket * range.hours * HOUR, range.bucket)
        if period in found:  # a completion time in the future is in no bucket
            found[period] += some
    return MetricsSeries(bucket=range.bucket, points=tuple(_point(period, each) for period, each in found.items()))


def _point(period: datetime, happened: list[BucketCount]) -> MetricsPoint:
    stages = dict.fromkeys(STATUSES_OF_STAGE, 0)
    for each in happened:
        if each.what in STAGE_OF:
            stages[STAGE_OF[each.what]] += each.amount
    cycles = sum(each.amount for each in happened if each.what == CYCLES)
    seconds = sum(each.amount for each in happened if each.what == CYCLE_SECONDS)
    mean = seconds / cycles / SECONDS_IN_AN_HOUR if cycles else 0.0
    return MetricsPoint(period=period, stages=stages, mean_cycle=mean, error_rate=error_rate_of(happened))


def stages_of(standing: Iterable[StatusCount]) -> dict[str, int]:
    """
    The current number of tasks by stage.
    """
    stages = dict.fromkeys(STATUSES_OF_STAGE, 0)
    for each in standing:
        stages[STAGE_OF[each.status]] += each.amount
    return stages


def error_rate_of(happened: Iterable[BucketCount]) -> float:
    """
    The percentage of failures among the events about tasks.
    """
    facts = [each for each in happened if each.what not in TASK_COUNTERS]
    total = sum(each.placed for each in facts)
    failed = sum(each.placed for each in facts if each.what in FAILURE_KINDS)
    return 100 * failed / total if total else 0.0


def median(values: Iterable[tuple[int, int]]) -> float | None:
    """
    The median of values that are given with their frequencies; of two middle values, the mean.
    """
    line = sorted(values)
    size = sum(amount for _, amount in line)
    if not size:
        return None
    middle = [value_at(line, (size - 1) // 2), value_at(line, size // 2)]
    return sum(middle) / 2


def value_at(line: list[tuple[int, int]], nth: int) -> int:
    """
    The value at a position, counted from 0, among sorted values that are given with their frequencies.
    """
    for value, amount in line:
        nth -= amount
        if nth < 0:
            return value
    raise IndexError("there are not so many values")


def bucket_starts(start: datetime, end: datetime, bucket: str) -> list[datetime]:
    """
    The starts of the buckets from *start* to *end*.
    """
    found = [bucket_start(start, bucket)]
    while (later := NEXT_BUCKET[bucket](found[-1])) <= end:
        found.append(later)
    return found


def bucket_start(moment: datetime, bucket: str) -> datetime:
    """
    The start of the bucket that contains a moment: the hour, the day, the week from Monday, or the month.
    """
    hour = moment.replace(minute=0, second=0, microsecond=0)
    match bucket:
        case "day":
            return hour.replace(hour=0)
        case "week":
            return hour.replace(hour=0) - moment.weekday() * DAY
        case "month":
            return hour.replace(hour=0, day=1)
    return hour


NEXT_BUCKET: Final[dict[str, Callable[[datetime], datetime]]] = {
    "hour": lambda hour: hour + HOUR,
    "day": lambda day: day + DAY,
    "week": lambda week: week + 7 * DAY,
    "month": lambda month: (month + 31 * DAY).replace(day=1),
}
"""The function that returns the start of the next bucket."""
