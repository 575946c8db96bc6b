"""
Read-only inspection of a database for `doctor`: its state, version, schema revision and secret fingerprint.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, field

from mission_adapters.clocks import CorrectedClock, SystemClock
from mission_adapters.sql.conversions import optional_moment
from mission_adapters.sql.migrations import HEAD, lacking, path_in, revision_in, revision_of
from mission_adapters.sql.search_index import TRIGRAMS_ON_POSTGRES, has_fts5, needs_index_on_sqlite
from mission_adapters.sql.secret_fingerprint import SELECT_ENCRYPTED, SELECT_FINGERPRINT
from mission_core.errors import StoreFailed
from mission_core.lazy_attrs import frozen
from mission_core.values import micros, moment

if TYPE_CHECKING:
    from asyncpg import Connection

OLDEST_SQLITE: Final = (3, 37)
"""The first SQLite version with STRICT tables. The contract tests pass on 3.37.2."""
OLDEST_POSTGRES: Final = (15,)
"""The oldest PostgreSQL version that the tests run on."""
LOCK_TIMEOUT: Final = 1.0
"""The seconds to wait for the lock of a SQLite file. A write takes milliseconds."""
QUERY_TIMEOUT: Final = 10.0
"""The seconds to wait for PostgreSQL's answer to a query."""
SQLITE_HEADER: Final = b"SQLite format 3\0"
WAL_VERSION: Final = b"\2"
"""Byte 18 of a SQLite file that is in WAL mode."""
NEWEST_ENTRY: Final = "SELECT max(at) FROM heads JOIN events USING (organization, position)"
TABLE_COUNT: Final = "SELECT count(*) FROM sqlite_master"
SERVER_KEYS: Final = """
SELECT digest, created_by, created_at, expires_at FROM server_keys
WHERE "of" = (SELECT id FROM organizations WHERE slug = 'default') ORDER BY number
"""
UNPRICED_DAYS: Final = 30
DAY_MICROS: Final = 24 * 3_600_000_000
UNPRICED_TOKENS: Final = """
SELECT CAST(coalesce(sum(unpriced_tokens), 0) AS BIGINT) FROM usage_totals WHERE hours = 24 AND slot >= {since}
"""
OLDEST_PRICE: Final = "SELECT min(updated_at) FROM price_overrides WHERE until IS NULL"
SERVER_STATE: Final = """
SELECT pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on',
       coalesce(has_schema_privilege(current_schema(), 'CREATE'), false),
       EXISTS (SELECT FROM pg_tables WHERE schemaname = current_schema())
"""


class DatabaseProduct(Enum):
    """
    A database product that can be inspected.
    """

    SQLITE = "SQLite"
    POSTGRES = "PostgreSQL"


class DatabaseProblem(Enum):
    """
    A reason why a database cannot be used.
    """

    MALFORMED = "its URL cannot be read"
    NO_DRIVER = "its driver is not installed"
    UNREACHABLE = "the server does not answer"
    DENIED = "it refuses this user or password"
    MISSING = "there is no such database"
    NO_FOLDER = "there is no such folder"
    NO_DATABASE = "this is not a database, or it is damaged"
    UNREADABLE = "this user may not read it"
    LOCKED = "another process keeps it locked"
    UNSETTLED = "a process that ended left its write-ahead log behind"
    FAILED = "it cannot be queried"


class SearchIndexState(Enum):
    """
    Whether a database has the trigram index of tasks, and if not, what it takes.
    """

    CREATED = "created"
    NOT_CREATED = "the next migration creates it"
    NOT_INSTALLED = "the extension pg_trgm is not installed in the database"
    NOT_AVAILABLE = "the database has no trigrams"


@frozen
class GeneratedServerKey:
    """
    A server key that was generated after the start: the digest of its secret, its creator and its validity.
    """

    digest: bytes
    by: str
    at: datetime
    expires_at: datetime | None

    @classmethod
    def of(cls, row: Iterable[Any]) -> GeneratedServerKey:
        digest, by, at, expires_at = row
        return cls(bytes(digest), by, moment(at), None if expires_at is None else moment(expires_at))


