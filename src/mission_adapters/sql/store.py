"""
The SQL store: opens a database and offers units of work, read models, the log, credentials and numbers.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, Final, Self
from uuid import UUID
from weakref import WeakValueDictionary

from sqlalchemy import PrimaryKeyConstraint, UniqueConstraint

from mission_adapters.clocks import CorrectedClock, SystemClock
from mission_adapters.row_memory import RowMemory
from mission_adapters.sql.combined_claims import next_claim_of
from mission_adapters.sql.combined_flush import NotCombined, combined_flush
from mission_adapters.sql.credential_store import SqlCredentialStore
from mission_adapters.sql.database_lock import shared_lock
from mission_adapters.sql.database_session import DatabaseSession
from mission_adapters.sql.entity_loader import SqlEntityLoader
from mission_adapters.sql.entity_reads import SqlEntityReads
from mission_adapters.sql.event_log import KnownHeads, SqlEventLog
from mission_adapters.sql.flush import flush
from mission_adapters.sql.housekeeping import SqlHousekeeping
from mission_adapters.sql.lease_renewal import LeaseRenewal, remembered_heartbeat_of, renew_lease
from mission_adapters.sql.migrations import migrate, path_in
from mission_adapters.sql.number_sequences import SqlNumberSequences
from mission_adapters.sql.optimistic_claims import NotOptimistic, OptimisticClaims
from mission_adapters.sql.readiness_check import write_unchanged_row
from mission_adapters.sql.reads import SqlReads
from mission_adapters.sql.row_writes import check_remembered
from mission_adapters.sql.tables import metadata
from mission_adapters.sql.task_decisions import FlushResults
from mission_adapters.unit_of_work import BufferedUnitOfWork
from mission_adapters.write_buffer import WriteBuffer
from mission_core.errors import StaleWrite, StoreFailed
from mission_core.ids import AgentId, OrganizationId
from mission_core.usage.counters import PRICE_OVERRIDES_NAME

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.ports import Clock, IdempotencyKey
    from mission_core.usage.price_overrides import PriceOverrides

TURN_TIMEOUT: Final = 0.2
"""The seconds that a flush waits for the others of its organization in this process."""
KNOWN_PRICES: Final = 1024
"""The number of organizations whose price overrides a process keeps at most."""
CLOCK_CORRECTION_INTERVAL: Final = 60.0
"""The seconds between two corrections of the clock by the server's time."""


