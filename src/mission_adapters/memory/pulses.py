"""
What is counted as it happens, in memory.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from attrs import define, field

from mission_core.reports.pulse import Cell

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from mission_adapters.memory.tables import Journal
    from mission_core.ids import OrganizationId

Place = tuple[int, str]


@define
class MemoryPulses:
    """
    The cells of each place of an organization: by slot and what is counted, the minute they belong to and the amount.
    """

    journal: Journal
    cells: dict[tuple[UUID, UUID], dict[Place, tuple[int, int]]] = field(factory=dict)

    def count(self, organization: OrganizationId, changes: Mapping[Cell, int]) -> None:
        """
        Change cells by these amounts.
        """
        for cell, by in changes.items():
            cells = self.cells.setdefault((organization, cell.place), {})
            before = cells.get((cell.slot, cell.what))
            minute, amount = before or (cell.minute, 0)
            if minute <= cell.minute:
                self.journal.note(partial(_put, cells, (cell.slot, cell.what), before))
                cells[cell.slot, cell.what] = (cell.minute, by if minute < cell.minute else amount + by)

    def drop(self, organization: OrganizationId, place: UUID, *, heir: UUID | None) -> None:
        """
        Forget the cells of a board, or with an *heir* count them as its.
        """
        cells = self.cells.pop((organization, place), None)
        if cells is None:
            return
        self.journal.note(lambda: self.cells.update({(organization, place): cells}))
        if heir is not None:
            moved = {Cell(heir, slot, what, minute): by for (slot, what), (minute, by) in cells.items()}
            self.count(organization, moved)

    def end(self, organization: OrganizationId) -> None:
        """
        Forget the cells of an organization and all its boards.
        """
        for place in [place for own, place in self.cells if own == organization]:
            self.drop(organization, place, heir=None)

    def of(self, organization: OrganizationId, place: UUID) -> Mapping[Place, tuple[int, int]]:
        """
        The cells of a board, or of the organization itself.
        """
        return self.cells.get((organization, place), {})


def _put(cells: dict[Place, tuple[int, int]], place: Place, value: tuple[int, int] | None) -> None:
    if value is None:
        cells.pop(place, None)
    else:
        cells[place] = value
