"""
The SQL store: opens a database and offers units of work, read models, the log, credentials and numbers.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, Self

from sqlalchemy import PrimaryKeyConstraint, UniqueConstraint

from mission_adapters.clocks import CorrectedClock, SystemClock
from mission_adapters.remembered import Remembered
from mission_adapters.sql.accounts import SqlCredentials
from mission_adapters.sql.database_lock import shared_lock
from mission_adapters.sql.flush import flush
from mission_adapters.sql.log import SqlLog
from mission_adapters.sql.migrations import migrate, path_in
from mission_adapters.sql.numbers import SqlNumbers
from mission_adapters.sql.plain_reads import SqlRowReads
from mission_adapters.sql.readiness import change_nothing
from mission_adapters.sql.reads import SqlReads
from mission_adapters.sql.session import Session
from mission_adapters.sql.source import SqlSource
from mission_adapters.sql.tables import metadata
from mission_adapters.unit import Unit
from mission_core.errors import StoreFailed

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.ports import Clock, Once

UNIQUE: Final = {
    tuple(f"{table.name}.{column.name}" for column in constraint.columns): str(constraint.name)
    for table in metadata.tables.values()
    for constraint in table.constraints
    if isinstance(constraint, UniqueConstraint | PrimaryKeyConstraint)
}
"""The names of unique constraints and primary keys by their columns, which are all that SQLite reports."""


CORRECTED: Final = 60.0
"""The seconds between two corrections of the clock by the server's time."""


class SqlStore:
    """
    The store of a SQLite or PostgreSQL database.

    Args:
        clock: The clock of flushes, which dates idempotency keys and counters. The default is the system clock, which
            `open` corrects by the server's time on PostgreSQL.
    """

    def __init__(self, session: Session, clock: Clock | None = None) -> None:
        self.session = session
        self.clock = clock or SystemClock()
        self.source = SqlSource(session, SqlRowReads(session))
        self.reads = SqlReads(session)
        self.log = SqlLog(session)
        self.credentials = SqlCredentials(session)
        self.numbers = SqlNumbers(session)

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, *, migrated: bool = True, clock: Clock | None = None) -> AsyncIterator[Self]:
        """
        Open the store at `sqlite:///path` or `postgresql://...`.

        Args:
            migrated: Whether to run missing migrations first.

        Raises:
            ValueError: If the URL is of another form.
            StoreFailed: If the database cannot be opened.
        """
        path = path_in(url)
        async with AsyncExitStack() as stack:
            if path is not None:
                await asyncio.to_thread(stack.enter_context, shared_lock(path))
            if migrated:
                await asyncio.to_thread(migrate, url)
            if path is not None:
                from mission_adapters.sql.sqlite import SqliteSession

                yield cls(await stack.enter_async_context(SqliteSession.open(path, constraints=UNIQUE)), clock)
            else:
                from mission_adapters.sql.postgres import PostgresSession

                session = await stack.enter_async_context(PostgresSession.open(url))
                if clock is None:
                    clock = await CorrectedClock.agreeing(SystemClock(), session.moment)
                    await stack.enter_async_context(_correcting(clock))
                yield cls(session, clock)

    async def must_take_changes(self) -> None:
        """
        Check that the database accepts writes, by writing a row unchanged.

        Raises:
            StoreFailed: If the database does not accept writes.
        """
        await self.session.write(change_nothing)

    def unit(self, principal: Principal, *, once: Once | None = None) -> Unit:
        """
        Return a unit of work for this principal.
        """
        return Unit(self, principal, once)

    async def flush(self, remembered: Remembered) -> Any:
        """
        Write the buffered changes of a unit in one transaction, as `UnitOfWork.commit` promises.
        """
        wakes = remembered.principal.organization if remembered.facts or remembered.operations else None
        dialect, at = self.session.dialect, self.clock.now()
        return await self.session.write(lambda: flush(remembered, dialect, at=at), wakes=wakes)


@asynccontextmanager
async def _correcting(clock: CorrectedClock) -> AsyncIterator[None]:
    task = asyncio.get_running_loop().create_task(_correct(clock))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _correct(clock: CorrectedClock) -> None:
    while True:
        await asyncio.sleep(CORRECTED)
        with suppress(StoreFailed):  # the clock keeps its present correction
            await clock.correct()
