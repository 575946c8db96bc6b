"""
The deletions of the budgets' housekeeping: the reservations of runs that have ended, which nothing reads any more, and
the budgets of runs that were deleted with their tasks.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import and_, delete, exists, literal_column, select

from mission_adapters.counter_registry import budget_amounts
from mission_adapters.sql.counters import COUNTER_TABLES
from mission_adapters.sql.kind_tables import MAPPINGS
from mission_adapters.sql.statements import Statement, parameter
from mission_adapters.sql.tables import alive, runs
from mission_core.events.counters import NO_ID
from mission_core.usage.budgets import BUDGETS

amounts: Final = COUNTER_TABLES[budget_amounts()]
budgets: Final = MAPPINGS[BUDGETS].table
_is_alive: Final = select(literal_column("1")).where(runs.c.id == amounts.c.run, alive).correlate(amounts).exists()
_of_ended_run: Final = and_(amounts.c.run != parameter("no_run"), ~_is_alive)
_has_run: Final = select(literal_column("1")).where(runs.c.id == budgets.c.run).correlate(budgets).exists()
_of_deleted_run: Final = and_(budgets.c.run.is_not(None), ~_has_run)
DELETIONS: Final = tuple(
    (Statement(select(exists().where(condition))), Statement(delete(table).where(condition)), given)
    for table, condition, given in (
        (amounts, _of_ended_run, {"no_run": NO_ID}),
        (budgets, _of_deleted_run, dict[str, bytes]()),
    )
)
"""For each table, the look whether there is anything to delete, the deletion, and their parameters."""
