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

from attrs import evolve, field, frozen

from mission_adapters.clocks import CorrectedClock, SystemClock
from mission_adapters.sql.fingerprint import ALL_SEALED, FINGERPRINT
from mission_adapters.sql.migrations import HEAD, lacking, path_in, revision_in, revision_of
from mission_core.errors import StoreFailed
from mission_core.values import moment

if TYPE_CHECKING:
    from asyncpg import Connection

OLDEST_SQLITE: Final = (3, 37)
"""The first SQLite version with STRICT tables. The contract tests pass on 3.37.2."""
OLDEST_POSTGRES: Final = (15,)
"""The oldest PostgreSQL version that the tests run on."""
PATIENCE: Final = 1.0
"""The seconds to wait for the lock of a SQLite file. A write takes milliseconds."""
HASTE: Final = 10.0
"""The seconds to wait for PostgreSQL's answer to a query."""
MAGIC: Final = b"SQLite format 3\0"
LOGGED: Final = b"\2"
"""Byte 18 of a SQLite file that is in WAL mode."""
NEWEST: Final = "SELECT max(at) FROM heads JOIN events USING (organization, position)"
TABLES: Final = "SELECT count(*) FROM sqlite_master"
SERVER_KEYS: Final = """
SELECT digest, created_by, created_at, expires_at FROM server_keys
WHERE "of" = (SELECT id FROM organizations WHERE slug = 'default') ORDER BY number
"""
FACTS: Final = """
SELECT pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on',
       coalesce(has_schema_privilege(current_schema(), 'CREATE'), false),
       EXISTS (SELECT FROM pg_tables WHERE schemaname = current_schema())
"""


class Product(Enum):
    """
    A database product that can be inspected.
    """

    SQLITE = "SQLite"
    POSTGRES = "PostgreSQL"


class Trouble(Enum):
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


@frozen
class Replacing:
    """
    A server key that was generated after the start: the digest of its secret, its creator and its validity.
    """

    digest: bytes
    by: str
    at: datetime
    expires_at: datetime | None

    @classmethod
    def of(cls, row: Iterable[Any]) -> Replacing:
        digest, by, at, expires_at = row
        return cls(bytes(digest), by, moment(at), None if expires_at is None else moment(expires_at))


@frozen(kw_only=True)
class Examination:
    """
    The result of inspecting a database. Fields that could not be read have their defaults.

    Args:
        version: The version of the PostgreSQL server, or of the SQLite library.
        reason: The driver's message about the trouble. It contains no part of a URL.
        made: Whether the database has any tables.
        at_rest: Whether certainly no server has the database open. An open SQLite database has a write-ahead log.
        writable: Whether this user may write to the database, or create it if it does not exist.
        revision: The schema revision of the database, if it has one.
        lacking: The missing schema revisions. None if the present revision is unknown to this release.
        ahead: The time by which the clock of the PostgreSQL server is ahead of this computer's clock.
        newest: The time of the newest log entry of any organization.
        server_keys: The generated server keys that replace the key from the environment, oldest first.
        fingerprint: The fingerprint of the secret. None before the first start that stores it.
        sealed: The encrypted values, each with the id of its row. Read only if there is no fingerprint.
    """

    product: Product
    version: tuple[int, ...] = ()
    trouble: Trouble | None = None
    reason: str = ""
    made: bool = False
    at_rest: bool = False
    writable: bool = True
    revision: str | None = None
    lacking: tuple[str, ...] | None = (HEAD,)
    ahead: timedelta | None = None
    newest: datetime | None = None
    server_keys: tuple[Replacing, ...] = ()
    fingerprint: bytes | None = None
    sealed: tuple[tuple[bytes, bytes], ...] = field(default=(), repr=False)

    @property
    def too_old(self) -> bool:
        """
        Whether the product version is older than the oldest supported one.
        """
        oldest = OLDEST_SQLITE if self.product is Product.SQLITE else OLDEST_POSTGRES
        return bool(self.version) and self.version < oldest


async def examine(url: str) -> Examination:
    """
    Inspect the database at `sqlite:///path` or `postgresql://...`. A process that has the SQLite file open must not
    call this: closing a file releases all locks that the process holds on it.
    """
    try:
        path = path_in(url)
    except ValueError:
        return Examination(product=Product.SQLITE, trouble=Trouble.MALFORMED)
    if path is None:
        return await _examined_server(url)
    return await asyncio.to_thread(_examined_file, path)


def _at(found: Examination, revision: str | None) -> Examination:
    try:
        return evolve(found, revision=revision, lacking=tuple(lacking(revision)))
    except StoreFailed:
        return evolve(found, revision=revision, lacking=None)


# SQLite.


def _examined_file(name: str) -> Examination:
    path = Path(name).absolute()
    found = Examination(product=Product.SQLITE, version=sqlite3.sqlite_version_info, writable=_may_be_written(path))
    if found.too_old:
        return found
    if not os.path.isdir(path.parent):
        return evolve(found, trouble=Trouble.NO_FOLDER, at_rest=True)
    if not os.path.exists(path):
        return evolve(_at(found, None), at_rest=True)
    try:
        with path.open("rb") as file:
            header = file.read(100)
        if not header:
            return evolve(_at(found, None), at_rest=True)
        if not header.startswith(MAGIC):
            return evolve(found, trouble=Trouble.NO_DATABASE)
        return _examined_contents(found, path, logged=header[18:19] == LOGGED)
    except OSError as error:
        return evolve(found, trouble=Trouble.UNREADABLE, reason=error.strerror or str(error))
    except sqlite3.Error as error:
        return evolve(found, trouble=_TROUBLES.get(code_of(error), Trouble.FAILED), reason=str(error))


