"""
Connections to a PostgreSQL server, and the connection pool.

Timeouts keep a frozen process or a broken network from blocking others: the server ends transactions of silent
clients, and both sides detect a lost peer.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlencode

import asyncpg
from attrs import field

from mission_core.database_urls import NO_DATABASE, UNREADABLE, is_readable
from mission_core.errors import StoreUnreachable
from mission_core.lazy_attrs import define

if TYPE_CHECKING:
    from asyncpg import Connection

    from mission_core.reports.server_figures import ConnectionPoolState

CONNECT_TIMEOUT: Final = 10.0
"""The seconds that opening a connection, or rolling back on it, may take."""
ABANDONED_TIMEOUT: Final = 1.0
"""The seconds that the end of a session waits for connections whose callers were cancelled."""
_abandoned: Final = set[asyncio.Task[Any]]()
"""Connections that are being made, and whose callers were cancelled."""
POOL_TIMEOUT: Final = 5.0
"""The seconds that a caller waits for a free connection."""
STATEMENT_TIMEOUT: Final = 60.0
"""The seconds after which a statement without an answer is given up and its connection closed."""
LOCK_TIMEOUT: Final = 3.0
"""The seconds that a statement waits for a lock."""
IDLE_TRANSACTION_TIMEOUT: Final = 4.0
"""
The seconds after which the server ends a transaction whose client is silent. It is longer than `LOCK_TIMEOUT`, so that
other statements of a frozen process that wait for the same lock have been given up and do not get the lock next.
"""

IGNORED_OPTIONS: Final = frozenset({"channel_binding", "connect_timeout", "gssencmode", "keepalives", "pgbouncer"})
"""URL options of other drivers, which asyncpg would send to the server as settings."""

CONNECTION_LOST: Final = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.IdleSessionTimeoutError,
    asyncpg.InternalClientError,
)
DRIVER_ERRORS: Final = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""All errors that a statement or a connection may raise."""
PLANNER_SETTINGS: Final = {
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_sort": "off",
    "jit": "off",
}
"""Planner settings. Every statement here follows an index in its order. Without statistics (a new database, or a table
that grew fast) the planner would scan and sort whole tables, which these settings prevent wherever an index serves."""
ISOLATION_SETTINGS: Final = {"default_transaction_isolation": "read committed"}
"""The isolation of statements outside of a transaction, whatever the default of the database or the role. Such a
statement of a flush waits for locks, and must then see the locked rows as they are."""
TIMEOUT_SETTINGS: Final = {
    "application_name": "mission-control",
    "lock_timeout": f"{LOCK_TIMEOUT:.0f}s",
    "idle_in_transaction_session_timeout": f"{IDLE_TRANSACTION_TIMEOUT:.0f}s",
    "statement_timeout": f"{STATEMENT_TIMEOUT:.0f}s",
    "tcp_keepalives_idle": "15",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "30s",
}
"""Server timeouts that keep a frozen or disconnected process from blocking others for long."""
MIGRATION_SETTINGS: Final = {
    "lock_timeout": "60s",
    "idle_in_transaction_session_timeout": "60s",
    "statement_timeout": "0",
}
"""The timeouts for migrations, which may take long and wait for each other."""
KEEPALIVE_OPTIONS: Final = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 30_000}
"""Socket options of this side, where the system has them: a lost server is detected after half a minute."""


def dsn_from(url: str) -> str:
    """
    Return a URL for asyncpg, from a URL in the form of asyncpg, SQLAlchemy or another driver.

    Raises:
        ValueError: If the URL is not a PostgreSQL URL, or cannot be read.
    """
    scheme, _, rest = url.partition("://")
    if scheme.partition("+")[0] not in ("postgresql", "postgres"):
        raise ValueError(NO_DATABASE)
    if not is_readable(url):
        raise ValueError(UNREADABLE)
    place, _, query = rest.partition("?")
    options = [
        ("sslmode" if name == "ssl" else name, value) for name, value in parse_qsl(query) if name not in IGNORED_OPTIONS
    ]
    return f"postgresql://{place}?{urlencode(options)}" if options else f"postgresql://{place}"


async def open_connection(
    dsn: str, settings: Mapping[str, str] | None = None, *, patience: float | None = STATEMENT_TIMEOUT
) -> Connection:
    """
    Open a connection.

    Args:
        settings: More server settings for the connection.
        patience: The seconds that a statement may take, or None for no limit.

    Raises:
        StoreUnreachable: If the server cannot be reached, or refuses the connection.
        ValueError: If the URL cannot be read.
    """
    try:
        connection = await _unless_cancelled(
            asyncpg.connect(
                dsn,
                timeout=CONNECT_TIMEOUT,
                command_timeout=patience,
                statement_cache_size=1024,
                max_cached_statement_lifetime=0,
                server_settings={**PLANNER_SETTINGS, **ISOLATION_SETTINGS, **TIMEOUT_SETTINGS, **(settings or {})},
            )
        )
    except (ValueError, OverflowError):  # the driver's message may quote a part of the password
        raise ValueError(UNREADABLE) from None
    except DRIVER_ERRORS as error:
        reason = str(error) or type(error).__name__
        raise StoreUnreachable(
            f"PostgreSQL: no connection: {reason}", lost=isinstance(error, CONNECTION_LOST)
        ) from error
    _set_keepalive(connection._transport.get_extra_info("socket"))  # the driver has no option for it
    return connection


