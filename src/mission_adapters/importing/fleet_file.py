"""
The SQLite file of a Fleet installation, as rows and the values in them. It is only read, row by row, and all of it as
it was when it was opened.
"""

from __future__ import annotations

import json
import shlex
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from attrs import field, frozen

from mission_adapters.importing.repairs import Unfit, moment_from
from mission_core.urls import url_of
from mission_core.values import EMPTY_OBJECT, JsonText, canonical

Row = Mapping[str, Any]
NEEDED: Final = frozenset({"tasks", "agents", "projects"})
OURS: Final = frozenset({"alembic_version", "organizations", "runs"})
FIRST_WORKSPACE: Final = 1
"""Whose rows are that name none, as older files do."""


@frozen
class FleetFile:
    """
    What is in the file: *columns* has the names of each table's.
    """

    database: sqlite3.Connection
    columns: Mapping[str, frozenset[str]] = field(factory=dict)

    def rows(self, table: str, workspace: int | None = None) -> Iterator[Row]:
        """
        The rows of a table, or of a workspace in it, in the order of their numbers; none if there is no such table.
        """
        if table not in self.columns:
            return
        where, given = self._of(table, workspace)
        for row in self.database.execute(f'SELECT * FROM "{table}" WHERE {where} ORDER BY rowid', given):
            yield dict(row)

    def numbers(self, table: str, workspace: int) -> Iterator[int]:
        """
        The numbers of a workspace's rows.
        """
        if table not in self.columns:
            return
        where, given = self._of(table, workspace)
        for (number,) in self.database.execute(f'SELECT id FROM "{table}" WHERE {where}', given):
            yield int(number)

    def examples(self, table: str, most: int) -> tuple[int, list[object]]:
        """
        How many rows a table has, and what the first of them are called.
        """
        name = "id" if "id" in self.columns[table] else "rowid"
        try:
            (count,) = self.database.execute(f'SELECT count(*) FROM "{table}"').fetchone()
            rows = self.database.execute(f'SELECT {name} FROM "{table}" LIMIT ?', (most,)).fetchall()
        except sqlite3.OperationalError:  # it has no rowid, or needs what this SQLite lacks
            return 0, []
        return count, [row[0] for row in rows]

    def _of(self, table: str, workspace: int | None) -> tuple[str, tuple[int, ...]]:
        if workspace is None or (workspace == FIRST_WORKSPACE and "workspace_id" not in self.columns[table]):
            return "1", ()
        if "workspace_id" not in self.columns[table]:
            return "0", ()
        return f"coalesce(workspace_id, {FIRST_WORKSPACE}) = ?", (workspace,)


@contextmanager
def opened(file: Path) -> Iterator[FleetFile]:
    """
    The file, for as long as the context lasts.

    Raises:
        ValueError: If it is no such database, or is broken.
    """
    if not file.is_file():
        raise ValueError(f"{file} is not there, or is no file")
    try:
        # In one transaction, so that a Fleet that is still at work changes nothing under the import.
        database = sqlite3.connect(f"file:{quote(str(file.resolve()))}?mode=ro", uri=True, isolation_level=None)
        try:
            database.execute("BEGIN")
            database.row_factory = sqlite3.Row
            database.text_factory = lambda text: text.decode(errors="replace")
            tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            if set(tables) >= OURS:
                serve = f"mission-control serve --database-url {shlex.quote(url_of(str(file.absolute())))}"
                raise ValueError(f"{file} is a database of this Mission Control, so it is served as it is: {serve}")
            if not set(tables) >= NEEDED:
                lacks = ", ".join(sorted(NEEDED.difference(tables)))
                raise ValueError(f"{file} has no tables {lacks}; is it the database of a Fleet installation?")
            told = "SELECT name FROM pragma_table_info(?)"
            columns = {table: frozenset(name for (name,) in database.execute(told, (table,))) for table in tables}
            yield FleetFile(database, columns)
        finally:
            database.close()
    except sqlite3.Error as e:
        raise ValueError(f"{file} cannot be read as an SQLite database ({e})") from e


def text_in(row: Row, name: str, most: int) -> str:
    """
    A text that stands for something, so what is too long is cut; empty if there is none.
    """
    return str(row.get(name) if row.get(name) is not None else "")[:most]


def moment_in(row: Row, name: str) -> datetime:
    """
    Raises:
        Unfit: If the row has no such moment.
    """
    found = maybe_moment_in(row, name)
    if found is None:
        raise Unfit(f"it has no {name}")
    return found


def maybe_moment_in(row: Row, name: str) -> datetime | None:
    """
    A moment that was kept as seconds.
    """
    value = row.get(name)
    return None if value is None else moment_from(value)


def maybe_whole_in(row: Row, name: str) -> int | None:
    """
    A whole number; SQLite keeps anything in any column.
    """
    value = row.get(name)
    try:
        return None if value is None else int(value)
    except (TypeError, ValueError, OverflowError):
        raise Unfit(f"{name} is no whole number") from None


def object_in(row: Row, name: str) -> JsonText:
    """
    A JSON object; empty if there is none.

    Raises:
        Unfit: If there is something else.
    """
    return canonical(_json(row, name, dict)) if row.get(name) else EMPTY_OBJECT


def list_in(row: Row, name: str) -> list[Any]:
    """
    A JSON list; empty if there is none.

    Raises:
        Unfit: If there is something else.
    """
    found: list[Any] = _json(row, name, list) if row.get(name) else []
    return found


def _json(row: Row, name: str, kind: type) -> Any:
    try:
        found = json.loads(str(row[name]))
        if found is not None and not isinstance(found, kind):
            raise Unfit(f"it is no JSON {'object' if kind is dict else 'list'}")
        return kind() if found is None else found
    except Unfit:
        raise
    except (ValueError, RecursionError):
        raise Unfit("it is no JSON") from None
