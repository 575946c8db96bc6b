"""
Whether work goes better or worse since a moment: how long it takes, and how often somebody must intervene.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from attrs import frozen

from mission_core.errors import Invalid
from mission_core.reports.queries import Took
from mission_core.values import EPOCH

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.ports import Ports

SECOND: Final = timedelta(seconds=1)
SHORTEST: Final = timedelta(minutes=1)
LONGEST: Final = timedelta(days=30)


class StillToCome(Invalid):
    """
    What goes on since a moment was asked before that moment.
    """

    def __str__(self) -> str:
        return "that moment has not come yet"


@frozen(kw_only=True)
class Window:
    """
    The tasks that were done from *start* up to but not at *end*: how many, how long they took from their making, and
    how many needed an intervention.
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
        The part that needed an intervention; 0 where there is none at all.
        """
        return self.interventions / self.size if self.size else 0.0


@frozen(kw_only=True)
class Regression:
    """
    Two windows that meet at *since*, and what changed from the first to the second.
    """

    since: datetime
    lookback: timedelta
    baseline: Window
    post: Window

    @property
    def p95_change(self) -> int | None:
        """
        By how many seconds the slow ones take longer, where both windows tell.
        """
        if self.baseline.p95 is None or self.post.p95 is None:
            return None
        return self.post.p95 - self.baseline.p95

    @property
    def intervention_change(self) -> float:
        """
        By how much interventions are more frequent.
        """
        return self.post.intervention_rate - self.baseline.intervention_rate


async def task_regression(ports: Ports, principal: Principal, since: datetime, lookback: timedelta) -> Regression:
    """
    How the tasks done since then compare with those done just before.

    Raises:
        StillToCome: If that moment has not come yet.
    """
    now = ports.clock.now()
    if since > now:
        raise StillToCome
    lookback = min(max(lookback, SHORTEST), LONGEST)
    start, end = windows(since, lookback, now=now)
    took = await ports.reads.reports.took(principal, since=start, split=since, until=end)
    return Regression(
        since=since,
        lookback=lookback,
        baseline=window_of("baseline", start, since, [each for each in took if not each.late]),
        post=window_of("post", since, end, [each for each in took if each.late]),
    )


def windows(since: datetime, lookback: timedelta, *, now: datetime) -> tuple[datetime, datetime]:
    """
    Where the window before *since* begins, and the one after it ends: what is before is as long as what is after, but
    a minute at least and the lookback at most.
    """
    end = now + SECOND
    length = min(lookback, max(SHORTEST, end - since))
    return since - min(length, since - EPOCH), end


def window_of(label: str, start: datetime, end: datetime, took: Collection[Took]) -> Window:
    """
    What these tasks come to.
    """
    line = sorted((each.seconds, each.amount) for each in took)
    size = sum(amount for _, amount in line)
    return Window(
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
    The nearest-rank percentile of values that come sorted, each with how often it is there.
    """
    size = sum(amount for _, amount in line)
    rank = max(-(-size * percent // 100), 1)
    for value, amount in line:
        rank -= amount
        if rank <= 0:
            return value
    return None
