"""
Read queries for reported runs.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from mission_core.lazy_attrs import frozen

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.values import PageOfRows, PageRequest


@frozen(kw_only=True)
class ReportedRunFilter:
    """
    The filter of a list of reported runs. A run must match every value that is set.

    Args:
        agent_label, task_label: The agent and the task as the reporter named them.
        since: The earliest start.
    """

    agent_label: str | None = None
    task_label: str | None = None
    status: str | None = None
    since: datetime | None = None


ALL_RUNS: Final = ReportedRunFilter()


class EvaluatedRuns(NamedTuple):
    """
    The evaluated runs of one agent with one model and runtime. Money is in nano-dollars and without what has no known
    price.

    Args:
        score: The mean of their scores.
        passed: The number of runs that passed.
        priced: The number of runs with a known cost.
    """

    agent_name: str
    model: str
    runtime: str
    runs: int
    score: float
    passed: int
    priced: int
    cost: int
    unpriced_tokens: int

    @property
    def mean_cost(self) -> float | None:
        """
        The mean cost of the runs with a known one.
        """
        return self.cost / self.priced if self.priced else None


class ReportedRunReads(Protocol):
    """
    Reads reported runs, limited to the boards that a principal may see. A principal limited to some boards sees no run
    without a board.
    """

    async def page(self, principal: Principal, page: PageRequest, wanted: ReportedRunFilter = ALL_RUNS) -> PageOfRows:
        """
        A page of the runs, newest record first, and their total count.
        """

    async def leaderboard(self, principal: Principal, limit: int, benchmark: str | None = None) -> list[EvaluatedRuns]:
        """
        The evaluated runs, those of one benchmark if it is given, by agent, model and runtime: the highest mean score
        first, and equal ones by these names.
        """
