"""
The script that makes all tables in an empty SQLite database, `new_sqlite_database.sql` beside the migrations.

`python -m tests.new_sqlite_database` writes it again, after each new migration: until then, a new database is made by
the migrations themselves, which takes a tenth of a second longer.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from mission_adapters.sql.migrations import HEAD, NEW_SQLITE_DATABASE, migrate_with_alembic

WRITTEN = """
SELECT sql FROM sqlite_master
WHERE sql IS NOT NULL AND name NOT LIKE 'task_trigrams%' AND name NOT LIKE 'assignee_%' AND name NOT LIKE 'search_%ed'
ORDER BY rowid
"""
"""The tables and their indexes, without the search index, which not every SQLite library can have."""


def main() -> None:
    """
    Write the script.
    """
    NEW_SQLITE_DATABASE.write_text(script(), "utf-8")


def script() -> str:
    """
    The text of the script.
    """
    with TemporaryDirectory() as folder:
        path = str(Path(folder) / "mission.db")
        migrate_with_alembic(path)
        with closing(sqlite3.connect(path)) as connection:
            statements = [sql for (sql,) in connection.execute(WRITTEN)]
    statements.append(f"INSERT INTO alembic_version VALUES ('{HEAD}')")
    return f"-- {HEAD}\n" + "".join(f"{statement};\n" for statement in statements)


if __name__ == "__main__":
    main()
