"""
Migrations bring a database to the tables of this version. `docs/migrations.md` says how to write one.

`migrate` runs those that a database lacks, one process at a time, and creates the search index where the database can.
If there is nothing to do, it reads the revision only and does not import Alembic. A new SQLite database is made by a
script, which takes a tenth of the time of the migrations.
"""

from __future__ import annotations

import asyncio
import io
import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.exc import DBAPIError

from mission_adapters.sql.database_lock import shared_lock
from mission_adapters.sql.search_index import (
    create_on_postgres,
    create_on_sqlite,
    needs_index_on_postgres,
    needs_index_on_sqlite,
)
from mission_core.database_urls import sqlite_paths
from mission_core.errors import StoreFailed

if TYPE_CHECKING:
    from alembic.config import Config

VERSIONS: Final = Path(__file__).parent / "versions"
REVISIONS: Final = tuple(sorted(each.stem.partition("_")[0] for each in VERSIONS.glob("*.py")))
"""All revisions in their order. The name of a migration's file begins with its revision."""
BASELINE: Final = REVISIONS[0]
"""The revision that makes all tables in an empty database."""
HEAD: Final = REVISIONS[-1]
"""The revision of the tables of this version."""
BEFORE_BASELINE: Final = frozenset({"0001", "0002", "0003", "0004", "0005", "0006", "0007"})
"""The revisions whose migrations are gone: the baseline took their place."""
NEW_SQLITE_DATABASE: Final = Path(__file__).parent / "new_sqlite_database.sql"
"""The tables that all migrations make in an empty SQLite file. `python -m tests.new_sqlite_database` writes them."""
CURRENT: Final = "SELECT version_num FROM alembic_version"
PATIENCE: Final = 60.0
"""For how many seconds another process may migrate before this one gives up."""
ONE_AT_A_TIME: Final = 0x6D697373696F6E
"""The advisory lock of a migration on PostgreSQL."""
_alembic: Final = Lock()  # its environment is global to the process


def path_in(url: str) -> str | None:
    """
    The file that a URL of SQLite names; None for PostgreSQL. `%3F` stands for a question mark in it, as each `%XX` does
    for its byte.

    Raises:
        ValueError: If it is the URL of neither.
    """
    paths = sqlite_paths(url)
    if paths is None:
        return None
    path, written = paths
    # Versions up to 0.1 took every name as it was written, and a file that they made must be found again.
    return written if path != written and os.path.exists(written) and not os.path.exists(path) else path


def migrate(url: str) -> str:
    """
    Run the migrations that the database lacks. Blocks, and must not be called on a running event loop.

    Returns:
        The revision that the database is at.

    Raises:
        ValueError: If the URL names no such database.
        StoreFailed: If the database cannot be opened, or its revision is not one of this version's.
    """
    path = path_in(url)
    if path is None:
        asyncio.run(_migrate_postgres(url))
        return HEAD
    try:
        with shared_lock(path):
            _migrate_sqlite(path)
    except (sqlite3.Error, DBAPIError) as error:
        raise StoreFailed(f"SQLite: {error.orig if isinstance(error, DBAPIError) else error}") from error
    return HEAD


def config() -> Config:
    """
    Alembic's configuration, for code; there is no file.
    """
    from alembic.config import Config

    made = Config()
    made.set_main_option("script_location", str(VERSIONS.parent).replace("%", "%%"))
    return made


def _migrate_sqlite(path: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None, timeout=PATIENCE)) as connection:
        revision = revision_in(connection)
        if not lacking(revision) and not needs_index_on_sqlite(connection):
            return
        if revision is None and _made_by_script(connection):
            return
    migrate_with_alembic(path)


def _made_by_script(connection: sqlite3.Connection) -> bool:
    """
    Make all tables in an empty database, unless the script is older than the newest migration.
    """
    written_at, _, script = NEW_SQLITE_DATABASE.read_text("utf-8").partition("\n")
    if written_at != f"-- {HEAD}":
        return False
    connection.execute("BEGIN EXCLUSIVE")
    try:
        if revision_in(connection) is None:  # nobody else was faster
            for statement in script.split(";\n"):
                connection.execute(statement)
            create_on_sqlite(connection)
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # SQLite may have done so itself
            connection.execute("ROLLBACK")
        raise
    return not lacking(revision_in(connection))


