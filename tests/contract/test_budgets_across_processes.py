"""
A budget that one process makes, and the claims of another one on the same database, which knew of none.
"""

from collections.abc import AsyncIterator

import pytest
from attrs import evolve

from mission_adapters.sql.store import SqlStore
from mission_adapters.testing import ManualClock, World, make_world
from mission_adapters.testing.contracts.budgets import MILL, PRICES, beat, budget_of, mills, spend
from mission_core.accounts.model import AgentPrincipal, Role
from mission_core.ids import AgentId
from mission_core.tasks.model import Status
from mission_core.tasks.ports import BudgetReached
from mission_core.tasks.use_cases import UpdateTask, update_task
from mission_core.usage.budget_use_cases import UpdateBudget, update_budget
from tests.contract.conftest import ports_over

pytestmark = pytest.mark.parametrize("store_url", ["sqlite", "postgres"], indirect=True, scope="session")


@pytest.fixture
async def processes(store_url: str, clock: ManualClock) -> AsyncIterator[tuple[World, World]]:
    """
    One organization in two processes.
    """
    async with SqlStore.open(store_url, clock=clock) as one, SqlStore.open(store_url, clock=clock) as other:
        first = evolve(ports_over(one, clock), prices=PRICES)
        world = await make_world(first)
        names = ("unit", "reads", "log", "credentials", "numbers")
        yield world, evolve(world, ports=evolve(first, **{name: getattr(other, name) for name in names}))


@pytest.mark.parametrize("way", ["next", "named", "moved"])
async def test_a_budget_holds_from_the_first_claim_after_its_commit(processes: tuple[World, World], way: str) -> None:
    """
    In a process that has just claimed without one: by the queue, by name, and by a move to in progress.
    """
    here, there = processes
    ada = AgentPrincipal(
        organization=here.me.organization, agent=AgentId(here.ports.ids.new()), name="ada", board=None, lead=False,
        role=Role.OPERATOR,
    )  # fmt: skip
    assert await here.claim(await here.task()) is not None
    tasks = [await here.task() for _ in range(3)]
    budget = await budget_of(there, 5 * MILL)
    await there.claimed(tasks[0])

    if way == "next":
        assert await here.claim() is None
    elif way == "named":
        with pytest.raises(BudgetReached):
            await here.claim(tasks[1])
    else:
        with pytest.raises(BudgetReached):
            await update_task(here.ports, ada, UpdateTask(task=tasks[1].id, status=Status.IN_PROGRESS))
    assert (0, 5) == await mills(here, budget)


async def test_reports_and_heartbeats_meet_a_budget_of_another_process(processes: tuple[World, World]) -> None:
    """
    A report of a process that knew of no budget is counted, and a heartbeat is told that the budget is reached, though
    the process remembers the run.
    """
    here, there = processes
    claimed = await here.claimed(await here.task())
    assert "continue" == (await beat(here, claimed)).instruction
    budget = await budget_of(there, 5 * MILL)
    await spend(here, 6, claimed)

    assert (6, 0) == await mills(there, budget)
    assert ["budget_reached"] * 2 == [(await beat(here, claimed)).instruction for _ in range(2)]
    await update_budget(there.ports, there.me, UpdateBudget(budget=budget.id, limit=9 * MILL))
    assert "continue" == (await beat(here, claimed)).instruction
