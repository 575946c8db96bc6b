"""
Row operations of a flush: insert, update, lock and delete the row of an entity, with version checks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from itertools import groupby
from operator import attrgetter
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Executable, Table, delete, exists, insert, literal_column, select, update

from mission_adapters.row_parts import (
    UNVERSIONED_AGENT_COLUMNS,
    UNVERSIONED_RUN_COLUMNS,
    WholeAgent,
    WholeBoard,
    WholeRun,
    WholeTask,
    whole_row,
)
from mission_adapters.sql import tables
from mission_adapters.sql.conversions import ColumnValues, optional_bytes
from mission_adapters.sql.database_session import Steps
from mission_adapters.sql.statements import IdArray, Statement, cached_statement, in_array, parameter
from mission_adapters.sql.task_contexts import CONTEXT_COLUMNS, assignee_agent
from mission_adapters.write_buffer import ReadDependency
from mission_core.accounts.model import ApiKey
from mission_core.accounts.rows import API_KEY_ROWS
from mission_core.agents.model import Agent, AgentPlacement
from mission_core.agents.rows import AGENT_ROWS
from mission_core.boards.model import Board, GatesVersion
from mission_core.boards.rows import BOARD_ROWS
from mission_core.errors import StaleWrite
from mission_core.ids import BoardId
from mission_core.kinds import kind_of
from mission_core.lazy_attrs import frozen
from mission_core.row_mapping import RowMapping
from mission_core.tasks.model import Task, TaskWorkVersion
from mission_core.tasks.rows import RUN_ROWS, TASK_ROWS
from mission_core.tasks.runs import Run

KIND: Final = attrgetter("kind")


def _single_value(version: Any) -> tuple[Any, ...]:
    return (version,)


def _placement_values(placement: tuple[str, BoardId | None, bool]) -> tuple[Any, ...]:
    name, board, lead = placement
    return name, optional_bytes(board), int(lead)


@frozen(eq=False)
class EntityMapping:
    """
    The table and row mapping of an entity class.

    Args:
        version_of: The expressions that are compared when a unit relies on a row, or on this part of one. None means
            the row's version.
        version_values: The values of these expressions for a version.
    """

    name: str
    table: Table
    rows: RowMapping[Any]
    version_of: tuple[ColumnElement[Any], ...] | None = None
    version_values: Callable[[Any], tuple[Any, ...]] = _single_value

    @property
    def version_columns(self) -> tuple[ColumnElement[Any], ...]:
        """
        The expressions whose values are a row's version.
        """
        return self.version_of or (self.table.c.version,)


class EntityMappings(dict[type, EntityMapping]):
    """
    The mappings of entity classes and of parts of rows. That of a kind's class is made when it is first used.
    """

    def __missing__(self, entity: type) -> EntityMapping:
        kind = kind_of(entity)
        if kind is None:
            raise KeyError(entity)
        mapping = tables.MAPPINGS[kind]
        made = self[entity] = EntityMapping(kind.name, mapping.table, mapping.rows)
        return made


ENTITY_MAPPINGS: Final[Mapping[type, EntityMapping]] = EntityMappings(
    {
        Board: EntityMapping("board", tables.boards, BOARD_ROWS),
        GatesVersion: EntityMapping("board", tables.boards, BOARD_ROWS, (tables.boards.c.gates_version,)),
        WholeBoard: EntityMapping(
            "board", tables.boards, BOARD_ROWS, (tables.boards.c.version, tables.boards.c.updated_at), tuple
        ),
        Agent: EntityMapping("agent", tables.agents, AGENT_ROWS),
        AgentPlacement: EntityMapping(
            "agent",
            tables.agents,
            AGENT_ROWS,
            (tables.agents.c.name, tables.agents.c.board, tables.agents.c.lead),
            _placement_values,
        ),
        WholeAgent: EntityMapping(
            "agent",
            tables.agents,
            AGENT_ROWS,
            tuple(tables.agents.c[name] for name in ("version", "updated_at", *UNVERSIONED_AGENT_COLUMNS)),
            tuple,
        ),
        ApiKey: EntityMapping("key", tables.api_keys, API_KEY_ROWS),
        Task: EntityMapping("task", tables.tasks, TASK_ROWS),
        TaskWorkVersion: EntityMapping(
            "task", tables.tasks, TASK_ROWS, (tables.tasks.c.version - tables.tasks.c.edits,)
        ),
        WholeTask: EntityMapping(
            "task",
            tables.tasks,
            TASK_ROWS,
            (*(tables.tasks.c[name] for name in ("version", "updated_at", "late_results")), assignee_agent()),
            tuple,
        ),
        Run: EntityMapping("run", tables.runs, RUN_ROWS),
        WholeRun: EntityMapping(
            "run",
            tables.runs,
            RUN_ROWS,
            tuple(tables.runs.c[name] for name in ("version", "ended_at", *UNVERSIONED_RUN_COLUMNS)),
            tuple,
        ),
    }
)


RETURNED_COLUMNS: Final[Mapping[Table, tuple[ColumnElement[Any], ...]]] = {tables.tasks: CONTEXT_COLUMNS}
"""The columns that the insert or update of an entity returns, by the table of the entity."""


def has_version(kind: type, place: int) -> tuple[ColumnElement[bool], ...]:
    """
    Return the conditions that a row has the version in the parameters of this place.
    """
    mapping = ENTITY_MAPPINGS[kind]
    conditions = [mapping.table.c.id == parameter(f"relied{place}")]
    for nth, column in enumerate(mapping.version_columns):
        value = parameter(f"relied{place}_{nth}", column.type.python_type)
        conditions.append(column.is_not_distinct_from(value) if getattr(column, "nullable", True) else column == value)
    return tuple(conditions)


def version_parameters(kind: type, id: UUID, version: object, place: int = 0) -> dict[str, Any]:
    values = ENTITY_MAPPINGS[kind].version_values(version)
    return dict(zip(_version_names(place, len(values)), (id.bytes, *values), strict=True))


@cache
def _version_names(place: int, count: int) -> list[str]:
    return [f"relied{place}", *(f"relied{place}_{nth}" for nth in range(count))]


def _all_unchanged(relied: tuple[type, ...]) -> list[ColumnElement[bool]]:
    """
    Return the conditions that rows of these kinds have the versions in the parameters.
    """
    # Not correlated: the row may be another one of the table that the statement changes.
    return [
        exists(select(literal_column("1")).where(*has_version(kind, place)).correlate(None))
        for place, kind in enumerate(relied)
    ]


@cached_statement
def update_statement(
    table: Table,
    columns: tuple[str, ...],
    relied: tuple[type, ...] = (),
    whole: type | None = None,
    returned: bool = False,
) -> Executable:
    """
    Update these columns of one row, if its version and those of the rows that the unit relies on have not changed. With
    *whole* nothing else of the row may have changed, either.
    """
    found = (
        update(table)
        .where(
            table.c.id == parameter("key"),
            table.c.version == parameter("was", int),
            *_all_unchanged(relied),
            *(has_version(whole, len(relied)) if whole else ()),
        )
        .values({name: parameter(name, table.c[name].type.python_type) for name in columns})
    )
    return found.returning(*RETURNED_COLUMNS[table]) if returned else found


@cached_statement
def insert_statement(table: Table, relied: tuple[type, ...] = ()) -> Executable:
    """
    Insert a row, if the versions of the rows that the unit relies on have not changed.
    """
    found = insert(table)
    if relied:
        values = {column.name: parameter(column.name, column.type.python_type) for column in table.c}
        found = found.from_select(list(values), select(*values.values()).where(*_all_unchanged(relied)))
    return found.returning(*RETURNED_COLUMNS[table]) if table in RETURNED_COLUMNS else found


@cached_statement
def select_version(kind: type, exclusive: bool) -> Executable:
    """
    Select one row if it has this version, and lock it, exclusively or shared.
    """
    found = select(ENTITY_MAPPINGS[kind].table.c.id).where(*has_version(kind, 0))
    return found.with_for_update(read=not exclusive)


@cached_statement
def select_versions(kind: type) -> Executable:
    """
    Select the versions of several rows and lock them shared, in the order of their ids.
    """
    table, version = ENTITY_MAPPINGS[kind].table, ENTITY_MAPPINGS[kind].version_columns
    found = select(table.c.id, *version).where(in_array(table.c.id, "keys", IdArray()))
    return found.order_by(table.c.id).with_for_update(read=True)


@cached_statement
def delete_statement(table: Table) -> Executable:
    """
    Delete one row.
    """
    return delete(table).where(table.c.id == parameter("key"))


def _written(dialect: str, statement: Statement, given: Mapping[str, Any]) -> Steps[Any]:
    """
    Write a row. Return its `RETURNED_COLUMNS`, if it has any, or else whether the row was written.
    """
    if not statement.returns:
        return (yield statement.count(dialect, **given))
    rows = yield statement(dialect, **given)
    return rows[0] if rows else None


def insert_row(dialect: str, entity: Any, relied: Sequence[ReadDependency] = ()) -> Steps[Any]:
    """
    Insert the row of a new entity, if the rows that the unit relies on have not changed. Return its `RETURNED_COLUMNS`.

    Raises:
        StaleWrite: If the version of a row that the unit relies on has changed.
    """
    kind = ENTITY_MAPPINGS[type(entity)]
    statement = insert_statement(kind.table, tuple(map(KIND, relied)))
    given = {**kind.rows.row_from(entity), **_relied_parameters(relied)}
    written = yield from _written(dialect, statement, given)
    if not written:
        yield from require_unchanged(dialect, relied)
        raise StaleWrite(kind.name, entity.id)
    return written


def update_row(
    dialect: str, before: Any, after: Any, relied: Sequence[ReadDependency] = (), *, remembered: bool = False
) -> Steps[Any]:
    """
    Update the changed columns of an entity's row, if the rows that the unit relies on have not changed. Return its
    `RETURNED_COLUMNS`.

    Raises:
        StaleWrite: If the version of the row has changed since *before* was read, or that of a row relied on. If
            *before* was *remembered*, also if anything else of the row has changed.
    """
    statement, given = update_of(before, after, relied, remembered=remembered)
    written = yield from _written(dialect, statement, given)
    if not written:
        yield from require_unchanged(dialect, relied)
        raise StaleWrite(ENTITY_MAPPINGS[type(after)].name, after.id)
    return written


def update_of(
    before: Any, after: Any, relied: Sequence[ReadDependency], *, remembered: bool
) -> tuple[Statement, dict[str, Any]]:
    """
    Return the statement of `update_row`, and its parameters.
    """
    kind, changed = ENTITY_MAPPINGS[type(after)], changed_columns(before, after)
    given = {"key": before.id.bytes, "was": before.version, **changed, **_relied_parameters(relied)}
    whole = whole_row(before) if remembered else None
    if whole is not None:
        given |= version_parameters(type(whole), whole.id, whole.version, len(relied))
    kinds, part = tuple(map(KIND, relied)), None if whole is None else type(whole)
    return update_statement(kind.table, tuple(changed), kinds, part, kind.table in RETURNED_COLUMNS), given


def changed_columns(before: Any, after: Any) -> ColumnValues:
    """
    Return the values of the columns that differ between the rows of an entity, and its version.
    """
    changed = ENTITY_MAPPINGS[type(after)].rows.changes(before, after)
    changed["version"] = after.version
    return changed


def _relied_parameters(relied: Sequence[ReadDependency]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for place, each in enumerate(relied):
        given |= version_parameters(each.kind, each.id, each.version, place)
    return given


def bump_row(dialect: str, kind: type, id: UUID, version: int) -> Steps[None]:
    """
    Increment the version of a row.

    Raises:
        StaleWrite: If the version of the row has changed.
    """
    table = ENTITY_MAPPINGS[kind].table
    statement = update_statement(table, ("version",))
    if not (yield statement.count(dialect, key=id.bytes, was=version, version=version + 1)):
        raise StaleWrite(ENTITY_MAPPINGS[kind].name, id)


def lock_row(dialect: str, kind: type, id: UUID, version: object, *, exclusive: bool = False) -> Steps[None]:
    """
    Lock a row until the end of the flush and check its version.

    Raises:
        StaleWrite: If the version of the row has changed.
    """
    if not (yield select_version(kind, exclusive)(dialect, **version_parameters(kind, id, version))):
        raise StaleWrite(ENTITY_MAPPINGS[kind].name, id)


@cached_statement
def select_unchanged(kind: type) -> Executable:
    """
    Select one row if it has this version.
    """
    return select(ENTITY_MAPPINGS[kind].table.c.id).where(*has_version(kind, 0))


def check_remembered(dialect: str, rows: Iterable[Any]) -> Steps[None]:
    """
    Check that nothing of remembered rows has changed, as if they were read now.

    Raises:
        StaleWrite: If one has changed.
    """
    for whole in map(whole_row, rows):
        kind = type(whole)
        if not (yield select_unchanged(kind)(dialect, **version_parameters(kind, whole.id, whole.version))):
            raise StaleWrite(ENTITY_MAPPINGS[kind].name, whole.id)


def require_unchanged(dialect: str, relied: Iterable[ReadDependency]) -> Steps[None]:
    """
    Lock rows shared until the end of the flush and check their versions. Neighbouring rows of one kind share a
    statement.

    Raises:
        StaleWrite: If the version of a row has changed.
    """
    for kind, group in groupby(relied, key=KIND):
        rows = list(group)
        if len(rows) == 1:
            yield from lock_row(dialect, kind, rows[0].id, rows[0].version)
            continue
        mapping = ENTITY_MAPPINGS[kind]
        found = yield select_versions(kind)(dialect, keys=[each.id.bytes for each in rows])
        versions = {bytes(id): tuple(values) for id, *values in found}
        for each in rows:
            if versions.get(each.id.bytes) != mapping.version_values(each.version):
                raise StaleWrite(mapping.name, each.id)
