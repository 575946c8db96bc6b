"""
The computation of the rollups of the token ledger from its entries, while entries are added.

A rebuild reads how much each sum lacks, and adds that in small transactions. What a sum lacks does not change when an
entry is added meanwhile, because the same commit adds it to the sum. So each commit of a rebuild makes some sums right
and none wrong, and one that was killed is run again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, Executable, Select, cast, func, literal_column, or_, select, union_all

from mission_adapters.sql.budget_book import rebuild_budgets
from mission_adapters.sql.columns import INTEGER
from mission_adapters.sql.counters import COUNTER_TABLES, insert_or_add
from mission_adapters.sql.event_log import lock_head
from mission_adapters.sql.number_sequences import draw_numbers
from mission_adapters.sql.statements import Statement, cached_statement, parameter
from mission_adapters.sql.tables import numbers
from mission_adapters.sql.usage_reads import entries
from mission_core.events.counters import NO_ID
from mission_core.usage.counters import (
    ALL_TIME,
    HOUR_MICROS,
    SUMMED,
    USAGE_DETAILS,
    USAGE_SESSIONS,
    USAGE_TASKS,
    USAGE_TOTALS,
)
from mission_core.usage.model import UsageRebuildSuperseded
from mission_core.usage.queries import RollupCells, UsageRebuild

if TYPE_CHECKING:
    from mission_adapters.sql.database_session import DatabaseSession, Steps
    from mission_core.events.counters import Counters
    from mission_core.ids import OrganizationId

HOUR: Final = 1
DAY: Final = 24
DAY_MICROS: Final = DAY * HOUR_MICROS
SUMS_OF_DAYS: Final[Mapping[RollupCells, RollupCells | None]] = {
    RollupCells(USAGE_DETAILS, HOUR): None,
    RollupCells(USAGE_DETAILS, DAY): RollupCells(USAGE_DETAILS, HOUR),
    RollupCells(USAGE_TASKS, HOUR): RollupCells(USAGE_DETAILS, HOUR),
    RollupCells(USAGE_TASKS, DAY): RollupCells(USAGE_TASKS, HOUR),
    RollupCells(USAGE_TOTALS, HOUR): RollupCells(USAGE_TASKS, HOUR),
    RollupCells(USAGE_TOTALS, DAY): RollupCells(USAGE_TOTALS, HOUR),
}
"""The sums that are computed day by day, each with the sums that it is computed from; None for the entries."""
SUMS_OF_ALL_TIME: Final[Mapping[RollupCells, RollupCells]] = {
    RollupCells(USAGE_DETAILS, ALL_TIME): RollupCells(USAGE_DETAILS, DAY),
    RollupCells(USAGE_TASKS, ALL_TIME): RollupCells(USAGE_TASKS, DAY),
    RollupCells(USAGE_TOTALS, ALL_TIME): RollupCells(USAGE_TOTALS, DAY),
    RollupCells(USAGE_SESSIONS, None): RollupCells(USAGE_DETAILS, ALL_TIME),
}
MOST_CORRECTED: Final = 1000
"""The number of sums that one transaction corrects at most."""
MOST_READ: Final = 20 * MOST_CORRECTED
TURN: Final = "usage_rebuild"
"""The number sequence that tells a rebuild whether it is the latest one."""
_organization: Final = parameter("organization")

SELECT_TURN: Final = Statement(
    select(numbers.c.value).where(numbers.c.scope == _organization, numbers.c.kind == parameter("kind", str))
)
COUNT_ENTRIES: Final = Statement(
    select(func.count()).select_from(entries).where(entries.c.organization == _organization)
)


async def rebuild_usage(session: DatabaseSession, organization: OrganizationId) -> UsageRebuild:
    """
    Correct the sums of an organization's token ledger, and compute what is spent of its budgets.

    Raises:
        UsageRebuildSuperseded: If another rebuild began meanwhile.
    """
    dialect, own = session.dialect, {"organization": organization.bytes}
    turn = await session.write(lambda: _begin(dialect, organization))
    corrected = 0

    async def correct(cells: RollupCells, source: RollupCells | None, **bounds: int) -> None:
        nonlocal corrected
        statement = _select_differences(cells, source, bool(bounds))
        ask = statement(dialect, **own, **bounds, no_id=NO_ID, most=MOST_READ)
        while found := await session.read(lambda: _rows(ask)):
            for start in range(0, len(found), MOST_CORRECTED):
                some = found[start : start + MOST_CORRECTED]
                await session.write(partial(_add, dialect, organization, turn, cells.counters, some))
            corrected += len(found)
            if len(found) < MOST_READ:
                break

    day = await session.read(lambda: _next_day(dialect, own, 0))
    while day is not None:
        for cells, source in SUMS_OF_DAYS.items():
            await correct(cells, source, day=day)
        day = await session.read(partial(_next_day, dialect, own, day + 1))
    for cells, source in SUMS_OF_ALL_TIME.items():
        await correct(cells, source)
    await session.write(lambda: _rebuild_budgets(dialect, organization))
    ((count,),) = await session.read(lambda: _rows(COUNT_ENTRIES(dialect, **own)))
    return UsageRebuild(entries=count, corrected=corrected)


def _rows(statement: Any) -> Steps[list[Any]]:
    rows: list[Any] = yield statement
    return rows


def _begin(dialect: str, organization: OrganizationId) -> Steps[int]:
    """
    Take a turn. The head row is locked, so that the corrections of an earlier rebuild are committed or refused.
    """
    yield from lock_head(dialect, organization)
    ((_, _, turn),) = yield draw_numbers(dialect, 1)(dialect, scope0=organization.bytes, kind0=TURN, value0=1)
    return int(turn)


def _add(
    dialect: str, organization: OrganizationId, turn: int, counters: Counters, rows: Sequence[Sequence[Any]]
) -> Steps[None]:
    yield from lock_head(dialect, organization)
    if [(turn,)] != [tuple(row) for row in (yield SELECT_TURN(dialect, organization=organization.bytes, kind=TURN))]:
        raise UsageRebuildSuperseded
    named = (dict(zip(counters.columns, (organization.bytes, *row), strict=True)) for row in rows)
    yield _insert_or_add(dialect, counters).many(dialect, named)


def _rebuild_budgets(dialect: str, organization: OrganizationId) -> Steps[None]:
    yield from lock_head(dialect, organization)
    yield from rebuild_budgets(dialect, organization)


@cached_statement
def _insert_or_add(dialect: str, counters: Counters) -> Executable:
    added: Executable = insert_or_add(
        dialect, counters, [{name: parameter(name, type) for name, type in counters.columns.items()}]
    )
    return added


def _next_day(dialect: str, own: dict[str, Any], day: int) -> Steps[int | None]:
    """
    The first day from *day* on that has entries or sums.
    """
    ((*found,),) = yield SELECT_NEXT_DAY(dialect, **own, day=day)
    return min((each for each in found if each is not None), default=None)


def _first_days() -> Iterable[ColumnElement[Any]]:
    least: Any = func.min(entries.c.at)
    yield _from_entries(select(least // _number(DAY_MICROS)), entries.c.at >= parameter("day", int) * DAY_MICROS)
    for cells in SUMS_OF_DAYS:
        columns = COUNTER_TABLES[cells.counters].c
        slots = _number(DAY // (cells.hours or DAY))
        first: Any = func.min(columns.slot)
        within = columns.organization == _organization, columns.hours == _number(cells.hours or 0)
        yield select(first // slots).where(*within, columns.slot >= parameter("day", int) * slots).scalar_subquery()


def _from_entries(selected: Select[Any], *conditions: ColumnElement[bool]) -> Any:
    return selected.where(entries.c.organization == _organization, *conditions).scalar_subquery()


def _number(value: int) -> ColumnElement[int]:
    return literal_column(str(value), INTEGER)


SELECT_NEXT_DAY: Final = Statement(select(*_first_days()))


@cached_statement
def _select_differences(cells: RollupCells, source: RollupCells | None, of_day: bool) -> Executable:
    """
    Select what each sum lacks of the sum over its source, if it lacks anything. A sum that is too large lacks less than
    nothing.
    """
    kept = COUNTER_TABLES[cells.counters].c
    sums = select(*(kept[name] for name in cells.counters.keys), *((-kept[name]).label(name) for name in SUMMED))
    sums = sums.where(kept.organization == _organization, *_span(kept, cells, of_day))
    both = union_all(_select_source(cells, source, of_day), sums).subquery("both")
    keys, lacking = [both.c[name] for name in cells.counters.keys], [func.sum(both.c[name]) for name in SUMMED]
    found = select(*keys, *(cast(each, INTEGER) for each in lacking)).group_by(*keys)
    return found.having(or_(*(each != 0 for each in lacking))).limit(parameter("most", int))


def _select_source(cells: RollupCells, source: RollupCells | None, of_day: bool) -> Select[Any]:
    columns: Any = entries.c if source is None else COUNTER_TABLES[source.counters].c
    keys = [_key(columns, name, cells, source).label(name) for name in cells.counters.keys]
    found = select(*keys, *(func.coalesce(columns[name], _number(0)).label(name) for name in SUMMED))
    return found.where(columns.organization == _organization, *_span(columns, source, of_day))


def _span(columns: Any, cells: RollupCells | None, of_day: bool) -> list[ColumnElement[bool]]:
    """
    Return the conditions of the entries or sums of a day, or of all time.
    """
    found = [] if cells is None or cells.hours is None else [columns.hours == _number(cells.hours)]
    if of_day:
        at = columns.at if cells is None else columns.slot
        length = DAY_MICROS if cells is None else DAY // (cells.hours or DAY)
        day: Any = parameter("day", int)
        found += [at >= day * length, at < (day + 1) * length]
    return found


def _key(columns: Any, name: str, cells: RollupCells, source: RollupCells | None) -> ColumnElement[Any]:
    if name == "hours":
        return _number(cells.hours or ALL_TIME)
    if name == "slot":
        if not cells.hours:
            return _number(0)
        at = columns.at if source is None else columns.slot
        length = HOUR_MICROS * cells.hours if source is None else cells.hours // (source.hours or cells.hours)
        return cast(at // _number(length), INTEGER)
    column: ColumnElement[Any] = columns[name]
    return func.coalesce(column, parameter("no_id")) if source is None and columns[name].nullable else column
