"""
Tables and reads in memory for the entities that are declared by a `Kind`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from attrs import fields_dict

from mission_adapters.board_scope import boards_of_row, is_limited_by_grants
from mission_adapters.memory.tables import GroupIndex, Table, UndoLog, UniqueConstraint, number_key
from mission_core.accounts.model import SystemPrincipal, may_read_board, readable_boards
from mission_core.boards.model import Board, BoardDenied
from mission_core.errors import Conflict
from mission_core.kinds import DEPLOYMENT, EntityT, Kind, kind_of
from mission_core.lazy_attrs import frozen
from mission_core.values import PageOfRows

if TYPE_CHECKING:
    from uuid import UUID

    from mission_core.accounts.model import Principal
    from mission_core.ids import OrganizationId
    from mission_core.values import PageRequest


DEPLOYMENT_PRINCIPAL: Final = SystemPrincipal(organization=DEPLOYMENT)
"""The principal with which rows of the whole deployment are read."""


class EntityTables(dict[type, Table[Any]]):
    """
    The tables of a store by the class of their rows. The table of a kind is made when it is first used, so a program
    loads only the kinds that it uses.
    """

    def __init__(self, journal: UndoLog) -> None:
        super().__init__()
        self.journal = journal

    def __missing__(self, entity: type) -> Table[Any]:
        kind = kind_of(entity)
        if kind is None:
            raise KeyError(entity)
        table: Table[Any] = KindTable(self.journal, kind, self)
        self[entity] = table
        return table


@frozen
class KindTables:
    """
    The tables of the entities that a kind declares.
    """

    tables: EntityTables

    def __getitem__(self, kind: Kind[EntityT]) -> KindTable[EntityT]:
        """
        The table of this kind.
        """
        return cast("KindTable[EntityT]", self.tables[kind.entity])

    def has_rows(self, name: str, organization: OrganizationId) -> bool:
        """
        Whether an organization has rows of the kind with this name.
        """
        return any(each.count(organization) for each in self.used() if each.kind_declaration.name == name)

    def used(self) -> list[KindTable[Any]]:
        """
        The tables that were used so far. All others are empty.
        """
        return [table for table in self.tables.values() if isinstance(table, KindTable)]


@frozen
class TableLookup:
    """
    The tables through which a row's boards are found.
    """

    tables: Mapping[type, Table[Any]]

    def entity(self, entity: type, id: UUID) -> Any | None:
        """
        The row of this class with this id, or None.
        """
        return self.tables[entity].rows.get(id)

    def boards(self) -> Iterable[Board]:
        """
        All boards.
        """
        return self.tables[Board].rows.values()


class KindTable(Table[EntityT]):
    """
    All entities of one kind.
    """

    def __init__(self, journal: UndoLog, kind: Kind[EntityT], tables: Mapping[type, Table[Any]]) -> None:
        self.kind_declaration, self.tables = kind, tables
        self.has_number = "number" in fields_dict(cast(Any, kind.entity))
        uniques = [
            UniqueConstraint[EntityT](_unique_key_of(fields), refusal) for fields, refusal in kind.unique.items()
        ]
        self.by_number = UniqueConstraint[EntityT](number_key, Conflict)
        if self.has_number:
            uniques.append(self.by_number)
        others = ((name,) for name in (*kind.cascades_from, *kind.nulled_on_removal_of))
        found_by = dict.fromkeys([(), *kind.indexed_by, *kind.unique, *others])
        self.groups = {frozenset(fields): GroupIndex[EntityT](_index_keys_of(fields)) for fields in found_by}
        super().__init__(kind.name, journal, tuple(uniques), tuple(self.groups.values()))

    def find(self, principal: Principal, key: UUID | int) -> EntityT:
        """
        An entity that the principal may see, by id or number.

        Raises:
            NotFound: If the principal's organization has none.
            BoardDenied: If its board is not granted to the principal.
        """
        owner = self.kind_declaration.owner(principal.organization)
        id = self.by_number.ids.get((owner, key)) if isinstance(key, int) else key
        row = self.rows.get(id) if id else None
        if row is None or row.organization != owner:
            raise self.kind_declaration.missing
        if not self.is_seen(principal, row):
            raise BoardDenied
        return row

    def numbered(self, principal: Principal, numbers: Collection[int]) -> list[EntityT]:
        """
        The entities with these numbers that the principal may see, by number.
        """
        owner, ids = self.kind_declaration.owner(principal.organization), self.by_number.ids
        found = self.each(ids[owner, number] for number in sorted(set(numbers)) if (owner, number) in ids)
        return [row for row in found if self.is_seen(principal, row)]

    def matching(self, principal: Principal, equal: dict[str, Any]) -> list[EntityT]:
        """
        The entities with these field values that the principal may see, oldest first.
        """
        owner = self.kind_declaration.owner(principal.organization)
        group = self.groups.get(frozenset(equal))
        if group is not None:
            found = self.each(group.of((owner, *(equal[name] for name in sorted(equal)))))
        else:
            found = self.each(self.groups[frozenset()].of((owner,)))
        rows = [
            row
            for row in found
            if all(getattr(row, name) == value for name, value in equal.items()) and self.is_seen(principal, row)
        ]
        return sorted(rows, key=_number_of if self.has_number else _id_of)

    def is_seen(self, principal: Principal, row: EntityT) -> bool:
        """
        Whether the principal may see this row of its organization.
        """
        if readable_boards(principal) is None or not is_limited_by_grants(self.kind_declaration.entity):
            return True
        return any(may_read_board(principal, board) for board in boards_of_row(row, TableLookup(self.tables)))

    def count(self, organization: OrganizationId, **equal: Any) -> int:
        """
        The number of entities with these values. Their fields must be indexed.
        """
        return self.groups[frozenset(equal)].count((organization, *(equal[name] for name in sorted(equal))))

    def referring_to(self, field: str, entity: Any) -> list[EntityT]:
        """
        The entities whose *field* refers to *entity*. The field must be one that the kind cascades or clears.
        """
        return list(self.each(self.groups[frozenset((field,))].of((entity.organization, entity.id))))


def _number_of(row: Any) -> Any:
    return row.number


def _id_of(row: Any) -> Any:
    return row.id


def _unique_key_of(fields: tuple[str, ...]) -> Callable[[Any], Hashable]:
    def key(row: Any) -> Hashable:
        values = [getattr(row, name) for name in fields]
        return None if None in values else (row.organization, *values)

    return key


def _index_keys_of(fields: tuple[str, ...]) -> Callable[[Any], tuple[Hashable, ...]]:
    in_order = sorted(fields)
    return lambda row: ((row.organization, *(getattr(row, name) for name in in_order)),)


@frozen
class MemoryEntityReads:
    """
    Reads the entities of any kind that a principal may see.
    """

    tables: KindTables

    async def get(self, principal: Principal, kind: Kind[EntityT], key: UUID | int) -> EntityT:
        """
        An entity of a kind, by id or number.
        """
        return self.tables[kind].find(principal, key)

    async def several(self, principal: Principal, kind: Kind[EntityT], ids: Collection[UUID]) -> list[EntityT]:
        """
        The entities with these ids that the principal may see.
        """
        table, owner = self.tables[kind], kind.owner(principal.organization)
        found = table.each(id for id in ids if id in table.rows)
        return [row for row in found if row.organization == owner and table.is_seen(principal, row)]

    async def every(self, principal: Principal, kind: Kind[EntityT], **equal: Any) -> list[EntityT]:
        """
        The entities of a kind with these field values, oldest first.
        """
        return self.tables[kind].matching(principal, equal)

    async def page(
        self, principal: Principal, kind: Kind[EntityT], page: PageRequest, *, newest: bool = False, **equal: Any
    ) -> PageOfRows:
        """
        A page of the entities with these field values, by number, and their total count.
        """
        found: list[Any] = self.tables[kind].matching(principal, equal)
        total = len(found)
        if newest:
            found.reverse()
        if page.after is not None:
            found = [row for row in found if (row.number < page.after if newest else row.number > page.after)]
        return PageOfRows(found[page.offset : page.offset + page.limit], total)
