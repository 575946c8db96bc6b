"""
In-memory tables: rows by id, with unique constraints and indexes.

Every change is noted in a journal, so that a refused flush can be rolled back. A flush contains no await, so no other
task sees a change that is rolled back.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

from attrs import field

from mission_core.accounts.model import Principal, may_read_board
from mission_core.boards.model import BoardDenied
from mission_core.errors import Conflict, NotFound, StaleWrite
from mission_core.ids import BoardId, OrganizationId
from mission_core.kinds import Entity
from mission_core.lazy_attrs import define

E = TypeVar("E", bound=Entity)
R_contra = TypeVar("R_contra", contravariant=True)
SortEntry = tuple[Hashable, tuple[Any, ...]]


@define
class UndoLog:
    """
    The undo log of the flush that is running.
    """

    undos: list[Callable[[], object]] = field(factory=list)

    def note(self, undo: Callable[[], object]) -> None:
        """
        Add the function that undoes the next step.
        """
        self.undos.append(undo)

    def undo(self) -> None:
        """
        Roll back all steps, the last one first.
        """
        while self.undos:
            self.undos.pop()()

    def clear(self) -> None:
        """
        Accept all steps: clear the undo log.
        """
        self.undos.clear()


class TableIndex(Protocol[R_contra]):
    """
    An index that a table updates when a row enters or leaves it.
    """

    def add(self, row: R_contra) -> None: ...
    def remove(self, row: R_contra) -> None: ...


@define
class UniqueConstraint(Generic[E]):
    """
    A unique constraint: at most one row for each key. Rows whose key is None are not constrained.
    """

    key: Callable[[E], Hashable]
    refusal: type[Conflict]
    ids: dict[Hashable, UUID] = field(factory=dict)

    def check(self, row: E) -> None:
        """
        Require that no other row has this row's key.

        Raises:
            Conflict: The constraint's own refusal, if another row has it.
        """
        key = self.key(row)
        if key is not None and self.ids.get(key, row.id) != row.id:
            raise self.refusal

    def add(self, row: E) -> None:
        if (key := self.key(row)) is not None:
            self.ids[key] = row.id

    def remove(self, row: E) -> None:
        if (key := self.key(row)) is not None:
            del self.ids[key]


@define
class GroupIndex(Generic[E]):
    """
    An index from a key to the rows that have it. A row may have several keys.
    """

    keys: Callable[[E], Iterable[Hashable]]
    ids: dict[Hashable, dict[UUID, None]] = field(factory=dict)

    def of(self, key: Hashable) -> list[UUID]:
        """
        The ids of the rows with this key.
        """
        return list(self.ids.get(key, ()))

    def count(self, key: Hashable) -> int:
        """
        The number of rows with this key.
        """
        return len(self.ids.get(key, ()))

    def add(self, row: E) -> None:
        for key in self.keys(row):
            self.ids.setdefault(key, {})[row.id] = None

    def remove(self, row: E) -> None:
        for key in self.keys(row):
            group = self.ids[key]
            del group[row.id]
            if not group:
                del self.ids[key]


@define
class SortedIndex(Generic[E]):
    """
    A sorted index. A row may have several entries; each is a partition and a sort key that ends with the row's id.

    The entries of a row may depend on other rows. Call `add` again when those change.
    """

    entries_of: Callable[[E], Iterable[SortEntry]]
    partitions: dict[Hashable, list[tuple[Any, ...]]] = field(factory=dict)
    entries: dict[UUID, list[SortEntry]] = field(factory=dict)

    def of(self, line: Hashable) -> list[tuple[Any, ...]]:
        """
        The sort keys of one partition, in order.
        """
        return self.partitions.get(line, [])

    def add(self, row: E) -> None:
        self.remove(row)
        if places := list(self.entries_of(row)):
            self.entries[row.id] = places
            for line, place in places:
                insort(self.partitions.setdefault(line, []), place)

    def remove(self, row: E) -> None:
        for line, place in self.entries.pop(row.id, ()):
            standing = self.partitions[line]
            del standing[bisect_left(standing, place)]
            if not standing:
                del self.partitions[line]


@define(slots=False)
class Table(Generic[E]):
    """
    The rows of one kind.
    """

    kind: str
    journal: UndoLog
    uniques: tuple[UniqueConstraint[E], ...] = ()
    indexes: tuple[TableIndex[E], ...] = ()
    rows: dict[UUID, E] = field(factory=dict)

    def put(self, row: E) -> E:
        """
        Insert a row, or replace the row with the same id.

        Raises:
            Conflict: If a unique constraint is violated.
        """
        for unique in self.uniques:
            unique.check(row)
        before = self.rows.get(row.id)
        self.journal.note(lambda: self._set(row.id, before))
        self._set(row.id, row)
        return row

    def add(self, row: E) -> E:
        """
        Insert a new row.

        Raises:
            StaleWrite: If there is a row with this id.
            Conflict: If a unique constraint is violated.
        """
        if row.id in self.rows:
            raise StaleWrite(self.kind, row.id)
        return self.put(row)

    def drop(self, id: UUID) -> None:
        """
        Delete the row with this id.
        """
        before = self.rows[id]
        self.journal.note(lambda: self._set(id, before))
        self._set(id, None)

    def expect(self, id: UUID, version: int) -> E:
        """
        The row with this id, which must have this version.

        Raises:
            StaleWrite: If it has another version, or was deleted.
        """
        row = self.rows.get(id)
        if row is None or row.version != version:
            raise StaleWrite(self.kind, id)
        return row

    def each(self, ids: Iterable[UUID]) -> Iterator[E]:
        """
        The rows with these ids.
        """
        return (self.rows[id] for id in ids)

    def _set(self, id: UUID, row: E | None) -> None:
        before = self.rows.pop(id, None)
        if row is not None:
            self.rows[id] = row
        for unique in self.uniques:
            _update_index(unique, before, row)
        for index in self.indexes:
            _update_index(index, before, row)


def _update_index(index: TableIndex[E], before: E | None, after: E | None) -> None:
    if before is not None:
        index.remove(before)
    if after is not None:
        index.add(after)


def require_visible(principal: Principal, row: E | None, board: BoardId | None, missing: type[NotFound]) -> E:
    """
    The row itself, if the principal may see it. *board* is the board that it belongs to.

    Raises:
        NotFound: If the row is missing or belongs to another organization.
        BoardDenied: If the board is not granted to the principal.
    """
    if row is None or row.organization != principal.organization:
        raise missing
    if not may_read_board(principal, board):
        raise BoardDenied
    return row


def number_key(row: Any) -> tuple[OrganizationId, int]:
    """
    The key under which a row's short number is unique: its organization and the number.
    """
    return row.organization, row.number
