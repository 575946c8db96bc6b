"""
Plain rows in a database: the table of each kind, and its mapping, both made from the fields of its class.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from enum import Enum
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Final, Union, cast, get_args, get_origin, get_type_hints
from uuid import UUID

from attrs import fields, frozen
from sqlalchemy import (
    ColumnElement,
    Executable,
    Index,
    Select,
    Table,
    UniqueConstraint,
    and_,
    delete,
    exists,
    func,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.types import TypeEngine

from mission_adapters.belonging import GATHERING, HOMES, has_board
from mission_adapters.kinds import KIND_OF, KINDS, going_with
from mission_adapters.sql.columns import DOUBLE, ID, INTEGER, TEXT, may, metadata, must, table
from mission_adapters.sql.grants import within
from mission_adapters.sql.mapping import Row, by_value, id_from, trusted
from mission_adapters.sql.statements import shaped, value
from mission_core.agents.model import Agent
from mission_core.kinds import Kind
from mission_core.tasks.model import Task
from mission_core.tasks.runs import Run
from mission_core.values import canonical, micros, moment

if TYPE_CHECKING:
    from mission_core.errors import Conflict

Convert = Callable[[Any], Any]


def _as_is(value: Any) -> Any:
    return value


@frozen
class Spelling:
    """
    How a field's values are kept in a column.
    """

    type: TypeEngine[Any]
    to_column: Convert = _as_is
    from_column: Convert = _as_is
    nullable: bool = False


def _texts_of(values: Iterable[Any]) -> str:
    return canonical([str(each) for each in values])


def _spelling(hint: Any) -> Spelling:
    """
    How values of this type are kept.

    Raises:
        TypeError: If it is no type of a plain row's field.
    """
    hint = _beneath(hint)
    parts = get_args(hint)
    if get_origin(hint) in (Union, UnionType) and NoneType in parts:
        (inner,) = (each for each in parts if each is not NoneType)
        each = _spelling(inner)
        return Spelling(each.type, _or_none(each.to_column), _or_none(each.from_column), nullable=True)
    if get_origin(hint) is tuple and len(parts) == 2 and parts[1] is Ellipsis:
        make: Convert = UUID if _beneath(parts[0]) is UUID else _as_is
        return Spelling(TEXT, _texts_of, lambda text: tuple(make(each) for each in json.loads(text)))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return Spelling(TEXT, lambda member: member.value, by_value(hint).__getitem__)
    if hint not in PLAINLY:
        raise TypeError(f"{hint} is no type of a plain row's field")
    return PLAINLY[hint]


def _beneath(hint: Any) -> Any:
    while hasattr(hint, "__supertype__"):
        hint = hint.__supertype__
    return hint


def _or_none(convert: Convert) -> Convert:
    return lambda value: None if value is None else convert(value)


PLAINLY: Final = {
    UUID: Spelling(ID, lambda id: id.bytes, id_from),
    datetime: Spelling(INTEGER, micros, moment),
    bool: Spelling(INTEGER, int, bool),
    int: Spelling(INTEGER),
    float: Spelling(DOUBLE, float),
    str: Spelling(TEXT),
    bytes: Spelling(ID),
}


@frozen(eq=False)
class Shelf:
    """
    Where the rows of one kind are kept.
    """

    kind: Kind[Any]
    table: Table
    spellings: Mapping[str, Spelling]
    make: Callable[..., Any]

    def row_from(self, entity: Any) -> Row:
        """
        The entity as its columns.
        """
        return {name: each.to_column(getattr(entity, name)) for name, each in self.spellings.items()}

    def entity_from(self, row: Iterable[Any]) -> Any:
        """
        The entity that was kept in this driver's row.
        """
        pairs = zip(self.spellings.items(), row, strict=True)
        return self.make(**{name: each.from_column(value) for (name, each), value in pairs})

    def given(self, equal: Mapping[str, Any]) -> Row:
        """
        Values to compare columns with.
        """
        return {name: self.spellings[name].to_column(value) for name, value in equal.items() if value is not None}


def _shelf(kind: Kind[Any]) -> Shelf:
    hints = get_type_hints(kind.entity)
    spellings = {each.name: _spelling(hints[each.name]) for each in fields(cast(Any, kind.entity))}
    columns = [(may if each.nullable else must)(name, each.type) for name, each in spellings.items()]
    unique: list[UniqueConstraint] = [UniqueConstraint("organization", *names) for names in kind.unique]
    if "number" in spellings:
        unique.append(UniqueConstraint("organization", "number"))
    # Whatever goes with another entity, or forgets it, is looked for by it when that is removed.
    found_by = dict.fromkeys([*kind.found_by, *((name,) for name in (*kind.goes_with, *kind.forgets))])
    last = "number" if "number" in spellings else "id"
    indexes = [Index(None, "organization", *names, last) for names in found_by]
    return Shelf(kind, table(kind.name, *columns, *unique, *indexes), spellings, trusted(kind.entity))


BELONGING: Final[dict[type, str]] = {Agent: "agents", Task: "tasks", Run: "runs"}
"""The tables of entities beside plain rows that belong to a board."""
SHELVES: Final[dict[Kind[Any], Shelf]] = {kind: _shelf(kind) for kind in KINDS}
TAKEN: Final[dict[str, type[Conflict]]] = {
    f"uq_{kind.name}_{'_'.join(('organization', *names))}": refusal
    for kind in KINDS
    for names, refusal in kind.unique.items()
}
"""What each constraint of a plain row says when it refuses."""


Filters = tuple[tuple[str, bool], ...]
"""Columns that are compared, and of each whether with null."""


@shaped
def rows_where(kind: Kind[Any], filters: Filters = (), borders: tuple[str, ...] = ()) -> Executable:
    """
    The organization's rows within these borders whose columns have these values.
    """
    shelf = SHELVES[kind].table
    found: Executable = _where(select(*shelf.c), kind, filters, borders).order_by(_line(shelf))
    return found


@shaped
def first_where(kind: Kind[Any], newest: bool, filters: Filters, borders: tuple[str, ...]) -> Executable:
    """
    The oldest of them, or the newest.
    """
    shelf = SHELVES[kind].table
    line = _line(shelf).desc() if newest else _line(shelf)
    found: Executable = _where(select(*shelf.c), kind, filters, borders).order_by(line).limit(1)
    return found


@shaped
def page_where(
    kind: Kind[Any], newest: bool, after: bool, filters: Filters, borders: tuple[str, ...]
) -> Executable:
    """
    A page of them.
    """
    shelf = SHELVES[kind].table
    found = _where(select(*shelf.c), kind, filters, borders)
    if after:
        found = found.where(shelf.c.number < value("after", int) if newest else shelf.c.number > value("after", int))
    line = shelf.c.number.desc() if newest else shelf.c.number
    paged: Executable = found.order_by(line).limit(value("limit", int)).offset(value("offset", int))
    return paged


@shaped
def count_where(kind: Kind[Any], filters: Filters, borders: tuple[str, ...]) -> Executable:
    """
    How many there are.
    """
    shelf = SHELVES[kind].table
    counted: Executable = _where(select(func.count()).select_from(shelf), kind, filters, borders)
    return counted


def going(kind: Kind[Any], gone: Mapping[type, Any]) -> ColumnElement[bool]:
    """
    Which rows of a kind go with what is removed: *gone* has the id, or the select of the ids, by the entity's class.
    """
    shelf = SHELVES[kind].table
    reasons = []
    for name, entity in kind.goes_with.items():
        if entity in gone:
            ids = gone[entity]
            reasons.append(shelf.c[name].in_(ids) if isinstance(ids, Select) else shelf.c[name] == ids)
        for other in going_with(*gone):
            if entity is other.entity and other is not kind:
                reasons.append(shelf.c[name].in_(select(SHELVES[other].table.c.id).where(going(other, gone))))
    return and_(shelf.c.organization == value("owner"), or_(*reasons))


@shaped
def drop_with(kind: Kind[Any], entity: type) -> Executable:
    """
    Remove the rows of a kind that go with an entity.
    """
    return delete(SHELVES[kind].table).where(going(kind, {entity: value("key")}))


def forgotten_in(kind: Kind[Any], name: str, gone: Any) -> Executable:
    """
    Empty a field of the rows of a kind where it names what is removed: *gone* is its id, or the select of the ids.
    """
    shelf = SHELVES[kind].table
    column = shelf.c[name]
    forgotten: Executable = (
        update(shelf)
        .where(
            shelf.c.organization == value("owner"), column.in_(gone) if isinstance(gone, Select) else column == gone
        )
        .values({name: null(), "version": shelf.c.version + 1})
    )
    return forgotten


@shaped
def forget(kind: Kind[Any], name: str) -> Executable:
    """
    Empty a field of the rows of a kind where it names an entity.
    """
    return forgotten_in(kind, name, value("key"))


def inside(rows: Table, entity: type, borders: Iterable[str]) -> Iterable[ColumnElement[bool]]:
    """
    That a row of this table is within these borders: its board is, or one of those that it belongs to through others.
    """
    if not borders:
        return []
    if has_board(entity):
        return within(rows.c.board, borders)
    if entity in GATHERING:
        boards = metadata.tables["boards"]
        return [exists().where(boards.c[GATHERING[entity]] == rows.c.id, *within(boards.c.id, borders))]
    home = HOMES.get(entity)
    if home is None:
        return []
    known = KIND_OF.get(home.entity)
    there = SHELVES[known].table if known else metadata.tables[BELONGING[home.entity]]
    return [exists().where(there.c.id == rows.c[home.field], *inside(there, home.entity, borders))]


def _where(found: Any, kind: Kind[Any], filters: Filters, borders: tuple[str, ...]) -> Any:
    shelf = SHELVES[kind].table
    found = found.where(shelf.c.organization == value("organization"), *inside(shelf, kind.entity, borders))
    for name, empty in filters:
        column = shelf.c[name]
        found = found.where(column.is_(None) if empty else column == value(name, column.type.python_type))
    return found


def _line(shelf: Table) -> Any:
    return shelf.c.number if "number" in shelf.c else shelf.c.id


def shape_of(equal: Mapping[str, Any]) -> Filters:
    """
    Which columns are compared, in one order, and which of them with null.
    """
    return tuple(sorted((name, each is None) for name, each in equal.items()))
