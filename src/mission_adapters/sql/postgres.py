"""
The session of a PostgreSQL database: connections on a list of our own, and readers of the log woken by notifications.

A read is single statements outside of a transaction, a write is one transaction. What a lost connection, a deadlock
or a changed schema interrupted before its commit is run again from its first step.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

import asyncpg
from attrs import define, field

from mission_adapters.sql.session import Ask, Steps, Violated, refuse, unkeepable
from mission_adapters.sql.waking import Waking
from mission_core.errors import StoreFailed
from mission_core.ids import OrganizationId
from mission_core.urls import NO_DATABASE, UNREADABLE, is_readable

if TYPE_CHECKING:
    from datetime import datetime

    from asyncpg import Connection

R = TypeVar("R")

TRIES: Final = 3
PATIENCE: Final = 10.0
"""For how many seconds a connection may take to open, or to undo what failed."""
HANGS: Final = 60.0
"""After how many seconds a statement without an answer is given up, and its connection with it."""
RELISTEN: Final = 1.0
"""After how many seconds a lost listening connection is opened again."""
RELOOK: Final = 5.0
"""For how many seconds a notification that was lost may go unnoticed."""

PACE: Final = 0.003
"""How many seconds lie between two announcements of commits; the first after a pause goes out at once."""

MOMENT: Final = "SELECT clock_timestamp()"
CHANNEL: Final = "mission_log"
HEADS: Final = "SELECT organization, position FROM heads WHERE organization = ANY($1::bytea[])"
ANNOUNCE: Final = (
    f"SELECT organization, position, pg_notify('{CHANNEL}', encode(organization, 'hex') || ' ' || position) "
    "FROM heads WHERE organization = ANY($1::bytea[])"
)

NOT_OURS: Final = frozenset({"channel_binding", "connect_timeout", "gssencmode", "keepalives", "pgbouncer"})
"""What other drivers take in a URL, and asyncpg would hand to the server."""

LOST: Final = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.InternalClientError,
)
AGAIN: Final = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.InvalidCachedStatementError,
)
GAVE_UP: Final = (
    *LOST,
    *AGAIN,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.PostgresSystemError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.LockNotAvailableError,
)
"""What is the database's fault and not the statement's."""
PLANS: Final = {
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_sort": "off",
    "jit": "off",
}
"""Every statement here walks an index in its own order. Without statistics (a new database, a table that just grew) the
planner would rather read and sort a whole table; these settings keep it from that wherever an index serves."""


def dsn_from(url: str) -> str:
    """
    The URL as asyncpg takes it, from the spellings that other drivers and SQLAlchemy take.
    """
    scheme, _, rest = url.partition("://")
    if scheme.partition("+")[0] not in ("postgresql", "postgres"):
        raise ValueError(NO_DATABASE)
    if not is_readable(url):
        raise ValueError(UNREADABLE)
    place, _, query = rest.partition("?")
    options = [
        ("sslmode" if name == "ssl" else name, value) for name, value in parse_qsl(query) if name not in NOT_OURS
    ]
    return f"postgresql://{place}?{urlencode(options)}" if options else f"postgresql://{place}"


async def connected(dsn: str, settings: dict[str, str] | None = None) -> Connection:
    """
    A new connection, with some settings of the server's for it.

    Raises:
        StoreFailed: If the server cannot be reached, or does not let us in.
        ValueError: If the URL cannot be read.
    """
    try:
        return await asyncpg.connect(
            dsn,
            timeout=PATIENCE,
            command_timeout=HANGS,
            statement_cache_size=1024,
            max_cached_statement_lifetime=0,
            server_settings={**PLANS, **(settings or {})},
        )
    except (ValueError, OverflowError):  # the driver's words may quote a part of the password
        raise ValueError(UNREADABLE) from None
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        raise StoreFailed(f"PostgreSQL: no connection: {error}") from error


async def taken(steps: Steps[R], connection: Connection, first: Ask | None = None) -> R:
    """
    What the steps return, after all that they ask was answered. *first* is what they have asked already.
    """
    try:
        ask = first or next(steps)
        while True:
            try:
                answer = await answer_to(ask, connection)
            except asyncpg.IntegrityConstraintViolationError as error:
                refuse(steps, violation(error))
            except asyncpg.DataError as error:
                raise unkeepable(error) from error
            ask = steps.send(answer)
    except StopIteration as stop:
        done: R = stop.value
        return done
    finally:
        steps.close()


async def answer_to(ask: Ask, connection: Connection) -> Any:
    """
    The rows that one statement gives, or the number of rows it changed.
    """
    text, values, rows, many, _ = ask
    if rows:
        return await connection.fetch(text, *values)
    if many:
        return await connection.executemany(text, values)
    status = await connection.execute(text, *values)
    counted = status.rpartition(" ")[2]
    return int(counted) if counted.isdecimal() else 0


def violation(error: asyncpg.IntegrityConstraintViolationError) -> Violated:
    """
    What was violated, by the constraint's name, or the column's that must not be null.
    """
    return Violated(error.constraint_name or f"{error.table_name}.{error.column_name}")


async def changed(steps: Steps[R], connection: Connection) -> R:
    """
    What the steps return, taken as one transaction. When this raises, the connection may still be in it.

    Raises:
        StoreFailed: If the connection was lost at the one moment at which nobody can tell what became of it.
    """
    try:
        first = next(steps)
    except StopIteration as nothing_to_ask:
        done: R = nothing_to_ask.value
        return done
    if first.alone:
        return await committed(taken(steps, connection, first))
    try:
        await connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
        answer = await taken(steps, connection, first)
    finally:
        steps.close()
    await committed(connection.execute("COMMIT"))
    return answer


async def committed(last: Awaitable[R]) -> R:
    """
    Await the statement that commits.
    """
    try:
        return await last
    except asyncpg.IntegrityConstraintViolationError as error:
        raise violation(error) from error
    except LOST as error:
        reason = "PostgreSQL: the connection was lost during the commit, which may have been kept all the same"
        raise StoreFailed(f"{reason}: {error}") from error


@define(eq=False)
class Connections:
    """
    Up to *size* connections. The one that was used last is used next, so that in quiet times few stay warm.
    """

    dsn: str
    size: int
    settings: dict[str, str] | None = None
    idle: list[Connection] = field(factory=list)
    opened: int = 0
    waiting: deque[asyncio.Future[Connection | None]] = field(factory=deque)

    async def take(self) -> Connection:
        """
        A connection for the caller alone, until it is given back. Callers who must wait get theirs in order.
        """
        while True:
            while self.idle:
                connection = self.idle.pop()
                if not connection.is_closed():
                    return connection
                self.opened -= 1
            if self.opened < self.size:
                return await self._open()
            handed = await self._turn()
            if handed is not None:
                return handed

    async def _open(self) -> Connection:
        self.opened += 1
        try:
            return await connected(self.dsn, self.settings)
        except BaseException:
            self._gone()
            raise

    async def _turn(self) -> Connection | None:
        """
        Wait for a connection, or (None) for room to open one.
        """
        turn: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self.waiting.append(turn)
        try:
            return await turn
        except BaseException:
            if turn.done() and not turn.cancelled():
                self._hand(turn.result())
            raise

    def _hand(self, connection: Connection | None) -> None:
        while self.waiting:
            turn = self.waiting.popleft()
            if not turn.done():
                turn.set_result(connection)
                return
        if connection is not None:
            self.idle.append(connection)

    def _gone(self) -> None:
        self.opened -= 1
        self._hand(None)

    def give(self, connection: Connection) -> None:
        """
        Give a connection back; a broken one is let go of.
        """
        if connection.is_closed():
            self._gone()
        else:
            self._hand(connection)

    async def mend(self, connection: Connection) -> None:
        """
        Give a connection back that something went wrong on.
        """
        try:
            await connection.execute("ROLLBACK", timeout=PATIENCE)
        except Exception:  # whatever it was, this connection is not to be trusted again
            connection.terminate()
        except BaseException:
            connection.terminate()
            raise
        finally:
            self.give(connection)

    async def finish(self) -> None:
        """
        Return once nobody uses a connection or waits for one.
        """
        while self.waiting or len(self.idle) < self.opened:
            handed = await self._turn()
            if handed is not None:
                self.give(handed)

    async def close(self) -> None:
        """
        Let go of all connections, which nobody uses any more.
        """
        while self.idle:
            with suppress(*LOST, asyncpg.InterfaceError):
                await self.idle.pop().close(timeout=PATIENCE)
            self.opened -= 1


@define(eq=False)
class PostgresSession:
    """
    A PostgreSQL database, over up to *size* connections, two whose commits do not wait for the disk, and one that
    listens; each is opened when it is needed.
    """

    dsn: str
    _connections: Connections
    _light: Connections
    _waking: Waking = field(factory=Waking)
    _listening: asyncio.Task[None] | None = None
    _announcing: asyncio.Task[None] | None = None
    _unannounced: set[OrganizationId] = field(factory=set)

    @property
    def dialect(self) -> str:
        return "postgresql"

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, *, size: int = 8) -> AsyncIterator[Self]:
        """
        Open a database.

        Raises:
            StoreFailed: If it cannot be reached.
        """
        dsn = dsn_from(url)
        session = cls(dsn, Connections(dsn, size), Connections(dsn, 2, {"synchronous_commit": "off"}))
        try:
            session._connections.give(await session._connections.take())
            yield session
        finally:
            await session.close()

    async def read(self, steps: Callable[[], Steps[R]]) -> R:
        self._waking.must_be_open()
        return await self._tried(self._connections, lambda connection: taken(steps(), connection))

    async def write(
        self, steps: Callable[[], Steps[R]], *, durable: bool = True, wakes: OrganizationId | None = None
    ) -> R:
        self._waking.must_be_open()
        connections = self._connections if durable else self._light
        try:
            answer = await self._tried(connections, lambda connection: changed(steps(), connection))
        except asyncio.CancelledError:
            self._announce(wakes)  # it may have been committed all the same
            raise
        self._announce(wakes)
        return answer

    async def _tried(self, connections: Connections, work: Callable[[Connection], Awaitable[R]]) -> R:
        """
        Do some work on a connection, and again if it was interrupted and undone for no fault of its own.
        """
        for left in reversed(range(TRIES)):
            connection = await connections.take()
            try:
                answer = await work(connection)
            except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
                lost = connection.is_closed() or isinstance(error, LOST)
                if lost:
                    connection.terminate()
                await connections.mend(connection)
                if not lost and not isinstance(error, GAVE_UP):
                    raise
                if not left or not (lost or isinstance(error, AGAIN)) or isinstance(error, TimeoutError):
                    raise StoreFailed(f"PostgreSQL: {error}") from error
            except BaseException:
                await connections.mend(connection)
                raise
            else:
                connections.give(connection)
                return answer
        raise AssertionError("unreachable")

    async def wait(self, organization: OrganizationId, *, after: int) -> None:
        self._waking.must_be_open()
        if self._listening is None or self._listening.done():
            self._listening = asyncio.get_running_loop().create_task(self._listen())
        await self._waking.wait(organization, after=after, look=self._head)

    async def close(self) -> None:
        self._waking.close()
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait([self._listening])
        for connections in (self._light, self._connections):
            await connections.finish()
        if self._announcing is not None:
            await asyncio.wait([self._announcing])
        for connections in (self._light, self._connections):
            await connections.close()

    async def moment(self) -> datetime:
        """
        What the server's clock tells.
        """

        def steps() -> Steps[datetime]:
            rows = yield Ask(MOMENT)
            told: datetime = rows[0][0]
            return told

        return await self.read(steps)

    async def _head(self, organization: OrganizationId) -> int:
        def steps() -> Steps[int]:
            rows = yield Ask(HEADS, ([organization.bytes],))
            position: int = rows[0][1] if rows else 0
            return position

        return await self.read(steps)

    # Telling who waits, here and in other processes.

    def _announce(self, organization: OrganizationId | None) -> None:
        """
        Say that a log was written to. A notification inside the write's own transaction would make the database sync
        such commits one after another; this way one statement tells of all commits since the last.
        """
        if organization is None:
            return
        self._unannounced.add(organization)
        if self._announcing is None or self._announcing.done():
            self._announcing = asyncio.get_running_loop().create_task(self._announcements())

    async def _announcements(self) -> None:
        while self._unannounced:
            written = [each.bytes for each in self._unannounced]
            self._unannounced.clear()
            with suppress(StoreFailed):  # those who listen look for themselves after a while
                self._reached(await self._tried(self._connections, partial(answer_to, Ask(ANNOUNCE, (written,)))))
            await asyncio.sleep(PACE)

    async def _listen(self) -> None:
        while True:
            with suppress(StoreFailed, asyncpg.PostgresError, asyncpg.InterfaceError, *LOST):
                await self._listen_on(await connected(self.dsn))
            await asyncio.sleep(RELISTEN)

    async def _listen_on(self, connection: Connection) -> None:
        """
        Hear of commits until the connection breaks. Whoever came while nobody listened is served by the first look.
        """
        lost = asyncio.Event()
        try:
            connection.add_termination_listener(lambda _: lost.set())
            await connection.add_listener(CHANNEL, self._heard)
            while not connection.is_closed():
                self._waking.tidy()
                if watched := [each.bytes for each in self._waking.watched]:
                    self._reached(await connection.fetch(HEADS, watched, timeout=PATIENCE))
                with suppress(TimeoutError):
                    await asyncio.wait_for(lost.wait(), RELOOK)
        finally:
            connection.terminate()

    def _heard(self, connection: object, process: int, channel: str, payload: str) -> None:
        organization, _, position = payload.partition(" ")
        self._waking.reached(OrganizationId(UUID(organization)), int(position))

    def _reached(self, heads: list[Any]) -> None:
        for head in heads:
            self._waking.reached(OrganizationId(UUID(bytes=head[0])), head[1])
