"""
Reads the SQLite file of a Fleet installation row by row, in one read-only snapshot.
"""

from __future__ import annotations

import json
import shlex
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from attrs import field

from mission_adapters.data_import.row_repairs import InvalidRow, utc_datetime_from
from mission_core.database_urls import sqlite_url
from mission_core.lazy_attrs import frozen
from mission_core.values import EMPTY_OBJECT, JsonText, canonical

Row = Mapping[str, Any]
REQUIRED_TABLES: Final = frozenset({"tasks", "agents", "projects"})
OWN_TABLES: Final = frozenset({"alembic_version", "organizations", "runs"})
FIRST_WORKSPACE: Final = 1
"""The workspace of rows without one, which older files have."""


@frozen
class FleetFile:
    """
    An open file. *columns* maps each table to the names of its columns.
    """

    database: sqlite3.Connection
    columns: Mapping[str, frozenset[str]] = field(factory=dict)

    def rows(self, table: str, workspace: int | None = None) -> Iterator[Row]:
        """
        The rows of a table, or of one workspace in it, by number. There are none if the file lacks the table.
        """
        if table not in self.columns:
            return
        where, given = self._of(table, workspace)
        for row in self.database.execute(f'SELECT * FROM "{table}" WHERE {where} ORDER BY rowid', given):
            yield dict(row)

    def numbers(self, table: str, workspace: int) -> Iterator[int]:
        """
        The numbers of a workspace's rows in a table.
        """
        if table not in self.columns:
            return
        where, given = self._of(table, workspace)
        for (number,) in self.database.execute(f'SELECT id FROM "{table}" WHERE {where}', given):
            yield int(number)

    def examples(self, table: str, most: int) -> tuple[int, list[object]]:
        """
        The number of a table's rows, and the ids of the first ones.
        """
        name = "id" if "id" in self.columns[table] else "rowid"
        try:
            (count,) = self.database.execute(f'SELECT count(*) FROM "{table}"').fetchone()
            rows = self.database.execute(f'SELECT {name} FROM "{table}" LIMIT ?', (most,)).fetchall()
        except sqlite3.OperationalError:  # it has no rowid, or needs what this SQLite lacks
            return 0, []
        return count, [row[0] for row in rows]

    def numbers_elsewhere(self, table: str, workspaces: Iterable[int]) -> Iterator[int]:
        """
        The numbers of a table's rows that belong to none of these workspaces.
        """
        if table not in self.columns:
            return
        known = json.dumps([*workspaces])
        workspace = "coalesce(workspace_id, ?)" if "workspace_id" in self.columns[table] else "?"
        elsewhere = f'SELECT id FROM "{table}" WHERE {workspace} NOT IN (SELECT value FROM json_each(?)) ORDER BY rowid'
        for (number,) in self.database.execute(elsewhere, (FIRST_WORKSPACE, known)):
            yield int(number)

    def _of(self, table: str, workspace: int | None) -> tuple[str, tuple[int, ...]]:
        if workspace is None or (workspace == FIRST_WORKSPACE and "workspace_id" not in self.columns[table]):
            return "1", ()
        if "workspace_id" not in self.columns[table]:
            return "0", ()
        return f"coalesce(workspace_id, {FIRST_WORKSPACE}) = ?", (workspace,)


@contextmanager
def open_fleet_file(file: Path) -> Iterator[FleetFile]:
    """
    The open file, for as long as the context lasts.

    Raises:
        ValueError: If the file is no such database, or is damaged.
    """
    if not file.is_file():
        raise ValueError(f"{file} does not exist, or is not a file")
    try:
        # One transaction, so that writes of a running Fleet server do not show during the import.
        database = sqlite3.connect(f"file:{quote(str(file.resolve()))}?mode=ro", uri=True, isolation_level=None)
        try:
            database.execute("BEGIN")
            database.row_factory = sqlite3.Row
            database.text_factory = lambda text: text.decode(errors="replace")
            tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            if set(tables) >= OWN_TABLES:
                serve = f"mission-control serve --database-url {shlex.quote(sqlite_url(str(file.absolute())))}"
                raise ValueError(f"{file} is a database of this Mission Control and needs no import: {serve}")
            if not set(tables) >= REQUIRED_TABLES:
                lacks = ", ".join(sorted(REQUIRED_TABLES.difference(tables)))
                raise ValueError(f"{file} has no tables {lacks}; is it the database of a Fleet installation?")
            told = "SELECT name FROM pragma_table_info(?)"
            columns = {table: frozenset(name for (name,) in database.execute(told, (table,))) for table in tables}
            yield FleetFile(database, columns)
        finally:
            database.close()
    except sqlite3.Error as e:
        raise ValueError(f"{file} cannot be read as an SQLite database ({e})") from e


def text_of(row: Row, name: str, most: int) -> str:
    """
    The text of a column, cut at *most* characters; empty if there is none.
    """
    return str(row.get(name) if row.get(name) is not None else "")[:most]


def datetime_of(row: Row, name: str) -> datetime:
    """
    The datetime of a column.

    Raises:
        InvalidRow: If it has none.
    """
    found = optional_datetime_of(row, name)
    if found is None:
        raise InvalidRow(f"it has no {name}")
    return found


def optional_datetime_of(row: Row, name: str) -> datetime | None:
    """
    The datetime of a column that holds seconds, or None.
    """
    value = row.get(name)
    return None if value is None else utc_datetime_from(value)


def optional_integer_of(row: Row, name: str) -> int | None:
    """
    The integer of a column, or None. SQLite stores any type in any column.

    Raises:
        InvalidRow: If it is no integer.
    """
    value = row.get(name)
    try:
        return None if value is None else int(value)
    except (TypeError, ValueError, OverflowError):
        raise InvalidRow(f"{name} is not an integer") from None


def json_object_of(row: Row, name: str) -> JsonText:
    """
    The JSON object of a column; an empty one if the column is empty.

    Raises:
        InvalidRow: If it is another JSON value.
    """
    return canonical(_json_of(row, name, dict)) if row.get(name) else EMPTY_OBJECT


def json_list_of(row: Row, name: str) -> list[Any]:
    """
    The JSON list of a column; an empty one if the column is empty.

    Raises:
        InvalidRow: If it is another JSON value.
    """
    found: list[Any] = _json_of(row, name, list) if row.get(name) else []
    return found


def _json_of(row: Row, name: str, kind: type) -> Any:
    try:
        found = json.loads(str(row[name]))
        if found is not None and not isinstance(found, kind):
            raise InvalidRow(f"{name} is not a JSON {'object' if kind is dict else 'list'}")
        return kind() if found is None else found
    except InvalidRow:
        raise
    except (ValueError, RecursionError):
        raise InvalidRow(f"{name} is not JSON") from None
