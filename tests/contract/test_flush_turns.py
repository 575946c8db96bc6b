"""
Flushes of one organization on PostgreSQL, which take turns in their process.
"""

import asyncio
from collections import Counter
from typing import Any

import asyncpg
import pytest

from mission_adapters.sql.store import SqlStore
from mission_adapters.testing import make_world, ports_over


async def test_flushes_of_one_organization_do_not_meet(fresh_postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    To wait in the process costs less than to wait in PostgreSQL. Those of two organizations run at the same time.
    """
    running, most, fetch = Counter[Any](), Counter[Any](), asyncpg.Connection.fetch

    async def counted(connection: Any, text: str, *values: Any, **options: Any) -> Any:
        if "append_entries" not in text:
            return await fetch(connection, text, *values, **options)
        owner = next(each for each in worlds if each.me.organization.bytes in values).me.organization
        for key in (owner, "all"):
            running[key] += 1
            most[key] = max(most[key], running[key])
        try:
            return await fetch(connection, text, *values, **options)
        finally:
            running.subtract([owner, "all"])

    async with SqlStore.open(fresh_postgres) as store:
        store.turn_timeout = 60
        worlds = [await make_world(ports_over(store)) for _ in range(2)]
        monkeypatch.setattr(asyncpg.Connection, "fetch", counted)
        await asyncio.gather(*(world.task() for _ in range(8) for world in worlds))

    assert [1, 1, 2] == [most[key] for key in (*(world.me.organization for world in worlds), "all")]
