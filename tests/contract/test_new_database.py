"""
New SQLite databases, whose tables are made by a script instead of all migrations.
"""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from mission_adapters.sql.migrations import NEW_SQLITE_DATABASE, migrate, migrate_with_alembic
from mission_core.errors import StoreFailed
from tests import new_sqlite_database
from tests.contract.schemas import SEARCH_INDEX


def schema_of(path: Path) -> list[tuple[str, str, str | None]]:
    """
    The tables, indexes and triggers of a database, with their statements.
    """
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY type, name"))


def rows_of(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """
    The rows of each table that has some, without the tables of the search index.
    """
    names = [name for kind, name, _ in schema_of(path) if kind == "table" and not name.startswith(SEARCH_INDEX)]
    with closing(sqlite3.connect(path)) as connection:
        found = {name: list(connection.execute(f'SELECT * FROM "{name}"')) for name in names}
    return {name: rows for name, rows in found.items() if rows}


def test_a_new_database_is_what_all_migrations_make(tmp_path: Path) -> None:
    """
    The search index included.
    """
    migrate(f"sqlite:///{tmp_path / 'new.db'}")
    migrate_with_alembic(str(tmp_path / "migrated.db"))

    assert schema_of(tmp_path / "migrated.db") == schema_of(tmp_path / "new.db")
    assert rows_of(tmp_path / "migrated.db") == rows_of(tmp_path / "new.db")


def test_the_script_is_that_of_the_newest_migration() -> None:
    assert new_sqlite_database.script() == NEW_SQLITE_DATABASE.read_text("utf-8")


def test_a_new_database_is_made_without_the_library_of_migrations(tmp_path: Path) -> None:
    program = (
        "import sys; from mission_adapters.sql.migrations import migrate\n"
        f"migrate('sqlite:///{tmp_path / 'new.db'}'); print('alembic' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert "False\n" == run.stdout


def test_a_new_database_has_all_tables_or_none(tmp_path: Path) -> None:
    """
    A file with a table of another program is left as it is.
    """
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE tasks (title TEXT)")
    with pytest.raises(StoreFailed, match="tasks"):
        migrate(f"sqlite:///{path}")

    assert [("table", "tasks", "CREATE TABLE tasks (title TEXT)")] == schema_of(path)
