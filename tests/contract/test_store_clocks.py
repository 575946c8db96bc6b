"""
Which clock a store brings.
"""

import asyncio
from datetime import UTC, datetime, timedelta

from mission_adapters.clocks import SystemClock
from mission_adapters.sql import store as stores
from mission_adapters.sql.store import SqlStore
from mission_adapters.testing import ManualClock


async def test_on_postgres_it_is_the_servers(fresh_postgres, monkeypatch):
    """
    However wrong this machine's own clock is, so that all who share the server mean the same moment.
    """
    monkeypatch.setattr(stores, "SystemClock", ManualClock)
    async with SqlStore.open(fresh_postgres) as store:
        told = store.clock.now()

    assert timedelta(minutes=1) > abs(datetime.now(UTC) - told)


async def test_on_postgres_it_is_corrected_from_time_to_time(fresh_postgres, monkeypatch):
    """
    For a clock that agreed at the start drifts, and is set.
    """
    monkeypatch.setattr(stores, "CLOCK_CORRECTION_INTERVAL", 0.01)
    async with SqlStore.open(fresh_postgres) as store:
        store.clock.clock = ManualClock()
        async with asyncio.timeout(20):
            while timedelta(minutes=1) < abs(datetime.now(UTC) - store.clock.now()):
                await store.reads.ready()


async def test_on_sqlite_it_is_the_systems(tmp_path):
    """
    A file is shared within one machine only.
    """
    async with SqlStore.open(f"sqlite:///{tmp_path / 'mission.db'}") as store:
        assert SystemClock() == store.clock