@frozen(kw_only=True)
class DatabaseInspection:
    """
    The result of inspecting a database. Fields that could not be read have their defaults.

    Args:
        version: The version of the PostgreSQL server, or of the SQLite library.
        reason: The driver's message about the trouble. It contains no part of a URL.
        has_tables: Whether the database has any tables.
        at_rest: Whether certainly no server has the database open. An open SQLite database has a write-ahead log.
        writable: Whether this user may write to the database, or create it if it does not exist.
        revision: The schema revision of the database, if it has one.
        missing_revisions: The missing schema revisions. None if the present revision is unknown to this release.
        clock_ahead: The time by which the clock of the PostgreSQL server is ahead of this computer's clock.
        newest_entry_at: The time of the newest log entry of any organization.
        search_index: The state of the trigram index. None unless the schema revision is the newest.
        server_keys: The generated server keys that replace the key from the environment, oldest first.
        fingerprint: The fingerprint of the secret. None before the first start that stores it.
        unpriced_tokens: The tokens in the ledger that were used in the last 30 days and whose price is unknown.
        oldest_price_at: The time of the last change of the oldest price override that has no end; None without one.
        sealed: The encrypted values, each with the id of its row. Read only if there is no fingerprint.
    """

    product: DatabaseProduct
    version: tuple[int, ...] = ()
    problem: DatabaseProblem | None = None
    reason: str = ""
    has_tables: bool = False
    at_rest: bool = False
    writable: bool = True
    revision: str | None = None
    missing_revisions: tuple[str, ...] | None = (HEAD,)
    clock_ahead: timedelta | None = None
    newest_entry_at: datetime | None = None
    search_index: SearchIndexState | None = None
    server_keys: tuple[GeneratedServerKey, ...] = ()
    fingerprint: bytes | None = None
    unpriced_tokens: int = 0
    oldest_price_at: datetime | None = None
    sealed: tuple[tuple[bytes, bytes], ...] = field(default=(), repr=False)

    @property
    def too_old(self) -> bool:
        """
        Whether the product version is older than the oldest supported one.
        """
        oldest = OLDEST_SQLITE if self.product is DatabaseProduct.SQLITE else OLDEST_POSTGRES
        return bool(self.version) and self.version < oldest


async def inspect_database(url: str) -> DatabaseInspection:
    """
    Inspect the database at `sqlite:///path` or `postgresql://...`. A process that has the SQLite file open must not
    call this: closing a file releases all locks that the process holds on it.
    """
    try:
        path = path_in(url)
    except ValueError:
        return DatabaseInspection(product=DatabaseProduct.SQLITE, problem=DatabaseProblem.MALFORMED)
    if path is None:
        return await _inspect_server(url)
    return await asyncio.to_thread(_inspect_file, path)


def _with_revision(found: DatabaseInspection, revision: str | None) -> DatabaseInspection:
    try:
        return evolve(found, revision=revision, missing_revisions=lacking(revision))
    except StoreFailed:
        return evolve(found, revision=revision, missing_revisions=None)


# SQLite.


def _inspect_file(name: str) -> DatabaseInspection:
    path = Path(name).absolute()
    found = DatabaseInspection(
        product=DatabaseProduct.SQLITE, version=sqlite3.sqlite_version_info, writable=_is_writable(path)
    )
    if found.too_old:
        return found
    if not os.path.isdir(path.parent):
        return evolve(found, problem=DatabaseProblem.NO_FOLDER, at_rest=True)
    if not os.path.exists(path):
        return evolve(_with_revision(found, None), at_rest=True)
    try:
        with path.open("rb") as file:
            header = file.read(100)
        if not header:
            return evolve(_with_revision(found, None), at_rest=True)
        if not header.startswith(SQLITE_HEADER):
            return evolve(found, problem=DatabaseProblem.NO_DATABASE)
        return _inspect_contents(found, path, logged=header[18:19] == WAL_VERSION)
    except OSError as error:
        return evolve(found, problem=DatabaseProblem.UNREADABLE, reason=error.strerror or str(error))
    except sqlite3.Error as error:
        return evolve(found, problem=_PROBLEMS.get(sqlite_error_code(error), DatabaseProblem.FAILED), reason=str(error))


def _is_writable(path: Path) -> bool:
    # SQLite also creates a journal in the folder.
    return os.access(path.parent, os.W_OK | os.X_OK) and (not os.path.exists(path) or os.access(path, os.W_OK))


_PROBLEMS: Final = {
    sqlite3.SQLITE_BUSY: DatabaseProblem.LOCKED,
    sqlite3.SQLITE_LOCKED: DatabaseProblem.LOCKED,
    sqlite3.SQLITE_NOTADB: DatabaseProblem.NO_DATABASE,
    sqlite3.SQLITE_CORRUPT: DatabaseProblem.NO_DATABASE,
    sqlite3.SQLITE_PERM: DatabaseProblem.UNREADABLE,
}


def sqlite_error_code(error: sqlite3.Error) -> int:
    """
    Return SQLite's primary result code of an error.
    """
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _inspect_contents(found: DatabaseInspection, path: Path, *, logged: bool) -> DatabaseInspection:
    beside = {suffix for suffix in ("-wal", "-shm", "-journal") if path.with_name(path.name + suffix).exists()}
    # A process that opens a database in WAL mode creates a -wal and a -shm file. Without them no process has the
    # database open, and it can be read as immutable.
    at_rest = logged and "-wal" not in beside
    if logged and not at_rest and "-shm" not in beside:
        return evolve(found, problem=DatabaseProblem.UNSETTLED)
    with closing(_open_read_only(path, "immutable=1" if at_rest else "mode=ro")) as reader:
        found = evolve(_read_contents(found, reader), at_rest="-wal" not in beside)
        if found.writable and not at_rest and "-journal" not in beside:
            # The reader stays open: closing the last connection would write the log into the database file.
            with closing(_open_read_only(path, "mode=rw")) as writer:
                writer.execute("BEGIN IMMEDIATE")
                writer.execute("ROLLBACK")
    return found


