"""
Tables and reads in memory for the entities that are declared by a `Kind`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from attrs import fields_dict, frozen

from mission_adapters.belonging import boards_in, is_confined
from mission_adapters.memory.tables import Groups, Journal, Table, Unique, numbered
from mission_core.accounts.model import System, boards_seen, sees
from mission_core.boards.model import Board, BoardDenied
from mission_core.errors import Conflict
from mission_core.kinds import DEPLOYMENT, Kind, P
from mission_core.values import Listed

if TYPE_CHECKING:
    from uuid import UUID

    from mission_core.accounts.model import Principal
    from mission_core.ids import OrganizationId
    from mission_core.values import Page


NOBODY: Final = System(organization=DEPLOYMENT)
"""The principal with which rows of the whole deployment are read."""


@frozen
class Tables:
    """
    The tables through which a row's boards are found.
    """

    tables: Mapping[type, Table[Any]]

    def row(self, entity: type, id: UUID) -> Any | None:
        """
        The row of this class with this id, or None.
        """
        return self.tables[entity].rows.get(id)

    def boards(self) -> Iterable[Board]:
        """
        All boards.
        """
        return self.tables[Board].rows.values()


class PlainTable(Table[P]):
    """
    All entities of one kind.
    """

    def __init__(self, journal: Journal, kind: Kind[P], tables: Mapping[type, Table[Any]]) -> None:
        self.plain, self.tables = kind, tables
        self.has_number = "number" in fields_dict(cast(Any, kind.entity))
        uniques = [Unique[P](_key_of(fields), refusal) for fields, refusal in kind.unique.items()]
        self.by_number = Unique[P](numbered, Conflict)
        if self.has_number:
            uniques.append(self.by_number)
        others = ((name,) for name in (*kind.goes_with, *kind.forgets))
        found_by = dict.fromkeys([(), *kind.found_by, *kind.unique, *others])
        self.groups = {frozenset(fields): Groups[P](_keys_of(fields)) for fields in found_by}
        super().__init__(kind.name, journal, tuple(uniques), tuple(self.groups.values()))

    def find(self, principal: Principal, key: UUID | int) -> P:
        """
        An entity that the principal may see, by id or number.

        Raises:
            NotFound: If the principal's organization has none.
            BoardDenied: If its board is not granted to the principal.
        """
        owner = self.plain.owner(principal.organization)
        id = self.by_number.ids.get((owner, key)) if isinstance(key, int) else key
        row = self.rows.get(id) if id else None
        if row is None or row.organization != owner:
            raise self.plain.missing
        if not self._is_seen(principal, row):
            raise BoardDenied
        return row

    def matching(self, principal: Principal, equal: dict[str, Any]) -> list[P]:
        """
        The entities with these field values that the principal may see, oldest first.
        """
        owner = self.plain.owner(principal.organization)
        group = self.groups.get(frozenset(equal))
        if group is not None:
            found = self.each(group.of((owner, *(equal[name] for name in sorted(equal)))))
        else:
            found = self.each(self.groups[frozenset()].of((owner,)))
        rows = [
            row
            for row in found
            if all(getattr(row, name) == value for name, value in equal.items()) and self._is_seen(principal, row)
        ]
        return sorted(rows, key=_line_of if self.has_number else _id_of)

    def _is_seen(self, principal: Principal, row: P) -> bool:
        if boards_seen(principal) is None or not is_confined(self.plain.entity):
            return True
        return any(sees(principal, board) for board in boards_in(row, Tables(self.tables)))

    def count(self, organization: OrganizationId, **equal: Any) -> int:
        """
        The number of entities with these values. Their fields must be indexed.
        """
        return self.groups[frozenset(equal)].count((organization, *(equal[name] for name in sorted(equal))))

    def naming(self, field: str, entity: Any) -> list[P]:
        """
        The entities whose *field* refers to *entity*. The field must be one that the kind cascades or clears.
        """
        return list(self.each(self.groups[frozenset((field,))].of((entity.organization, entity.id))))


def _line_of(row: Any) -> Any:
    return row.number


def _id_of(row: Any) -> Any:
    return row.id


def _key_of(fields: tuple[str, ...]) -> Callable[[Any], Hashable]:
    def key(row: Any) -> Hashable:
        values = [getattr(row, name) for name in fields]
        return None if None in values else (row.organization, *values)

    return key


def _keys_of(fields: tuple[str, ...]) -> Callable[[Any], tuple[Hashable, ...]]:
    in_order = sorted(fields)
    return lambda row: ((row.organization, *(getattr(row, name) for name in in_order)),)


@frozen
class MemoryRowReads:
    """
    Reads the entities of any kind that a principal may see.
    """

    tables: dict[Kind[Any], PlainTable[Any]]

    async def get(self, principal: Principal, kind: Kind[P], key: UUID | int) -> P:
        """
        An entity of a kind, by id or number.
        """
        return cast("P", self.tables[kind].find(principal, key))

    async def every(self, principal: Principal, kind: Kind[P], **equal: Any) -> list[P]:
        """
        The entities of a kind with these field values, oldest first.
        """
        return self.tables[kind].matching(principal, equal)

    async def page(
        self, principal: Principal, kind: Kind[P], page: Page, *, newest: bool = False, **equal: Any
    ) -> Listed:
        """
        A page of the entities with these field values, by number, and their total count.
        """
        found = self.tables[kind].matching(principal, equal)
        total = len(found)
        if newest:
            found.reverse()
        if page.after is not None:
            found = [row for row in found if (row.number < page.after if newest else row.number > page.after)]
        return Listed(found[page.offset : page.offset + page.limit], total)
