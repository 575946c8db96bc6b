"""
The read model of reported runs in SQL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, Executable, cast, func, select

from mission_adapters.sql.board_visibility import BOARD_FILTERS, board_filter_of, on_boards
from mission_adapters.sql.columns import INTEGER
from mission_adapters.sql.kind_tables import MAPPINGS
from mission_adapters.sql.statements import cached_statement, parameter
from mission_core.lazy_attrs import frozen
from mission_core.usage.reported_run_queries import ALL_RUNS, EvaluatedRuns, ReportedRunFilter
from mission_core.usage.reported_runs import REPORTED_RUNS, UNKNOWN_MODEL
from mission_core.values import UNSTORABLE, PageOfRows, micros

if TYPE_CHECKING:
    from mission_adapters.sql.database_session import DatabaseSession, Steps
    from mission_core.accounts.model import Principal
    from mission_core.values import PageRequest

runs: Final = MAPPINGS[REPORTED_RUNS].table
run_rows: Final = MAPPINGS[REPORTED_RUNS].rows


def _conditions(names: tuple[str, ...]) -> list[ColumnElement[bool]]:
    """
    Return the conditions of filters, by the names of their parameters.
    """
    found = [runs.c.organization == parameter("organization")]
    for name in names:
        if name in BOARD_FILTERS:
            found += on_boards(runs.c.board, (name,))
        elif name == "since":
            found.append(runs.c.started_at >= parameter("since", int))
        else:
            found.append(runs.c[name] == parameter(name, str))
    return found


@cached_statement
def _select_page(after: bool, names: tuple[str, ...]) -> Executable:
    found = select(*runs.c).where(*_conditions(names)).order_by(runs.c.number.desc())
    found = found.where(runs.c.number < parameter("after", int)) if after else found
    return found.limit(parameter("limit", int)).offset(parameter("offset", int))


@cached_statement
def _count(names: tuple[str, ...]) -> Executable:
    return select(func.count()).select_from(runs).where(*_conditions(names))


@cached_statement
def _select_leaderboard(names: tuple[str, ...]) -> Executable:
    by = (runs.c.agent_name, func.coalesce(runs.c.model, UNKNOWN_MODEL).label("used"), runs.c.runtime)
    score = func.avg(runs.c.evaluation_score)
    amounts = (runs.c.cost, runs.c.unpriced_tokens)
    summed = (cast(func.coalesce(func.sum(each), 0), INTEGER) for each in amounts)
    passed = cast(func.sum(runs.c.evaluation_passed), INTEGER)
    found = select(*by, func.count(), score, passed, func.count(runs.c.cost), *summed)
    found = found.where(*_conditions(names), runs.c.evaluation_score.is_not(None)).group_by(*by)
    return found.order_by(score.desc(), *by).limit(parameter("limit", int))


@frozen
class SqlReportedRunReads:
    """
    Reads reported runs.
    """

    session: DatabaseSession

    async def page(self, principal: Principal, page: PageRequest, wanted: ReportedRunFilter = ALL_RUNS) -> PageOfRows:
        """
        Return a page of the runs, newest record first, with their total count.
        """
        told = {name: getattr(wanted, name) for name in ("agent_label", "task_label", "status")}
        given = {name: value for name, value in told.items() if value is not None}
        if any(UNSTORABLE.search(value) for value in given.values()):
            return PageOfRows([], 0)
        given |= board_filter_of(principal)
        if wanted.since is not None:
            given["since"] = micros(wanted.since)
        names, dialect, organization = tuple(sorted(given)), self.session.dialect, principal.organization.bytes
        limits = {"limit": page.limit, "offset": page.offset} | ({} if page.after is None else {"after": page.after})
        found = _select_page(page.after is not None, names)(dialect, organization=organization, **limits, **given)
        counted = _count(names)(dialect, organization=organization, **given)

        def steps() -> Steps[PageOfRows]:
            rows = yield found
            ((total,),) = yield counted
            return PageOfRows([run_rows.entity_from(row) for row in rows], total)

        return await self.session.read(steps)

    async def leaderboard(self, principal: Principal, limit: int, benchmark: str | None = None) -> list[EvaluatedRuns]:
        """
        Return the evaluated runs by agent, model and runtime, the highest mean score first.
        """
        given: dict[str, Any] = board_filter_of(principal)
        if benchmark is not None:
            if UNSTORABLE.search(benchmark):
                return []
            given["evaluation_benchmark"] = benchmark
        ask = _select_leaderboard(tuple(sorted(given)))(
            self.session.dialect, organization=principal.organization.bytes, limit=limit, **given
        )

        def steps() -> Steps[list[EvaluatedRuns]]:
            return [EvaluatedRuns._make(row) for row in (yield ask)]

        return await self.session.read(steps)
