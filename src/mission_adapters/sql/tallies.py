"""
How many tasks there are of each board, status and priority, with an assignee and without: counted as they change, so
that a page can tell its total without counting.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite

from mission_adapters.sql.parts import Change, Part
from mission_adapters.sql.statements import value
from mission_adapters.sql.tables import tallies
from mission_adapters.unit import Write
from mission_core.tasks.model import Task

KEY = tuple(column.name for column in tallies.primary_key)
Cell = tuple[bytes, bytes, str, str, int]


def cell_of(task: Task | None) -> Cell | None:
    """
    Where a task is counted.
    """
    if task is None:
        return None
    assigned = task.assignee is not None
    return task.organization.bytes, task.board.bytes, task.status.value, task.priority, int(assigned)


def tallied(dialect: str, writes: Iterable[Write]) -> Iterable[Part]:
    """
    The counting of what became of these tasks.
    """
    moved: Counter[Cell] = Counter()
    for write in writes:
        if (was := cell_of(write.before)) is not None:
            moved[was] -= 1
        if (now := cell_of(write.after)) is not None:
            moved[now] += 1
    changed = sorted((cell, by) for cell, by in moved.items() if by)
    if changed:
        given: dict[str, Any] = {}
        for place, (cell, by) in enumerate(changed):
            given |= {f"{name}{place}": each for name, each in zip((*KEY, "amount"), (*cell, by), strict=True)}
        yield Part(_count, (dialect, len(changed)), given)


def _count(dialect: str, cells: int) -> Change:
    insert = (postgresql if dialect == "postgresql" else sqlite).insert(tallies)
    rows = [
        {column.name: value(f"{column.name}{place}", column.type.python_type) for column in tallies.c}
        for place in range(cells)
    ]
    more = {"amount": tallies.c.amount + insert.excluded.amount}
    counted: Change = insert.values(rows).on_conflict_do_update(index_elements=KEY, set_=more)
    return counted
