"""
The session of a SQLite file, where the expensive part is neither SQL nor the disk but crossing to the driver's thread.

So whatever waits crosses together: writes become one transaction with a savepoint each and one durable commit, reads
share a snapshot, and the event loop is told once for all of them. A write that comes alone goes at once.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import sqlite3
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Final, Literal, Self, TypeVar

import aiosqlite
from attrs import define, field

from mission_adapters.sql.database_files import DatabaseFiles
from mission_adapters.sql.readiness import change_nothing, in_time
from mission_adapters.sql.session import Ask, Steps
from mission_adapters.sql.sqlite_errands import Errand, Names, failure
from mission_adapters.sql.waking import CLOSED, Waking
from mission_core.errors import OutcomeUnknown, StoreFailed, StoreUnreachable

if TYPE_CHECKING:
    from mission_core.ids import OrganizationId

logger = logging.getLogger("mission_adapters")
R = TypeVar("R")

TOGETHER: Final = 128
"""How many errands cross together at most."""
PATIENCE: Final = 0.002
"""For how many seconds reads wait for a reader that is under way before another one takes them."""
POLL: Final = 0.15
"""How many seconds a commit of another process may go unnoticed by those who wait."""
LATELY: Final = 5.0
"""For how many seconds a change that was kept tells that the next one would be."""
ROOM: Final = 256 * 1024
"""How many bytes must be free on the disk: a batch of changes takes tens of thousands."""
REPLACED: Final = (
    "SQLite: the database was moved, deleted or replaced since the server opened it; put it back and restart the server"
)
HEAD: Final = "SELECT position FROM heads WHERE organization = ?"

PRAGMAS: Final = (
    "cache_size=-16384",
    "temp_store=MEMORY",
    "journal_size_limit=67108864",
)
"""16 MB of pages kept by each connection, and a log that shrinks to 64 MB again. No mapped memory: it would save a
few microseconds a read, but turns an error of the disk into the death of the process."""


def hand_over(connection: aiosqlite.Connection, work: Callable[[], object]) -> None:
    """
    Run *work* on the connection's own thread, after what was handed over before. It must tell the event loop itself.

    This queue is private to aiosqlite, whose public calls tell the event loop once for each statement.
    """
    connection._tx.put_nowait((None, work))


@define(eq=False)
class Line:
    """
    Errands that wait for a driver's thread, and cross to it together.

    Args:
        run: Runs errands, on the thread, and answers with the logs that are known to reach further.
        failed: What an errand is refused with if that goes wrong.
        idle: The connections that are not under way.
    """

    run: Callable[[sqlite3.Connection, list[Errand]], dict[OrganizationId, int]]
    idle: list[aiosqlite.Connection]
    waking: Waking
    failed: type[StoreFailed] = StoreFailed
    loop: asyncio.AbstractEventLoop = field(factory=asyncio.get_running_loop)
    waiting: deque[Errand] = field(factory=deque)
    under_way: int = 0
    called: asyncio.Handle | None = None
    closed: bool = False
    empty: asyncio.Event = field(factory=asyncio.Event)

    async def send(
        self, steps: Callable[[], Steps[R]], *, durable: bool = True, wakes: OrganizationId | None = None
    ) -> R:
        """
        Send steps across, and wait for what they return.
        """
        if self.closed:
            raise StoreFailed(CLOSED)
        told: asyncio.Future[R] = self.loop.create_future()
        self.waiting.append(Errand(steps, told, durable, wakes))
        if self.called is None and self.idle:
            # At once, but not before the others who are ready in this very turn of the event loop.
            self.called = (
                self.loop.call_later(PATIENCE, self._cross) if self.under_way else self.loop.call_soon(self._cross)
            )
        return await told

    def _cross(self) -> None:
        self.called = None
        batch: list[Errand] = []
        while self.waiting and len(batch) < TOGETHER:
            errand = self.waiting.popleft()
            if not errand.told.done():
                batch.append(errand)
        if batch:
            connection = self.idle.pop()
            self.under_way += 1
            hand_over(connection, partial(self._on_thread, connection, batch))
        elif not self.under_way:
            self.empty.set()

    def _on_thread(self, connection: aiosqlite.Connection, batch: list[Errand]) -> None:
        reached: dict[OrganizationId, int] = {}
        try:
            reached = self.run(connection._conn, batch)
        except BaseException as error:
            for errand in batch:
                errand.refusal = failure(error, self.failed)
        finally:
            self.loop.call_soon_threadsafe(self._back, connection, batch, reached)

    def _back(
        self, connection: aiosqlite.Connection, batch: list[Errand], reached: dict[OrganizationId, int]
    ) -> None:
        self.under_way -= 1
        self.idle.append(connection)
        if self.called is not None:
            self.called.cancel()
            self.called = None
        if self.waiting:
            self._cross()
        for errand in batch:
            errand.tell()
        batch.clear()  # the thread keeps its last work until the next
        for organization, position in reached.items():
            self.waking.reached(organization, position)
        if not self.under_way:
            self.empty.set()

    async def close(self) -> None:
        """
        Take nothing more, and finish what waits.
        """
        self.closed = True
        while self.waiting or self.under_way:
            self.empty.clear()
            await self.empty.wait()


@define(eq=False)
class SqliteSession:
    """
    A SQLite file, with one connection that writes and others that read.
    """

    writer: aiosqlite.Connection
    readers: list[aiosqlite.Connection]
    synchronous: str
    names: Names
    files: DatabaseFiles
    _replaced: bool = False
    _waking: Waking = field(factory=Waking)
    _reads: Line = field(init=False)
    _writes: Line = field(init=False)
    _spelling: str = field(init=False)
    _poll: asyncio.Task[None] | None = None
    _version: int | None = None
    _kept_at: float = float("-inf")

    def __attrs_post_init__(self) -> None:
        self._reads = Line(self._read_all, list(reversed(self.readers)), self._waking, StoreUnreachable)
        self._writes = Line(self._write_all, [self.writer], self._waking)
        self._spelling = self.synchronous

    @property
    def dialect(self) -> str:
        return "sqlite"

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        path: str | PathLike[str],
        *,
        synchronous: Literal["FULL", "NORMAL", "OFF", "EXTRA"] = "FULL",
        busy_timeout: float = 10.0,
        readers: int = 2,
        constraints: Names | None = None,
    ) -> AsyncIterator[Self]:
        """
        Open the file, and make it if there is none.

        Args:
            busy_timeout: For how many seconds a write waits for other processes that write to the file.
            constraints: The names of unique constraints, by their columns as SQLite reports them.

        Raises:
            StoreFailed: If it cannot be opened, or its file system cannot keep a write-ahead log.
        """
        async with AsyncExitStack() as stack:
            try:
                writer = await stack.enter_async_context(connected(path, busy_timeout))
                await prepared(writer, busy_timeout, f"synchronous={synchronous}", "foreign_keys=ON")
                reading = [await stack.enter_async_context(connected(path, busy_timeout)) for _ in range(readers)]
                for each in reading:
                    await prepared(each, busy_timeout, "query_only=ON")
            except sqlite3.Error as error:
                raise failure(error) from error
            session = cls(writer, reading, synchronous, constraints or {}, DatabaseFiles.at(path))
            try:
                yield session
            finally:
                await session.close()

    async def read(self, steps: Callable[[], Steps[R]]) -> R:
        return await self._reads.send(steps)

    async def write(
        self, steps: Callable[[], Steps[R]], *, durable: bool = True, wakes: OrganizationId | None = None
    ) -> R:
        return await self._writes.send(steps, durable=durable, wakes=wakes)

    async def ready(self) -> None:
        self._waking.must_be_open()
        await in_time(self._check())

    async def _check(self) -> None:
        def steps() -> Steps[str]:
            [[_, _, file]] = yield Ask("PRAGMA database_list")
            named: str = file
            return named

        if not self._in_place():
            raise StoreFailed(REPLACED)
        file = await self.read(steps)
        if file and shutil.disk_usage(file).free < ROOM:
            raise StoreFailed("SQLite: the disk is full")
        if time.monotonic() - self._kept_at > LATELY:
            await self.write(change_nothing, durable=False)

    async def wait(self, organization: OrganizationId, *, after: int) -> None:
        self._waking.must_be_open()
        if self._poll is None or self._poll.done():
            self._poll = asyncio.get_running_loop().create_task(self._polling())
        await self._waking.wait(organization, after=after, look=self._head)

    async def close(self) -> None:
        self._waking.close()
        if self._poll is not None:
            self._poll.cancel()
            await asyncio.wait([self._poll])
        await self._reads.close()
        await self._writes.close()
        for connection in (*self.readers, self.writer):
            await connection.close()

    # On a reader's thread.

    def _read_all(self, connection: sqlite3.Connection, batch: list[Errand]) -> dict[OrganizationId, int]:
        cursor = connection.cursor()
        if connection.in_transaction:  # an earlier one could not be ended
            cursor.execute("ROLLBACK")
        cursor.execute("BEGIN")
        for errand in batch:
            try:
                errand.run(cursor, self.names)
            except sqlite3.Error as error:
                errand.refusal = failure(error, StoreUnreachable)
        if connection.in_transaction:
            cursor.execute("COMMIT")
        return {}

    # On the writer's thread.

    def _write_all(self, connection: sqlite3.Connection, batch: list[Errand]) -> dict[OrganizationId, int]:
        if not self._in_place():
            for errand in batch:
                errand.refusal = StoreFailed(REPLACED)
            return {}
        cursor, before, committing = connection.cursor(), connection.total_changes, False
        try:
            if connection.in_transaction:  # an earlier failure could not even be rolled back
                cursor.execute("ROLLBACK")
            self._spell(connection, durable=any(errand.durable for errand in batch))
            cursor.execute("BEGIN IMMEDIATE")
            for errand in batch:
                self._write_one(cursor, errand)
            committing = True
            cursor.execute("COMMIT")
        except sqlite3.Error as error:
            self._kept_at = float("-inf")
            if connection.in_transaction:
                cursor.execute("ROLLBACK")
            for errand in batch:
                errand.refuse(error, committing=committing)
            return {}
        if not self._in_place():  # it may have been replaced during the commit
            for errand in batch:
                if errand.refusal is None and errand.durable:
                    errand.refusal = OutcomeUnknown(REPLACED)
            return {}
        if connection.total_changes != before:
            self._kept_at = time.monotonic()
        return self._heads(cursor, batch)

    def _in_place(self) -> bool:
        """
        Whether the files stand where they were opened. Once they did not, only a restart finds out which ones count.
        """
        if not self._replaced and not self.files.in_place():
            self._replaced = True
            logger.error("database_files_replaced path=%s: %s", self.files.path, REPLACED)
        return not self._replaced

    def _write_one(self, cursor: sqlite3.Cursor, errand: Errand) -> None:
        cursor.execute("SAVEPOINT one")
        errand.run(cursor, self.names)
        if errand.refusal is not None:
            cursor.execute("ROLLBACK TO one")
        cursor.execute("RELEASE one")

    def _spell(self, connection: sqlite3.Connection, *, durable: bool) -> None:
        """
        Draws of numbers, if they are alone, do not wait for the disk: the next durable commit syncs them too, for it
        lies behind them in the same log.
        """
        spelling = "NORMAL" if not durable and self.synchronous in ("FULL", "EXTRA") else self.synchronous
        if spelling != self._spelling:
            # It takes effect when it is compiled, so a cached statement would not do.
            connection.executescript(f"PRAGMA synchronous={spelling}")
            self._spelling = spelling

    def _heads(self, cursor: sqlite3.Cursor, batch: list[Errand]) -> dict[OrganizationId, int]:
        """
        How far the logs that somebody watches reach now. Asked after the commit, for who starts to watch later looks.
        """
        reached = {}
        with suppress(sqlite3.Error):  # they are committed, whatever happens here; the poll will notice
            for errand in batch:
                log = errand.wakes
                if log is not None and errand.refusal is None and log in self._waking.watched and log not in reached:
                    reached[log] = position_of(cursor.execute(HEAD, (log.bytes,)).fetchall())
        return reached

    # Other processes.

    async def _head(self, organization: OrganizationId) -> int:
        return (await self._heads_of([organization]))[organization]

    async def _heads_of(self, organizations: list[OrganizationId]) -> dict[OrganizationId, int]:
        def steps() -> Steps[dict[OrganizationId, int]]:
            positions = {}
            for organization in organizations:
                positions[organization] = position_of((yield Ask(HEAD, (organization.bytes,))))
            return positions

        return await self.read(steps)

    async def _polling(self) -> None:
        while True:
            await asyncio.sleep(POLL)
            try:
                await self._look_around()
            except (sqlite3.Error, StoreFailed):
                self._version = None  # so that the next look is a thorough one
            self._waking.tidy()
            if not self._waking.wanted:
                return

    async def _look_around(self) -> None:
        """
        If anybody has committed since the last look, look at the logs that are watched.
        """
        ((version,),) = await self.readers[0].execute_fetchall("PRAGMA data_version")
        if version != self._version:
            self._version = version
            for organization, position in (await self._heads_of(list(self._waking.watched))).items():
                self._waking.reached(organization, position)


def position_of(rows: list[tuple[int]]) -> int:
    """
    How far a log reaches that may have no entry yet.
    """
    return rows[0][0] if rows else 0


@asynccontextmanager
async def connected(path: str | PathLike[str], busy_timeout: float) -> AsyncIterator[aiosqlite.Connection]:
    """
    A connection in which transactions are ours, and whose thread does not keep the interpreter from ending.
    """
    connection = aiosqlite.connect(str(path), isolation_level=None, timeout=busy_timeout, cached_statements=1024)
    connection._thread.daemon = True
    try:
        await connection
    except BaseException:
        # The driver stops its thread, but does not wait for it.
        await asyncio.to_thread(connection._thread.join)
        raise
    try:
        yield connection
    finally:
        await connection.close()


async def prepared(connection: aiosqlite.Connection, patience: float, *pragmas: str) -> None:
    """
    Make a connection ready: a log that lets readers and the writer go on side by side, and room to keep pages.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + patience
    while True:
        try:
            ((mode,),) = await connection.execute_fetchall("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError as error:
            # SQLite itself does not wait for others who make the file's log, or remove it with the last connection.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or loop.time() > until:
                raise
            await asyncio.sleep(0.01)
    if mode != "wal":
        raise StoreFailed(f"SQLite: this file cannot have a write-ahead log, its journal stays {mode!r}")
    for pragma in (*PRAGMAS, *pragmas):
        await connection.execute_fetchall(f"PRAGMA {pragma}")
