"""
Counters in SQL: their tables, the statements that add to counters in a flush, and the selects that sum them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, Select, Table, case, cast, func, select
from sqlalchemy.dialects import postgresql, sqlite

from mission_adapters.counter_registry import COUNTERS, budget_amounts, counters_for, entity_counters
from mission_adapters.sql.columns import INTEGER, TYPES, required, table
from mission_adapters.sql.statement_batch import BatchedStatement, ChangeStatement
from mission_adapters.sql.statements import parameter

if TYPE_CHECKING:
    from mission_core.events.counters import CountedChanges, Counters

COUNTERS_PER_STATEMENT: Final = 16
"""The number of counters that one statement changes at most."""
COUNTER_TABLES: Final[Mapping[Counters, Table]] = {
    each: table(
        each.name,
        *(required(name, TYPES[type]) for name, type in each.columns.items()),
        key=("organization", *each.keys),
        narrow=True,
    )
    for each in (*COUNTERS, *entity_counters(), budget_amounts())
}


def counter_rows(changes: CountedChanges) -> list[tuple[Counters, list[tuple[Any, ...]]]]:
    """
    Return the counters to which these changes add rows, with these rows: their values after the organization.
    """
    found = []
    for counters in counters_for(changes):
        is_single, rows = len(counters.summed) == 1, []
        for key, amount in counters.sums(changes).items():
            rows.append((*key, amount) if is_single else (*key, *amount))
        if rows:
            rows.sort()
            found.append((counters, rows))
    return found


def counter_statements(dialect: str, changes: CountedChanges) -> list[BatchedStatement]:
    """
    Return the statements that add these changes to all counters.
    """
    own, made = changes.organization.bytes, []
    for counters, rows in counter_rows(changes):
        made += amount_statements(dialect, counters, [(own, *row) for row in rows])
    return made


def amount_statements(dialect: str, counters: Counters, rows: Sequence[tuple[Any, ...]]) -> list[BatchedStatement]:
    """
    Return the statements that add these rows to counters.
    """
    made = []
    for start in range(0, len(rows), COUNTERS_PER_STATEMENT):
        some = rows[start : start + COUNTERS_PER_STATEMENT]
        given = dict(zip(_parameter_names(counters, start, len(some)), chain.from_iterable(some), strict=True))
        made.append(BatchedStatement(_add_amounts, (dialect, counters, start, len(some)), given))
    return made


@cache
def _parameter_names(counters: Counters, start: int, count: int) -> list[str]:
    return [f"{counters.name}_{name}{nth}" for nth in range(start, start + count) for name in counters.columns]


def _add_amounts(dialect: str, counters: Counters, start: int, count: int) -> ChangeStatement:
    rows = [
        {name: parameter(f"{counters.name}_{name}{nth}", type) for name, type in counters.columns.items()}
        for nth in range(start, start + count)
    ]
    return insert_or_add(dialect, counters, rows)


def insert_or_add(dialect: str, counters: Counters, rows: Any) -> ChangeStatement:
    """
    Return the statement that adds *rows*, which are values or a select, to the counters. A counter that holds an
    earlier period starts again; one that holds a later period stays as it is.
    """
    kept = COUNTER_TABLES[counters]
    insert = (postgresql if dialect == "postgresql" else sqlite).insert(kept)
    new = insert.excluded
    added: dict[str, Any] = {name: kept.c[name] + new[name] for name in counters.summed}
    if counters.period is not None:
        before, now = kept.c[counters.period], new[counters.period]
        added = {
            name: case((before == now, added[name]), (before < now, new[name]), else_=kept.c[name])
            for name in counters.summed
        }
        added[counters.period] = case((before < now, now), else_=before)
    filled = insert.from_select(list(counters.columns), rows) if isinstance(rows, Select) else insert.values(rows)
    made: ChangeStatement = filled.on_conflict_do_update(index_elements=kept.primary_key.columns, set_=added)
    return made


def sum_where(counters: Table, *conditions: ColumnElement[bool]) -> Select[Any]:
    """
    Select the sum of the counters that meet the conditions, of all organizations unless a condition names one.
    """
    return select(cast(func.coalesce(func.sum(counters.c.amount), 0), INTEGER)).where(*conditions)


def totals(counters: Table, by: Iterable[str], *conditions: ColumnElement[bool]) -> Select[Any]:
    """
    Select the sums of the organization's counters that meet the conditions, by these columns, without sums of zero.
    """
    columns, amount = [counters.c[name] for name in by], func.sum(counters.c.amount)
    found = select(*columns, cast(amount, INTEGER).label("amount")).group_by(*columns).having(amount > 0)
    return found.where(counters.c.organization == parameter("organization"), *conditions)
