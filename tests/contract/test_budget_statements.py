"""
The statements that a budget adds to the requests that it concerns.
"""

from collections.abc import Awaitable
from typing import Any

import pytest
from attrs import evolve

from mission_adapters.sql.store import SqlStore
from mission_adapters.testing import ManualClock, World, make_world
from mission_adapters.testing.contracts.budgets import MILL, PRICES, beat, budget_of, spend
from mission_core.tasks.leases import CompleteTask, complete_task
from tests.contract.conftest import ports_over
from tests.statement_counts import recorded_on_postgres, recorded_on_sqlite

pytestmark = pytest.mark.parametrize("store_url", ["sqlite", "postgres"], indirect=True, scope="session")
MOST_ADDED = 2
"""The accounts are read and written, or, for a claim on PostgreSQL, read under the locked head row."""


async def test_a_budget_adds_at_most_two_statements(store_url: str, clock: ManualClock) -> None:
    """
    To a claim, a report, a heartbeat and a completion; `BEGIN` and `COMMIT` are not counted.
    """
    async with SqlStore.open(store_url, clock=clock) as store:
        world = await make_world(ports_over(store, clock))
        world = evolve(world, ports=evolve(world.ports, prices=PRICES))
        for _ in range(2):  # the first requests read what the process remembers afterwards
            without = await counts_of_requests(world, store)
        await budget_of(world, 1000 * MILL)
        for _ in range(2):
            limited = await counts_of_requests(world, store)

    added = {name: limited[name] - without[name] for name in without}
    assert all(0 <= each <= MOST_ADDED for each in added.values()), added
    assert added["claim"] == added["report"] == MOST_ADDED or store_url.startswith("postgres")


async def counts_of_requests(world: World, store: SqlStore) -> dict[str, int]:
    """
    The number of statements of each request.
    """
    counts: dict[str, int] = {}

    async def counted(name: str, request: Awaitable[Any]) -> Any:
        if store.session.dialect == "sqlite":
            async with recorded_on_sqlite(store.session) as texts:
                answer = await request
        else:
            with recorded_on_postgres() as texts:
                answer = await request
        counts[name] = sum(not each.startswith(("BEGIN", "COMMIT")) for each in texts)
        return answer

    await world.task()
    claimed = await counted("claim", world.claimed())
    named = await world.task()
    await counted("named claim", world.claimed(named, agent="eve"))
    await counted("report", spend(world, 1, claimed))
    await counted("heartbeat", beat(world, claimed))
    command = CompleteTask(task=claimed.task.id, lease=claimed.lease)
    await counted("completion", complete_task(world.ports, world.me, command))
    return counts
