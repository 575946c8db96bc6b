"""
The contract of budgets: what a claim reserves and a report spends, and that no reservation passes a hard limit.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from anyio import create_task_group
from attrs import evolve, field
from hypothesis import given
from hypothesis import strategies as st

from mission_adapters.testing.contracts.base import StoreContract, contract_settings
from mission_adapters.testing.world import World
from mission_core.agents.update import UpdateAgent, update_agent
from mission_core.errors import InvalidField, RoleTooLow
from mission_core.ids import TaskId
from mission_core.lazy_attrs import define, frozen
from mission_core.tasks.board_deletion import DeleteBoard, delete_board
from mission_core.tasks.explanations import TaskState, explain_task
from mission_core.tasks.heartbeats import Heartbeat, HeartbeatResult, heartbeat
from mission_core.tasks.leases import (
    ClaimResult,
    CompleteTask,
    FailTask,
    ReleaseTask,
    complete_task,
    expire_leases,
    fail_task,
    release_task,
)
from mission_core.tasks.model import NotClaimable, Status
from mission_core.tasks.operator_orders import GiveOrder, give_order
from mission_core.tasks.ports import BudgetReached
from mission_core.tasks.queue_polls import PollQueue, PollReason, poll_queue
from mission_core.tasks.runs import Failure, FailureReason, LeaseTerms, OrderKind
from mission_core.tasks.use_cases import DeleteTask, UpdateTask, delete_task, update_task
from mission_core.usage.budget_use_cases import (
    CreateBudget,
    DeleteBudget,
    UpdateBudget,
    create_budget,
    delete_budget,
    get_budget,
    list_budgets,
    update_budget,
)
from mission_core.usage.budgets import (
    Budget,
    BudgetAmounts,
    BudgetMeasure,
    BudgetNotFound,
    BudgetPeriod,
    BudgetScope,
    UnknownPrices,
    amounts_of,
)
from mission_core.usage.model import UsageEntry
from mission_core.usage.prices import ModelPrice, PriceList
from mission_core.usage.queries import UsageWindow
from mission_core.usage.use_cases import (
    CorrectUsage,
    RecordUsage,
    UsageReport,
    correct_usage,
    record_usage,
)
from mission_core.values import PageRequest, micros

FEW = contract_settings(15)
MILL = 1_000_000
PRICES = PriceList(prices=(ModelPrice(model="mill", input=MILL * 1_000_000, output=MILL * 1_000_000),), version="1")
"""Each token costs a mill, which is a thousandth of a dollar."""
TERMS = LeaseTerms(term=timedelta(minutes=5), delay=timedelta(0))


async def budget_of(world: World, limit: int = 50 * MILL, per_run: int = 5 * MILL, **more: Any) -> Budget:
    """
    A budget of money for the whole organization, unless *more* says otherwise.
    """
    given = {"name": "cap", "period": BudgetPeriod.ONCE, "unknown_prices": UnknownPrices.TOKENS} | more
    if given.get("measure", BudgetMeasure.MONEY) is not BudgetMeasure.MONEY:
        given["unknown_prices"] = None
    return await create_budget(world.ports, world.me, CreateBudget(limit=limit, per_run=per_run, **given))


async def spend(
    world: World, mills: int, claimed: ClaimResult | None = None, *, by: Any = None, **more: Any
) -> UsageEntry:
    """
    Report tokens, for the run of a claim if one is given.
    """
    of: dict[str, Any] = {} if claimed is None else {"task": claimed.task.id, "label": claimed.run.by.name}
    of = {"model": "mill", **of, **more}
    report = UsageReport(input_tokens=mills, output_tokens=0, **of)
    return await record_usage(world.ports, by or world.me, RecordUsage(report=report))


async def amounts(world: World, budget: Budget) -> tuple[int, int]:
    """
    Return the amounts of a budget that are spent and reserved.
    """
    account = await get_budget(world.ports, world.me, budget.id)
    return account.spent, account.reserved


async def mills(world: World, budget: Budget) -> tuple[float, float]:
    """
    Return the amounts of a budget that are spent and reserved, in mills.
    """
    spent, reserved = await amounts(world, budget)
    return spent / MILL, reserved / MILL


async def beat(world: World, claimed: ClaimResult) -> HeartbeatResult:
    """
    The answer to a heartbeat.
    """
    return await heartbeat(world.ports, world.me, Heartbeat(task=claimed.task.id, lease=claimed.lease))


async def thresholds(world: World) -> list[int]:
    """
    The percentages that were announced, oldest first.
    """
    log = await world.ports.log.read(world.me.organization, limit=10_000)
    kinds = (each for each in log if each.kind == "budget.threshold_reached")
    return [json.loads(each.payload or "{}")["threshold"] for each in kinds]


@frozen
class Step:
    """
    A step of a generated test.
    """

    verb: str
    which: int
    mills: int


steps = st.builds(
    Step,
    verb=st.sampled_from(
        ["claim", "claim", "report", "report", "late", "correct", "end", "expire", "raise", "lower", "turn", "rebuild"]
    ),
    which=st.integers(0, 3),
    mills=st.integers(1, 9),
)


class BudgetsContract(StoreContract):
    """
    The contract of budgets. A subclass provides the fixture `ports` of `StoreContract`.
    """

    @pytest.fixture
    async def world(self, world: World) -> World:
        """
        A new organization with the price of a model.
        """
        return evolve(world, ports=evolve(world.ports, prices=PRICES))

    async def test_a_claim_reserves_until_its_lease_ends(self, world: World) -> None:
        """
        By completion, failure, release, expiry, steal and deletion of the task; a report uses the reservation up first,
        and a run that is gone keeps what it reported.
        """
        budget = await budget_of(world)
        assert (0, 0) == await mills(world, budget)

        done = await world.claimed(await world.task(), terms=TERMS)
        assert (0, 5) == await mills(world, budget)
        await spend(world, 2, done)
        assert (2, 3) == await mills(world, budget)
        await spend(world, 4, done)
        assert (6, 0) == await mills(world, budget)
        await complete_task(world.ports, world.me, CompleteTask(task=done.task.id, lease=done.lease))

        failed = await world.claimed(await world.task(), terms=TERMS)
        await spend(world, 1, failed)
        failure = Failure(reason=FailureReason.IMPOSSIBLE)
        await fail_task(world.ports, world.me, FailTask(task=failed.task.id, lease=failed.lease, failure=failure))
        released = await world.claimed(await world.task(), terms=TERMS)
        await release_task(world.ports, world.me, ReleaseTask(task=released.task.id, lease=released.lease))
        stolen = await world.claimed(released.task, terms=TERMS)
        assert (7, 5) == await mills(world, budget)
        await give_order(world.ports, world.me, GiveOrder(task=stolen.task.id, kind=OrderKind.STEAL, to="eve"))
        deleted = await world.claimed(await world.task(), terms=TERMS)
        await delete_task(world.ports, world.me, DeleteTask(task=deleted.task.id))
        held = await world.claimed(await world.task(), terms=TERMS)
        await spend(world, 1, held)
        world.clock.advance(minutes=6)
        await expire_leases(world.ports, world.me)

        assert (8, 0) == await mills(world, budget)
        assert (await spend(world, 2, held)).late
        assert (10, 0) == await mills(world, budget)

    async def test_what_has_no_room_is_passed_over(self, world: World) -> None:
        """
        By the queue and by a poll; an explicit claim and a move to in progress are refused with the budget's amounts,
        and `explain` names it. A raised limit lets work go on.
        """
        ada = await world.principal("ada")
        budget = await budget_of(world, limit=9 * MILL, name="small", period=BudgetPeriod.DAILY)
        await world.claimed(await world.task(), agent="eve", terms=TERMS)
        waiting = await world.task()

        assert await world.claim() is None
        assert (await poll_queue(world.ports, ada, PollQueue())).reason is PollReason.NOTHING
        with pytest.raises(BudgetReached) as refused:
            await world.claim(waiting)
        with pytest.raises(BudgetReached):
            await update_task(world.ports, ada, UpdateTask(task=waiting.id, status=Status.IN_PROGRESS))
        refusal = refused.value
        assert (budget.id, "small", 9 * MILL, 0, 5 * MILL, 5 * MILL) == (
            refusal.budget, refusal.name, refusal.limit, refusal.spent, refusal.reserved, refusal.needed,
        )  # fmt: skip
        now = world.clock.now()
        assert refusal.resets_at is not None
        assert timedelta(0) < refusal.resets_at - now <= timedelta(days=1)
        explained = await explain_task(world.ports, world.me, waiting.id)
        assert TaskState.BLOCKED is explained.state
        assert "budget 'small' has no room for another run (limit 0.009 dollars, spent 0.00 dollars" in explained.why

        await update_budget(world.ports, world.me, UpdateBudget(budget=budget.number, limit=10 * MILL))
        assert TaskState.CLAIMABLE is (await explain_task(world.ports, world.me, waiting.id)).state
        assert waiting.id == (await world.claimed()).task.id
        assert (0, 10) == await mills(world, budget)

    async def test_a_budget_limits_what_it_names(self, world: World) -> None:
        """
        A board, an agent or a task. The queue gives another one out, and an agent's budget follows its name.
        """
        other = await world.another_board()
        ada = await world.agent("ada")
        full, free, apart = await world.task("full"), await world.task("free"), await world.task("o", board=other.id)
        await budget_of(world, 4 * MILL, 4 * MILL, name="t", scope=BudgetScope.TASK, task=full.number)
        await budget_of(world, 4 * MILL, 4 * MILL, name="b", scope=BudgetScope.BOARD, board=world.board.number)
        await budget_of(world, 8 * MILL, 4 * MILL, name="a", scope=BudgetScope.AGENT, agent="ada")
        await spend(world, 1, task=full.id, board=other.id)

        assert free.id == (await world.claimed(agent="eve")).task.id
        assert apart.id == (await world.claimed(agent="ada")).task.id
        assert await world.claim(agent="eve") is None
        more = [await world.task(board=other.id) for _ in range(2)]
        assert more[0].id == (await world.claimed(agent="ada")).task.id
        await update_agent(world.ports, world.me, UpdateAgent(agent=ada.id, name="ann"))
        assert await world.claim(agent="ann") is None
        assert more[1].id == (await world.claimed(agent="eve")).task.id
        assert [("b", 0, 4), ("a", 0, 8), ("t", 1, 0)] == [
            (each.budget.name, each.spent / MILL, each.reserved / MILL)
            for each in await list_budgets(world.ports, world.me)
        ]

    async def test_claims_that_meet_pass_no_limit(self, world: World) -> None:
        """
        Twenty workers claim at the same time, half of them the next task and half a named one.
        """
        budget = await budget_of(world)
        tasks = [await world.task() for _ in range(20)]
        claimed: list[ClaimResult] = []

        async def claim(nth: int) -> None:
            try:
                found = await world.claim(tasks[nth] if nth % 2 else None, agent=f"agent-{nth}")
            except (BudgetReached, NotClaimable):
                return
            if found is not None:
                claimed.append(found)

        async with create_task_group() as group:
            for nth in range(20):
                group.start_soon(claim, nth)

        assert 0 < len(claimed) <= 10
        assert (0, 5 * len(claimed)) == await mills(world, budget)
        while (found := await world.claim()) is not None:
            claimed.append(found)
        assert 10 == len({each.task.id for each in claimed}) == len(claimed)
        assert (0, 50) == await mills(world, budget)

    async def test_reports_that_meet_are_all_counted(self, world: World) -> None:
        """
        Reports and claims at the same time lose nothing.
        """
        budget = await budget_of(world, limit=1000 * MILL)
        runs = [await world.claimed(await world.task(), agent=f"agent-{nth}") for nth in range(4)]

        async with create_task_group() as group:
            for nth in range(12):
                group.start_soon(spend, world, 2, runs[nth % 4])
            for _ in range(3):
                group.start_soon(world.claim, await world.task())

        assert (24, 15) == await mills(world, budget)

    async def test_a_run_within_its_reservation_goes_on(self, world: World) -> None:
        """
        A run that has used up its reservation goes on while the budget has room. Otherwise its heartbeat answers
        `budget_reached` and does not extend the lease, until the limit is raised.
        """
        budget = await budget_of(world, limit=10 * MILL)
        one = await world.claimed(await world.task(), terms=TERMS)
        other = await world.claimed(await world.task(), agent="eve", terms=TERMS)
        assert "continue" == (await beat(world, one)).instruction
        await spend(world, 6, one)
        world.clock.advance(minutes=1)

        answer = await beat(world, one)
        assert ("budget_reached", one.run.expires_at) == (answer.instruction, answer.run.expires_at)
        assert "continue" == (await beat(world, other)).instruction
        await update_budget(world.ports, world.me, UpdateBudget(budget=budget.id, limit=30 * MILL))
        answer = await beat(world, one)
        assert ("continue", world.clock.now() + TERMS.term) == (answer.instruction, answer.run.expires_at)
        await spend(world, 30, other)
        assert "budget_reached" == (await beat(world, other)).instruction
        await delete_budget(world.ports, world.me, DeleteBudget(budget=budget.id))
        assert "continue" == (await beat(world, other)).instruction

    async def test_an_implicit_lease_is_not_renewed_after_the_limit(self, world: World) -> None:
        ada = await world.principal("ada")
        await budget_of(world, limit=5 * MILL)
        await world.task()
        polled = await poll_queue(world.ports, ada, PollQueue())
        assert polled.task is not None
        await spend(world, 5, by=ada, task=polled.task)
        world.clock.advance(minutes=9)
        await poll_queue(world.ports, ada, PollQueue())
        world.clock.advance(minutes=2)

        assert 1 == await expire_leases(world.ports, world.me)

    async def test_thresholds_are_announced_once_a_period_and_after_a_raise(self, world: World) -> None:
        """
        A report that passes several announces each. A lower limit announces what it passes at once.
        """
        budget = await budget_of(world, limit=10 * MILL, hard=False, per_run=0, period=BudgetPeriod.DAILY)
        entry = await spend(world, 4)
        assert [] == await thresholds(world)
        await spend(world, 1)
        await spend(world, 2)
        assert [50] == await thresholds(world)
        await spend(world, 5)
        assert [50, 80, 100] == await thresholds(world)
        await correct_usage(world.ports, world.me, CorrectUsage(usage=entry.id, reason="wrong", void=True))
        await spend(world, 4)
        assert [50, 80, 100] == await thresholds(world)
        world.clock.advance(days=1)
        await spend(world, 5)
        assert [50, 80, 100, 50] == await thresholds(world)
        await update_budget(world.ports, world.me, UpdateBudget(budget=budget.id, limit=20 * MILL))
        await spend(world, 5)
        assert [50, 80, 100, 50, 50] == await thresholds(world)
        await update_budget(world.ports, world.me, UpdateBudget(budget=budget.id, limit=11 * MILL))
        assert [50, 80, 100, 50, 50, 80] == await thresholds(world)

    async def test_an_entry_counts_in_the_period_of_its_own_moment(self, world: World) -> None:
        """
        A late one in an earlier period that was not over when the budget was made; a reservation in that of its claim.
        """
        before = world.clock.now()
        await spend(world, 1)
        budget = await budget_of(world, period=BudgetPeriod.DAILY, time_zone="Europe/Berlin")
        assert (1, 0) == await mills(world, budget)
        claimed = await world.claimed(await world.task(), terms=LeaseTerms(term=timedelta(hours=24)))
        world.clock.advance(hours=23, minutes=59)
        turned = budget.period_at(world.clock.now()) != budget.period_at(before)
        assert turned
        assert (0, 0) == await mills(world, budget)
        await spend(world, 3, claimed)
        await spend(world, 2, used_at=before)
        await spend(world, 9, used_at=before - timedelta(days=3))
        assert (3, 0) == await mills(world, budget)
        (account,) = (await world.ports.reads.usage.budgets(world.me, at=before)).accounts
        assert (3 * MILL, 5 * MILL) == (account.spent, account.reserved)

    @pytest.mark.parametrize(
        ("unknown", "spent", "claims"),
        [
            ({"unknown_prices": UnknownPrices.TOKENS}, 1, True),
            ({"unknown_prices": UnknownPrices.CEILING, "ceiling_price": 2 * MILL * 1_000_000}, 21, True),
            ({"unknown_prices": UnknownPrices.STOP}, 1, False),
        ],
    )
    async def test_unknown_prices_count_as_the_budget_says(
        self, world: World, unknown: dict[str, Any], spent: int, claims: bool
    ) -> None:
        """
        Not at all, at a ceiling, or as a stop until the price is known.
        """
        budget = await budget_of(world, **unknown)
        await spend(world, 1)
        entry = await spend(world, 10, model="unheard-of")

        assert (spent, 0) == await mills(world, budget)
        await world.task()
        assert claims == (await world.claim() is not None)
        await correct_usage(world.ports, world.me, CorrectUsage(usage=entry.id, reason="a typo", model="mill"))
        await world.task()
        assert await world.claim(agent="eve") is not None

    async def test_a_subscription_counts_nothing_if_an_admin_tells_it(self, world: World) -> None:
        """
        Usage that only an agent reports as covered by a subscription counts at the list price, until an admin corrects
        the entry. A budget with `list_price` counts all usage at the list price.
        """
        ada = await world.principal("ada")
        billed, listed = await budget_of(world), await budget_of(world, list_price=True)
        subscribed = evolve(world, ports=evolve(world.ports, subscribed_providers=frozenset({"acme"})))
        await spend(world, 1, subscription=True)
        await spend(subscribed, 2, by=ada, provider="acme", subscription=True)
        told = await spend(world, 4, by=ada, subscription=True)

        assert [(4, 0), (7, 0)] == [await mills(world, each) for each in (billed, listed)]
        await correct_usage(world.ports, world.me, CorrectUsage(usage=told.id, reason="it is", subscription=True))
        assert [(0, 0), (7, 0)] == [await mills(world, each) for each in (billed, listed)]

    async def test_tokens_runs_and_time_are_limited_too(self, world: World) -> None:
        """
        A run counts when it starts. Time is reserved while a run lasts, also beyond its estimate, and spent at its end.
        """
        tokens = await budget_of(world, 100, 40, measure=BudgetMeasure.TOKENS, period=BudgetPeriod.WEEKLY)
        runs = await budget_of(world, 2, 0, measure=BudgetMeasure.RUNS)
        time = await budget_of(world, 600, 120, measure=BudgetMeasure.TIME, period=BudgetPeriod.MONTHLY)
        one = await world.claimed(await world.task(), terms=TERMS)
        other = await world.claimed(await world.task(), agent="eve", terms=TERMS)
        await spend(world, 30, one)
        await world.task()

        assert await world.claim() is None
        assert [(30, 50), (2, 0), (0, 240)] == [await amounts(world, each) for each in (tokens, runs, time)]
        world.clock.advance(seconds=100)
        assert ["continue", "continue"] == [(await beat(world, each)).instruction for each in (one, other)]
        await complete_task(world.ports, world.me, CompleteTask(task=one.task.id, lease=one.lease))
        assert [(30, 40), (2, 0), (100, 120)] == [await amounts(world, each) for each in (tokens, runs, time)]
        world.clock.advance(seconds=200)
        assert (100, 300) == await amounts(world, time)
        await update_budget(world.ports, world.me, UpdateBudget(budget=time.id, limit=400))
        assert "budget_reached" == (await beat(world, other)).instruction
        world.clock.advance(seconds=400)
        await expire_leases(world.ports, world.me)
        assert [(30, 0), (2, 0), (500, 0)] == [await amounts(world, each) for each in (tokens, runs, time)]

    async def test_the_time_of_a_run_counts_whatever_becomes_of_it(self, world: World) -> None:
        """
        The time counts of a run that began in an earlier period, whose task is deleted, or that reserves nothing.
        """
        daily = await budget_of(world, 3600, 60, measure=BudgetMeasure.TIME, period=BudgetPeriod.DAILY)
        soft = await budget_of(world, 3600, 0, measure=BudgetMeasure.TIME, hard=False)
        end = daily.period_at(world.clock.now()).ends_at
        world.clock.advance(seconds=(end - micros(world.clock.now())) // 1_000_000 - 1800)
        one = await world.claimed(await world.task(), terms=LeaseTerms(term=timedelta(hours=1)))
        other = await world.claimed(await world.task(), agent="eve", terms=LeaseTerms(term=timedelta(hours=1)))

        world.clock.advance(minutes=45)
        assert ("continue", (0, 0)) == ((await beat(world, one)).instruction, await amounts(world, daily))
        await delete_task(world.ports, world.me, DeleteTask(task=other.task.id))
        assert (2700, 2700) == await amounts(world, soft)
        world.clock.advance(minutes=15)
        assert "budget_reached" == (await beat(world, one)).instruction

    async def test_a_budget_of_time_stops_its_run(self, world: World) -> None:
        """
        All that the run lasted counts, also what it did before the budget was made.
        """
        one = await world.claimed(await world.task(), terms=TERMS)
        world.clock.advance(seconds=60)
        budget = await budget_of(world, 120, 0, measure=BudgetMeasure.TIME, scope=BudgetScope.RUN, run=one.run.id)

        assert ((0, 60), "continue") == (await amounts(world, budget), (await beat(world, one)).instruction)
        world.clock.advance(seconds=60)
        assert "budget_reached" == (await beat(world, one)).instruction
        await complete_task(world.ports, world.me, CompleteTask(task=one.task.id, lease=one.lease))
        assert (120, 0) == await amounts(world, budget)

    async def test_a_run_that_waits_for_a_person_gets_no_further_term_after_the_limit(self, world: World) -> None:
        """
        Its lease ends with the wait, or when it ended before.
        """
        await budget_of(world, limit=5 * MILL)
        one = await world.claimed(await world.task(), terms=TERMS)
        await spend(world, 5, one)
        for wait, lasts in ((timedelta(seconds=1), TERMS.term), (timedelta(minutes=9), timedelta(minutes=10))):
            command = Heartbeat(task=one.task.id, lease=one.lease, waiting_for="more", wait=wait)
            answer = await heartbeat(world.ports, world.me, command)
            assert ("budget_reached", lasts) == (answer.instruction, answer.run.expires_at - one.run.claimed_at)
            world.clock.advance(minutes=1)
            await beat(world, one)

    async def test_a_budget_of_a_run_stops_that_run(self, world: World) -> None:
        one = await world.claimed(await world.task(), terms=TERMS)
        other = await world.claimed(await world.task(), agent="eve", terms=TERMS)
        await spend(world, 1, one)
        budget = await budget_of(world, 3 * MILL, 0, scope=BudgetScope.RUN, run=one.run.id)
        await spend(world, 9, other)

        assert ((1, 0), "continue") == (await mills(world, budget), (await beat(world, one)).instruction)
        await spend(world, 2, one)
        assert ["budget_reached", "continue"] == [(await beat(world, each)).instruction for each in (one, other)]

    async def test_a_budget_goes_with_what_it_limits(self, world: World) -> None:
        """
        With its board. Its number is not used again, and the others stay.
        """
        other = await world.another_board()
        gone = await budget_of(world, scope=BudgetScope.BOARD, board=other.id)
        stays = await budget_of(world)
        await delete_board(world.ports, world.me, DeleteBoard(board=other.id))

        assert [stays.id] == [each.budget.id for each in await list_budgets(world.ports, world.me)]
        with pytest.raises(BudgetNotFound):
            await get_budget(world.ports, world.me, gone.number)

    async def test_a_budget_of_a_run_goes_with_its_task(self, world: World) -> None:
        """
        With the next housekeeping.
        """
        one, other = [await world.claimed(await world.task(), agent=name) for name in ("ada", "eve")]
        gone, stays = [
            await budget_of(world, 3 * MILL, 0, scope=BudgetScope.RUN, run=each.run.id) for each in (one, other)
        ]
        await delete_task(world.ports, world.me, DeleteTask(task=one.task.id))
        await world.ports.housekeeping.delete_expired(at=world.clock.now(), limit=9)

        assert [stays.id] == [each.budget.id for each in await list_budgets(world.ports, world.me)]
        assert gone.id != stays.id

    async def test_the_time_of_a_run_counts_although_its_board_is_deleted(self, world: World) -> None:
        board = await world.another_board()
        budget = await budget_of(world, 600, 0, hard=False, measure=BudgetMeasure.TIME, unknown_prices=None)
        await world.claimed(await world.task(board=board.id), terms=TERMS)
        world.clock.advance(seconds=90)
        await delete_board(world.ports, world.me, DeleteBoard(board=board.id))
        world.clock.advance(seconds=90)

        assert (90, 0) == await amounts(world, budget)

    async def test_the_housekeeping_keeps_what_live_runs_reserve(self, world: World) -> None:
        """
        And what has been spent.
        """
        budget = await budget_of(world)
        one, other = [await world.claimed(await world.task(), agent=name, terms=TERMS) for name in ("ada", "eve")]
        await spend(world, 2, one)
        await complete_task(world.ports, world.me, CompleteTask(task=one.task.id, lease=one.lease))
        await spend(world, 1, other)
        before = await mills(world, budget)
        await world.ports.housekeeping.delete_expired(at=world.clock.now(), limit=9)

        assert (3, 4) == before == await mills(world, budget)

    async def test_only_an_admin_changes_budgets(self, world: World) -> None:
        ada = await world.principal("ada")
        budget = await budget_of(world)
        for refused in (
            create_budget(world.ports, ada, CreateBudget(name="own", limit=1, period=BudgetPeriod.ONCE, hard=False)),
            update_budget(world.ports, ada, UpdateBudget(budget=budget.id, limit=10**12)),
            delete_budget(world.ports, ada, DeleteBudget(budget=budget.id)),
        ):
            with pytest.raises(RoleTooLow):
                await refused

    @pytest.mark.parametrize(
        ("field", "wrong"),
        [
            ("limit", {"limit": 0}),
            ("per_run", {"per_run": 0}),
            ("per_run", {"per_run": 51 * MILL}),
            ("per_run", {"measure": BudgetMeasure.RUNS}),
            ("time_zone", {"time_zone": "Mars/Olympus"}),
            ("time_zone", {"time_zone": "../etc/passwd"}),
            ("board", {"scope": BudgetScope.BOARD}),
            ("unknown_prices", {"unknown_prices": None}),
            ("ceiling_price", {"unknown_prices": UnknownPrices.CEILING}),
            ("ceiling_price", {"ceiling_price": 1}),
            ("list_price", {"measure": BudgetMeasure.TOKENS, "list_price": True}),
        ],
    )
    async def test_a_budget_without_sense_is_refused(self, world: World, field: str, wrong: dict[str, Any]) -> None:
        """
        The error names the field.
        """
        with pytest.raises(InvalidField) as refused:
            await budget_of(world, **wrong)

        assert field == refused.value.field

    @FEW
    @given(life=st.lists(steps, min_size=4, max_size=25))
    async def test_no_reservation_passes_a_limit_and_spent_is_the_fold_of_the_ledger(
        self, world: World, life: list[Step]
    ) -> None:
        """
        Claims, reports, corrections, expiries, raised limits and ends of periods, in any order, keep both laws.
        """
        board = await world.another_board(f"board {TaskId(world.ports.ids.new())}")
        ada = await world.agent(f"ada {TaskId(world.ports.ids.new())}")
        daily, once = BudgetPeriod.DAILY, BudgetPeriod.ONCE
        of_board = await budget_of(world, 20 * MILL, 4 * MILL, scope=BudgetScope.BOARD, board=board.id, period=daily)
        of_agent = await budget_of(
            world, 30, 5, scope=BudgetScope.AGENT, agent=ada.id, measure=BudgetMeasure.TOKENS, period=once
        )
        lived = Life(world, board.id, ada.name, [of_board, of_agent])
        for step in life:
            await lived.take(step)
            await lived.check()
        for each in (of_board, of_agent):
            await delete_budget(world.ports, world.me, DeleteBudget(budget=each.id))


@define
class Life:
    """
    The actions of a generated test, with the budgets as it expects them.
    """

    world: World
    board: Any
    agent: str
    budgets: list[Budget]
    runs: list[ClaimResult] = field(factory=list)
    reported: list[UsageEntry] = field(factory=list)

    async def take(self, step: Step) -> None:
        """
        Take a step.
        """
        world, run = self.world, self.runs[step.which % len(self.runs)] if self.runs else None
        match step.verb:
            case "claim":
                await self._claim()
            case "report" if run is not None:
                self.reported.append(await spend(world, step.mills, run))
            case "late":
                used_at = world.clock.now() - timedelta(hours=12 * step.which)
                of = {"label": self.agent, "board": self.board, "used_at": used_at}
                self.reported.append(await spend(world, step.mills, **of))
            case "correct" if self.reported:
                entry = self.reported.pop(step.which % len(self.reported))
                command = CorrectUsage(usage=entry.id, reason="wrong", input_tokens=step.mills)
                self.reported.append(await correct_usage(world.ports, world.me, command))
            case "end" if run is not None:
                self.runs.remove(run)
                await complete_task(world.ports, world.me, CompleteTask(task=run.task.id, lease=run.lease))
            case "expire":
                world.clock.advance(minutes=6)
                self.runs.clear()
                await expire_leases(world.ports, world.me)
            case "raise" | "lower":
                budget = self.budgets[step.which % 2]
                limit = budget.limit * 2 if step.verb == "raise" else max(budget.per_run, budget.limit // 2)
                changed = await update_budget(world.ports, world.me, UpdateBudget(budget=budget.id, limit=limit))
                self.budgets[step.which % 2] = changed
            case "turn":
                world.clock.advance(hours=24)
                self.runs.clear()
                await expire_leases(world.ports, world.me)
            case "rebuild":
                await world.ports.housekeeping.rebuild_usage(world.me.organization)

    async def _claim(self) -> None:
        before = [await amounts(self.world, each) for each in self.budgets]
        fits = all(
            spent + reserved + each.per_run <= each.limit
            for each, (spent, reserved) in zip(self.budgets, before, strict=True)
        )
        await self.world.task(board=self.board)
        claimed = await self.world.claim(agent=self.agent, board=self.board, terms=TERMS)
        assert fits == (claimed is not None)
        if claimed is not None:
            self.runs.append(claimed)

    async def check(self) -> None:
        """
        Compare each budget with the ledger and the runs.
        """
        world = self.world
        found = await world.ports.reads.usage.entries(world.me, UsageWindow(), PageRequest(limit=10_000))
        for budget in self.budgets:
            period = budget.period_at(world.clock.now())
            entries = [each for each in found.rows if budget.covers(each) and budget.period_at(each.at) == period]
            total = BudgetAmounts()
            for each in entries:
                total = total.plus(amounts_of(each))
            left = 0
            for run in self.runs:
                used = sum(budget.counted(amounts_of(each)) for each in entries if each.run == run.run.id)
                left += max(0, budget.per_run - used)
            assert (budget.counted(total), left) == await amounts(world, budget)
