"""
The figures of a whole server, over all organizations, for its operator's monitoring.
"""

from collections.abc import AsyncIterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from mission_adapters.memory import MemoryStore
from mission_adapters.sql.database_session import BoundStatement, Steps
from mission_adapters.sql.store import SqlStore
from mission_adapters.testing import ManualClock, World, make_world
from mission_core.approvals.use_cases import RequestApproval, request_approval
from mission_core.boards.model import GateSet
from mission_core.reports.server_figures import ConnectionPoolState, ServerFigures
from mission_core.tasks.leases import expire_leases
from mission_core.usage.use_cases import RecordUsage, UsageReport, record_usage
from tests.contract.conftest import STORES, ports_over


@pytest.fixture(params=STORES)
def own_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """
    The URL of a store without rows of other tests.
    """
    if request.param == "postgres":
        return str(request.getfixturevalue("fresh_postgres"))
    return "memory://" if request.param == "memory" else f"sqlite:///{tmp_path / 'own.db'}"


@pytest.fixture
async def worlds(own_url: str) -> AsyncIterator[tuple[World, World]]:
    """
    Two organizations, alone in a store.
    """
    clock = ManualClock()
    memory = own_url == "memory://"
    async with nullcontext(MemoryStore(clock)) if memory else SqlStore.open(own_url, clock=clock) as store:
        ports = ports_over(store, clock)
        yield await make_world(ports, "acme"), await make_world(ports, "zoo")


async def figures_of(world: World) -> ServerFigures:
    return await world.ports.reads.server.figures(at=world.clock.now())


async def report(world: World, agent: str, model: str, tokens: int) -> None:
    told = UsageReport(model=model, input_tokens=tokens, output_tokens=1, label=agent)
    await record_usage(world.ports, world.me, RecordUsage(report=told))


async def test_usage_is_summed_over_all_days_by_organization_agent_and_model(worlds: tuple[World, World]) -> None:
    acme, zoo = worlds
    await report(acme, "ada", "large", 10)
    acme.clock.advance(days=3)
    await report(acme, "ada", "large", 20)
    await report(acme, "ada", "small", 5)
    await report(zoo, "ada", "large", 7)
    found = {each.key: each.totals for each in (await figures_of(zoo)).usage}

    assert {
        ("acme", "ada", "large"): 30, ("acme", "ada", "small"): 5, ("zoo", "ada", "large"): 7,
    } == {key: totals.input_tokens for key, totals in found.items()}  # fmt: skip
    assert 32 == found["acme", "ada", "large"].unpriced_tokens
    assert 2 == found["acme", "ada", "large"].requests


async def test_the_oldest_ready_task_is_the_first_that_can_be_claimed(worlds: tuple[World, World]) -> None:
    """
    A task that waits for another one, for a time or for an approval is not ready, nor is one in progress.
    """
    acme, zoo = worlds
    assert (await figures_of(acme)).oldest_ready is None
    claimed = await acme.task("in progress")
    await acme.claimed(claimed)
    acme.clock.advance(minutes=1)
    await acme.task("blocked", depends_on=(claimed.id,))
    later = await acme.task("later")
    await acme.claimed(later)
    gated = await acme.another_board(gates=GateSet(block_status_changes_with_pending_approval=True))
    held = await acme.task("held", board=gated.id)
    asked = RequestApproval(board=gated.id, action="deploy", tasks=(held.id,), confidence=50)
    await request_approval(acme.ports, acme.me, asked)
    assert (await figures_of(acme)).oldest_ready is None
    acme.clock.advance(minutes=1)
    first = await zoo.task("ready")
    acme.clock.advance(minutes=1)
    await acme.task("ready", assignee="bob")

    assert first.created_at == (await figures_of(acme)).oldest_ready


async def test_leases_that_expired_within_an_hour_are_lost(worlds: tuple[World, World]) -> None:
    for world in worlds:
        await world.claimed(await world.task())
    worlds[0].clock.advance(hours=1)
    for world in worlds:
        await expire_leases(world.ports, world.me, limit=10)
    lost = (await figures_of(worlds[0])).lost_leases
    worlds[0].clock.advance(minutes=61)

    assert (2, 0) == (lost, (await figures_of(worlds[0])).lost_leases)


async def test_pending_approvals_of_all_organizations_are_counted(worlds: tuple[World, World]) -> None:
    for world in worlds:
        asked = RequestApproval(board=world.board.id, action="deploy", confidence=50)
        await request_approval(world.ports, world.me, asked)

    assert 2 == (await figures_of(worlds[0])).pending_approvals


async def test_postgres_tells_how_many_connections_are_used(fresh_postgres: str) -> None:
    async with SqlStore.open(fresh_postgres) as store:
        pools = store.reads.server.connection_pools

        def steps() -> Steps[ConnectionPoolState]:
            yield BoundStatement("SELECT 1")
            return pools()["read"]

        before, during = pools()["read"], await store.session.read(steps)

    assert ConnectionPoolState(size=6, opened=1, idle=1, waiting=0) == before
    assert ConnectionPoolState(size=6, opened=1, idle=0, waiting=0) == during


async def test_other_stores_have_no_pools(worlds: tuple[World, World], own_url: str) -> None:
    assert own_url.startswith("postgres") == bool(worlds[0].ports.reads.server.connection_pools())
