"""
The database session for SQLite: batches of reads and writes that run on the driver's threads.

The switch between the event loop and the driver's thread costs more than SQL or the disk. So waiting jobs run in one
batch: writes share a transaction with a savepoint each and one durable commit, reads share a snapshot, and the event
loop is notified once per batch. A job that arrives alone starts at once.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import sqlite3
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from operator import attrgetter
from os import PathLike
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, NamedTuple, Self, TypeVar

import aiosqlite
from attrs import field

from mission_adapters.sql.database_files import DatabaseFiles
from mission_adapters.sql.database_session import BoundStatement, Steps
from mission_adapters.sql.followed_logs import FollowedLogs
from mission_adapters.sql.log_watches import CLOSED_MESSAGE, LogWatches
from mission_adapters.sql.read_cache import ReadCache
from mission_adapters.sql.readiness_check import run_check, write_unchanged_row
from mission_adapters.sql.sqlite_jobs import ConstraintNames, SqliteJob, store_failure
from mission_adapters.sql.wal_index import WalIndex
from mission_adapters.sql.written_columns import WrittenColumns
from mission_core.errors import OutcomeUnknown, StoreFailed, StoreUnreachable
from mission_core.lazy_attrs import define

if TYPE_CHECKING:
    from mission_core.ids import OrganizationId
    from mission_core.reports.server_figures import ConnectionPoolState

logger = logging.getLogger("mission_adapters")
R = TypeVar("R")

BATCH_SIZE: Final = 128
"""The largest number of jobs in a batch."""
READER_WAIT: Final = 0.002
"""The seconds that reads wait for a busy reader connection before another one takes them."""
POLL_INTERVAL: Final = 0.15
"""The seconds between two checks for commits of other processes, while somebody waits for a log."""
WRITE_CHECK_INTERVAL: Final = 5.0
"""The seconds after a successful write during which a readiness check makes no test write."""
REQUIRED_FREE_BYTES: Final = 256 * 1024
"""The free bytes on the disk that a readiness check requires. A batch of writes takes tens of thousands."""
REPLACED_MESSAGE: Final = (
    "SQLite: the database was moved, deleted or replaced since the server opened it; put it back and restart the server"
)
DURABLE: Final = attrgetter("durable")
SELECT_HEAD: Final = "SELECT position FROM heads WHERE organization = ?"

PRAGMAS: Final = (
    "cache_size=-16384",
    "temp_store=MEMORY",
    "journal_size_limit=67108864",
)
"""A page cache of 16 MB per connection, and a write-ahead log that is truncated to 64 MB. There is no memory-mapped
I/O: it would save a few microseconds per read, but a disk error would then kill the process."""


def run_on_thread(connection: aiosqlite.Connection, work: Callable[[], object]) -> None:
    """
    Run *work* on the connection's thread, after earlier work. It must notify the event loop itself.

    It uses a private queue of aiosqlite, because aiosqlite's public calls notify the event loop once per statement.
    """
    connection._tx.put_nowait((None, work))


@define(eq=False)
class ThreadQueue:
    """
    A queue of jobs for the driver's threads, which take them in batches.

    Args:
        run: Runs a batch on the thread, and returns the last position of each log that has grown.
        idle: The connections without a running batch.
        failed: The error for the jobs of a batch that failed as a whole.
        ended: Called on the event loop when a batch has ended, before anybody learns its results.
    """

    run: Callable[[sqlite3.Connection, list[SqliteJob]], dict[OrganizationId, int]]
    idle: list[aiosqlite.Connection]
    waking: LogWatches
    failed: type[StoreFailed] = StoreFailed
    ended: Callable[[], None] | None = None
    loop: asyncio.AbstractEventLoop = field(factory=asyncio.get_running_loop)
    waiting: deque[SqliteJob] = field(factory=deque)
    under_way: int = 0
    called: asyncio.Handle | None = None
    closed: bool = False
    empty: asyncio.Event = field(factory=asyncio.Event)

    async def submit(
        self, steps: Callable[[], Steps[R]], *, durable: bool = True, wakes: OrganizationId | None = None
    ) -> R:
        """
        Run steps on a driver's thread, and return their result.
        """
        if self.closed:
            raise self.failed(CLOSED_MESSAGE)
        future: asyncio.Future[R] = self.loop.create_future()
        self.waiting.append(SqliteJob(steps, future, durable, wakes))
        if self.called is None and self.idle:
            # At the end of this turn of the event loop, so that other ready tasks can join the batch.
            self.called = (
                self.loop.call_later(READER_WAIT, self._start_batch)
                if self.under_way
                else self.loop.call_soon(self._start_batch)
            )
        return await future

    def _start_batch(self) -> None:
        self.called = None
        batch: list[SqliteJob] = []
        while self.waiting and len(batch) < BATCH_SIZE:
            job = self.waiting.popleft()
            if not job.future.done():
                batch.append(job)
        if batch:
            connection = self.idle.pop()
            self.under_way += 1
            run_on_thread(connection, partial(self._on_thread, connection, batch))
        elif not self.under_way:
            self.empty.set()

    def _on_thread(self, connection: aiosqlite.Connection, batch: list[SqliteJob]) -> None:
        reached: dict[OrganizationId, int] = {}
        try:
            reached = self.run(connection._conn, batch)
        except BaseException as error:
            for job in batch:
                job.refusal = store_failure(error, self.failed)
        finally:
            self.loop.call_soon_threadsafe(self._finish_batch, connection, batch, reached)

    def _finish_batch(
        self, connection: aiosqlite.Connection, batch: list[SqliteJob], reached: dict[OrganizationId, int]
    ) -> None:
        self.under_way -= 1
        self.idle.append(connection)
        try:
            if self.ended is not None:
                self.ended()
        finally:  # whatever it raises, the jobs of this batch have their results, and others wait
            self._resolve_batch(batch, reached)

    def _resolve_batch(self, batch: list[SqliteJob], reached: dict[OrganizationId, int]) -> None:
        if self.called is not None:
            self.called.cancel()
            self.called = None
        if self.waiting:
            self._start_batch()
        for job in batch:
            job.resolve()
        batch.clear()  # the thread keeps a reference to its last work
        for organization, position in reached.items():
            self.waking.advance(organization, position)
        if not self.under_way:
            self.empty.set()

    async def close(self) -> None:
        """
        Refuse new jobs, and wait until all others have run.
        """
        self.closed = True
        while self.waiting or self.under_way:
            self.empty.clear()
            await self.empty.wait()


class Commit(NamedTuple):
    """
    A commit of the writer: the headers of the WAL index before and after it, and the columns it wrote
    (`ReadCache.committed`).
    """

    before: bytes | None
    after: bytes | None
    written: Collection[str]


@define(eq=False, repr=False)
class SqliteSession:
    """
    A SQLite database with one connection for writes and several for reads.
    """

    dialect: ClassVar[str] = "sqlite"

    writer: aiosqlite.Connection
    readers: list[aiosqlite.Connection]
    synchronous: str
    names: ConstraintNames
    files: DatabaseFiles
    wal_index: WalIndex
    written: WrittenColumns
    cache: ReadCache = field(init=False)
    followed: FollowedLogs = field(factory=FollowedLogs, init=False)
    _replaced: bool = False
    _watches: LogWatches = field(factory=LogWatches)
    _reads: ThreadQueue = field(init=False)
    _writes: ThreadQueue = field(init=False)
    _synchronous_now: str = field(init=False)
    _poll: asyncio.Task[None] | None = None
    _version: int | None = None
    _written_at: float = float("-inf")
    _commit: Commit | None = None
    _writer_version: int | None = None

    def __attrs_post_init__(self) -> None:
        self._reads = ThreadQueue(self._read_all, list(reversed(self.readers)), self._watches, StoreUnreachable)
        self._writes = ThreadQueue(self._write_all, [self.writer], self._watches, ended=self._advance_cache)
        self.cache = ReadCache(self.wal_index.header, lambda: self._writes.under_way > 0)
        self._synchronous_now = self.synchronous

    def connection_pools(self) -> dict[str, ConnectionPoolState]:
        return {}

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        path: str | PathLike[str],
        *,
        synchronous: Literal["FULL", "NORMAL", "OFF", "EXTRA"] = "FULL",
        busy_timeout: float = 10.0,
        readers: int = 2,
        constraints: ConstraintNames = lambda columns: None,
    ) -> AsyncIterator[Self]:
        """
        Open the database file, and create it if it does not exist.

        Args:
            busy_timeout: The seconds that a write waits for writes of other processes.
            constraints: Returns the name of the unique constraint on columns, which are all that SQLite reports.

        Raises:
            StoreFailed: If the file cannot be opened, or its file system does not support a write-ahead log.
        """
        async with AsyncExitStack() as stack:
            try:
                writer = await stack.enter_async_context(open_connection(path, busy_timeout))
                await configure(writer, busy_timeout, f"synchronous={synchronous}", "foreign_keys=ON")
                reading = [await stack.enter_async_context(open_connection(path, busy_timeout)) for _ in range(readers)]
                for each in reading:
                    await configure(each, busy_timeout, "query_only=ON")
                written = WrittenColumns()
                await writer.set_authorizer(written.authorize)
                await writer.execute_fetchall("SELECT count(*) FROM sqlite_master")  # opens the WAL index
            except sqlite3.Error as error:
                raise store_failure(error) from error
            files, wal_index = DatabaseFiles.at(path), WalIndex.of(path)
            session = cls(writer, reading, synchronous, constraints, files, wal_index, written)
            try:
                yield session
            finally:
                await session.close()

    def read(self, steps: Callable[[], Steps[R]]) -> Coroutine[Any, Any, R]:
        return self._reads.submit(steps)

    def write(
        self, steps: Callable[[], Steps[R]], *, durable: bool = True, wakes: OrganizationId | None = None
    ) -> Coroutine[Any, Any, R]:
        return self._writes.submit(steps, durable=durable, wakes=wakes)

    async def ready(self) -> None:
        self._watches.require_open()
        await run_check(self._check())

    async def _check(self) -> None:
        def steps() -> Steps[str]:
            [[_, _, file]] = yield BoundStatement("PRAGMA database_list")
            named: str = file
            return named

        if not self._in_place():
            raise StoreFailed(REPLACED_MESSAGE)
        file = await self.read(steps)
        if file and shutil.disk_usage(file).free < REQUIRED_FREE_BYTES:
            raise StoreFailed("SQLite: the disk is full")
        if time.monotonic() - self._written_at > WRITE_CHECK_INTERVAL:
            await self.write(write_unchanged_row, durable=False)

    async def wait(self, organization: OrganizationId, *, after: int) -> None:
        self._watches.require_open()
        if self._poll is None or self._poll.done():
            self._poll = asyncio.get_running_loop().create_task(self._polling())
        await self._watches.wait(organization, after=after, look=self._head)

    async def close(self) -> None:
        self._watches.close()
        if self._poll is not None:
            self._poll.cancel()
            await asyncio.wait([self._poll])
        await self._reads.close()
        await self._writes.close()
        self.wal_index.close()
        for connection in (*self.readers, self.writer):
            await connection.close()

    # On a reader's thread.

    def _read_all(self, connection: sqlite3.Connection, batch: list[SqliteJob]) -> dict[OrganizationId, int]:
        cursor = connection.cursor()
        if connection.in_transaction:  # an earlier batch failed before its end
            cursor.execute("ROLLBACK")
        cursor.execute("BEGIN")
        for job in batch:
            try:
                job.run(cursor, self.names)
            except sqlite3.Error as error:
                job.refusal = store_failure(error, StoreUnreachable)
        if connection.in_transaction:
            cursor.execute("COMMIT")
        return {}

    # On the writer's thread.

    def _write_all(self, connection: sqlite3.Connection, batch: list[SqliteJob]) -> dict[OrganizationId, int]:
        self._commit = None
        if not self._in_place():
            for job in batch:
                job.refusal = StoreFailed(REPLACED_MESSAGE)
            return {}
        cursor, before, committing = connection.cursor(), connection.total_changes, False
        try:
            if connection.in_transaction:  # an earlier rollback failed
                cursor.execute("ROLLBACK")
            self._set_synchronous(connection, durable=any(map(DURABLE, batch)))
            cursor.execute("BEGIN IMMEDIATE")
            header = self.wal_index.header()
            for job in batch:
                self._write_one(cursor, job)
            committing = True
            cursor.execute("COMMIT")
            self._commit = self._note_commit(cursor, header)
        except sqlite3.Error as error:
            self._written_at = float("-inf")
            if connection.in_transaction:
                cursor.execute("ROLLBACK")
            for job in batch:
                job.fail(error, committing=committing)
            return {}
        if not self._in_place():  # it may have been replaced during the commit
            for job in batch:
                if job.refusal is None and job.durable:
                    job.refusal = OutcomeUnknown(REPLACED_MESSAGE)
            return {}
        if connection.total_changes != before:
            self._written_at = time.monotonic()
        return self._heads(cursor, batch)

    def _in_place(self) -> bool:
        """
        Whether the database files are still in place. Once they were replaced, this stays false until a restart.
        """
        if not self._replaced and not self.files.in_place():
            self._replaced = True
            logger.error("database_files_replaced path=%s reason=%r", self.files.path, REPLACED_MESSAGE)
        return not self._replaced

    def _write_one(self, cursor: sqlite3.Cursor, job: SqliteJob) -> None:
        cursor.execute("SAVEPOINT one")
        job.run(cursor, self.names, self.written)
        if job.refusal is not None:
            cursor.execute("ROLLBACK TO one")
        cursor.execute("RELEASE one")

    def _note_commit(self, cursor: sqlite3.Cursor, before: bytes | None) -> Commit:
        """
        Return what the commit that has just returned changed, with the header after it. The header is left out if
        another process may have committed, too.
        """
        after, known, written = self.wal_index.header(), self._writer_version, self.written.take()
        try:
            # It changes when this connection sees the commit of another one. So the header is noted before it.
            ((self._writer_version,),) = cursor.execute("PRAGMA data_version").fetchall()
        except sqlite3.Error:  # the writes are committed in any case
            self._writer_version = None
        alone = known is not None and known == self._writer_version
        return Commit(before, after if alone else None, written)

    def _advance_cache(self) -> None:
        self.cache.committed(*(self._commit or Commit(None, None, ())))

    def _set_synchronous(self, connection: sqlite3.Connection, *, durable: bool) -> None:
        """
        Set SQLite's `synchronous` pragma for a batch. A batch without durable writes does not wait for the disk: the
        next durable commit also syncs its part of the write-ahead log.
        """
        mode = "NORMAL" if not durable and self.synchronous in ("FULL", "EXTRA") else self.synchronous
        if mode != self._synchronous_now:
            # The pragma takes effect when it is compiled, so it must not come from the statement cache.
            connection.executescript(f"PRAGMA synchronous={mode}")
            self._synchronous_now = mode

    def _heads(self, cursor: sqlite3.Cursor, batch: list[SqliteJob]) -> dict[OrganizationId, int]:
        """
        Return the last positions of the watched logs that this batch wrote to. They are read after the commit, because
        a reader that starts to watch later reads the position itself.
        """
        reached: dict[OrganizationId, int] = {}
        watched = self._watches.watched
        if not watched:
            return reached
        with suppress(sqlite3.Error):  # the writes are committed in any case, and polling finds them
            for job in batch:
                log = job.wakes
                if log is not None and job.refusal is None and log in watched and log not in reached:
                    reached[log] = position_of(cursor.execute(SELECT_HEAD, (log.bytes,)).fetchall())
        return reached

    # Commits of other processes.

    async def _head(self, organization: OrganizationId) -> int:
        return (await self._heads_of([organization]))[organization]

    async def _heads_of(self, organizations: list[OrganizationId]) -> dict[OrganizationId, int]:
        def steps() -> Steps[dict[OrganizationId, int]]:
            positions = {}
            for organization in organizations:
                positions[organization] = position_of((yield BoundStatement(SELECT_HEAD, (organization.bytes,))))
            return positions

        return await self.read(steps)

    async def _polling(self) -> None:
        while True:
            await asyncio.sleep(POLL_INTERVAL)
            try:
                await self._check_other_processes()
            except (sqlite3.Error, StoreFailed):
                self._version = None  # so that the next check reads the logs
            self._watches.drop_unwatched()
            if not self._watches.has_waiters:
                return

    async def _check_other_processes(self) -> None:
        """
        Read the positions of the watched logs if any process has committed since the last check.
        """
        ((version,),) = await self.readers[0].execute_fetchall("PRAGMA data_version")
        if version != self._version:
            self._version = version
            for organization, position in (await self._heads_of(list(self._watches.watched))).items():
                self._watches.advance(organization, position)


def position_of(rows: list[tuple[int]]) -> int:
    """
    Return the position in a head row, or 0 if there is no row.
    """
    return rows[0][0] if rows else 0


@asynccontextmanager
async def open_connection(path: str | PathLike[str], busy_timeout: float) -> AsyncIterator[aiosqlite.Connection]:
    """
    Open a connection without implicit transactions, whose thread does not keep the interpreter from exiting.
    """
    connection = aiosqlite.connect(str(path), isolation_level=None, timeout=busy_timeout, cached_statements=1024)
    connection._thread.daemon = True
    try:
        await connection
    except BaseException:
        # The driver stops its thread without waiting for it.
        await asyncio.to_thread(connection._thread.join)
        raise
    try:
        yield connection
    finally:
        await connection.close()


async def configure(connection: aiosqlite.Connection, patience: float, *pragmas: str) -> None:
    """
    Configure a connection: WAL mode, in which readers do not block the writer, page cache and other pragmas.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + patience
    while True:
        try:
            ((mode,),) = await connection.execute_fetchall("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError as error:
            # SQLite does not wait while another process creates the log, or removes it with its last connection.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or loop.time() > until:
                raise
            await asyncio.sleep(0.01)
    if mode != "wal":
        raise StoreFailed(f"SQLite: the file system does not support a write-ahead log (journal_mode={mode})")
    for pragma in (*PRAGMAS, *pragmas):
        await connection.execute_fetchall(f"PRAGMA {pragma}")