def _may_be_written(path: Path) -> bool:
    # SQLite also creates a journal in the folder.
    return os.access(path.parent, os.W_OK | os.X_OK) and (not os.path.exists(path) or os.access(path, os.W_OK))


_TROUBLES: Final = {
    sqlite3.SQLITE_BUSY: Trouble.LOCKED,
    sqlite3.SQLITE_LOCKED: Trouble.LOCKED,
    sqlite3.SQLITE_NOTADB: Trouble.NO_DATABASE,
    sqlite3.SQLITE_CORRUPT: Trouble.NO_DATABASE,
    sqlite3.SQLITE_PERM: Trouble.UNREADABLE,
}


def code_of(error: sqlite3.Error) -> int:
    """
    Return SQLite's primary result code of an error.
    """
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _examined_contents(found: Examination, path: Path, *, logged: bool) -> Examination:
    beside = {suffix for suffix in ("-wal", "-shm", "-journal") if path.with_name(path.name + suffix).exists()}
    # A process that opens a database in WAL mode creates a -wal and a -shm file. Without them no process has the
    # database open, and it can be read as immutable.
    at_rest = logged and "-wal" not in beside
    if logged and not at_rest and "-shm" not in beside:
        return evolve(found, trouble=Trouble.UNSETTLED)
    with closing(_opened(path, "immutable=1" if at_rest else "mode=ro")) as reader:
        found = evolve(_read(found, reader), at_rest="-wal" not in beside)
        if found.writable and not at_rest and "-journal" not in beside:
            # The reader stays open: closing the last connection would write the log into the database file.
            with closing(_opened(path, "mode=rw")) as writer:
                writer.execute("BEGIN IMMEDIATE")
                writer.execute("ROLLBACK")
    return found


def _read(found: Examination, reader: sqlite3.Connection) -> Examination:
    ((tables,),) = reader.execute(TABLES)
    found = _at(evolve(found, made=tables > 0), revision_in(reader))
    if found.revision is None or found.lacking is None:
        return found
    ((newest,),) = reader.execute(NEWEST)
    found = evolve(found, newest=None if newest is None else moment(newest))
    if found.lacking:
        return found
    found = evolve(found, server_keys=_replacing(reader.execute(SERVER_KEYS)))
    if fingerprint := reader.execute(FINGERPRINT).fetchone():
        return evolve(found, fingerprint=fingerprint[0])
    return evolve(found, sealed=tuple(row for each in ALL_SEALED for row in reader.execute(each)))


def _replacing(rows: Iterable[Iterable[Any]]) -> tuple[Replacing, ...]:
    return tuple(map(Replacing.of, rows))


def _opened(path: Path, how: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.as_uri()}?{how}", uri=True, isolation_level=None, timeout=PATIENCE)


# PostgreSQL.


async def _examined_server(url: str) -> Examination:
    found = Examination(product=Product.POSTGRES)
    try:
        from mission_adapters.sql.postgres_connections import FAILED, connected, dsn_from, let_go
    except ModuleNotFoundError:
        return evolve(found, trouble=Trouble.NO_DRIVER)
    try:
        connection = await connected(dsn_from(url), patience=HASTE)
    except StoreFailed as error:
        return evolve(found, trouble=_trouble_of(error.__cause__), reason=str(error.__cause__))
    except ValueError:  # its message may quote a part of the password
        return evolve(found, trouble=Trouble.MALFORMED)
    try:
        return await _examined_connection(found, connection)
    except FAILED as error:
        return evolve(found, trouble=Trouble.FAILED, reason=str(error))
    finally:
        await let_go(connection)


def _trouble_of(error: BaseException | None) -> Trouble:
    import asyncpg

    match error:
        case asyncpg.InvalidAuthorizationSpecificationError():
            return Trouble.DENIED
        case asyncpg.InvalidCatalogNameError():
            return Trouble.MISSING
        case OSError():
            return Trouble.UNREACHABLE
    return Trouble.FAILED


async def _examined_connection(found: Examination, connection: Connection) -> Examination:
    from mission_adapters.sql.postgres import MOMENT

    version = connection.get_server_version()
    found = evolve(found, version=(version.major, version.minor or version.micro))
    if found.too_old:
        return found
    kept_from_writing, may_make, made = await connection.fetchrow(FACTS)
    found = _at(found, await revision_of(connection))

    async def told() -> Any:
        return await connection.fetchval(MOMENT)

    clock = await CorrectedClock.agreeing(SystemClock(), told)
    found = evolve(
        found,
        made=made,
        writable=not kept_from_writing and (may_make or not found.lacking),
        ahead=clock.ahead,
    )
    if found.lacking != () or found.revision is None:
        return found
    return evolve(
        found,
        server_keys=_replacing(await connection.fetch(SERVER_KEYS)),
        fingerprint=await connection.fetchval(FINGERPRINT),
        sealed=tuple([tuple(row) for each in ALL_SEALED for row in await connection.fetch(each)]),
    )
