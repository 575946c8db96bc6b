"""
Task counters by board, status and priority, and by assignee. A flush updates them, so totals need no counting of rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite

from mission_adapters.remembered import Write
from mission_adapters.sql.parts import Change, Part
from mission_adapters.sql.statements import value
from mission_adapters.sql.tables import tallies, workloads
from mission_core.tasks.model import Task

Cell = tuple[Any, ...]


def cell_of(task: Task) -> Cell:
    """
    Return the key of the counter of the tallies table that counts a task.
    """
    assigned = int(task.assignee is not None)
    return task.organization.bytes, task.board.bytes, task.status.value, task.priority, assigned


def load_of(task: Task) -> Cell | None:
    """
    Return the key of the counter of the workloads table that counts a task, or None if nobody is assigned.
    """
    if task.assignee is None:
        return None
    return task.organization.bytes, task.assignee.key, task.board.bytes, task.status.value, task.priority


COUNTED: Final[tuple[tuple[Table, Callable[[Task], Cell | None]], ...]] = ((tallies, cell_of), (workloads, load_of))


def tallied(dialect: str, writes: Iterable[Write]) -> Iterable[Part]:
    """
    Return the statements that count these task changes.
    """
    writes = list(writes)
    for table, place_of in COUNTED:
        moved: Counter[Cell | None] = Counter()
        for write in writes:
            moved[write.before and place_of(write.before)] -= 1
            moved[write.after and place_of(write.after)] += 1
        del moved[None]
        changed = sorted((cell, by) for cell, by in moved.items() if cell and by)
        if changed:
            yield Part(_count, (dialect, table, len(changed)), _given(table, changed))


def _given(table: Table, changed: Iterable[tuple[Cell, int]]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for place, (cell, by) in enumerate(changed):
        given |= {f"{table.name}_{c.name}{place}": each for c, each in zip(table.c, (*cell, by), strict=True)}
    return given


def _count(dialect: str, table: Table, cells: int) -> Change:
    insert = (postgresql if dialect == "postgresql" else sqlite).insert(table)
    rows = [
        {column.name: value(f"{table.name}_{column.name}{place}", column.type.python_type) for column in table.c}
        for place in range(cells)
    ]
    more = {"amount": table.c.amount + insert.excluded.amount}
    counted: Change = insert.values(rows).on_conflict_do_update(index_elements=table.primary_key.columns, set_=more)
    return counted
