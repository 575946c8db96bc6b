"""
The tables of kinds: for each `Kind` a table and a mapping of its entities to rows, generated from the entity's fields.
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
    The column type of a field, and the conversions between the field's values and column values.
    """

    type: TypeEngine[Any]
    to_column: Convert = _as_is
    from_column: Convert = _as_is
    nullable: bool = False


def _texts_of(values: Iterable[Any]) -> str:
    return canonical([str(each) for each in values])


def _spelling(hint: Any) -> Spelling:
    """
    Return the codec for a field type.

    Raises:
        TypeError: If the type is not allowed in an entity of a kind.
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
        raise TypeError(f"{hint} is not a type that an entity of a kind may have")
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
    The table of a kind, and the mapping of its entities to rows.
    """

    kind: Kind[Any]
    table: Table
    spellings: Mapping[str, Spelling]
    make: Callable[..., Any]

    def row_from(self, entity: Any) -> Row:
        """
        Return the column values of an entity.
        """
        return {name: each.to_column(getattr(entity, name)) for name, each in self.spellings.items()}

    def entity_from(self, row: Iterable[Any]) -> Any:
        """
        Return the entity that a driver row holds.
        """
        pairs = zip(self.spellings.items(), row, strict=True)
        return self.make(**{name: each.from_column(value) for (name, each), value in pairs})

    def given(self, equal: Mapping[str, Any]) -> Row:
        """
        Return the column values of these field values, without those that are None.
        """
        return {name: self.spellings[name].to_column(value) for name, value in equal.items() if value is not None}


def _shelf(kind: Kind[Any]) -> Shelf:
    hints = get_type_hints(kind.entity)
    codecs = {each.name: _spelling(hints[each.name]) for each in fields(cast(Any, kind.entity))}
    columns = [(may if each.nullable else must)(name, each.type) for name, each in codecs.items()]
    unique: list[UniqueConstraint] = [UniqueConstraint("organization", *names) for names in kind.unique]
    if "number" in codecs:
        unique.append(UniqueConstraint("organization", "number"))
    # When an entity is deleted, rows that refer to it are found by these indexes.
    found_by = dict.fromkeys([*kind.found_by, *((name,) for name in (*kind.goes_with, *kind.forgets))])
    last = "number" if "number" in codecs else "id"
    indexes = [Index(None, "organization", *names, last) for names in found_by]
    return Shelf(kind, table(kind.name, *columns, *unique, *indexes), codecs, trusted(kind.entity))


BELONGING: Final[dict[type, str]] = {Agent: "agents", Task: "tasks", Run: "runs"}
"""The tables of the entities that belong to a board and have no kind."""
SHELVES: Final[dict[Kind[Any], Shelf]] = {kind: _shelf(kind) for kind in KINDS}
TAKEN: Final[dict[str, type[Conflict]]] = {
    f"uq_{kind.name}_{'_'.join(('organization', *names))}": refusal
    for kind in KINDS
    for names, refusal in kind.unique.items()
}
"""The refusal for each unique constraint of a kind's table, by the constraint's name."""


Filters = tuple[tuple[str, bool], ...]
"""The columns of equality conditions, each with whether it is compared with null."""


@shaped
def rows_where(kind: Kind[Any], filters: Filters = (), board_filters: tuple[str, ...] = ()) -> Executable:
    """
    Select the organization's rows of a kind that pass these board filters and whose columns have given values.
    """
    kind_table = SHELVES[kind].table
    found: Executable = _where(select(*kind_table.c), kind, filters, board_filters).order_by(_line(kind_table))
    return found


@shaped
def first_where(kind: Kind[Any], newest: bool, filters: Filters, board_filters: tuple[str, ...]) -> Executable:
    """
    Select the oldest of the rows of `rows_where`, or the newest.
    """
    kind_table = SHELVES[kind].table
    line = _line(kind_table).desc() if newest else _line(kind_table)
    found: Executable = _where(select(*kind_table.c), kind, filters, board_filters).order_by(line).limit(1)
    return found


