"""
Row operations of a flush: insert, update, lock and delete the row of an entity, with version checks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from attrs import frozen
from sqlalchemy import Executable, Table, delete, insert, select, update

from mission_adapters.sql import agents, api_keys, boards, runs, tables, tasks
from mission_adapters.sql.mapping import Row
from mission_adapters.sql.session import Steps
from mission_adapters.sql.statements import Ids, Statement, among, shaped, value
from mission_core.accounts.model import ApiKey
from mission_core.agents.model import Agent, Presence
from mission_core.boards.model import Board, BoardGates
from mission_core.errors import StaleWrite
from mission_core.tasks.model import Task
from mission_core.tasks.runs import Run


@frozen(eq=False)
class Keeping:
    """
    The table and row mapping of an entity class.

    Args:
        beside: Columns that a save leaves alone, because they have updates of their own (presence, progress).
        version: The version column that is compared when a unit relies on a row.
    """

    name: str
    table: Table
    row_from: Callable[[Any], Row]
    beside: frozenset[str] = frozenset()
    version: str = "version"


KEPT: Final[Mapping[type, Keeping]] = {
    Board: Keeping("board", tables.boards, boards.row_from),
    BoardGates: Keeping("board", tables.boards, boards.row_from, version="gates_version"),
    Agent: Keeping("agent", tables.agents, agents.row_from, frozenset(agents.presence_from(Presence()))),
    ApiKey: Keeping("key", tables.api_keys, api_keys.row_from, frozenset({"last_used_at"})),
    Task: Keeping("task", tables.tasks, tasks.row_from, frozenset({"late_results"})),
    Run: Keeping("run", tables.runs, runs.row_from),
    **{kind.entity: Keeping(kind.name, mapping.table, mapping.row_from) for kind, mapping in tables.SHELVES.items()},
}
INSERT: Final = {kind: Statement(insert(each.table)) for kind, each in KEPT.items()}


@shaped
def update_of(table: Table, columns: tuple[str, ...]) -> Executable:
    """
    Update these columns of one row, if its version has not changed.
    """
    return (
        update(table)
        .where(table.c.id == value("key"), table.c.version == value("was", int))
        .values({name: value(name, table.c[name].type.python_type) for name in columns})
    )


@shaped
def version_of(table: Table, exclusive: bool, column: str = "version") -> Executable:
    """
    Select the version of one row and lock the row, exclusively or shared.
    """
    return select(table.c[column]).where(table.c.id == value("key")).with_for_update(read=not exclusive)


@shaped
def versions_of(table: Table, column: str = "version") -> Executable:
    """
    Select the versions of several rows and lock them shared, in the order of their ids.
    """
    found = select(table.c.id, table.c[column]).where(among(table.c.id, "keys", Ids()))
    return found.order_by(table.c.id).with_for_update(read=True)


@shaped
def delete_of(table: Table) -> Executable:
    """
    Delete one row.
    """
    return delete(table).where(table.c.id == value("key"))


def insert_row(dialect: str, entity: Any) -> Steps[None]:
    """
    Insert the row of a new entity.
    """
    yield INSERT[type(entity)].count(dialect, **KEPT[type(entity)].row_from(entity))


def update_row(dialect: str, before: Any, after: Any) -> Steps[None]:
    """
    Update the changed columns of an entity's row.

    Raises:
        StaleWrite: If the version of the row has changed since *before* was read.
    """
    kind = KEPT[type(after)]
    was, now = kind.row_from(before), kind.row_from(after)
    changed = {name: each for name, each in now.items() if was[name] != each and name not in kind.beside}
    changed["version"] = after.version
    statement = update_of(kind.table, tuple(changed))
    if not (yield statement.count(dialect, key=was["id"], was=before.version, **changed)):
        raise StaleWrite(kind.name, after.id)


def bump_row(dialect: str, kind: type, id: UUID, version: int) -> Steps[None]:
    """
    Increment the version of a row.

    Raises:
        StaleWrite: If the version of the row has changed.
    """
    table = KEPT[kind].table
    statement = update_of(table, ("version",))
    if not (yield statement.count(dialect, key=id.bytes, was=version, version=version + 1)):
        raise StaleWrite(KEPT[kind].name, id)


def lock_row(dialect: str, kind: type, id: UUID, version: int, *, exclusive: bool = False) -> Steps[None]:
    """
    Lock a row until the end of the flush and check its version.

    Raises:
        StaleWrite: If the version of the row has changed.
    """
    found = yield version_of(KEPT[kind].table, exclusive, KEPT[kind].version)(dialect, key=id.bytes)
    if not found or found[0][0] != version:
        raise StaleWrite(KEPT[kind].name, id)


def share_rows(dialect: str, kind: type, versions: Sequence[tuple[UUID, int]]) -> Steps[None]:
    """
    Lock several rows shared until the end of the flush and check their versions.

    Raises:
        StaleWrite: If the version of a row has changed.
    """
    if len(versions) == 1:
        yield from lock_row(dialect, kind, *versions[0])
        return
    rows = yield versions_of(KEPT[kind].table, KEPT[kind].version)(dialect, keys=[id.bytes for id, _ in versions])
    found = {bytes(row[0]): row[1] for row in rows}
    for id, version in versions:
        if found.get(id.bytes) != version:
            raise StaleWrite(KEPT[kind].name, id)
