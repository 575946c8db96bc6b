"""
Whether a store that a load balancer asks for can work.
"""

import asyncpg
import pytest

from mission_adapters.sql import readiness_check, sqlite_session
from mission_adapters.sql.store import SqlStore
from mission_core.errors import StoreFailed, StoreNotReady, StoreUnreachable
from tests.contract.database_relay import relay_to
from tests.contract.postgres_faults import failing_with, read_only

FULL = f"""
CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $f$ {failing_with("53100")[6:-2]} $f$;
CREATE TRIGGER full_disk BEFORE UPDATE ON alembic_version EXECUTE FUNCTION full_disk();
"""


async def test_a_sqlite_file_is_written_to_for_probes_only_if_nothing_else_was(tmp_path):
    """
    What was kept lately tells enough.
    """
    async with SqlStore.open(f"sqlite:///{tmp_path / 'mission.db'}") as store:
        written: list[str] = []
        note = lambda text: written.append(text) if text.startswith("UPDATE") else None  # noqa: E731
        await store.session.writer.set_trace_callback(note)
        for _ in range(5):
            await store.reads.ready()

    assert 1 == len(written)


async def test_a_sqlite_file_on_a_disk_without_room(tmp_path, monkeypatch):
    """
    Even before a change has failed.
    """
    monkeypatch.setattr(sqlite_session, "REQUIRED_FREE_BYTES", 2**62)
    async with SqlStore.open(f"sqlite:///{tmp_path / 'mission.db'}") as store:
        with pytest.raises(StoreNotReady, match="full"):
            await store.reads.ready()


async def test_a_postgresql_that_takes_no_changes(fresh_postgres):
    """
    As a standby, or one that an operator made so, does not; it can be read, though.
    """
    async with SqlStore.open(fresh_postgres):
        pass
    await read_only(fresh_postgres)
    async with SqlStore.open(fresh_postgres) as store:
        with pytest.raises(StoreFailed, match="takes no changes"):
            await store.reads.ready()


async def test_a_postgresql_whose_disk_is_full(fresh_postgres):
    """
    Once a change has failed, and until one is kept.
    """
    async with SqlStore.open(fresh_postgres) as store:
        connection = await asyncpg.connect(fresh_postgres)
        await connection.execute(FULL)
        await store.reads.ready()
        with pytest.raises(StoreFailed):
            await store.require_writable()
        with pytest.raises(StoreFailed, match="as asked"):
            await store.reads.ready()
        await connection.execute("DROP TRIGGER full_disk ON alembic_version")
        await connection.close()

        assert await store.reads.ready() is None


async def test_a_postgresql_that_does_not_answer(fresh_postgres, monkeypatch):
    """
    Nobody waits for it for longer than a few seconds.
    """
    monkeypatch.setattr(readiness_check, "CHECK_TIMEOUT", 0.2)
    with relay_to(fresh_postgres) as relay:
        async with SqlStore.open(relay.url) as store:
            relay.silent = True
            with pytest.raises(StoreUnreachable, match="no answer"):
                await store.reads.ready()
            relay.cut()


async def test_memory_is_always_ready(ports):
    assert await ports.reads.ready() is None
