"""
Counters in memory, updated in the flush that makes the counted changes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any

from attrs import field

from mission_adapters.counter_registry import COUNTERS, counters_for
from mission_core.accounts.model import readable_boards
from mission_core.events.counters import CounterKey, sum_of_amounts
from mission_core.lazy_attrs import define

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping
    from uuid import UUID

    from mission_adapters.memory.tables import UndoLog
    from mission_core.accounts.model import Principal
    from mission_core.events.counters import CountedChanges, Counters
    from mission_core.ids import OrganizationId

Cells = dict[CounterKey, tuple[CounterKey, Any]]


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
        for counters in counters_for(changes):
            if sums := counters.sums(changes):
                self.add(changes.organization, counters, sums)

    def add(self, organization: OrganizationId, counters: Counters, amounts: Mapping[CounterKey, Any]) -> None:
        """
        Add amounts to the counters of an organization.
        """
        self._add(self.cells.setdefault((organization, counters), {}), counters, amounts)

    def drop_board(self, organization: OrganizationId, board: UUID, *, reassign_to: UUID | None) -> None:
        """
        Delete the counters of a board, or add them to those of the board *reassign_to*.
        """
        for counters in COUNTERS:
            cells, place = self.cells.get((organization, counters), {}), list(counters.keys).index(counters.board or "")
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
        for own in [key for key in self.cells if key[0] == organization]:
            self.journal.note(partial(self.cells.__setitem__, own, self.cells.pop(own)))

    def replace(self, organization: OrganizationId, counters: Counters, amounts: Mapping[CounterKey, Any]) -> int:
        """
        Replace the counters of an organization, and return how many had another amount.
        """
        own = self.cells.setdefault((organization, counters), {})
        before = {key: amount for key, (_, amount) in own.items()}
        self.journal.note(partial(own.update, dict(own)))
        own.clear()
        self._add(own, counters, amounts)
        keys = before.keys() | amounts.keys()
        return sum(before.get(key, counters.zero) != amounts.get(key, counters.zero) for key in keys)

    def totals(self, counters: Counters, principal: Principal, *by: str, **having: Container[Any]) -> Any:
        """
        The sums by these columns of the counters that a principal may see. Columns in *having* have one of the values.
        """
        if (boards := readable_boards(principal)) is not None:
            having.setdefault(counters.board or "board", as_columns(boards))
        places = {name: place for place, name in enumerate(list(counters.columns)[1 : -len(counters.summed)])}
        shown, conditions = [places[name] for name in by], [(places[name], having[name]) for name in having]
        found: Any = Counter() if len(counters.summed) == 1 else defaultdict(lambda: counters.zero)
        for key, (period, amount) in self.cells.get((principal.organization, counters), {}).items():
            values = key + period
            if amount and all(values[place] in wanted for place, wanted in conditions):
                shown_values = tuple(values[place] for place in shown)
                found[shown_values] = sum_of_amounts(found[shown_values], amount)
        return found

    def _add(self, cells: Cells, counters: Counters, amounts: Mapping[CounterKey, Any]) -> None:
        width, before = len(counters.keys), Cells()
        self.journal.note(partial(cells.update, before))
        for values, amount in amounts.items():
            key, period = values[:width], values[width:]
            latest, sum = before[key] = cells.get(key, (period, counters.zero))  # a counter of zero is like none
            if latest <= period:
                cells[key] = (period, amount if latest < period else sum_of_amounts(sum, amount))


def as_columns(ids: Iterable[UUID]) -> set[bytes]:
    """
    The values of these ids in the key of a counter.
    """
    return {each.bytes for each in ids}
