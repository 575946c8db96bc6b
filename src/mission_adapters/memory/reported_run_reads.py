"""
The read model of reported runs in memory.
"""

from __future__ import annotations

from math import fsum
from typing import TYPE_CHECKING

from mission_core.lazy_attrs import frozen
from mission_core.usage.reported_run_queries import ALL_RUNS, EvaluatedRuns, ReportedRunFilter
from mission_core.usage.reported_runs import UNKNOWN_MODEL, ReportedRun
from mission_core.values import PageOfRows

if TYPE_CHECKING:
    from mission_adapters.memory.kind_tables import KindTable
    from mission_core.accounts.model import Principal
    from mission_core.values import PageRequest


@frozen
class MemoryReportedRunReads:
    """
    Reads reported runs.
    """

    table: KindTable[ReportedRun]

    async def page(self, principal: Principal, page: PageRequest, wanted: ReportedRunFilter = ALL_RUNS) -> PageOfRows:
        """
        A page of the runs, newest record first.
        """
        told = {name: getattr(wanted, name) for name in ("agent_label", "task_label", "status")}
        equal = {name: value for name, value in told.items() if value is not None}
        found = [
            each
            for each in self.table.matching(principal, equal)
            if wanted.since is None or each.started_at >= wanted.since
        ]
        total = len(found)
        found = [each for each in found if page.after is None or each.number < page.after]
        found.sort(key=lambda each: each.number, reverse=True)
        return PageOfRows(found[page.offset : page.offset + page.limit], total)

    async def leaderboard(self, principal: Principal, limit: int, benchmark: str | None = None) -> list[EvaluatedRuns]:
        """
        The evaluated runs by agent, model and runtime, the highest mean score first.
        """
        groups: dict[tuple[str, str, str], list[ReportedRun]] = {}
        for each in self.table.matching(principal, {}):
            if each.evaluation is not None and benchmark in (None, each.evaluation.benchmark):
                of = (each.agent_name, each.model or UNKNOWN_MODEL, each.runtime)
                groups.setdefault(of, []).append(each)
        found = [
            EvaluatedRuns(
                *of, len(runs), fsum(each.evaluation.score for each in runs if each.evaluation) / len(runs),
                sum(each.evaluation.passed for each in runs if each.evaluation),
                sum(each.cost is not None for each in runs), sum(each.cost or 0 for each in runs),
                sum(each.unpriced_tokens for each in runs),
            )
            for of, runs in groups.items()
        ]  # fmt: skip
        return sorted(found, key=lambda each: (-each.score, *each[:3]))[:limit]
