"""
The declaration of counters: sums that each commit updates with the changes and events it writes, so that a read need
not go over rows and events. Every store derives its table of the counters and the counting from the declaration.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from attrs import field

from mission_core.lazy_attrs import frozen

if TYPE_CHECKING:
    from mission_core.events.model import Event
    from mission_core.ids import OrganizationId

CounterKey = tuple[Any, ...]
"""The column values that identify a counter of an organization; a counter with a period has the period last."""
Amount = Any
"""A number, or a tuple of numbers for counters with several sums."""
Amounts = Iterable[tuple[CounterKey, Amount]]
NO_ID: Final = bytes(16)
"""Stands for no board, task or agent in a key."""


@frozen
class CountedChanges:
    """
    The events and the changes of tasks that one commit writes.

    Args:
        organization: The organization whose counters change.
        events: The events.
        tasks: The state of each changed task before and after; None before its creation and after its deletion.
        boards: The boards of tasks that the events are about, by the tasks' ids.
        at: The current time in microseconds since 1970.
        entities: The state of each changed entity before and after, by a name that its counters give, if some count it.
    """

    organization: OrganizationId
    events: Sequence[Event]
    tasks: Sequence[tuple[Any, Any]]
    boards: Mapping[UUID, UUID]
    at: int
    entities: Mapping[str, Sequence[tuple[Any, Any]]] = field(factory=dict)
    _cells: dict[EntityCells, dict[CounterKey, Amount]] = field(factory=dict, init=False)

    def cells(self, declared: EntityCells) -> dict[CounterKey, Amount]:
        """
        Return the sums of the changed entities by cell, which are computed once.
        """
        if declared not in self._cells:
            self._cells[declared] = declared.sums(self.entities.get(declared.name, ()))
        return self._cells[declared]


@frozen(eq=False)
class EntityCells:
    """
    The values of an entity that several counters share, so that entities with the same values are summed once for all.

    Args:
        name: The name of the entities in `CountedChanges.entities`.
        cell: The values of an entity that the keys of the counters are made of.
        amounts: The amounts of an entity.
    """

    name: str
    cell: Callable[[Any], CounterKey]
    amounts: Callable[[Any], tuple[int, ...]]

    def sums(self, changes: Iterable[tuple[Any, Any]]) -> dict[CounterKey, Amount]:
        """
        Return what these states before and after add, by cell.
        """
        added: dict[CounterKey, list[tuple[int, ...]]] = {}
        for before, after in changes:
            if after is not None:
                added.setdefault(self.cell(after), []).append(self.amounts(after))
            if before is not None:
                added.setdefault(self.cell(before), []).append(tuple(-each for each in self.amounts(before)))
        return {cell: _sum_of_all(amounts) for cell, amounts in added.items()}


@frozen(eq=False)
class Counters:
    """
    The declaration of one table of counters. Each counter is the sum of the amounts with its key.

    Args:
        name: The name of the table.
        keys: The columns that identify a counter of an organization, with their types.
        of_task: The amounts of a task. They are added when it gets a state, and subtracted when it leaves it.
        of_event: The amounts of an event.
        of_entity: The name of the entities, and the amounts of one, which are added and subtracted like a task's.
        of_cell: The cells of entities, and the keys of the counters that have the amounts of a cell.
        board: The key that holds the board's id. When the board is deleted, its counters are deleted too, or added to
            those of the board that takes over its tasks. None for counters that stay.
        period: The column of a number that grows with time, for counters that start again when it does: a counter sums
            the amounts of its latest period.
        summed: The columns of the sums. With several, an amount is a tuple with a number for each.
    """

    name: str
    keys: Mapping[str, type]
    of_task: Callable[[Any, CountedChanges], Amounts] | None = None
    of_event: Callable[[Event, CountedChanges], Amounts] | None = None
    of_entity: tuple[str, Callable[[Any, CountedChanges], Amounts]] | None = None
    of_cell: tuple[EntityCells, Callable[[CounterKey], Iterable[CounterKey]]] | None = None
    board: str | None = "board"
    period: str | None = None
    summed: tuple[str, ...] = ("amount",)
    columns: Mapping[str, type] = field(init=False)
    """The columns of the table, with their types."""

    @columns.default
    def _columns(self) -> Mapping[str, type]:
        period = {} if self.period is None else {self.period: int}
        return {"organization": bytes, **self.keys, **period, **dict.fromkeys(self.summed, int)}

    @property
    def zero(self) -> Amount:
        """
        The amount of a counter that nothing was added to.
        """
        return 0 if len(self.summed) == 1 else (0,) * len(self.summed)

    def sums(self, changes: CountedChanges) -> dict[CounterKey, Amount]:
        """
        Return what these changes add to the counters, by key.
        """
        if self.of_cell is not None:
            return self._sums_of_cells(changes, *self.of_cell)
        if self.of_entity is not None:
            return self._sums_of_entities(changes, *self.of_entity)
        sums: defaultdict[CounterKey, int] = defaultdict(int)
        if self.of_event is not None:
            for event in changes.events:
                for key, amount in self.of_event(event, changes):
                    sums[key] += amount
        if self.of_task is not None:
            for before, after in changes.tasks:
                for task, sign in ((before, -1), (after, 1)):
                    for key, amount in self.of_task(task, changes) if task is not None else ():
                        sums[key] += sign * amount
        return sums if all(sums.values()) else {key: amount for key, amount in sums.items() if amount}

    def _sums_of_entities(
        self, changes: CountedChanges, kind: str, amounts_of: Callable[[Any, CountedChanges], Amounts]
    ) -> dict[CounterKey, Amount]:
        sums: dict[CounterKey, Amount] = {}
        for before, after in changes.entities.get(kind, ()):
            for row, sign in ((before, -1), (after, 1)):
                for key, amount in amounts_of(row, changes) if row is not None else ():
                    sums[key] = sum_of_amounts(sums.get(key, self.zero), amount, sign)
        return {key: amount for key, amount in sums.items() if amount != self.zero}

    def _sums_of_cells(
        self, changes: CountedChanges, declared: EntityCells, keys_of: Callable[[CounterKey], Iterable[CounterKey]]
    ) -> dict[CounterKey, Amount]:
        added: dict[CounterKey, list[Amount]] = {}
        for cell, amounts in changes.cells(declared).items():
            for key in keys_of(cell):
                added.setdefault(key, []).append(amounts)
        sums = {key: _sum_of_all(amounts) for key, amounts in added.items()}
        return {key: amount for key, amount in sums.items() if amount != self.zero}


def sum_of_amounts(amount: Amount, other: Amount, sign: int = 1) -> Amount:
    """
    Return an amount with another one added, or subtracted with the *sign* -1.
    """
    if isinstance(amount, tuple):
        return tuple(one + sign * another for one, another in zip(amount, other, strict=True))
    return amount + sign * other


def _sum_of_all(amounts: Sequence[Amount]) -> Amount:
    return amounts[0] if len(amounts) == 1 else tuple(map(sum, zip(*amounts, strict=True)))
