"""
The read model of the token ledger in SQL.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from sqlalchemy import (
    Column,
    ColumnElement,
    Executable,
    Table,
    and_,
    bindparam,
    cast,
    func,
    literal_column,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY

from mission_adapters.sql.board_visibility import BOARD_FILTERS, board_filter_of
from mission_adapters.sql.columns import INTEGER, TEXT
from mission_adapters.sql.counters import COUNTER_TABLES
from mission_adapters.sql.kind_tables import MAPPINGS, NOT_ONE_REQUEST
from mission_adapters.sql.statements import (
    IdArray,
    Statement,
    TextArray,
    cached_statement,
    in_array,
    parameter,
    unlikely,
    without_index,
)
from mission_adapters.sql.tables import boards, tasks
from mission_core.accounts.model import may_read_board
from mission_core.events.counters import NO_ID
from mission_core.ids import BoardId, TaskId
from mission_core.lazy_attrs import frozen
from mission_core.usage.counters import ALL_TIME, SUMMED
from mission_core.usage.model import USAGE, UsageEntry
from mission_core.usage.queries import EVERYTHING, UsageFilter, UsageSum, UsageTask, UsageTotals, cells_of_sum
from mission_core.values import UNSTORABLE, PageOfRows, micros, moment

if TYPE_CHECKING:
    from datetime import datetime

    from mission_adapters.sql.database_session import DatabaseSession, Steps
    from mission_core.accounts.model import Principal
    from mission_core.usage.budget_accounts import BudgetBook
    from mission_core.usage.queries import RollupCells, UsageWindow
    from mission_core.values import PageRequest

entries: Final = MAPPINGS[USAGE].table
entry_rows: Final = MAPPINGS[USAGE].rows
_organization: Final = parameter("organization")
FILTERS: Final = ("board", "task", "agent", "model")
ARRAY_FILTERS: Final[Mapping[str, tuple[str, IdArray | TextArray]]] = {
    "tasks": ("task", IdArray()), "sessions": ("session", TextArray()),
}  # fmt: skip
"""The column of each filter with several values, and the type of its parameter."""


def _conditions(table: Table, names: Iterable[str], *, by_time: bool = False) -> list[ColumnElement[bool]]:
    """
    Return the conditions of filters, by the names of their parameters. With *by_time* no index of a filter's column is
    used, so that one by time is.
    """
    plain: Any = without_index if by_time else _plain
    found: list[ColumnElement[bool]] = [table.c.organization == _organization]
    for name in names:
        if name in BOARD_FILTERS:
            found.append(BOARD_FILTERS[name](plain(table.c.board)))
        elif name in ARRAY_FILTERS:
            column, many = ARRAY_FILTERS[name]
            found.append(in_array(plain(table.c[column]), name, many))
        elif name == "since":
            found.append((table.c.at if table is entries else table.c.slot) >= parameter("since", int))
        elif name == "until":
            found.append((table.c.at if table is entries else table.c.slot) < parameter("until", int))
        else:
            found.append(plain(table.c[name]) == parameter(name, table.c[name].type.python_type))
    return found


def _cells(cells: RollupCells, names: Iterable[str]) -> list[ColumnElement[bool]]:
    """
    Return the conditions of the cells of a rollup. The length of their spans is no parameter, for a better plan.
    """
    table = COUNTER_TABLES[cells.counters]
    found = _conditions(table, names)
    if cells.hours is not None:
        found.append(table.c.hours == literal_column(str(cells.hours)))
    if cells.hours == ALL_TIME:
        found.append(table.c.slot == literal_column("0"))
    return found


def _plain(column: Column[Any]) -> ColumnElement[Any]:
    return column


def _grouped_by(column: Column[Any]) -> ColumnElement[Any]:
    """
    Return a column to group by, so that sums of all times are not read in the order of an index.
    """
    return without_index(column) if column.name in ("task", "session") else column


@cached_statement
def select_sums(
    dialect: str, cells: RollupCells, by: tuple[str, ...], names: tuple[str, ...], most: bool
) -> Executable:
    """
    Select the sums by some columns. The cells of some sessions are looked up one by one: from a condition on the column
    SQLite, which has no statistics, would read those of all sessions.
    """
    table = COUNTER_TABLES[cells.counters]
    where, read = _cells(cells, (name for name in names if name != "sessions")), [table]
    if "sessions" in names:
        read.append(each := _each_text(dialect, "sessions"))
        where.append(unlikely(table.c.session == cast(each.c.value, TEXT)))
    columns: list[Any] = [table.c[name] for name in by]
    amounts, tokens = [table.c[name] for name in SUMMED], table.c.input_tokens + table.c.output_tokens
    if by == tuple(cells.counters.keys):  # each is a sum already, and has an index by its tokens
        found = select(*columns, *amounts).select_from(*read).where(*where, or_(*(each != 0 for each in amounts)))
    else:
        columns, sums = [_grouped_by(each) for each in columns], [func.sum(each) for each in amounts]
        found = select(*columns, *(cast(func.coalesce(each, 0), INTEGER) for each in sums))
        found = found.select_from(*read).where(*where).group_by(*columns).having(or_(*(each != 0 for each in sums)))
        tokens = func.sum(tokens)
    return found.order_by(tokens.desc(), *columns).limit(parameter("most", int)) if most else found


@cached_statement
def _count_sessions(cells: RollupCells, names: tuple[str, ...]) -> Executable:
    columns = COUNTER_TABLES[cells.counters].c
    counted = select(columns.agent_name, func.count(columns.session.distinct()))
    return counted.where(*_cells(cells, names), columns.requests != 0).group_by(columns.agent_name)


@cached_statement
def _select_entries(names: tuple[str, ...]) -> Executable:
    found = select(*entries.c).where(*_conditions(entries, names)).order_by(entries.c.at.desc(), entries.c.id.desc())
    return found.limit(parameter("limit", int)).offset(parameter("offset", int))


@cached_statement
def count_entries(cells: RollupCells, names: tuple[str, ...]) -> Executable:
    """
    Count entries from a rollup, so that not each is read: the requests, and one minus its requests for each entry that
    does not stand for one. Those are few, and have an index: an entry that reverses another, and a carry-over.
    """
    table = COUNTER_TABLES[cells.counters]
    bounds = {"since": table.c.slot >= parameter("first_slot", int), "until": table.c.slot < parameter("end_slot", int)}
    within = _cells(cells, (name for name in names if name not in bounds))
    within += [bounds[name] for name in names if name in bounds]
    requests = select(func.coalesce(func.sum(table.c.requests), 0)).where(*within).scalar_subquery()
    others = select(func.coalesce(func.sum(1 - entries.c.requests), 0)).where(
        *_conditions(entries, names, by_time=True), literal_column(NOT_ONE_REQUEST)
    )
    return select(cast(requests + others.scalar_subquery(), INTEGER))


def _each_text(dialect: str, name: str) -> Any:
    """
    Return the texts of a parameter as rows with one column, `value`.
    """
    given = bindparam(name, type_=TextArray(), required=False)
    values = func.unnest(cast(given, ARRAY(TEXT))) if dialect == "postgresql" else func.json_each(given)
    each = values.table_valued("value", name="each_text")
    return each.render_derived() if dialect == "postgresql" else each


@cached_statement
def _select_last_used(dialect: str, names: tuple[str, ...]) -> Executable:
    """
    Select the latest use under each name, which is the end of a range of an index. Grouped by name, all would be read.
    """
    each = _each_text(dialect, "names")
    value = cast(each.c.value, TEXT)
    latest = select(func.max(entries.c.at)).where(*_conditions(entries, names), entries.c.agent_name == value)
    return select(value, latest.correlate(each).scalar_subquery())


@cached_statement
def _select_tasks(names: tuple[str, ...]) -> Executable:
    columns = (
        tasks.c.id, tasks.c.number, tasks.c.title, tasks.c.status, tasks.c.priority, tasks.c.assignee, boards.c.id,
        boards.c.number, boards.c.name, boards.c.handle, boards.c.ticket_prefix, tasks.c.ticket,
    )  # fmt: skip
    joined = tasks.join(boards, boards.c.id == tasks.c.board)
    found = select(*columns).select_from(joined).where(*_conditions(tasks, names))
    return found.where(in_array(tasks.c.id, "ids", IdArray())).order_by(tasks.c.id)


@cached_statement
def select_reported(dialect: str) -> Executable:
    """
    Select the entries of a reporter with some report ids. PostgreSQL looks up each id: without statistics it would
    read all entries of the reporter.
    """
    own = select(*entries.c).where(entries.c.organization == _organization)
    own = own.where(entries.c.reporter == parameter("reporter", str))
    if dialect == "sqlite":
        return own.where(in_array(entries.c.report_id, "report_ids", TextArray()))
    each = _each_text(dialect, "report_ids")
    one = own.where(entries.c.report_id == cast(each.c.value, TEXT)).limit(literal_column("1")).lateral("reported")
    return select(*one.c).select_from(each.join(one, true()))


_reversal: Final = entries.alias("reversal")
SELECT_REPORTED_BELOW: Final = Statement(
    select(*entries.c, _reversal.c.id)
    .select_from(
        entries.outerjoin(
            _reversal, and_(_reversal.c.organization == entries.c.organization, _reversal.c.reverses == entries.c.id)
        )
    )
    .where(
        entries.c.organization == _organization,
        entries.c.reporter == parameter("reporter", str),
        entries.c.report_id >= parameter("least", str),
        entries.c.report_id < parameter("end", str),
    )
)


@frozen
class SqlUsageReads:
    """
    Reads the token ledger and its rollups.
    """

    session: DatabaseSession

    async def sums(
        self,
        principal: Principal,
        window: UsageWindow,
        by: Sequence[str],
        wanted: UsageFilter = EVERYTHING,
        *,
        most: int | None = None,
    ) -> list[UsageSum]:
        """
        Return the sums by these values, from the rollups.
        """
        given = _filters(principal, wanted)
        if given is None:
            return []
        given |= _slots_of(window)
        cells = cells_of_sum(principal, window, by, wanted)
        statement = select_sums(self.session.dialect, cells, tuple(by), tuple(sorted(given)), most is not None)
        rows = await self._read(statement, principal, given if most is None else given | {"most": most})
        width = len(by)
        return [UsageSum(tuple(map(_shown, row[:width])), UsageTotals(*row[width:])) for row in rows]

    async def session_counts(self, principal: Principal, window: UsageWindow) -> dict[str, int]:
        """
        Return the number of sessions with entries in the window under each agent name.
        """
        given: dict[str, Any] = board_filter_of(principal) | _slots_of(window)
        cells = cells_of_sum(principal, window, ("agent_name", "session"), EVERYTHING)
        return dict(await self._read(_count_sessions(cells, tuple(sorted(given))), principal, given))

    async def entries(
        self, principal: Principal, window: UsageWindow, page: PageRequest, wanted: UsageFilter = EVERYTHING
    ) -> PageOfRows:
        """
        Return a page of the entries, newest use first, with their total count.
        """
        given = _filters(principal, wanted)
        if given is None:
            return PageOfRows([], 0)
        bounds = (("since", window.begins_at), ("until", window.ends_at))
        given |= {name: micros(at) for name, at in bounds if at is not None}
        names, dialect = tuple(sorted(given)), self.session.dialect
        given["organization"] = principal.organization.bytes
        found = _select_entries(names)(dialect, **given, limit=page.limit, offset=page.offset)
        slots = {"first_slot": window.since, "end_slot": window.until}
        told = {name: value for name, value in slots.items() if value is not None}
        cells = cells_of_sum(principal, window, (), wanted)
        counted = count_entries(cells, names)(dialect, **given, **told)

        def steps() -> Steps[PageOfRows]:
            rows = yield found
            ((total,),) = yield counted
            return PageOfRows([entry_rows.entity_from(row) for row in rows], total)

        return await self.session.read(steps)

    async def reported(self, principal: Principal, reporter: str, ids: Collection[str]) -> dict[str, UsageEntry]:
        """
        Return the entries of this reporter with these report ids.
        """
        storable = [each for each in ids if not UNSTORABLE.search(each)]
        rows = await self._read(
            select_reported(self.session.dialect), principal, {"reporter": reporter, "report_ids": storable}
        )
        found = [entry_rows.entity_from(row) for row in rows]
        return {str(each.report_id): each for each in found}

    async def reported_below(self, principal: Principal, reporter: str, prefix: str) -> list[tuple[UsageEntry, bool]]:
        """
        Return the entries of this reporter whose report ids begin with *prefix*, each with whether another one reverses
        it.
        """
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        given = {"reporter": reporter, "least": prefix, "end": end}
        rows = await self._read(SELECT_REPORTED_BELOW, principal, given)
        return [(entry_rows.entity_from(row[:-1]), row[-1] is not None) for row in rows]

    async def budgets(self, principal: Principal, *, at: datetime) -> BudgetBook:
        """
        Return the accounts of the budgets that a principal may see.
        """
        from mission_adapters.sql.budget_book import read_book

        dialect, own, filters = self.session.dialect, principal.organization, board_filter_of(principal)
        return await self.session.read(lambda: read_book(dialect, own, at=at, board_filter=filters))

    async def last_used(self, principal: Principal, names: Collection[str]) -> dict[str, datetime]:
        """
        Return the time of the latest use under each of these agent names.
        """
        given: dict[str, Any] = board_filter_of(principal)
        statement = _select_last_used(self.session.dialect, tuple(sorted(given)))
        found = await self._read(statement, principal, given | {"names": list(names)})
        return {name: moment(at) for name, at in found if at is not None}

    async def tasks(self, principal: Principal, ids: Collection[UUID]) -> list[UsageTask]:
        """
        Return the tasks with these ids that still exist.
        """
        given: dict[str, Any] = board_filter_of(principal)
        statement = _select_tasks(tuple(sorted(given)))
        rows = await self._read(statement, principal, given | {"ids": [each.bytes for each in ids]})
        return [
            UsageTask._make((TaskId(UUID(bytes=row[0])), *row[1:6], BoardId(UUID(bytes=row[6])), *row[7:]))
            for row in rows
        ]

    async def _read(self, statement: Statement, principal: Principal, given: dict[str, Any]) -> list[Any]:
        ask = statement(self.session.dialect, organization=principal.organization.bytes, **given)

        def steps() -> Steps[list[Any]]:
            rows: list[Any] = yield ask
            return rows

        return await self.session.read(steps)


def _filters(principal: Principal, wanted: UsageFilter) -> dict[str, Any] | None:
    """
    Return the parameters of a filter and of what the principal may see; None if nothing can match.
    """
    if wanted.board is not None and not may_read_board(principal, wanted.board):
        return None
    if wanted.model is not None and UNSTORABLE.search(wanted.model):
        return None
    given: dict[str, Any] = board_filter_of(principal)
    for name in FILTERS:
        value = getattr(wanted, name)
        if value is not None:
            given[name] = value.bytes if isinstance(value, UUID) else value
    if wanted.tasks is not None:
        given["tasks"] = [each.bytes for each in wanted.tasks]
    if wanted.sessions is not None:
        given["sessions"] = list(dict.fromkeys(wanted.sessions))
    return given


def _slots_of(window: UsageWindow) -> dict[str, int]:
    bounds = (("since", window.since), ("until", window.until))
    return {name: slot for name, slot in bounds if slot is not None}


def _shown(value: Any) -> Any:
    if not isinstance(value, bytes):
        return value
    return None if value == NO_ID else UUID(bytes=value)