@shaped
def page_where(
    kind: Kind[Any], newest: bool, after: bool, filters: Filters, board_filters: tuple[str, ...]
) -> Executable:
    """
    Select a page of the rows of `rows_where`.
    """
    kind_table = SHELVES[kind].table
    found = _where(select(*kind_table.c), kind, filters, board_filters)
    if after:
        found = found.where(
            kind_table.c.number < value("after", int) if newest else kind_table.c.number > value("after", int)
        )
    line = kind_table.c.number.desc() if newest else kind_table.c.number
    paged: Executable = found.order_by(line).limit(value("limit", int)).offset(value("offset", int))
    return paged


@shaped
def count_where(kind: Kind[Any], filters: Filters, board_filters: tuple[str, ...]) -> Executable:
    """
    Count the rows of `rows_where`.
    """
    kind_table = SHELVES[kind].table
    counted: Executable = _where(select(func.count()).select_from(kind_table), kind, filters, board_filters)
    return counted


def going(kind: Kind[Any], gone: Mapping[type, Any]) -> ColumnElement[bool]:
    """
    Return the condition for the rows of a kind that are deleted together with other entities.

    Args:
        gone: The deleted entities by class: an id, or a select of ids.
    """
    kind_table = SHELVES[kind].table
    reasons = []
    for name, entity in kind.goes_with.items():
        if entity in gone:
            ids = gone[entity]
            reasons.append(kind_table.c[name].in_(ids) if isinstance(ids, Select) else kind_table.c[name] == ids)
        for other in going_with(*gone):
            if entity is other.entity and other is not kind:
                reasons.append(kind_table.c[name].in_(select(SHELVES[other].table.c.id).where(going(other, gone))))
    return and_(kind_table.c.organization == value("owner"), or_(*reasons))


@shaped
def drop_with(kind: Kind[Any], entity: type) -> Executable:
    """
    Delete the rows of a kind that are deleted together with an entity.
    """
    return delete(SHELVES[kind].table).where(going(kind, {entity: value("key")}))


def forgotten_in(kind: Kind[Any], name: str, gone: Any) -> Executable:
    """
    Set a field of the rows of a kind to null where it refers to a deleted entity. *gone* is an id, or a select of ids.
    """
    kind_table = SHELVES[kind].table
    column = kind_table.c[name]
    forgotten: Executable = (
        update(kind_table)
        .where(
            kind_table.c.organization == value("owner"),
            column.in_(gone) if isinstance(gone, Select) else column == gone,
        )
        .values({name: null(), "version": kind_table.c.version + 1})
    )
    return forgotten


@shaped
def forget(kind: Kind[Any], name: str) -> Executable:
    """
    Set a field of the rows of a kind to null where it refers to an entity.
    """
    return forgotten_in(kind, name, value("key"))


def inside(rows: Table, entity: type, board_filters: Iterable[str]) -> Iterable[ColumnElement[bool]]:
    """
    Return the board-filter conditions on rows of a table: on the row's own board, or on the boards of the row that it
    belongs to.
    """
    if not board_filters:
        return []
    if has_board(entity):
        return within(rows.c.board, board_filters)
    if entity in GATHERING:
        boards = metadata.tables["boards"]
        return [exists().where(boards.c[GATHERING[entity]] == rows.c.id, *within(boards.c.id, board_filters))]
    home = HOMES.get(entity)
    if home is None:
        return []
    known = KIND_OF.get(home.entity)
    there = SHELVES[known].table if known else metadata.tables[BELONGING[home.entity]]
    return [exists().where(there.c.id == rows.c[home.field], *inside(there, home.entity, board_filters))]


def _where(found: Any, kind: Kind[Any], filters: Filters, board_filters: tuple[str, ...]) -> Any:
    kind_table = SHELVES[kind].table
    found = found.where(
        kind_table.c.organization == value("organization"), *inside(kind_table, kind.entity, board_filters)
    )
    for name, empty in filters:
        column = kind_table.c[name]
        found = found.where(column.is_(None) if empty else column == value(name, column.type.python_type))
    return found


def _line(kind_table: Table) -> Any:
    return kind_table.c.number if "number" in kind_table.c else kind_table.c.id


def shape_of(equal: Mapping[str, Any]) -> Filters:
    """
    Return the equality conditions of a query in a fixed order, as the key of its compiled statement.
    """
    return tuple(sorted((name, each is None) for name, each in equal.items()))
