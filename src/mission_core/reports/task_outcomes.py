"""
Outcomes of completed tasks: results, success rates and common errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from attrs import evolve

from mission_core.lazy_attrs import frozen
from mission_core.reports.queries import DoneTaskGroup
from mission_core.tasks.runs import TaskResult
from mission_core.values import EPOCH, name_key

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.ports import Ports

UNKNOWN: Final = "unknown"
RESULTS: Final = (*(result.value for result in TaskResult), UNKNOWN)
NO_RESULTS: Final = dict.fromkeys(RESULTS, 0)
TIMEFRAMES: Final = {"day": timedelta(days=1), "week": timedelta(days=7), "month": timedelta(days=30)}
"""The length of each named time frame. Any other name means all time."""
UNASSIGNED: Final = "unassigned"
MAX_ERRORS: Final = 10


@frozen(kw_only=True)
class ResultCounts:
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
    def with_result(self) -> int:
        """
        The number of tasks with a result.
        """
        return self.total - self.by_result[UNKNOWN]

    @property
    def success_rate(self) -> float:
        """
        The fraction of successes among the tasks with a result; 0 if there are none.
        """
        return self.by_result[TaskResult.SUCCESS.value] / self.with_result if self.with_result else 0.0


@frozen(kw_only=True)
class TaskOutcomes(ResultCounts):
    """
    The outcomes of the tasks of a time frame.
    """

    timeframe: str
    average_retries: float
    average_seconds: float
    by_agent: dict[str, ResultCounts]
    by_priority: dict[str, ResultCounts]
    errors: list[tuple[str, int]]


async def task_outcomes(ports: Ports, principal: Principal, timeframe: str) -> TaskOutcomes:
    """
    The outcomes of the tasks completed in the time frame: day, week, month, or all.
    """
    length = TIMEFRAMES.get(timeframe)
    since = EPOCH if length is None else ports.clock.now() - length
    found = await ports.reads.reports.done_task_groups(principal, since=since, errors=MAX_ERRORS)
    return evolve(outcomes_of(found.groups), timeframe=timeframe, errors=found.errors)


def outcomes_of(groups: Iterable[DoneTaskGroup]) -> TaskOutcomes:
    """
    The outcomes of these groups of completed tasks.
    """
    groups = list(groups)
    keys = {name: name_key(name) for name in {each.assignee for each in groups} if name is not None}
    names = {keys[each.assignee]: each.assignee for each in groups if each.assignee is not None}
    return TaskOutcomes(
        timeframe="all",
        by_result=_amounts_by(groups, lambda _: "all").get("all", NO_RESULTS),
        average_retries=_average(sum(each.retries for each in groups), sum(each.amount for each in groups)),
        average_seconds=_average(sum(each.seconds for each in groups), sum(each.timed for each in groups)),
        by_agent=_counts_by(groups, lambda each: UNASSIGNED if each.assignee is None else names[keys[each.assignee]]),
        by_priority=_counts_by(groups, lambda each: each.priority),
        errors=[],
    )


def _counts_by(groups: Iterable[DoneTaskGroup], key: Callable[[DoneTaskGroup], str]) -> dict[str, ResultCounts]:
    found = _amounts_by(groups, key)
    return {name: ResultCounts(by_result=found[name]) for name in sorted(found)}


def _amounts_by(groups: Iterable[DoneTaskGroup], key: Callable[[DoneTaskGroup], str]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for each in groups:
        name = key(each)
        amounts = found.get(name)
        if amounts is None:
            amounts = found[name] = NO_RESULTS.copy()
        amounts[each.result or UNKNOWN] += each.amount
    return found


def _average(total: int, amount: int) -> float:
    return total / amount if amount else 0.0