async def _unless_cancelled(connect: Coroutine[Any, Any, Connection]) -> Connection:
    """
    Await a connection. If the caller is cancelled, the connection is still made, and then closed.
    """
    # The driver leaves an error that nobody retrieves if it is cancelled before it has sent anything.
    made = asyncio.get_running_loop().create_task(connect)
    try:
        return await asyncio.shield(made)
    except asyncio.CancelledError:
        _abandoned.add(made)
        made.add_done_callback(_discard)
        raise


def _discard(made: asyncio.Task[Connection]) -> None:
    _abandoned.discard(made)
    if not made.cancelled() and made.exception() is None:
        made.result().terminate()


async def wait_for_abandoned_connections() -> None:
    """
    Wait a moment until the connections of cancelled callers are made and closed.
    """
    loop = asyncio.get_running_loop()
    if own := [each for each in _abandoned if each.get_loop() is loop]:
        await asyncio.wait(own, timeout=ABANDONED_TIMEOUT)


def _set_keepalive(end: socket.socket) -> None:
    if end.family in (socket.AF_INET, socket.AF_INET6):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in KEEPALIVE_OPTIONS.items():
            if hasattr(socket, name):
                end.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


async def close_connection(connection: Connection) -> None:
    """
    Close a connection, even if it is broken.
    """
    with suppress(*DRIVER_ERRORS):
        await connection.close(timeout=CONNECT_TIMEOUT)


@define(eq=False)
class ConnectionPool:
    """
    A pool of up to *size* connections. The most recently used one is used next, so under low load few stay in use.
    """

    dsn: str
    size: int
    settings: dict[str, str] | None = None
    idle: list[Connection] = field(factory=list)
    opened: int = 0
    waiting: deque[asyncio.Future[Connection | None]] = field(factory=deque)

    @property
    def state(self) -> ConnectionPoolState:
        """
        The numbers of its connections, and of the callers that wait for one.
        """
        from mission_core.reports.server_figures import ConnectionPoolState  # only monitoring asks

        return ConnectionPoolState(self.size, self.opened, len(self.idle), len(self.waiting))

    async def take(self) -> Connection:
        """
        Take a connection out of the pool. Callers that must wait are served in order.

        Raises:
            StoreUnreachable: If no connection can be opened.
            TimeoutError: If no connection was given back for `POOL_TIMEOUT` seconds.
        """
        while True:
            while self.idle:
                connection = self.idle.pop()
                if not connection.is_closed():
                    return connection
                self.opened -= 1
            if self.opened < self.size:
                return await self._open()
            async with asyncio.timeout(POOL_TIMEOUT):
                handed = await self._wait_for_turn()
            if handed is not None:
                return handed

    async def _open(self) -> Connection:
        self.opened += 1
        try:
            return await open_connection(self.dsn, self.settings)
        except BaseException:
            self._connection_closed()
            raise

    async def _wait_for_turn(self) -> Connection | None:
        """
        Wait for a connection. None means that a connection was closed, so the caller may open one.
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

    def _connection_closed(self) -> None:
        self.opened -= 1
        self._hand(None)

    def give(self, connection: Connection) -> None:
        """
        Give a connection back to the pool. A closed one makes room for a new one.
        """
        if connection.is_closed():
            self._connection_closed()
        else:
            self._hand(connection)

    async def roll_back_and_give(self, connection: Connection) -> None:
        """
        Roll back on a connection after an error, and give it back. It is closed if the rollback fails.
        """
        try:
            await connection.execute("ROLLBACK", timeout=CONNECT_TIMEOUT)
        except Exception:  # the state of the connection is unknown
            connection.terminate()
        except BaseException:
            connection.terminate()
            raise
        finally:
            self.give(connection)

    async def wait_until_idle(self) -> None:
        """
        Wait until no connection is in use and no caller waits for one.
        """
        while self.waiting or len(self.idle) < self.opened:
            handed = await self._wait_for_turn()
            if handed is not None:
                self.give(handed)

    async def close(self) -> None:
        """
        Close all connections. None may be in use.
        """
        while self.idle:
            await close_connection(self.idle.pop())
            self.opened -= 1
