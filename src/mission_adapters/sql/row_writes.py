"""
Row operations of a flush: insert, update, lock and delete the row of an entity, with version checks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import sub
from typing import Any, Final
from uuid import UUID

from attrs import frozen
from sqlalchemy import Executable, Table, delete, insert, select, update

from mission_adapters.sql import tables
from mission_adapters.sql.database_session import Steps
from mission_adapters.sql.statements import IdArray, Statement, cached_statement, in_array, parameter
from mission_core.accounts.model import ApiKey
from mission_core.accounts.rows import API_KEY_ROWS
from mission_core.agents.model import Agent, AgentPlacement
from mission_core.agents.rows import AGENT_ROWS
from mission_core.boards.model import Board, GatesVersion
from mission_core.boards.rows import BOARD_ROWS
from mission_core.errors import StaleWrite
from mission_core.row_mapping import RowMapping, uuid_of_bytes
from mission_core.tasks.model import Task, TaskWorkVersion
from mission_core.tasks.rows import RUN_ROWS, TASK_ROWS
from mission_core.tasks.runs import Run


def _single_value(value: Any) -> Any:
    return value


def _placement(name: str, board: bytes | None, lead: int) -> tuple[str, UUID | None, bool]:
    return name, uuid_of_bytes(board) if board else None, bool(lead)


@frozen(eq=False)
class EntityMapping:
    """
    The table and row mapping of an entity class.

    Args:
        version_columns: The columns that are compared when a unit relies on a row, or on this part of one.
        version_from: The version that the values of these columns stand for.
    """

    name: str
    table: Table
    rows: RowMapping[Any]
    version_columns: tuple[str, ...] = ("version",)
    version_from: Callable[..., Any] = _single_value


ENTITY_MAPPINGS: Final[Mapping[type, EntityMapping]] = {
    Board: EntityMapping("board", tables.boards, BOARD_ROWS),
    GatesVersion: EntityMapping("board", tables.boards, BOARD_ROWS, ("gates_version",)),
    Agent: EntityMapping("agent", tables.agents, AGENT_ROWS),
    AgentPlacement: EntityMapping("agent", tables.agents, AGENT_ROWS, ("name", "board", "lead"), _placement),
    ApiKey: EntityMapping("key", tables.api_keys, API_KEY_ROWS),
    Task: EntityMapping("task", tables.tasks, TASK_ROWS),
    TaskWorkVersion: EntityMapping("task", tables.tasks, TASK_ROWS, ("version", "edits"), sub),
    Run: EntityMapping("run", tables.runs, RUN_ROWS),
    **{kind.entity: EntityMapping(kind.name, mapping.table, mapping.rows) for kind, mapping in tables.MAPPINGS.items()},
}
INSERTS: Final = {kind: Statement(insert(each.table)) for kind, each in ENTITY_MAPPINGS.items()}


@cached_statement
def update_statement(table: Table, columns: tuple[str, ...]) -> Executable:
    """
    Update these columns of one row, if its version has not changed.
    """
    return (
        update(table)
        .where(table.c.id == parameter("key"), table.c.version == parameter("was", int))
        .values({name: parameter(name, table.c[name].type.python_type) for name in columns})
    )


@cached_statement
def select_version(table: Table, exclusive: bool, columns: tuple[str, ...]) -> Executable:
    """
    Select the version of one row and lock the row, exclusively or shared.
    """
    found = select(*(table.c[name] for name in columns)).where(table.c.id == parameter("key"))
    return found.with_for_update(read=not exclusive)


@cached_statement
def select_versions(table: Table, columns: tuple[str, ...]) -> Executable:
    """
    Select the versions of several rows and lock them shared, in the order of their ids.
    """
    found = select(table.c.id, *(table.c[name] for name in columns)).where(in_array(table.c.id, "keys", IdArray()))
    return found.order_by(table.c.id).with_for_update(read=True)


@cached_statement
def delete_statement(table: Table) -> Executable:
    """
    Delete one row.
    """
    return delete(table).where(table.c.id == parameter("key"))


def insert_row(dialect: str, entity: Any) -> Steps[None]:
    """
    Insert the row of a new entity.
    """
    yield INSERTS[type(entity)].count(dialect, **ENTITY_MAPPINGS[type(entity)].rows.row_from(entity))


def update_row(dialect: str, before: Any, after: Any) -> Steps[None]:
    """
    Update the changed columns of an entity's row.

    Raises:
        StaleWrite: If the version of the row has changed since *before* was read.
    """
    kind = ENTITY_MAPPINGS[type(after)]
    was, now = kind.rows.row_from(before), kind.rows.row_from(after)
    changed = {name: each for name, each in now.items() if was[name] != each and name not in kind.rows.separate}
    changed["version"] = after.version
    statement = update_statement(kind.table, tuple(changed))
    if not (yield statement.count(dialect, key=was["id"], was=before.version, **changed)):
        raise StaleWrite(kind.name, after.id)


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
    mapping = ENTITY_MAPPINGS[kind]
    found = yield select_version(mapping.table, exclusive, mapping.version_columns)(dialect, key=id.bytes)
    if not found or mapping.version_from(*found[0]) != version:
        raise StaleWrite(mapping.name, id)


def lock_rows_shared(dialect: str, kind: type, versions: Sequence[tuple[UUID, object]]) -> Steps[None]:
    """
    Lock several rows shared until the end of the flush and check their versions.

    Raises:
        StaleWrite: If the version of a row has changed.
    """
    if len(versions) == 1:
        yield from lock_row(dialect, kind, *versions[0])
        return
    mapping = ENTITY_MAPPINGS[kind]
    rows = yield select_versions(mapping.table, mapping.version_columns)(dialect, keys=[id.bytes for id, _ in versions])
    found = {bytes(id): mapping.version_from(*values) for id, *values in rows}
    for id, version in versions:
        if found.get(id.bytes) != version:
            raise StaleWrite(mapping.name, id)
