"""
Hourly and per-minute counters of events and task status changes, updated in the flush that makes the change.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import case
from sqlalchemy.dialects import postgresql, sqlite

from mission_adapters.sql.statement_batch import BatchedStatement, ChangeStatement
from mission_adapters.sql.statements import parameter
from mission_adapters.sql.tables import pulses
from mission_core.reports.hourly_counters import counter_changes

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from mission_adapters.write_buffer import RowWrite
    from mission_core.events.model import Event
    from mission_core.ids import OrganizationId

CELLS_PER_STATEMENT: Final = 16
"""The number of counters that one statement changes at most."""
COLUMNS: Final = [(column.name, column.type.python_type) for column in pulses.c]


def hourly_counter_statements(
    dialect: str,
    organization: OrganizationId,
    facts: Iterable[Event],
    writes: Iterable[RowWrite],
    places: dict[UUID, UUID],
    *,
    at: datetime,
) -> Iterable[BatchedStatement]:
    """
    Return the statements that count these events and task changes.
    """
    changes = ((write.before, write.after) for write in writes)
    cells = counter_changes(facts, changes, own=organization, places=places, at=at)
    own = organization.bytes
    rows = sorted([(own, place.bytes, slot, what, minute, by) for (place, slot, what, minute), by in cells.items()])
    for start in range(0, len(rows), CELLS_PER_STATEMENT):
        some = rows[start : start + CELLS_PER_STATEMENT]
        given = dict(zip(_parameter_names(start, len(some)), chain.from_iterable(some), strict=True))
        yield BatchedStatement(_add_to_cells, (dialect, start, len(some)), given)


@cache
def _parameter_names(start: int, cells: int) -> list[str]:
    return [f"pulse_{name}{nth}" for nth in range(start, start + cells) for name, _ in COLUMNS]


def _add_to_cells(dialect: str, start: int, cells: int) -> ChangeStatement:
    insert = (postgresql if dialect == "postgresql" else sqlite).insert(pulses)
    rows = [
        {name: parameter(f"pulse_{name}{nth}", type) for name, type in COLUMNS} for nth in range(start, start + cells)
    ]
    counted_on: ChangeStatement = insert.values(rows).on_conflict_do_update(
        index_elements=pulses.primary_key.columns, set_=sum_with(insert.excluded)
    )
    return counted_on


def sum_with(new: Any) -> dict[str, Any]:
    """
    Return the column values of a counter after *new* is added. A per-minute counter that holds an earlier minute is
    restarted; one that holds a later minute is left as it is.
    """
    amount = case(
        (pulses.c.minute == new.minute, pulses.c.amount + new.amount),
        (pulses.c.minute < new.minute, new.amount),
        else_=pulses.c.amount,
    )
    minute = case((pulses.c.minute < new.minute, new.minute), else_=pulses.c.minute)
    return {"amount": amount, "minute": minute}
