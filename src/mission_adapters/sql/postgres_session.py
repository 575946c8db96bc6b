"""
The database session for PostgreSQL: pooled asyncpg connections, and LISTEN/NOTIFY to wake readers of the log.

A read runs single statements outside a transaction. A write is one transaction. If a lost connection, a deadlock or a
changed schema interrupts either before its commit, it is run again from its first step.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from secrets import token_hex
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self, TypeVar
from uuid import UUID

import asyncpg
from attrs import field

from mission_adapters.sql.database_session import (
    BoundStatement,
    ConstraintViolated,
    Steps,
    invalid_value,
    raise_violation,
)
from mission_adapters.sql.followed_logs import MOST_SUBJECTS, FollowedLogs
from mission_adapters.sql.log_watches import LogWatches
from mission_adapters.sql.postgres_pool import (
    CONNECT_TIMEOUT,
    CONNECTION_LOST,
    DRIVER_ERRORS,
    POOL_TIMEOUT,
    ConnectionPool,
    dsn_from,
    open_connection,
    wait_for_abandoned_connections,
)
from mission_adapters.sql.read_cache import ReadCache
from mission_adapters.sql.readiness_check import run_check, write_unchanged_row
from mission_core.errors import OutcomeUnknown, StoreBusy, StoreFailed, StoreUnreachable
from mission_core.ids import OrganizationId
from mission_core.lazy_attrs import define

if TYPE_CHECKING:
    from datetime import datetime

    from asyncpg import Connection

    from mission_core.reports.server_figures import ConnectionPoolState

R = TypeVar("R")

ATTEMPTS: Final = 3
RELISTEN_DELAY: Final = 1.0
"""The seconds until a lost listening connection is opened again."""
HEAD_POLL_INTERVAL: Final = 5.0
"""The seconds between two reads of the watched head rows, in case a notification was lost."""

NOTIFY_INTERVAL: Final = 0.003
"""The seconds between two notifications of commits. The first one after a pause is sent at once."""

READ_ONLY: Final = "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean"
SERVER_TIME: Final = "SELECT clock_timestamp()"
CHANNEL: Final = "mission_log"
SELECT_HEADS: Final = "SELECT organization, position FROM heads WHERE organization = ANY($1::bytea[])"
_NOTIFY: Final = f"""
    SELECT organization, position, pg_notify('{CHANNEL}', encode(organization, 'hex') || ' ' || position), ARRAY(
        SELECT subject FROM events WHERE events.organization = heads.organization
        AND events.position > known AND events.position <= heads.position
        ORDER BY events.position DESC LIMIT {MOST_SUBJECTS}
    ) FROM heads,
