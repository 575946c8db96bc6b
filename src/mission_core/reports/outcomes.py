"""
Outcomes of completed tasks: results, success rates and common errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from attrs import evolve, frozen

from mission_core.reports.queries import Finished
from mission_core.tasks.runs import Result
from mission_core.values import EPOCH, name_key

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.ports import Ports

UNKNOWN: Final = "unknown"
RESULTS: Final = (*(result.value for result in Result), UNKNOWN)
TIMEFRAMES: Final = {"day": timedelta(days=1), "week": timedelta(days=7), "month": timedelta(days=30)}
"""The length of each named time frame. Any other name means all time."""
NOBODY: Final = "unassigned"
MOST_ERRORS: Final = 10


@frozen(kw_only=True)
class Tally:
    """
    The number of tasks with each result; *unknown* counts those without one.
    """

    by_result: dict[str, int]

    @property
    def total(self) -> int:
        """
        The number of all tasks.
        """
        return sum(self.by_result.values())

    @property
    def told(self) -> int:
        """
        The number of tasks with a result.
        """
        return self.total - self.by_result[UNKNOWN]

    @property
    def success_rate(self) -> float:
        """
        The fraction of successes among the tasks with a result; 0 if there are none.
        """
        return self.by_result[Result.SUCCESS.value] / self.told if self.told else 0.0


@frozen(kw_only=True)
class Outcomes(Tally):
    """
    The outcomes of the tasks of a time frame.
    """

    timeframe: str
    average_retries: float
    average_seconds: float
    by_agent: dict[str, Tally]
    by_priority: dict[str, Tally]
    errors: list[tuple[str, int]]


async def task_outcomes(ports: Ports, principal: Principal, timeframe: str) -> Outcomes:
    """
    The outcomes of the tasks completed in the time frame: day, week, month, or all.
    """
    length = TIMEFRAMES.get(timeframe)
    since = EPOCH if length is None else ports.clock.now() - length
    found = await ports.reads.reports.finished(principal, since=since, errors=MOST_ERRORS)
    return evolve(outcomes_of(found.groups), timeframe=timeframe, errors=found.errors)


def outcomes_of(groups: Iterable[Finished]) -> Outcomes:
    """
    The outcomes of these groups of completed tasks.
    """
    groups = list(groups)
    names = {name_key(each.assignee): each.assignee for each in groups if each.assignee is not None}
    return Outcomes(
        timeframe="all",
        by_result=_tally(groups).by_result,
        average_retries=_average(sum(each.retries for each in groups), sum(each.amount for each in groups)),
        average_seconds=_average(sum(each.seconds for each in groups), sum(each.timed for each in groups)),
        by_agent=_apart(groups, lambda each: NOBODY if each.assignee is None else names[name_key(each.assignee)]),
        by_priority=_apart(groups, lambda each: each.priority),
        errors=[],
    )


def _apart(groups: Iterable[Finished], key: Callable[[Finished], str]) -> dict[str, Tally]:
    found: dict[str, list[Finished]] = {}
    for each in groups:
        found.setdefault(key(each), []).append(each)
    return {name: _tally(found[name]) for name in sorted(found)}


def _tally(groups: Iterable[Finished]) -> Tally:
    amounts = dict.fromkeys(RESULTS, 0)
    for each in groups:
        amounts[each.result or UNKNOWN] += each.amount
    return Tally(by_result=amounts)


def _average(total: int, amount: int) -> float:
    return total / amount if amount else 0.0
