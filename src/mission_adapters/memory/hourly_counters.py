"""
Activity counters in memory. They are updated in the flush that records the events.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from attrs import define, field

from mission_core.reports.hourly_counters import CounterKey

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from mission_adapters.memory.tables import UndoLog
    from mission_core.ids import OrganizationId

CounterSlot = tuple[int, str]


@define
class MemoryHourlyCounters:
    """
    The activity counters of each organization and each board. *cells* maps a slot and the counted name to the minute of
    the slot and the amount.
    """

    journal: UndoLog
    cells: dict[tuple[UUID, UUID], dict[CounterSlot, tuple[int, int]]] = field(factory=dict)

    def count(self, organization: OrganizationId, changes: Mapping[CounterKey, int]) -> None:
        """
        Add these amounts to the counters.
        """
        for cell, by in changes.items():
            cells = self.cells.setdefault((organization, cell.place), {})
            before = cells.get((cell.slot, cell.what))
            minute, amount = before or (cell.minute, 0)
            if minute <= cell.minute:
                self.journal.note(partial(_set_cell, cells, (cell.slot, cell.what), before))
                cells[cell.slot, cell.what] = (cell.minute, by if minute < cell.minute else amount + by)

    def drop(self, organization: OrganizationId, place: UUID, *, reassign_to: UUID | None) -> None:
        """
        Delete the counters of a board, or add them to those of the board *reassign_to*.
        """
        cells = self.cells.pop((organization, place), None)
        if cells is None:
            return
        self.journal.note(lambda: self.cells.update({(organization, place): cells}))
        if reassign_to is not None:
            moved = {CounterKey(reassign_to, slot, what, minute): by for (slot, what), (minute, by) in cells.items()}
            self.count(organization, moved)

    def end(self, organization: OrganizationId) -> None:
        """
        Delete the counters of an organization and all its boards.
        """
        for place in [place for own, place in self.cells if own == organization]:
            self.drop(organization, place, reassign_to=None)

    def of(self, organization: OrganizationId, place: UUID) -> Mapping[CounterSlot, tuple[int, int]]:
        """
        The counters of a board, or of an organization itself.
        """
        return self.cells.get((organization, place), {})


def _set_cell(cells: dict[CounterSlot, tuple[int, int]], place: CounterSlot, value: tuple[int, int] | None) -> None:
    if value is None:
        cells.pop(place, None)
    else:
        cells[place] = value
