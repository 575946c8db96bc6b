"""
Connections to a PostgreSQL server, and lists of them that callers share.

A process that sleeps, or a network that swallows everything, must not keep what others need: the server ends a
transaction whose client is silent, and both ends notice a peer that is gone.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlencode

import asyncpg
from attrs import define, field

from mission_core.errors import StoreUnreachable
from mission_core.urls import NO_DATABASE, UNREADABLE, is_readable

if TYPE_CHECKING:
    from asyncpg import Connection

PATIENCE: Final = 10.0
"""For how many seconds a connection may take to open, or to undo what failed."""
TURN: Final = 5.0
"""For how many seconds a caller waits until one of the others gives a connection back."""
HANGS: Final = 60.0
"""After how many seconds a statement without an answer is given up, and its connection with it."""
LOCK: Final = 3.0
"""For how many seconds a statement waits for a lock."""
SILENT: Final = 4.0
"""
After how many seconds the server ends a transaction whose client says nothing. It is longer than `LOCK`: so when a
frozen process loses a lock, what else it had waiting for that lock has been given up, and does not get it next.
"""

NOT_OURS: Final = frozenset({"channel_binding", "connect_timeout", "gssencmode", "keepalives", "pgbouncer"})
"""What other drivers take in a URL, and asyncpg would hand to the server."""

LOST: Final = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.IdleSessionTimeoutError,
    asyncpg.InternalClientError,
)
FAILED: Final = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""All that a statement or its connection may fail with."""
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
LIMITS: Final = {
    "application_name": "mission-control",
    "lock_timeout": f"{LOCK:.0f}s",
    "idle_in_transaction_session_timeout": f"{SILENT:.0f}s",
    "statement_timeout": f"{HANGS:.0f}s",
    "tcp_keepalives_idle": "15",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "30s",
}
"""What keeps this process, asleep or cut off, from holding up the others for long."""
LONG_STATEMENTS: Final = {"lock_timeout": "60s", "idle_in_transaction_session_timeout": "60s", "statement_timeout": "0"}
"""What a migration needs instead: it may take its time, and waits for another that takes it."""
KEEP_ALIVE: Final = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 30_000}
"""The same for this end, as far as the system knows it: a server that is gone is noticed after half a minute."""

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


async def connected(
    dsn: str, settings: Mapping[str, str] | None = None, *, patience: float | None = HANGS
) -> Connection:
    """
    A new connection, with some settings of the server's for it.

    Args:
        patience: For how many seconds a statement may take.

    Raises:
        StoreUnreachable: If the server cannot be reached, or does not let us in.
        ValueError: If the URL cannot be read.
    """
    try:
        connection = await asyncpg.connect(
            dsn,
            timeout=PATIENCE,
            command_timeout=patience,
            statement_cache_size=1024,
            max_cached_statement_lifetime=0,
            server_settings={**PLANS, **LIMITS, **(settings or {})},
        )
    except (ValueError, OverflowError):  # the driver's words may quote a part of the password
        raise ValueError(UNREADABLE) from None
    except FAILED as error:
        reason = str(error) or type(error).__name__
        raise StoreUnreachable(f"PostgreSQL: no connection: {reason}", lost=isinstance(error, LOST)) from error
    _keep_alive(connection._transport.get_extra_info("socket"))  # the driver itself offers no way
    return connection


def _keep_alive(end: socket.socket) -> None:
    if end.family in (socket.AF_INET, socket.AF_INET6):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in KEEP_ALIVE.items():
            if hasattr(socket, name):
                end.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


async def let_go(connection: Connection) -> None:
    """
    Close a connection, which may be broken.
    """
    with suppress(*FAILED):
        await connection.close(timeout=PATIENCE)


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

        Raises:
            StoreUnreachable: If none can be opened.
            TimeoutError: If none was given back for long.
        """
        while True:
            while self.idle:
                connection = self.idle.pop()
                if not connection.is_closed():
                    return connection
                self.opened -= 1
            if self.opened < self.size:
                return await self._open()
            async with asyncio.timeout(TURN):
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
            await let_go(self.idle.pop())
            self.opened -= 1