def _read_contents(found: DatabaseInspection, reader: sqlite3.Connection) -> DatabaseInspection:
    ((tables,),) = reader.execute(TABLE_COUNT)
    found = _with_revision(evolve(found, has_tables=tables > 0), revision_in(reader))
    if found.revision is None or found.missing_revisions is None:
        return found
    ((newest,),) = reader.execute(NEWEST_ENTRY)
    found = evolve(found, newest_entry_at=optional_moment(newest))
    if found.missing_revisions:
        return found
    found = evolve(
        found,
        server_keys=_server_keys_of(reader.execute(SERVER_KEYS)),
        search_index=_search_index_of_file(reader),
        unpriced_tokens=reader.execute(_unpriced_tokens()).fetchone()[0],
        oldest_price_at=optional_moment(reader.execute(OLDEST_PRICE).fetchone()[0]),
    )
    if fingerprint := reader.execute(SELECT_FINGERPRINT).fetchone():
        return evolve(found, fingerprint=fingerprint[0])
    return evolve(found, sealed=tuple(row for each in SELECT_ENCRYPTED for row in reader.execute(each)))


def _search_index_of_file(reader: sqlite3.Connection) -> SearchIndexState:
    if not has_fts5():
        return SearchIndexState.NOT_AVAILABLE
    return SearchIndexState.NOT_CREATED if needs_index_on_sqlite(reader) else SearchIndexState.CREATED


def _unpriced_tokens() -> str:
    return UNPRICED_TOKENS.format(since=micros(SystemClock().now()) // DAY_MICROS - UNPRICED_DAYS)


def _server_keys_of(rows: Iterable[Iterable[Any]]) -> tuple[GeneratedServerKey, ...]:
    return tuple(map(GeneratedServerKey.of, rows))


def _open_read_only(path: Path, how: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.as_uri()}?{how}", uri=True, isolation_level=None, timeout=LOCK_TIMEOUT)


# PostgreSQL.


async def _inspect_server(url: str) -> DatabaseInspection:
    found = DatabaseInspection(product=DatabaseProduct.POSTGRES)
    try:
        from mission_adapters.sql.postgres_pool import DRIVER_ERRORS, close_connection, dsn_from, open_connection
    except ModuleNotFoundError:
        return evolve(found, problem=DatabaseProblem.NO_DRIVER)
    try:
        connection = await open_connection(dsn_from(url), patience=QUERY_TIMEOUT)
    except StoreFailed as error:
        return evolve(found, problem=_problem_of(error.__cause__), reason=str(error.__cause__))
    except ValueError:  # its message may quote a part of the password
        return evolve(found, problem=DatabaseProblem.MALFORMED)
    try:
        return await _inspect_connection(found, connection)
    except DRIVER_ERRORS as error:
        return evolve(found, problem=DatabaseProblem.FAILED, reason=str(error))
    finally:
        await close_connection(connection)


def _problem_of(error: BaseException | None) -> DatabaseProblem:
    import asyncpg

    match error:
        case asyncpg.InvalidAuthorizationSpecificationError():
            return DatabaseProblem.DENIED
        case asyncpg.InvalidCatalogNameError():
            return DatabaseProblem.MISSING
        case OSError():
            return DatabaseProblem.UNREACHABLE
    return DatabaseProblem.FAILED


async def _inspect_connection(found: DatabaseInspection, connection: Connection) -> DatabaseInspection:
    from mission_adapters.sql.postgres_session import SERVER_TIME

    version = connection.get_server_version()
    found = evolve(found, version=(version.major, version.minor or version.micro))
    if found.too_old:
        return found
    kept_from_writing, may_make, made = await connection.fetchrow(SERVER_STATE)
    found = _with_revision(found, await revision_of(connection))

    async def told() -> Any:
        return await connection.fetchval(SERVER_TIME)

    clock = await CorrectedClock.synchronized(SystemClock(), told)
    found = evolve(
        found,
        has_tables=made,
        writable=not kept_from_writing and (may_make or not found.missing_revisions),
        clock_ahead=clock.offset,
    )
    if found.missing_revisions != () or found.revision is None:
        return found
    return evolve(
        found,
        server_keys=_server_keys_of(await connection.fetch(SERVER_KEYS)),
        search_index=await _search_index_of_server(connection),
        unpriced_tokens=await connection.fetchval(_unpriced_tokens()),
        oldest_price_at=optional_moment(await connection.fetchval(OLDEST_PRICE)),
        fingerprint=await connection.fetchval(SELECT_FINGERPRINT),
        sealed=tuple([tuple(row) for each in SELECT_ENCRYPTED for row in await connection.fetch(each)]),
    )


async def _search_index_of_server(connection: Connection) -> SearchIndexState:
    created, installed, available = await connection.fetchrow(TRIGRAMS_ON_POSTGRES)
    if created:
        return SearchIndexState.CREATED
    if installed:
        return SearchIndexState.NOT_CREATED
    return SearchIndexState.NOT_INSTALLED if available else SearchIndexState.NOT_AVAILABLE
