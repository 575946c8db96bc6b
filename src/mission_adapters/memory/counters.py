"""
Counters in memory, updated in the flush that makes the counted changes.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

from attrs import define, field

from mission_adapters.counter_registry import COUNTERS
from mission_core.accounts.model import readable_boards
from mission_core.events.counters import CounterKey

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping
    from uuid import UUID

    from mission_adapters.memory.tables import UndoLog
    from mission_core.accounts.model import Principal
    from mission_core.events.counters import CountedChanges, Counters
    from mission_core.ids import OrganizationId

Cells = dict[CounterKey, tuple[CounterKey, int]]


@define
class MemoryCounters:
    """
    The counters of all organizations. *cells* maps the key of a counter to its period, if it has one, and its amount.
    """

    journal: UndoLog
    cells: dict[tuple[OrganizationId, Counters], Cells] = field(factory=dict)

    def count(self, changes: CountedChanges) -> None:
        """
        Add these changes to the counters.
        """
        for counters in COUNTERS:
            if sums := counters.sums(changes):
                self._add(self.cells.setdefault((changes.organization, counters), {}), counters, sums)

    def drop_board(self, organization: OrganizationId, board: UUID, *, reassign_to: UUID | None) -> None:
        """
        Delete the counters of a board, or add them to those of the board *reassign_to*.
        """
        for counters in COUNTERS:
            cells, place = self.cells.get((organization, counters), {}), list(counters.keys).index(counters.board)
            moved = {}
            for key in [key for key in cells if key[place] == board.bytes]:
                period, amount = cells.pop(key)
                self.journal.note(partial(cells.__setitem__, key, (period, amount)))
                if reassign_to is not None:
                    moved[(*key[:place], reassign_to.bytes, *key[place + 1 :], *period)] = amount
            self._add(cells, counters, moved)

    def drop(self, organization: OrganizationId) -> None:
        """
        Delete the counters of an organization.
        """
        for own in [(organization, counters) for counters in COUNTERS if (organization, counters) in self.cells]:
            self.journal.note(partial(self.cells.__setitem__, own, self.cells.pop(own)))

    def totals(self, counters: Counters, principal: Principal, *by: str, **having: Container[Any]) -> Counter[Any]:
        """
        The sums by these columns of the counters that a principal may see. Columns in *having* have one of the values.
        """
        if (boards := readable_boards(principal)) is not None:
            having.setdefault(counters.board, as_columns(boards))
        places = {name: place for place, name in enumerate(list(counters.columns)[1:-1])}
        shown, conditions = [places[name] for name in by], [(places[name], having[name]) for name in having]
        found = Counter[Any]()
        for key, (period, amount) in self.cells.get((principal.organization, counters), {}).items():
            values = key + period
            if amount and all(values[place] in wanted for place, wanted in conditions):
                found[tuple(values[place] for place in shown)] += amount
        return found

    def _add(self, cells: Cells, counters: Counters, amounts: Mapping[CounterKey, int]) -> None:
        width, before = len(counters.keys), Cells()
        self.journal.note(partial(cells.update, before))
        for values, amount in amounts.items():
            key, period = values[:width], values[width:]
            latest, sum = before[key] = cells.get(key, (period, 0))  # a counter of zero is like none
            if latest <= period:
                cells[key] = (period, amount if latest < period else sum + amount)


def as_columns(ids: Iterable[UUID]) -> set[bytes]:
    """
    The values of these ids in the key of a counter.
    """
    return {each.bytes for each in ids}
