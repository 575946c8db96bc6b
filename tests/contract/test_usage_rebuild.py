"""
The rebuild of the sums of the token ledger in SQL: it corrects what is wrong, holds nobody up, and may be interrupted.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from attrs import define

from mission_adapters.database import database_ports
from mission_adapters.sql import usage_rebuild
from mission_adapters.sql.database_session import BoundStatement, Steps
from mission_adapters.sql.usage_rebuild import rebuild_usage
from mission_core.accounts.model import SystemPrincipal
from mission_core.agents.organization_creation import ensure_organization
from mission_core.ports import Ports
from mission_core.usage.model import UsageRebuildSuperseded
from mission_core.usage.queries import UsageWindow
from mission_core.usage.use_cases import RecordUsage, UsageReport, record_usage

SPOILED = (
    "UPDATE usage_details SET input_tokens = input_tokens + 7 WHERE hours = 1",
    "UPDATE usage_details SET cost = cost - 1 WHERE hours = 0",
    "DELETE FROM usage_totals WHERE hours = 24",
    "UPDATE usage_totals SET slot = slot + 24 WHERE hours = 1",
    "DELETE FROM usage_sessions",
)
"""Statements that make sums wrong: some too large, some too small, one missing, one of a day without entries."""


@define
class InterruptedSession:
    """
    A session that does something before a write.
    """

    session: Any
    before_write: Callable[[int], Awaitable[None]]
    writes: int = 0

    @property
    def dialect(self) -> str:
        return str(self.session.dialect)

    async def read(self, steps: Any) -> Any:
        return await self.session.read(steps)

    async def write(self, steps: Any) -> Any:
        self.writes += 1
        await self.before_write(self.writes)
        return await self.session.write(steps)


@define
class Ledger:
    """
    A token ledger over a database.
    """

    ports: Ports
    me: SystemPrincipal

    @property
    def session(self) -> Any:
        numbers: Any = self.ports.numbers
        return numbers.session

    async def report(self, session: str) -> None:
        """
        Record two reports, one of now and one of an earlier day.
        """
        for ago in (0, 3):
            used_at = self.ports.clock.now() - timedelta(days=ago)
            report = UsageReport(model="large", input_tokens=1000, output_tokens=100, session=session, used_at=used_at)
            await record_usage(self.ports, self.me, RecordUsage(report=report))

    async def spoil(self) -> None:
        """
        Make sums wrong.
        """

        def steps() -> Steps[None]:
            for each in SPOILED:
                yield BoundStatement(each, returns_rows=False)

        await self.session.write(steps)

    async def sums(self) -> Any:
        """
        The sums by all their values, from all rollups.
        """
        windows = (UsageWindow(hours=1, since=0), UsageWindow(since=0), UsageWindow())
        by = (("session",), ("task", "session", "model"), ("agent_name", "model"), ("model", "slot"))
        reads = self.ports.reads.usage
        return [set(await reads.sums(self.me, window, each)) for window in windows for each in by]


@pytest.fixture
async def ledger(database_url: str) -> AsyncIterator[Ledger]:
    async with database_ports(database_url, secret="secret") as ports:
        yield Ledger(ports, SystemPrincipal(organization=(await ensure_organization(ports)).id))


async def test_wrong_sums_are_corrected_and_right_ones_stay(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Also in several reads and transactions, and where a day has sums and no entries.
    """
    monkeypatch.setattr(usage_rebuild, "MOST_CORRECTED", 2)
    monkeypatch.setattr(usage_rebuild, "MOST_READ", 2)
    for session in ("a", "b", "c"):
        await ledger.report(session)
    right = await ledger.sums()
    assert (6, 0) == await ledger.ports.housekeeping.rebuild_usage(ledger.me.organization)
    await ledger.spoil()
    assert right != await ledger.sums()

    assert 6 < (await ledger.ports.housekeeping.rebuild_usage(ledger.me.organization)).corrected
    assert right == await ledger.sums()
    assert (6, 0) == await ledger.ports.housekeeping.rebuild_usage(ledger.me.organization)


async def test_entries_that_come_during_a_rebuild_are_summed_once(ledger: Ledger) -> None:
    """
    Each of its transactions comes after another report.
    """
    await ledger.report("a")
    await ledger.spoil()

    async def report(_: int) -> None:
        await ledger.report("a")

    await rebuild_usage(InterruptedSession(ledger.session, report), ledger.me.organization)
    found = await ledger.sums()

    assert (await ledger.ports.housekeeping.rebuild_usage(ledger.me.organization)).corrected == 0
    assert found == await ledger.sums()


async def test_an_interrupted_rebuild_is_run_again(ledger: Ledger) -> None:
    """
    Wherever it stopped, the next one corrects what is left.
    """
    await ledger.report("a")
    right = await ledger.sums()
    await ledger.spoil()

    async def stop(write: int) -> None:
        if write > 3:
            raise KeyError(write)

    with pytest.raises(KeyError):
        await rebuild_usage(InterruptedSession(ledger.session, stop), ledger.me.organization)
    assert right != await ledger.sums()
    await ledger.ports.housekeeping.rebuild_usage(ledger.me.organization)

    assert right == await ledger.sums()


async def test_the_later_of_two_rebuilds_goes_on(ledger: Ledger) -> None:
    """
    The earlier one stops, so that nothing is added twice.
    """
    await ledger.report("a")
    right = await ledger.sums()
    await ledger.spoil()

    async def rebuild(write: int) -> None:
        if write == 3:
            await ledger.ports.housekeeping.rebuild_usage(ledger.me.organization)

    with pytest.raises(UsageRebuildSuperseded):
        await rebuild_usage(InterruptedSession(ledger.session, rebuild), ledger.me.organization)

    assert right == await ledger.sums()
