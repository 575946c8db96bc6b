"""
How work went over a range of time, beside the range before it: what was done, how long it took, what failed, and where
tasks stand by when they came there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from attrs import frozen

from mission_core.reports.pulse import CYCLE_SECONDS, CYCLES, FAILURES, STANDING, UNBEGUN
from mission_core.reports.queries import Happened, Hours, PendingApprovals, Scope, Standing
from mission_core.tasks.model import Status
from mission_core.values import EPOCH, micros

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.ports import Ports

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
SECONDS_IN_AN_HOUR: Final = 3600
MOST_PENDING: Final = 10
"""How many of the approvals that wait are told of."""


@frozen
class Range:
    """
    How far back a report looks, and into which buckets (hour, day, week or month) it divides that.
    """

    length: timedelta
    bucket: str

    @property
    def hours(self) -> int:
        """
        Of how many hours the pieces are of which the buckets are made.
        """
        return 1 if self.bucket == "hour" else 24


RANGES: Final = {
    "24h": Range(timedelta(hours=24), "hour"),
    "3d": Range(timedelta(days=3), "day"),
    "7d": Range(timedelta(days=7), "day"),
    "14d": Range(timedelta(days=14), "day"),
    "1m": Range(timedelta(days=30), "day"),
    "3m": Range(timedelta(days=90), "week"),
    "6m": Range(timedelta(days=180), "week"),
    "1y": Range(timedelta(days=365), "month"),
}
STAGES: Final = {
    "inbox": UNBEGUN,
    "in_progress": frozenset({Status.IN_PROGRESS}),
    "review": frozenset({Status.REVIEW, Status.QUALITY_REVIEW, Status.FAILED}),
    "done": frozenset({Status.DONE}),
}
"""The stages of work: not begun, under way, with somebody who decides, done."""
STAGE_OF: Final = {status.value: stage for stage, statuses in STAGES.items() for status in statuses}


@frozen(kw_only=True)
class Point:
    """
    What one bucket comes to. *mean_cycle* is in hours, 0 where nothing was done whose beginning is known; the error
    rate in percent.
    """

    period: datetime
    stages: dict[str, int]
    mean_cycle: float
    error_rate: float


@frozen(kw_only=True)
class Series:
    """
    One point for each bucket of a range, also for those in which nothing happened.
    """

    bucket: str
    points: tuple[Point, ...]


@frozen(kw_only=True)
class Metrics:
    """
    How work went over a range, beside the range before it; how tasks stand now; how many agents were seen; and what
    waits for a decision.
    """

    at: datetime
    primary: Series
    comparison: Series
    stages: dict[str, int]
    active_agents: int
    error_rate: float
    median_cycle: float | None
    pending: PendingApprovals


async def board_metrics(ports: Ports, principal: Principal, scope: Scope, range: Range) -> Metrics:
    """
    How work went on the boards of the scope. A range begins with the hour in which it begins.

    It rests on what was counted as it happened, but for the median: that is linear in the tasks done in the range.
    """
    now, reads = ports.clock.now(), ports.reads.reports
    start = floor(now - range.length, "hour")
    before = start - range.length
    counts = await reads.counts(principal, scope, Hours(before, start, range.hours))
    cycles = await reads.cycles(principal, scope, since=start)
    staff = await reads.staff(principal, scope)
    pending = await reads.pending(principal, scope, limit=MOST_PENDING)
    late = [each for each in counts.happened if each.late]
    seen = (each.last_seen_at for each in staff if each.board is not None)
    return Metrics(
        at=now,
        primary=series_of(late, start, now, range),
        comparison=series_of((each for each in counts.happened if not each.late), before, start, range),
        stages=stages_of(counts.standing),
        active_agents=sum(at is not None and at >= micros(start) for at in seen),
        error_rate=error_rate_of(late),
        median_cycle=_hours(median(cycles)),
        pending=pending,
    )


def series_of(happened: Iterable[Happened], start: datetime, end: datetime, range: Range) -> Series:
    """
    What happened, bucket by bucket.
    """
    found: dict[datetime, list[Happened]] = {period: [] for period in periods(start, end, range.bucket)}
    for each in happened:
        period = floor(EPOCH + each.bucket * range.hours * HOUR, range.bucket)
        if period in found:  # what is said to be done in the future is in none
            found[period].append(each)
    return Series(bucket=range.bucket, points=tuple(_point(period, each) for period, each in found.items()))


def _point(period: datetime, happened: list[Happened]) -> Point:
    stages = dict.fromkeys(STAGES, 0)
    for each in happened:
        if each.what in STAGE_OF:
            stages[STAGE_OF[each.what]] += each.amount
    cycles = sum(each.amount for each in happened if each.what == CYCLES)
    seconds = sum(each.amount for each in happened if each.what == CYCLE_SECONDS)
    mean = seconds / cycles / SECONDS_IN_AN_HOUR if cycles else 0.0
    return Point(period=period, stages=stages, mean_cycle=mean, error_rate=error_rate_of(happened))


def stages_of(standing: Iterable[Standing]) -> dict[str, int]:
    """
    How many tasks are at each stage now.
    """
    stages = dict.fromkeys(STAGES, 0)
    for each in standing:
        stages[STAGE_OF[each.status]] += each.amount
    return stages


def error_rate_of(happened: Iterable[Happened]) -> float:
    """
    How many percent of what is told of tasks tells of a failure.
    """
    facts = [each for each in happened if each.what not in STANDING]
    total = sum(each.placed for each in facts)
    failed = sum(each.placed for each in facts if each.what in FAILURES)
    return 100 * failed / total if total else 0.0


def median(values: Iterable[tuple[int, int]]) -> float | None:
    """
    The median of values that come each with how often it is there: between two in the middle, their mean.
    """
    line = sorted(values)
    size = sum(amount for _, amount in line)
    if not size:
        return None
    middle = [_nth(line, (size - 1) // 2), _nth(line, size // 2)]
    return sum(middle) / 2


def _nth(line: list[tuple[int, int]], nth: int) -> int:
    for value, amount in line:
        nth -= amount
        if nth < 0:
            return value
    raise IndexError("there are not so many values")


def _hours(seconds: float | None) -> float | None:
    return None if seconds is None else seconds / SECONDS_IN_AN_HOUR


def periods(start: datetime, end: datetime, bucket: str) -> list[datetime]:
    """
    The beginnings of the buckets from the one in which *start* lies to the one in which *end* does.
    """
    found = [floor(start, bucket)]
    while (later := NEXT[bucket](found[-1])) <= end:
        found.append(later)
    return found


def floor(moment: datetime, bucket: str) -> datetime:
    """
    The beginning of the bucket in which a moment lies: the hour, the day, the week from Monday, or the month.
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


NEXT: Final[dict[str, Callable[[datetime], datetime]]] = {
    "hour": lambda hour: hour + HOUR,
    "day": lambda day: day + DAY,
    "week": lambda week: week + 7 * DAY,
    "month": lambda month: (month + 31 * DAY).replace(day=1),
}
"""The bucket after one."""
