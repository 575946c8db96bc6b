"""
What a process on PostgreSQL learns of the changes of other processes, so that it does not decide on outdated rows.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from uuid import UUID

import pytest
from attrs import evolve, frozen

from mission_adapters.sql.store import SqlStore
from mission_adapters.testing import World, make_world, ports_over
from mission_core.tasks.leases import ClaimNext, CompleteTask, claim_next, complete_task
from mission_core.tasks.model import Task
from mission_core.tasks.use_cases import UpdateTask, update_task
from tests.statement_counts import recorded_on_postgres


@frozen
class Process:
    """
    A process with a store of its own, and what it was told of others.
    """

    store: SqlStore
    world: World
    told: asyncio.Queue[Collection[UUID]]

    async def rename(self, task: Task, title: str) -> None:
        await update_task(self.world.ports, self.world.me, UpdateTask(task=task.id, title=title))

    def remembers(self, task: Task) -> bool:
        assert self.store.memory is not None
        return self.store.memory.find(Task, self.world.me, task.id) is not None


def listening(store: SqlStore, world: World) -> Process:
    forget: Callable[[Collection[UUID]], None] = store.session.followed.changed_by_others
    told = asyncio.Queue[Collection[UUID]]()

    def telling(ids: Collection[UUID]) -> None:
        forget(ids)
        told.put_nowait(ids)

    store.session.followed.changed_by_others = telling
    return Process(store, world, told)


@pytest.fixture
async def processes(fresh_postgres: str) -> AsyncIterator[list[Process]]:
    """
    Two processes that serve one organization.
    """
    async with SqlStore.open(fresh_postgres) as one, SqlStore.open(fresh_postgres) as other:
        for store in (one, other):
            store.turn_timeout = 60
        world = await make_world(ports_over(one))
        yield [listening(one, world), listening(other, evolve(world, ports=ports_over(other)))]


async def test_rows_that_another_process_changed_are_read_again(processes: list[Process]) -> None:
    """
    The next commit here tells of the change. So the row is read at once, and no flush is refused.
    """
    here, there = processes
    task, own = await here.world.task(), await here.world.task()
    await there.rename(task, "Changed there")
    await here.rename(own, "Changed here")
    told = await here.told.get()

    assert {task.id} == set(told)
    assert [False, True] == [here.remembers(task), here.remembers(own)]
    with recorded_on_postgres() as texts:
        await here.rename(task, "Changed here, too")
    assert ["SELECT", "WITH"] == [text.split()[0] for text in texts]


async def test_an_outdated_row_costs_one_refused_statement(processes: list[Process]) -> None:
    """
    There is no transaction that would find out what the statement has found.
    """
    here, there = processes
    task = await here.world.task()
    await there.rename(task, "Changed there")
    with recorded_on_postgres() as texts:
        await here.rename(task, "Changed here")

    assert ["WITH", "ROLLBACK", "SELECT", "WITH"] == [text.split()[0] for text in texts]
    assert "Changed here" == (await there.world.fresh(task)).title


async def test_a_process_alone_is_told_nothing(processes: list[Process]) -> None:
    """
    Its own entries are known to be its own, whether a statement or a transaction has appended them, and of several
    organizations at the same time.
    """
    here, _ = processes
    worlds = [here.world, await make_world(here.world.ports)]
    await asyncio.gather(*(_work(world) for world in worlds for _ in range(4)))
    await here.store.session.close()  # after the last notification

    assert here.told.empty()
    positions = [(await processes[1].store.log.head(world.me.organization)).position for world in worlds]
    assert positions == [here.store.session.followed.known(world.me.organization) for world in worlds]


async def _work(world: World) -> None:
    first = await world.task()
    await world.task(depends_on=(first.id,))
    claimed = await claim_next(world.ports, world.me, ClaimNext(agent="ada"))
    assert claimed is not None
    await complete_task(world.ports, world.me, CompleteTask(task=claimed.task.id, lease=claimed.lease))
