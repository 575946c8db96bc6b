"""
Comparison of completed tasks before and after a moment: their durations, and how often they needed an intervention.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from mission_core.lazy_attrs import frozen
from mission_core.reports.board_metrics import value_at
from mission_core.reports.queries import DurationCount
from mission_core.reports.report_refusals import MomentInFuture
from mission_core.values import EPOCH

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.ports import Ports

SECOND: Final = timedelta(seconds=1)
MIN_LOOKBACK: Final = timedelta(minutes=1)
MAX_LOOKBACK: Final = timedelta(days=30)


@frozen(kw_only=True)
class RegressionWindow:
    """
    The tasks completed from *start* to before *end*: their number, their durations from creation to completion in
    seconds, and how many needed an intervention.
    """

    label: str
    start: datetime
    end: datetime
    size: int
    p50: int | None
    p95: int | None
    average: float | None
    interventions: int

    @property
    def intervention_rate(self) -> float:
        """
        The fraction of tasks that needed an intervention; 0 without tasks.
        """
        return self.interventions / self.size if self.size else 0.0


@frozen(kw_only=True)
class TaskRegression:
    """
    The windows of completed tasks before and after *since*, and the differences between them.
    """

    since: datetime
    lookback: timedelta
    baseline: RegressionWindow
    post: RegressionWindow

    @property
    def p95_change(self) -> int | None:
        """
        The change of the 95th percentile of task durations between the windows, in seconds; None if a window has no
        tasks.
        """
        if self.baseline.p95 is None or self.post.p95 is None:
            return None
        return self.post.p95 - self.baseline.p95

    @property
    def intervention_change(self) -> float:
        """
        The change of the intervention rate between the windows.
        """
        return self.post.intervention_rate - self.baseline.intervention_rate


async def task_regression(ports: Ports, principal: Principal, since: datetime, lookback: timedelta) -> TaskRegression:
    """
    Compare the tasks completed from *since* until now with those completed before *since*, at most *lookback* before.

    Raises:
        MomentInFuture: If the moment is in the future.
    """
    now = ports.clock.now()
    if since > now:
        raise MomentInFuture
    lookback = min(max(lookback, MIN_LOOKBACK), MAX_LOOKBACK)
    start, end = window_bounds(since, lookback, now=now)
    took = await ports.reads.reports.durations(principal, since=start, split=since, until=end)
    return TaskRegression(
        since=since,
        lookback=lookback,
        baseline=window_of("baseline", start, since, [each for each in took if not each.late]),
        post=window_of("post", since, end, [each for each in took if each.late]),
    )


def window_bounds(since: datetime, lookback: timedelta, *, now: datetime) -> tuple[datetime, datetime]:
    """
    The start of the window before *since* and the end of the one after it. Both are equally long, but the one before
    lasts at least a minute and at most the lookback.
    """
    end = now + SECOND
    length = min(lookback, max(MIN_LOOKBACK, end - since))
    return since - min(length, since - EPOCH), end


def window_of(label: str, start: datetime, end: datetime, took: Collection[DurationCount]) -> RegressionWindow:
    """
    The window with the statistics of these tasks.
    """
    line = sorted((each.seconds, each.amount) for each in took)
    size = sum(amount for _, amount in line)
    return RegressionWindow(
        label=label,
        start=start,
        end=end,
        size=size,
        p50=percentile(line, 50),
        p95=percentile(line, 95),
        average=sum(seconds * amount for seconds, amount in line) / size if size else None,
        interventions=sum(each.needed for each in took),
    )


def percentile(line: list[tuple[int, int]], percent: int) -> int | None:
    """
    The nearest-rank percentile of sorted values that are given with their frequencies.
    """
    size = sum(amount for _, amount in line)
    return value_at(line, max(-(-size * percent // 100), 1) - 1) if size else None