class SqlStore:
    """
    The store of a SQLite or PostgreSQL database.

    Args:
        clock: The clock of flushes, which dates idempotency keys and counters. The default is the system clock, which
            `open` corrects by the server's time on PostgreSQL.
    """

    def __init__(self, session: DatabaseSession, clock: Clock | None = None) -> None:
        self.session = session
        self.clock = clock or SystemClock()
        self.loader = SqlEntityLoader(session, SqlEntityReads(session))
        self.reads = SqlReads(session)
        self.log = SqlEventLog(session)
        self.credentials = SqlCredentialStore(session)
        self.numbers = SqlNumberSequences(session)
        self.housekeeping = SqlHousekeeping(session)
        self.heads = KnownHeads()
        self.turn_timeout = TURN_TIMEOUT
        self._turns: WeakValueDictionary[OrganizationId, asyncio.Lock] = WeakValueDictionary()
        self.claims = OptimisticClaims(session)
        self._budgeted: set[OrganizationId] = set()
        """The organizations that had budgets when they last changed something. For them single statements, which are
        right only without budgets, are not tried."""
        self.memory: RowMemory | None = RowMemory(self._are_unchanged)
        session.followed.changed_by_others = self._forget
        self._price_overrides: dict[OrganizationId, PriceOverrides] = {}
        """The price overrides of the organizations of which a flush has found that they changed."""

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
                from mission_adapters.sql.sqlite_session import SqliteSession

                yield cls(
                    await stack.enter_async_context(SqliteSession.open(path, constraints=unique_constraint_name)), clock
                )
            else:
                from mission_adapters.sql.postgres_session import PostgresSession

                session = await stack.enter_async_context(PostgresSession.open(url))
                if clock is None:
                    clock = await CorrectedClock.synchronized(SystemClock(), session.server_time)
                    await stack.enter_async_context(_clock_correction(clock))
                yield cls(session, clock)

    async def require_writable(self) -> None:
        """
        Check that the database accepts writes, by writing a row unchanged.

        Raises:
            StoreFailed: If the database does not accept writes.
        """
        await self.session.write(write_unchanged_row)

    def unit(self, principal: Principal, *, once: IdempotencyKey | None = None) -> BufferedUnitOfWork:
        """
        Return a unit of work for this principal.
        """
        return BufferedUnitOfWork(self, principal, once)

    def price_overrides(self, organization: OrganizationId) -> PriceOverrides | None:
        """
        Return the price overrides of an organization as this store read them last; None if it never had to read them.
        They may be outdated, which a flush finds in the head row that it reads anyway.
        """
        return self._price_overrides.get(organization)

    async def flush(self, buffer: WriteBuffer) -> Any:
        """
        Write the buffered changes of a unit in one transaction, as `UnitOfWork.commit` promises. If it finds that the
        price overrides have changed, they are read for the next try.
        """
        try:
            return await self._flush_in_turn(buffer)
        except StaleWrite as stale:
            if stale.kind == PRICE_OVERRIDES_NAME and stale.remembered:
                from mission_adapters.sql.price_overrides import read_price_overrides  # few organizations have some

                dialect, owner = self.session.dialect, buffer.principal.organization
                while len(self._price_overrides) >= KNOWN_PRICES:
                    del self._price_overrides[next(iter(self._price_overrides))]
                self._price_overrides[owner] = await self.session.read(lambda: read_price_overrides(dialect, owner))
            raise

    async def _flush_in_turn(self, buffer: WriteBuffer) -> Any:
        if self.session.dialect == "sqlite" or not (buffer.events or buffer.operations):
            return await self._flush(buffer)
        # Two flushes of one organization meet at its head row anyway, and to wait here costs less than to wait there.
        turn = self._turns.setdefault(buffer.principal.organization, asyncio.Lock())
        try:
            async with asyncio.timeout(self.turn_timeout) if turn.locked() else nullcontext():
                await turn.acquire()
        except TimeoutError:  # the other one waits for something that need not concern this one
            return await self._flush(buffer)
        try:
            return await self._flush(buffer)
        finally:
            turn.release()

    async def _flush(self, buffer: WriteBuffer) -> Any:
        has_budgets = buffer.principal.organization in self._budgeted
        renewal = await self._renewal_of(buffer, has_budgets=has_budgets)
        if renewal is not None:
            if await self.session.write(lambda: renew_lease(self.session.dialect, renewal)):
                return renewal.change
            renewal.memory.forget(renewal.task, renewal.run)
        if self.session.dialect == "postgresql":
            claim = None if has_budgets else next_claim_of(buffer)
            if claim is not None and buffer.idempotency_key is None:
                with suppress(NotOptimistic):
                    return self._answer(buffer, await self.claims.claim(buffer, claim, at=self.clock.now()))
            combined = combined_flush(buffer, at=self.clock.now(), has_budgets=has_budgets)
            if combined is not None:
                try:
                    return self._answer(buffer, await self.session.write(combined, wakes=buffer.principal.organization))
                except NotCombined:
                    if buffer.remembered:  # one of them is outdated, which a transaction would only find out again
                        row = next(iter(buffer.remembered.values()))
                        raise StaleWrite(type(row).__name__.lower(), row.id) from None
        return await self.flush_in_transaction(buffer)

    async def _renewal_of(self, buffer: WriteBuffer, *, has_budgets: bool) -> LeaseRenewal | None:
        """
        Return the renewal of a lease that the unit is, if it is one and the store remembers its rows.
        """
        beat = remembered_heartbeat_of(buffer)
        if beat is None or not has_budgets:
            return None if beat is None else beat.renewal()
        from mission_adapters.sql.budget_book import read_book  # few organizations have budgets

        dialect, run, at = self.session.dialect, beat.run, self.clock.now()
        return beat.renewal(await self.session.read(lambda: read_book(dialect, run.organization, at=at, own=(run.id,))))

    async def flush_in_transaction(self, buffer: WriteBuffer) -> Any:
        """
        Write the buffered changes of a unit with a statement for each.
        """
        wakes = buffer.principal.organization if buffer.events or buffer.operations else None
        dialect, at = self.session.dialect, self.clock.now()
        results = await self.session.write(lambda: flush(buffer, dialect, self.heads, at=at), wakes=wakes)
        self._note_budgets(buffer.principal.organization, results)
        return self._answer(buffer, results)

    def _note_budgets(self, organization: OrganizationId, results: FlushResults) -> None:
        """
        Note whether the organization has budgets, if the flush has read it.
        """
        if results.has_budgets:
            self._budgeted.add(organization)
        elif results.head is not None and not results.head.has_budgets:
            self._budgeted.discard(organization)

    def _forget(self, ids: Collection[UUID]) -> None:
        if self.memory is not None:
            self.memory.forget_ids(ids)

    def _answer(self, buffer: WriteBuffer, results: FlushResults) -> Any:
        if results.appended:
            self.session.followed.appended(buffer.principal.organization, results.appended)
        self.reads.tasks.contexts.keep(results.contexts)
        buffer.changes = results.changes
        for task, context in results.contexts:
            agent = context.assignee_agent
            buffer.assignee_agents[task.id] = None if agent is None else AgentId(UUID(bytes=agent))
        return results.answer

    async def _are_unchanged(self, rows: Collection[Any]) -> bool:
        try:
            await self.session.read(lambda: check_remembered(self.session.dialect, rows))
        except StaleWrite:
            return False
        return True


@asynccontextmanager
async def _clock_correction(clock: CorrectedClock) -> AsyncIterator[None]:
    task = asyncio.get_running_loop().create_task(_correct_clock(clock))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _correct_clock(clock: CorrectedClock) -> None:
    while True:
        await asyncio.sleep(CLOCK_CORRECTION_INTERVAL)
        with suppress(StoreFailed):  # the clock keeps its present correction
            await clock.synchronize()


def unique_constraint_name(columns: tuple[str, ...]) -> str | None:
    """
    Return the name of the unique constraint or primary key on these columns, each given as `table.column`.
    """
    table = metadata.tables.get(columns[0].partition(".")[0])
    unique = (
        each
        for each in (() if table is None else table.constraints)
        if isinstance(each, UniqueConstraint | PrimaryKeyConstraint) and columns == tuple(map(str, each.columns))
    )
    return next((str(each.name) for each in unique), None)
