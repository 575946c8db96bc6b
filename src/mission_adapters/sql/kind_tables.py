"""
The tables of kinds: for each `Kind` a table and a mapping of its entities to rows, generated from the entity's fields.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from threading import RLock
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    ColumnElement,
    Executable,
    Index,
    MetaData,
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
    text,
    update,
)

from mission_adapters.board_scope import board_field_of, board_reference_of, has_board
from mission_adapters.kind_registry import KINDS, kinds_cascading_from
from mission_adapters.sql.board_visibility import on_boards
from mission_adapters.sql.columns import columns_of, metadata, table
from mission_adapters.sql.conversions import ColumnValues
from mission_adapters.sql.statements import IdArray, IntegerArray, cached_statement, in_array, parameter, without_index
from mission_core.agents.model import Agent
from mission_core.kinds import Kind, kind_of
from mission_core.lazy_attrs import frozen
from mission_core.row_mapping import RowMapping, row_mapping
from mission_core.tasks.model import Task
from mission_core.tasks.runs import Run

if TYPE_CHECKING:
    from mission_core.errors import Conflict


@frozen(eq=False)
class TableMapping:
    """
    The table of a kind, and the mapping of its entities to rows.
    """

    kind: Kind[Any]
    table: Table
    rows: RowMapping[Any]

    def column_values(self, equal: Mapping[str, Any]) -> ColumnValues:
        """
        Return the column values of these field values, without those that are None.
        """
        return {name: self.rows.columns[name].column_value(each) for name, each in equal.items() if each is not None}


def _mapping_of_kind(kind: Kind[Any]) -> TableMapping:
    rows = row_mapping(kind.entity, nested=kind.nested)
    unique: list[UniqueConstraint] = [UniqueConstraint("organization", *names) for names in kind.unique]
    if "number" in rows.columns:
        unique.append(UniqueConstraint("organization", "number"))
    # When an entity is deleted, rows that refer to it are found by these indexes.
    found_by = dict.fromkeys(
        [*kind.indexed_by, *((name,) for name in (*kind.cascades_from, *kind.nulled_on_removal_of))]
    )
    last = "number" if "number" in rows.columns else "id"
    indexes = [Index(None, "organization", *names, last) for names in found_by]
    indexes += [Index(name, *columns) for name, columns in FURTHER_INDEXES.get(kind.name, {}).items()]
    for name, (columns, condition) in PARTIAL_INDEXES.get(kind.name, {}).items():
        indexes.append(Index(name, *columns, sqlite_where=text(condition), postgresql_where=text(condition)))
    return TableMapping(kind, table(kind.name, *columns_of(rows), *unique, *indexes), rows)


class TableMappings(Mapping[Kind[Any], TableMapping]):
    """
    The table mapping of each kind. A start needs few of them, so each is made when it is first used.
    """

    def __init__(self) -> None:
        self._made: dict[Kind[Any], TableMapping] = {}
        self._making = RLock()

    def __getitem__(self, kind: Kind[Any]) -> TableMapping:
        made = self._made.get(kind)
        return self._make(kind) if made is None else made

    def _make(self, kind: Kind[Any]) -> TableMapping:
        with self._making:
            if kind not in self._made:
                self._made[kind] = _mapping_of_kind(kind)
            return self._made[kind]

    def __iter__(self) -> Iterator[Kind[Any]]:
        return iter(KINDS)

    def __len__(self) -> int:
        return len(KINDS)


TABLES_OF_ENTITIES: Final[dict[type, str]] = {Agent: "agents", Task: "tasks", Run: "runs"}
"""The tables of the entities that belong to a board and have no kind."""
FURTHER_INDEXES: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "members": {"ix_members_user": ("user",)},  # for the memberships of a user in all organizations
    "sessions": {"ix_sessions_expires_at": ("expires_at",)},  # for the deletion of expired sessions
    "invites": {"ix_invites_email": ("email",)},  # for the invites of an e-mail address in all organizations
    "reported_runs": {
        "ix_reported_runs_evaluation_score": ("organization", "evaluation_score"),  # for the evaluated ones
    },
    "usage_entries": {
        # For the lists of the token ledger: of all, and of one board, task, agent or model.
        "ix_usage_entries_at": ("organization", "at", "id"),
        **{
            f"ix_usage_entries_{name}_at": ("organization", name, "at", "id")
            for name in ("board", "task", "agent", "model")
        },
        "ix_usage_entries_agent_name": ("organization", "agent_name", "at"),  # for the latest use of each agent
    },
}
"""The columns of indexes that no kind declares, by their names, for each table."""
NOT_ONE_REQUEST: Final = "requests <> 1"
"""The condition of entries of the token ledger that do not stand for one request."""
PARTIAL_INDEXES: Final[Mapping[str, Mapping[str, tuple[tuple[str, ...], str]]]] = {
    "usage_entries": {"ix_usage_entries_not_one_request": (("organization", "at"), NOT_ONE_REQUEST)},
}
"""The columns of indexes of some rows, and the condition of these rows, by their names, for each table."""
MAPPINGS: Final = TableMappings()


def whole_metadata() -> MetaData:
    """
    Return the metadata with the tables of all kinds.
    """
    for kind in KINDS:
        MAPPINGS[kind]
    return metadata


@cache
def refusals_of_kinds() -> dict[str, type[Conflict]]:
    """
    Return the refusal for each unique constraint of a kind's table, by the constraint's name.
    """
    return {
        f"uq_{kind.name}_{'_'.join(('organization', *names))}": refusal
        for kind in KINDS
        for names, refusal in kind.unique.items()
    }


Filters = tuple[tuple[str, bool], ...]
"""The columns of equality conditions, each with whether it is compared with null."""


@cached_statement
def select_rows(kind: Kind[Any], filters: Filters = (), board_filters: tuple[str, ...] = ()) -> Executable:
    """
    Select the organization's rows of a kind that pass these board filters and whose columns have given values.
    """
    kind_table = MAPPINGS[kind].table
    found: Executable = _where(select(*kind_table.c), kind, filters, board_filters).order_by(_order_column(kind_table))
    return found


@cached_statement
def select_several(kind: Kind[Any], board_filters: tuple[str, ...]) -> Executable:
    """
    Select the organization's rows of a kind that have given ids and pass these board filters.
    """
    kind_table = MAPPINGS[kind].table
    found: Executable = select(*kind_table.c).where(
        in_array(kind_table.c.id, "ids", IdArray()),
        without_index(kind_table.c.organization) == parameter("organization"),
        *within_boards(kind_table, kind.entity, board_filters),
    )
    return found


@cached_statement
def select_numbered(kind: Kind[Any], board_filters: tuple[str, ...]) -> Executable:
    """
    Select the organization's rows of a kind that have given numbers and pass these board filters, by number.
    """
    kind_table = MAPPINGS[kind].table
    found: Executable = (
        _where(select(*kind_table.c), kind, (), board_filters)
        .where(in_array(kind_table.c.number, "numbers", IntegerArray()))
        .order_by(kind_table.c.number)
    )
    return found


@cached_statement
def select_first(kind: Kind[Any], newest: bool, filters: Filters, board_filters: tuple[str, ...]) -> Executable:
    """
    Select the oldest of the rows of `select_rows`, or the newest.
    """
    kind_table = MAPPINGS[kind].table
    line = _order_column(kind_table).desc() if newest else _order_column(kind_table)
    found: Executable = _where(select(*kind_table.c), kind, filters, board_filters).order_by(line).limit(1)
    return found


@cached_statement
def select_page(
    kind: Kind[Any], newest: bool, after: bool, filters: Filters, board_filters: tuple[str, ...]
) -> Executable:
    """
    Select a page of the rows of `select_rows`.
    """
    kind_table = MAPPINGS[kind].table
    found = _where(select(*kind_table.c), kind, filters, board_filters)
    if after:
        found = found.where(
            kind_table.c.number < parameter("after", int) if newest else kind_table.c.number > parameter("after", int)
        )
    line = kind_table.c.number.desc() if newest else kind_table.c.number
    paged: Executable = found.order_by(line).limit(parameter("limit", int)).offset(parameter("offset", int))
    return paged


@cached_statement
def select_count(kind: Kind[Any], filters: Filters, board_filters: tuple[str, ...]) -> Executable:
    """
    Count the rows of `select_rows`.
    """
    kind_table = MAPPINGS[kind].table
    counted: Executable = _where(select(func.count()).select_from(kind_table), kind, filters, board_filters)
    return counted


def removed_with(kind: Kind[Any], gone: Mapping[type, Any]) -> ColumnElement[bool]:
    """
    Return the condition for the rows of a kind that are deleted together with other entities.

    Args:
        gone: The deleted entities by class: an id, or a select of ids.
    """
    kind_table = MAPPINGS[kind].table
    reasons = []
    for name, entity in kind.cascades_from.items():
        if entity in gone:
            ids = gone[entity]
            reasons.append(kind_table.c[name].in_(ids) if isinstance(ids, Select) else kind_table.c[name] == ids)
        for other in kinds_cascading_from(*gone):
            if entity is other.entity and other is not kind:
                reasons.append(
                    kind_table.c[name].in_(select(MAPPINGS[other].table.c.id).where(removed_with(other, gone)))
                )
    return and_(kind_table.c.organization == parameter("owner"), or_(*reasons))


@cached_statement
def delete_removed_with(kind: Kind[Any], entity: type) -> Executable:
    """
    Delete the rows of a kind that are deleted together with an entity.
    """
    return delete(MAPPINGS[kind].table).where(removed_with(kind, {entity: parameter("key")}))


def clear_references(kind: Kind[Any], name: str, gone: Any) -> Executable:
    """
    Set a field of the rows of a kind to null where it refers to a deleted entity. *gone* is an id, or a select of ids.
    """
    kind_table = MAPPINGS[kind].table
    column = kind_table.c[name]
    forgotten: Executable = (
        update(kind_table)
        .where(
            kind_table.c.organization == parameter("owner"),
            column.in_(gone) if isinstance(gone, Select) else column == gone,
        )
        .values({name: null(), "version": kind_table.c.version + 1})
    )
    return forgotten


@cached_statement
def clear_reference(kind: Kind[Any], name: str) -> Executable:
    """
    Set a field of the rows of a kind to null where it refers to an entity.
    """
    return clear_references(kind, name, parameter("key"))


def within_boards(rows: Table, entity: type, board_filters: Iterable[str]) -> Iterable[ColumnElement[bool]]:
    """
    Return the board-filter conditions on rows of a table: on the row's own board, or on the boards of the row that it
    belongs to.
    """
    if not board_filters:
        return []
    if has_board(entity):
        return on_boards(rows.c.board, board_filters)
    board_field = board_field_of(entity)
    if board_field is not None:
        boards = metadata.tables["boards"]
        return [exists().where(boards.c[board_field] == rows.c.id, *on_boards(boards.c.id, board_filters))]
    home = board_reference_of(entity)
    if home is None:
        return []
    known = kind_of(home.entity)
    there = MAPPINGS[known].table if known else metadata.tables[TABLES_OF_ENTITIES[home.entity]]
    return [exists().where(there.c.id == rows.c[home.reference], *within_boards(there, home.entity, board_filters))]


def _where(found: Any, kind: Kind[Any], filters: Filters, board_filters: tuple[str, ...]) -> Any:
    kind_table = MAPPINGS[kind].table
    found = found.where(
        kind_table.c.organization == parameter("organization"), *within_boards(kind_table, kind.entity, board_filters)
    )
    for name, empty in filters:
        column = kind_table.c[name]
        found = found.where(column.is_(None) if empty else column == parameter(name, column.type.python_type))
    return found


def _order_column(kind_table: Table) -> Any:
    return kind_table.c.number if "number" in kind_table.c else kind_table.c.id


def filters_of(equal: Mapping[str, Any]) -> Filters:
    """
    Return the equality conditions of a query in a fixed order, as the key of its compiled statement.
    """
    return tuple(sorted((name, each is None) for name, each in equal.items()))
