"""
Task counters by board, status and priority, and by assignee. A flush updates them, so totals need no counting of rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite

from mission_adapters.sql.statement_batch import BatchedStatement, ChangeStatement
from mission_adapters.sql.statements import parameter
from mission_adapters.sql.tables import tallies, workloads
from mission_adapters.write_buffer import RowWrite
from mission_core.tasks.model import Task

TaskCounterKey = tuple[Any, ...]


def task_count_key(task: Task) -> TaskCounterKey:
    """
    Return the key of the counter of the tallies table that counts a task.
    """
    assigned = int(task.assignee is not None)
    return task.organization.bytes, task.board.bytes, task.status.value, task.priority, assigned


def workload_key(task: Task) -> TaskCounterKey | None:
    """
    Return the key of the counter of the workloads table that counts a task, or None if nobody is assigned.
    """
    if task.assignee is None:
        return None
    return task.organization.bytes, task.assignee.key, task.board.bytes, task.status.value, task.priority


COUNTER_TABLES: Final[tuple[tuple[Table, Callable[[Task], TaskCounterKey | None]], ...]] = (
    (tallies, task_count_key),
    (workloads, workload_key),
)


def task_counter_statements(dialect: str, writes: Iterable[RowWrite]) -> Iterable[BatchedStatement]:
    """
    Return the statements that count these task changes.
    """
    writes = list(writes)
    for table, place_of in COUNTER_TABLES:
        moved: Counter[TaskCounterKey | None] = Counter()
        for write in writes:
            moved[write.before and place_of(write.before)] -= 1
            moved[write.after and place_of(write.after)] += 1
        del moved[None]
        changed = sorted((cell, by) for cell, by in moved.items() if cell and by)
        if changed:
            yield BatchedStatement(_add_to_counters, (dialect, table, len(changed)), _parameters(table, changed))


def _parameters(table: Table, changed: Iterable[tuple[TaskCounterKey, int]]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for place, (cell, by) in enumerate(changed):
        given |= {f"{table.name}_{c.name}{place}": each for c, each in zip(table.c, (*cell, by), strict=True)}
    return given


def _add_to_counters(dialect: str, table: Table, cells: int) -> ChangeStatement:
    insert = (postgresql if dialect == "postgresql" else sqlite).insert(table)
    rows = [
        {column.name: parameter(f"{table.name}_{column.name}{place}", column.type.python_type) for column in table.c}
        for place in range(cells)
    ]
    more = {"amount": table.c.amount + insert.excluded.amount}
    counted: ChangeStatement = insert.values(rows).on_conflict_do_update(
        index_elements=table.primary_key.columns, set_=more
    )
    return counted