"""
NOTIFY_HEADS: Final = f"{_NOTIFY} unnest($1::bytea[], $2::bigint[]) AS log(owner, known) WHERE organization = owner"
NOTIFY_HEAD: Final = f"{_NOTIFY} CAST($2 AS bigint) AS known WHERE organization = $1"
"""For one organization, because PostgreSQL plans a statement with an array anew each time."""

RETRYABLE: Final = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.InvalidCachedStatementError,
)
DATABASE_FAULTS: Final = (
    *CONNECTION_LOST,
    *RETRYABLE,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.PostgresSystemError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.LockNotAvailableError,
)
"""Errors that are the database's fault and not the statement's."""
CONTENTION: Final = (*RETRYABLE, asyncpg.LockNotAvailableError)
"""Errors caused by concurrent changes in a healthy database."""


async def run_steps(steps: Steps[R], connection: Connection, first: BoundStatement | None = None) -> R:
    """
    Run the statements that *steps* yields on a connection, send it the result of each, and return its final result.
    *first* is a statement that it has yielded already.
    """
    try:
        ask = first or next(steps)
        while True:
            try:
                answer = await execute(ask, connection)
            except asyncpg.IntegrityConstraintViolationError as error:
                raise_violation(steps, constraint_violation(error))
            except asyncpg.DataError as error:
                raise invalid_value(error) from error
            ask = steps.send(answer)
    except StopIteration as stop:
        done: R = stop.value
        return done
    finally:
        steps.close()


async def execute(ask: BoundStatement, connection: Connection) -> Any:
    """
    Run one statement. Return its rows, or the number of rows it changed.
    """
    text, values, rows, many, _ = ask
    if rows:
        return await connection.fetch(text, *values)
    if many:
        return await connection.executemany(text, values)
    status = await connection.execute(text, *values)
    counted = status.rpartition(" ")[2]
    return int(counted) if counted.isdecimal() else 0


def constraint_violation(error: asyncpg.IntegrityConstraintViolationError) -> ConstraintViolated:
    """
    Return the violation, with the name of the constraint or of the column that must not be null.
    """
    return ConstraintViolated(error.constraint_name or f"{error.table_name}.{error.column_name}")


async def run_transaction(steps: Steps[R], connection: Connection, *, durable: bool) -> R:
    """
    Run steps as one transaction and return their result. If this raises, the transaction may still be open. A write
    that need not be durable may be run twice.

    Raises:
        OutcomeUnknown: If the connection was lost during the commit.
    """
    try:
        first = next(steps)
    except StopIteration as nothing_to_ask:
        done: R = nothing_to_ask.value
        return done
    if first.single:
        last = run_steps(steps, connection, first)
        return await (await_commit(last) if durable else last)
    try:
        await connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
        answer = await run_steps(steps, connection, first)
    finally:
        steps.close()
    await await_commit(connection.execute("COMMIT"))
    return answer


async def await_commit(last: Awaitable[R]) -> R:
    """
    Await the statement that commits.
    """
    try:
        return await last
    except asyncpg.IntegrityConstraintViolationError as error:
        raise constraint_violation(error) from error
    except asyncpg.IdleInTransactionSessionTimeoutError:
        raise  # the server rolled back before it received the commit
    except CONNECTION_LOST as error:
        detail = str(error) or type(error).__name__
        raise OutcomeUnknown(f"PostgreSQL: the connection was lost during the commit: {detail}", lost=True) from error


@define(eq=False)
class PostgresSession:
    """
    A PostgreSQL database with pooled connections, opened on demand.

    Reads and writes have separate pools of up to *size* connections, so writes that wait for locks do not delay reads.
    A third pool of two connections commits without waiting for the disk. One more connection listens for notifications.
    """

    dialect: ClassVar[str] = "postgresql"

    dsn: str
    _reading: ConnectionPool
    _writing: ConnectionPool
    _not_durable: ConnectionPool
    cache: ReadCache = field(factory=ReadCache)
    followed: FollowedLogs = field(factory=FollowedLogs)
    _watches: LogWatches = field(factory=LogWatches)
    _listening: asyncio.Task[None] | None = None
    _notifying: asyncio.Task[None] | None = None
    _unnotified: set[OrganizationId] = field(factory=set)
    _write_failed: bool = False

    def connection_pools(self) -> dict[str, ConnectionPoolState]:
        return {"read": self._reading.state, "write": self._writing.state, "write_not_durable": self._not_durable.state}

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, *, size: int = 6) -> AsyncIterator[Self]:
        """
        Open a database.

        Raises:
            StoreUnreachable: If it cannot be reached.
        """
        dsn = dsn_from(url)
        named = {"application_name": f"mission-control {token_hex(4)}"}  # shared by all connections of this session
        light = ConnectionPool(dsn, 2, {"synchronous_commit": "off", **named})
        session = cls(dsn, ConnectionPool(dsn, size, named), ConnectionPool(dsn, size, named), light)
        try:
            session._reading.give(await session._reading.take())
            yield session
        finally:
            await session.close()

    async def read(self, steps: Callable[[], Steps[R]]) -> R:
        self._watches.require_open()
        return await self._read(lambda connection: run_steps(steps(), connection))

    async def _read(self, work: Callable[[Connection], Awaitable[R]]) -> R:
        return await self._with_retries(self._reading, work, StoreUnreachable, StoreUnreachable)

    async def write(
        self, steps: Callable[[], Steps[R]], *, durable: bool = True, wakes: OrganizationId | None = None
    ) -> R:
        self._watches.require_open(StoreFailed)
        connections = self._writing if durable else self._not_durable
        try:
            answer = await self._with_retries(
                connections, lambda connection: run_transaction(steps(), connection, durable=durable)
            )
        except (asyncio.CancelledError, OutcomeUnknown):
            self._notify_later(wakes)  # the commit may have succeeded
            raise
        except StoreFailed as error:
            self._write_failed |= not isinstance(error, StoreBusy)
            raise
        self._write_failed = False
        self._notify_later(wakes)
        return answer

    async def ready(self) -> None:
        self._watches.require_open()
        await run_check(self._check())

    async def _check(self) -> None:
        [[read_only]] = await self._read(partial(execute, BoundStatement(READ_ONLY)))
        if read_only:
            raise StoreFailed("PostgreSQL: the server is a standby, or takes no changes")
        if self._write_failed:
            await self.write(write_unchanged_row, durable=False)

    async def _with_retries(
        self,
        connections: ConnectionPool,
        work: Callable[[Connection], Awaitable[R]],
        failed: type[StoreFailed] = StoreFailed,
        busy: type[StoreFailed] = StoreBusy,
    ) -> R:
        """
        Run *work* on a pooled connection, and again if a database error rolled it back.

        Args:
            failed: The error to raise if the database fails.
            busy: The error to raise if concurrent changes, or the lack of a free connection, prevent the work.
        """
        for left in reversed(range(ATTEMPTS)):
            try:
                connection = await connections.take()
            except StoreUnreachable as error:
                raise failed(error.reason, error.lost) from error.__cause__
            except TimeoutError as error:
                raise busy(f"PostgreSQL: no connection was free for {POOL_TIMEOUT:.0f} seconds") from error
            try:
                answer = await work(connection)
            except DRIVER_ERRORS as error:
                lost = connection.is_closed() or isinstance(error, CONNECTION_LOST)
                if lost:
                    connection.terminate()
                await connections.roll_back_and_give(connection)
                if not lost and not isinstance(error, DATABASE_FAULTS):
                    raise
                if not left or not (lost or isinstance(error, RETRYABLE)) or isinstance(error, TimeoutError):
                    detail = str(error) or type(error).__name__
                    given_up = busy if isinstance(error, CONTENTION) else failed
                    raise given_up(f"PostgreSQL: {detail}", lost) from error
            except BaseException:
                await connections.roll_back_and_give(connection)
                raise
            else:
                connections.give(connection)
                return answer
        raise AssertionError("unreachable")

    async def wait(self, organization: OrganizationId, *, after: int) -> None:
        self._watches.require_open()
        if self._listening is None or self._listening.done():
            self._listening = asyncio.get_running_loop().create_task(self._listen())
        await self._watches.wait(organization, after=after, look=self._head)

    async def close(self) -> None:
        self._watches.close()
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait([self._listening])
        for connections in (self._not_durable, self._writing, self._reading):
            await connections.wait_until_idle()
        if self._notifying is not None:
            await asyncio.wait([self._notifying])
        for connections in (self._not_durable, self._writing, self._reading):
            await connections.close()
        await wait_for_abandoned_connections()

    async def server_time(self) -> datetime:
        """
        Return the server's present time.
        """

        def steps() -> Steps[datetime]:
            rows = yield BoundStatement(SERVER_TIME)
            detail: datetime = rows[0][0]
            return detail

        return await self.read(steps)

    async def _head(self, organization: OrganizationId) -> int:
        def steps() -> Steps[int]:
            rows = yield BoundStatement(SELECT_HEADS, ([organization.bytes],))
            position: int = rows[0][1] if rows else 0
            return position

        return await self.read(steps)

    # Notifications to readers in this and other processes.

    def _notify_later(self, organization: OrganizationId | None) -> None:
        """
        Notify the readers of a log soon.
        """
        # Not inside the write's transaction: PostgreSQL serializes commits that notify. One later statement covers all
        # commits since the last one.
        if organization is None:
            return
        self._unnotified.add(organization)
        if self._notifying is None or self._notifying.done():
            self._notifying = asyncio.get_running_loop().create_task(self._notify())

    async def _notify(self) -> None:
        while self._unnotified:
            written = [(each.bytes, self.followed.known(each)) for each in self._unnotified]
            self._unnotified.clear()
            ask = (NOTIFY_HEADS, tuple(zip(*written, strict=True))) if written[1:] else (NOTIFY_HEAD, written[0])
            with suppress(StoreFailed):  # listeners also read the head rows every HEAD_POLL_INTERVAL seconds
                heads = await self._read(partial(execute, BoundStatement(*ask)))
                self._report_heads(heads)
                for organization, position, _, subjects in heads:
                    self.followed.read(OrganizationId(UUID(bytes=organization)), position, subjects)
            await asyncio.sleep(NOTIFY_INTERVAL)

    async def _listen(self) -> None:
        while True:
            with suppress(StoreFailed, asyncpg.PostgresError, asyncpg.InterfaceError, *CONNECTION_LOST):
                await self._listen_on(await open_connection(self.dsn))
            await asyncio.sleep(RELISTEN_DELAY)

    async def _listen_on(self, connection: Connection) -> None:
        """
        Receive notifications until the connection breaks. Commits made before are found by reading the head rows.
        """
        lost = asyncio.Event()
        try:
            connection.add_termination_listener(lambda _: lost.set())
            await connection.add_listener(CHANNEL, self._on_notification)
            while not connection.is_closed():
                self._watches.drop_unwatched()
                if watched := [each.bytes for each in self._watches.watched]:
                    self._report_heads(await connection.fetch(SELECT_HEADS, watched, timeout=CONNECT_TIMEOUT))
                with suppress(TimeoutError):
                    await asyncio.wait_for(lost.wait(), HEAD_POLL_INTERVAL)
        finally:
            connection.terminate()

    def _on_notification(self, connection: object, process: int, channel: str, payload: str) -> None:
        organization, _, position = payload.partition(" ")
        self._watches.advance(OrganizationId(UUID(organization)), int(position))

    def _report_heads(self, heads: list[Any]) -> None:
        for head in heads:
            self._watches.advance(OrganizationId(UUID(bytes=head[0])), head[1])
