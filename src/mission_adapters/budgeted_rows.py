"""
The rows of a flush that matter to budgets: entries of the ledger, runs that begin or end, and budgets themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from attrs import field

from mission_core.kinds import kind_of
from mission_core.lazy_attrs import define
from mission_core.tasks.runs import LIVE_STATES, Run
from mission_core.usage.counters import BUDGETS_NAME, PRICE_OVERRIDES_NAME, USAGE_ENTRIES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mission_adapters.write_buffer import RowWrite
    from mission_core.tasks.ports import TaskChange


@define
class BudgetedRows:
    """
    The rows that matter to budgets. *budgets* are the states of budgets before and after. Prices matter to none; with
    *changes_prices* the flush writes price overrides.
    """

    entries: list[Any] = field(factory=list)
    started: list[Run] = field(factory=list)
    ended: list[Run] = field(factory=list)
    budgets: list[tuple[Any, Any]] = field(factory=list)
    changes_prices: bool = False

    @property
    def runs(self) -> set[UUID]:
        """
        The runs whose reservations are used or end.
        """
        return {run.id for run in self.ended} | {each.run for each in self.entries if each.run is not None}

    @property
    def created(self) -> list[Any]:
        """
        The new budgets.
        """
        return [after for before, after in self.budgets if before is None]

    @property
    def updated(self) -> dict[Any, Any]:
        """
        The changed budgets by id, as they were before.
        """
        return {before.id: before for before, after in self.budgets if before is not None and after is not None}

    def __bool__(self) -> bool:
        return bool(self.entries or self.started or self.ended or self.budgets)


def budgeted_rows(
    writes: Iterable[RowWrite], changes: Iterable[TaskChange] = (), deleted: Iterable[Run] = ()
) -> BudgetedRows:
    """
    Return the rows that matter to budgets in the writes of a flush, in the changes of its operations, and among the
    live runs that these deleted.
    """
    found = BudgetedRows(ended=list(deleted))
    for write in writes:
        before, after = write.before, write.after
        if isinstance(after, Run):
            _add_run(found, before, after)
        elif (kind := kind_of(type(after or before))) is not None:
            if kind.name == USAGE_ENTRIES and after is not None:
                found.entries.append(after)
            elif kind.name == BUDGETS_NAME:
                found.budgets.append((before, after))
            elif kind.name == PRICE_OVERRIDES_NAME:
                found.changes_prices = True
    for change in changes:
        if change.new_run is not None:
            found.started.append(change.new_run)
        if change.run is not None and change.run.state not in LIVE_STATES:
            found.ended.append(change.run)
    return found


def _add_run(found: BudgetedRows, before: Run | None, after: Run) -> None:
    if before is None:
        found.started.append(after)
    elif before.state in LIVE_STATES and after.state not in LIVE_STATES:
        found.ended.append(after)
