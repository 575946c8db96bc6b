"""
Retention of the token ledger: old entries become carry-overs, and no sum changes.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from anyio import fail_after
from attrs import evolve

from mission_adapters.testing import ManualClock, World, make_world
from mission_adapters.usage_retention import fold_usage
from mission_core.accounts.model import SystemPrincipal
from mission_core.ports import Ports
from mission_core.usage.budget_use_cases import CreateBudget, create_budget
from mission_core.usage.budgets import BudgetMeasure, BudgetPeriod, UnknownPrices
from mission_core.usage.model import USAGE, UsageEntry, UsageIsCarryOver, UsageNotFound, UsageVoided
from mission_core.usage.prices import ModelPrice, PriceList
from mission_core.usage.queries import UsageFilter, UsageWindow
from mission_core.usage.use_cases import CorrectUsage, RecordUsage, UsageReport, correct_usage, record_usage
from mission_core.values import PageRequest
from mission_http.settings import settings_from
from mission_http.wiring import ports_from_settings

KEPT = timedelta(days=60)
OLD = timedelta(days=70)
EVERY = PageRequest(limit=1000)
ALL = UsageWindow()
BY = ("slot", "board", "task", "session", "agent", "agent_name", "model")
PRICES = PriceList(prices=(ModelPrice(model="large", input=3_000_000_000, output=15_000_000_000),), version="1")


@pytest.fixture
async def world(ports: Ports) -> World:
    """
    A new organization at ten minutes past an hour.
    """
    world = await make_world(evolve(ports, prices=PRICES))
    past = world.clock.now() - world.clock.now().replace(minute=0, second=0, microsecond=0)
    world.clock.advance(minutes=70, seconds=-past.total_seconds())
    return world


async def used(world: World, ago: timedelta = OLD, model: str = "large", **fields: Any) -> UsageEntry:
    """
    Record tokens at the time of their use.
    """
    return await record_usage(past(world, ago), world.me, RecordUsage(report=tokens(world, ago, model, **fields)))


def past(world: World, ago: timedelta = OLD) -> Ports:
    """
    The same store, a while ago.
    """
    return evolve(world.ports, clock=ManualClock(world.clock.now() - ago))


def tokens(world: World, ago: timedelta = OLD, model: str = "large", **fields: Any) -> UsageReport:
    """
    A report of tokens that were used a while ago.
    """
    return UsageReport(model=model, input_tokens=1000, output_tokens=10, used_at=world.clock.now() - ago, **fields)


async def entries_of(world: World, window: UsageWindow = ALL, **wanted: Any) -> list[UsageEntry]:
    """
    The entries, whose number is always told.
    """
    found = await world.ports.reads.usage.entries(world.me, window, EVERY, UsageFilter(**wanted))
    assert len(found.rows) == found.total
    return list(found.rows)


async def sums_of(world: World) -> list[Any]:
    reads = world.ports.reads.usage
    return [set(await reads.sums(world.me, UsageWindow(hours=hours), BY)) for hours in (1, 24)]


async def fold(world: World) -> None:
    await fold_usage(world.ports, world.me.organization, KEPT)


async def spent(world: World) -> list[int]:
    accounts = (await world.ports.reads.usage.budgets(world.me, at=world.clock.now())).accounts
    return [each.spent for each in accounts]


async def test_no_sum_changes_and_a_rebuild_finds_the_same(world: World) -> None:
    """
    Of hours, of days and of budgets; with corrections and voids, prices that are unknown and subscriptions.
    """
    for measure, unknown in ((BudgetMeasure.MONEY, UnknownPrices.TOKENS), (BudgetMeasure.TOKENS, None)):
        budget = CreateBudget(
            name=measure, limit=10**15, per_run=1, measure=measure, period=BudgetPeriod.ONCE, unknown_prices=unknown
        )
        await create_budget(world.ports, world.me, budget)
    task = await world.task()
    for minutes in (0, 1, 2, 14, 15, 59, 60, 61):
        ago = OLD - timedelta(minutes=minutes)
        await used(world, ago, task=task.id, session="s")
        await used(world, ago, label="bob", subscription=minutes % 2 == 0)
        await used(world, ago, model="unheard-of")
    for void in (True, False):
        wrong = await used(world)
        change = CorrectUsage(usage=wrong.id, reason="wrong", void=void, input_tokens=7)
        await correct_usage(past(world), world.me, change)
    before, sums, money = await entries_of(world), await sums_of(world), await spent(world)
    await fold(world)
    after = await entries_of(world)
    folded = await sums_of(world), await spent(world)
    rebuilt = await world.ports.housekeeping.rebuild_usage(world.me.organization)

    assert (len(after), 0) == rebuilt
    assert len(after) < len(before)
    assert {"carry_over"} == {each.operation for each in after}
    assert sum(each.requests for each in before) == sum(each.requests for each in after)
    assert (sums, money) == folded == (await sums_of(world), await spent(world))
    assert {None} == {each.cost for each in after if each.model == "unheard-of"}


async def test_one_carry_over_stands_for_the_entries_that_share_all_but_amounts(world: World) -> None:
    for minutes in (0, 1, 2):
        await used(world, OLD - timedelta(minutes=minutes), session="s")
    await fold(world)
    [carried] = await entries_of(world)

    assert (3, 3000, 30, 3 * 3_150_000, "1") == (
        carried.requests, carried.input_tokens, carried.output_tokens, carried.cost, carried.price_version,
    )  # fmt: skip
    assert world.clock.now() - OLD + timedelta(minutes=2) == carried.at
    with pytest.raises(UsageIsCarryOver):
        await correct_usage(world.ports, world.me, CorrectUsage(usage=carried.id, reason="wrong", input_tokens=7))


async def test_what_comes_late_joins_its_carry_over(world: World) -> None:
    await used(world)
    await fold(world)
    late = RecordUsage(report=tokens(world, OLD - timedelta(minutes=1)))
    await record_usage(past(world, KEPT + timedelta(minutes=1)), world.me, late)
    await fold(world)
    again = await entries_of(world)
    await fold(world)

    assert [2] == [each.requests for each in again]
    assert again == await entries_of(world)


async def test_recent_entries_stay(world: World) -> None:
    recent = await used(world, KEPT - timedelta(minutes=1), report_id="r")
    await used(world, report_id="old")
    await fold(world)

    assert recent in await entries_of(world)
    assert recent == await used(world, KEPT - timedelta(minutes=1), report_id="r")


async def test_entries_that_were_voided_leave_nothing(world: World) -> None:
    wrong = await used(world)
    await correct_usage(past(world), world.me, CorrectUsage(usage=wrong.id, reason="wrong", void=True))
    await fold(world)

    assert [] == await entries_of(world)
    with pytest.raises(UsageNotFound):
        await correct_usage(world.ports, world.me, CorrectUsage(usage=wrong.id, reason="again", void=True))


async def test_imported_entries_stay(world: World) -> None:
    """
    Another import finds them, and imports none twice.
    """
    entry = await used(world)
    await imported(world, entry)
    await fold(world)

    assert {"system:import", "system:retention"} == {each.reporter for each in await entries_of(world)}


async def imported(world: World, entry: UsageEntry) -> UsageEntry:
    """
    The same entry as one that was imported.
    """
    made = evolve(entry, id=world.ports.ids.new(), reporter="system:import", report_id="fleet:token_usage:1")
    importer = SystemPrincipal(organization=world.me.organization, name="import")
    async with world.ports.unit(importer) as unit:
        unit.repository(USAGE).add(made)
        await unit.commit()
    return made


async def test_an_imported_entry_that_was_corrected_is_not_reversed_again(world: World) -> None:
    """
    Although what replaced it is folded.
    """
    wrong = await imported(world, await used(world))
    await correct_usage(past(world), world.me, CorrectUsage(usage=wrong.id, reason="wrong", input_tokens=7))
    await fold(world)
    sums = await sums_of(world)
    with pytest.raises(UsageVoided):
        await correct_usage(world.ports, world.me, CorrectUsage(usage=wrong.id, reason="again", input_tokens=8))

    assert sums == await sums_of(world)


async def test_a_late_report_that_is_repeated_is_counted_once(world: World) -> None:
    """
    Also if its use is older than what is kept.
    """
    late = RecordUsage(report=tokens(world, report_id="late"))
    first = await record_usage(world.ports, world.me, late)
    await fold(world)

    assert first == await record_usage(world.ports, world.me, late)
    assert [first] == await entries_of(world)


async def test_lists_count_carry_overs_as_one(world: World) -> None:
    """
    Also with filters and bounds.
    """
    for minutes in range(5):
        await used(world, OLD - timedelta(minutes=minutes), label="ada")
    await used(world, OLD + timedelta(days=3), model="small")
    await used(world, timedelta(0))
    await fold(world)

    assert 3 == len(await entries_of(world))
    assert 2 == len(await entries_of(world, model="large"))
    day = (world.clock.now() - OLD).date().toordinal() - 719_163
    assert 1 == len(await entries_of(world, UsageWindow(since=day, until=day + 1)))


@pytest.mark.one_store
async def test_a_server_with_a_retention_folds_at_its_start(tmp_path: Path) -> None:
    async with ports_from_settings(settings_from({}, data_dir=tmp_path)) as ports:
        [organization] = await ports.credentials.organizations()
        me = SystemPrincipal(organization=organization)
        earlier = evolve(ports, clock=ManualClock(ports.clock.now() - timedelta(days=34)))
        told = UsageReport(model="large", input_tokens=1, output_tokens=1)
        await record_usage(earlier, me, RecordUsage(report=told))
    settings = settings_from({"MC_RETAIN_TOKEN_USAGE_DAYS": "33"}, data_dir=tmp_path)
    with fail_after(60):
        async with ports_from_settings(settings) as ports:
            while (await ports.reads.usage.entries(me, ALL, EVERY)).rows[0].operation != "carry_over":
                pass  # each read lets the fold go on
