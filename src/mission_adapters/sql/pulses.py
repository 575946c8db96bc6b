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

from mission_adapters.sql.parts import Change, Part
from mission_adapters.sql.statements import value
from mission_adapters.sql.tables import pulses
from mission_core.reports.pulse import counted

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from mission_adapters.remembered import Write
    from mission_core.events.model import Fact
    from mission_core.ids import OrganizationId

AT_ONCE: Final = 16
"""The number of counters that one statement changes at most."""
COLUMNS: Final = [(column.name, column.type.python_type) for column in pulses.c]


def pulsed(
    dialect: str,
    organization: OrganizationId,
    facts: Iterable[Fact],
    writes: Iterable[Write],
    places: dict[UUID, UUID],
    *,
    at: datetime,
) -> Iterable[Part]:
    """
    Return the statements that count these events and task changes.
    """
    changes = ((write.before, write.after) for write in writes)
    cells = counted(facts, changes, own=organization, places=places, at=at)
    own = organization.bytes
    rows = sorted([(own, place.bytes, slot, what, minute, by) for (place, slot, what, minute), by in cells.items()])
    for start in range(0, len(rows), AT_ONCE):
        some = rows[start : start + AT_ONCE]
        given = dict(zip(_names(start, len(some)), chain.from_iterable(some), strict=True))
        yield Part(_beat, (dialect, start, len(some)), given)


@cache
def _names(start: int, cells: int) -> list[str]:
    return [f"pulse_{name}{nth}" for nth in range(start, start + cells) for name, _ in COLUMNS]


def _beat(dialect: str, start: int, cells: int) -> Change:
    insert = (postgresql if dialect == "postgresql" else sqlite).insert(pulses)
    rows = [{name: value(f"pulse_{name}{nth}", type) for name, type in COLUMNS} for nth in range(start, start + cells)]
    counted_on: Change = insert.values(rows).on_conflict_do_update(
        index_elements=pulses.primary_key.columns, set_=added_up(insert.excluded)
    )
    return counted_on


def added_up(new: Any) -> dict[str, Any]:
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
