"""
Prices of an organization that several server processes remember.
"""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from attrs import evolve

from mission_adapters.sql.store import SqlStore
from mission_adapters.testing import ManualClock, World, make_world
from mission_adapters.testing.contracts.token_ledger import PRICES, cheap, recorded
from mission_core.usage.model import USAGE
from mission_core.usage.price_overrides import UpdatePriceOverride, create_price_override, update_price_override
from mission_core.usage.reported_run_use_cases import ReportRun, UpdateReportedRun, report_run, update_reported_run
from mission_core.usage.reported_runs import ReportedRun, RunProvenance, TokensOfRun
from mission_core.usage.use_cases import CorrectUsage, correct_usage
from tests.contract.conftest import ports_over
from tests.statement_counts import recorded_on_postgres, recorded_on_sqlite

pytestmark = pytest.mark.parametrize("store_url", ["sqlite", "postgres"], indirect=True, scope="session")

Priced = Callable[[World], Awaitable[str | None]]


@pytest.fixture
async def stores(store_url: str, clock: ManualClock) -> AsyncIterator[list[SqlStore]]:
    """
    Two stores on one database, like those of two processes.
    """
    async with SqlStore.open(store_url, clock=clock) as one, SqlStore.open(store_url, clock=clock) as other:
        yield [one, other]


@pytest.fixture
async def worlds(stores: list[SqlStore], clock: ManualClock) -> list[World]:
    """
    One organization on both stores.
    """
    one, other = [evolve(ports_over(each, clock), prices=PRICES) for each in stores]
    world = await make_world(one)
    return [world, evolve(world, ports=other)]


async def by_report(world: World) -> str | None:
    return (await recorded(world)).price_version


async def by_correction(world: World) -> str | None:
    entry = await recorded(world, model="unheard-of")
    corrected = await correct_usage(world.ports, world.me, CorrectUsage(usage=entry.id, reason="wrong", model="large"))
    return corrected.price_version


async def by_run(world: World) -> str | None:
    return await version_of(world, await reported_run(world))


async def by_change_of_run(world: World) -> str | None:
    command = UpdateReportedRun(run=(await reported_run(world)).id, input_tokens=9)
    return await version_of(world, await update_reported_run(world.ports, world.me, command))


async def reported_run(world: World) -> ReportedRun:
    at = world.clock.now()
    command = ReportRun(
        agent_label="ada", status="done", started_at=at, started_text=at.isoformat(), model="large",
        tokens=TokensOfRun(input_tokens=7), provenance=RunProvenance(run_hash="0"),
    )  # fmt: skip
    return await report_run(world.ports, world.me, command)


async def version_of(world: World, run: ReportedRun) -> str | None:
    assert run.usage is not None
    return (await world.ports.reads.entities.get(world.me, USAGE, run.usage)).price_version


@pytest.mark.parametrize("priced", [by_report, by_correction, by_run, by_change_of_run])
async def test_a_change_on_another_process_is_seen_with_the_next_commit(worlds: list[World], priced: Priced) -> None:
    """
    Whatever writes the entry, and whether or not the process has already asked for prices.
    """
    one, other = worlds
    before = await priced(other)
    price = await create_price_override(one.ports, one.me, cheap("large"))
    created = [await priced(each) for each in (one, other, one)]
    for input in (2, 3):
        await update_price_override(one.ports, one.me, UpdatePriceOverride(price=price.id, input=input))
    changed = [await priced(each) for each in (one, other)]

    assert ["1", *[f"{price.id}@0"] * 3, *[f"{price.id}@2"] * 2] == [before, *created, *changed]


async def test_prices_that_did_not_change_add_no_statement(worlds: list[World], stores: list[SqlStore]) -> None:
    """
    To a report, a correction and a reported run.
    """
    world, store = worlds[0], stores[0]

    async def counts() -> dict[str, int]:
        found = dict[str, int]()
        for priced in 3 * (by_report, by_correction, by_run, by_change_of_run):
            if store.session.dialect == "sqlite":
                async with recorded_on_sqlite(store.session) as texts:
                    await priced(world)
            else:
                with recorded_on_postgres() as texts:
                    await priced(world)
            # The least, for a busy machine may let a unit read its rows again.
            found[priced.__name__] = min(len(texts), found.get(priced.__name__, len(texts)))
        return found

    await counts()  # the first requests read what the process remembers afterwards
    without = await counts()
    await create_price_override(world.ports, world.me, cheap("other"))
    await counts()

    assert without == await counts()