def migrate_with_alembic(path: str) -> None:
    """
    Run the migrations that a SQLite database lacks, whether or not there is a script for a new one.
    """
    from alembic import command
    from sqlalchemy import NullPool, create_engine

    made = config()
    engine = create_engine(
        "sqlite://", poolclass=NullPool, creator=lambda: sqlite3.connect(path, isolation_level=None, timeout=PATIENCE)
    )
    with _alembic, engine.connect() as lent:
        lent.exec_driver_sql("BEGIN EXCLUSIVE")
        try:
            if lacking(revision_in(lent.connection.dbapi_connection)):  # nobody else was faster
                made.attributes["connection"] = lent
                command.upgrade(made, "head")
            create_on_sqlite(lent.connection.dbapi_connection)
            lent.exec_driver_sql("COMMIT")
        except BaseException:
            with suppress(DBAPIError):  # SQLite may have done so itself
                lent.exec_driver_sql("ROLLBACK")
            raise


def lacking(revision: str | None) -> tuple[str, ...]:
    """
    The revisions that a database at this one lacks, in the order in which they are run.

    Raises:
        StoreFailed: If it is not one of this version's.
    """
    if revision is None:
        return REVISIONS
    if revision in BEFORE_BASELINE:
        raise StoreFailed(
            f"the database is at revision {revision!r}, and this version migrates from {BASELINE!r} on; run "
            f"`mission-control migrate` of a version whose newest revision is {BASELINE!r}, then start this one"
        )
    if revision not in REVISIONS:
        raise StoreFailed(f"the database is at revision {revision!r}, which this version does not know; update it")
    return REVISIONS[REVISIONS.index(revision) + 1 :]


def revision_in(connection: Any) -> str | None:
    """
    The revision that the SQLite database of this connection is at.
    """
    try:
        row = connection.execute(CURRENT).fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            return None
        raise
    return row[0] if row else None


async def _migrate_postgres(url: str) -> None:
    """
    On PostgreSQL the migrations are rendered as a script, which our own driver runs: SQLAlchemy would need another.
    """
    from mission_adapters.sql.postgres_pool import (
        CONNECTION_LOST,
        DRIVER_ERRORS,
        MIGRATION_SETTINGS,
        close_connection,
        dsn_from,
        open_connection,
    )

    connection = await open_connection(dsn_from(url), MIGRATION_SETTINGS, patience=None)
    try:
        if not lacking(await revision_of(connection)) and not await needs_index_on_postgres(connection):
            return
        # Before the transaction, for its tables are those that were known when it began. Closing unlocks.
        await connection.execute("SELECT pg_advisory_lock($1)", ONE_AT_A_TIME)
        async with connection.transaction():
            revision = await revision_of(connection)
            if lacking(revision):  # nobody else was faster
                await connection.execute(script(revision))
            await create_on_postgres(connection)
    except DRIVER_ERRORS as error:
        lost = connection.is_closed() or isinstance(error, CONNECTION_LOST)
        raise StoreFailed(f"PostgreSQL: {error}", lost) from error
    finally:
        await close_connection(connection)


async def revision_of(connection: Any) -> str | None:
    """
    The revision that the PostgreSQL database of this connection is at.
    """
    if await connection.fetchval("SELECT to_regclass('alembic_version')") is None:
        return None
    revision: str | None = await connection.fetchval(CURRENT)
    return revision


def script(revision: str | None) -> str:
    """
    The migrations that a PostgreSQL database at this revision lacks, as one script.
    """
    from alembic import command

    made, written = config(), io.StringIO()
    made.attributes["script"] = written
    with _alembic:
        command.upgrade(made, f"{revision}:head" if revision else "head", sql=True)
    return written.getvalue()
