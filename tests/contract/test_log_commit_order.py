"""
Following the log on PostgreSQL while transactions commit in another order than they began.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest

from mission_adapters.sql.store import SqlStore
from mission_adapters.testing import ManualClock, World, make_world, ports_over
from mission_adapters.testing.contracts.token_ledger import cheap, recorded
from mission_core.tasks.model import Status
from mission_core.tasks.use_cases import UpdateTask, update_task
from mission_core.usage.price_overrides import create_price_override
from mission_core.usage.use_cases import CorrectUsage, correct_usage
from mission_core.values import micros

Reader = Callable[[int], Awaitable[list[tuple[int, int]]]]
"""From a cursor to what comes after it: pairs of the next cursor and the entry's position."""


@pytest.fixture
async def world(fresh_postgres: str) -> AsyncIterator[World]:
    clock = ManualClock()
    async with SqlStore.open(fresh_postgres, clock=clock) as store:
        yield await make_world(ports_over(store, clock=clock))


@pytest.fixture
async def beside(fresh_postgres: str) -> AsyncIterator[asyncpg.Connection]:
    """
    A connection of nobody's, to hold locks and to read with.
    """
    connection = await asyncpg.connect(fresh_postgres)
    yield connection
    await connection.close()


async def commit_out_of_order(world: World, beside: asyncpg.Connection, look: Callable[[], Awaitable[None]]) -> None:
    """
    A change that begins first and commits last, because its row is locked; *look* reads in between, and after.
    """
    slow = await world.task("slow")
    await look()
    lock = beside.transaction()
    await lock.start()
    await beside.execute("SELECT 1 FROM tasks WHERE id = $1 FOR UPDATE", slow.id.bytes)
    change = UpdateTask(task=slow.id, title="slower")
    waiting = asyncio.create_task(update_task(world.ports, world.me, change))
    await somebody_waits(beside)
    world.clock.advance(seconds=1)
    await world.task("quick")
    await look()
    await lock.rollback()
    await waiting
    await look()


async def somebody_waits(connection: asyncpg.Connection) -> None:
    """
    Return once another connection waits for a lock that this one holds.
    """
    asked = "SELECT count(*) FROM pg_stat_activity WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))"
    while not await connection.fetchval(asked):  # noqa: ASYNC110  # no event tells of a lock in the database
        await asyncio.sleep(0)


async def seen_by(world: World, beside: asyncpg.Connection, read: Reader, cursor: int = 0) -> list[int]:
    """
    The positions that a reader with a cursor saw, in the order in which it saw them.
    """
    seen: list[int] = []

    async def look() -> None:
        nonlocal cursor
        for reached, position in await read(cursor):
            seen.append(position)
            cursor = reached

    await commit_out_of_order(world, beside, look)
    return seen


async def test_a_cursor_of_the_log_misses_nothing_and_repeats_nothing(world, beside):
    """
    Positions are in the order of commits, whatever the order in which the changes began.
    """

    async def read(after: int) -> list[tuple[int, int]]:
        entries = await world.ports.log.read(world.me.organization, after=after)
        return [(entry.position, entry.position) for entry in entries]

    seen = await seen_by(world, beside, read)
    head = await world.ports.log.head(world.me.organization)

    assert list(range(1, head.position + 1)) == seen


async def test_a_completion_frees_a_task_that_came_to_depend_on_it_while_it_waited(world, beside):
    """
    A flush that waits for the head row counts the dependencies that were committed meanwhile.
    """
    done, waiting = await world.task("done"), await world.task("waiting")
    lock = beside.transaction()
    await lock.start()
    await beside.execute("SELECT 1 FROM heads FOR UPDATE")
    await beside.execute("INSERT INTO dependencies VALUES ($1, $2)", waiting.id.bytes, done.id.bytes)
    await beside.execute("UPDATE queue SET open_dependencies = 1 WHERE task = $1", waiting.id.bytes)
    change = UpdateTask(task=done.id, status=Status.DONE)
    completed = asyncio.create_task(update_task(world.ports, world.me, change))
    await somebody_waits(beside)
    await lock.commit()
    await completed
    counts = await beside.fetch("SELECT task, open_dependencies FROM queue")

    assert {waiting.id.bytes: 0} == dict(counts)


async def test_a_naive_cursor_loses_what_commits_late(world, beside):
    """
    The same schedule read by the moment of entries, as one would without positions: it is a real trap.
    """

    async def read(after: int) -> list[tuple[int, int]]:
        asked = "SELECT at, position FROM events WHERE organization = $1 AND at > $2 ORDER BY at, position"
        return [tuple(row) for row in await beside.fetch(asked, world.me.organization.bytes, after)]

    seen = await seen_by(world, beside, read, cursor=micros(world.clock.now()) - 1)
    head = await world.ports.log.head(world.me.organization)

    assert set(range(1, head.position + 1)) > set(seen)


async def test_followers_see_all_that_a_crowd_writes(world):
    """
    Three readers wait and read while sixteen write rows that some of them share.
    """
    tasks = [await world.task(f"task {n}") for n in range(8)]
    log, own, dice = world.ports.log, world.me.organization, random.Random(7)
    start = (await log.head(own)).position

    async def write(writer: int) -> None:
        for n in range(6):
            if dice.random() < 0.5:
                await world.task(f"{writer} wrote {n}")
            else:
                change = UpdateTask(task=dice.choice(tasks).id, title=f"{writer} changed it to {n}")
                await update_task(world.ports, world.me, change)

    async def follow() -> list[int]:
        seen = [start]
        while True:
            await log.wait(own, after=seen[-1])
            for entry in await log.read(own, after=seen[-1], limit=7):
                seen.append(entry.position)
                if '"title":"the last"' in str(entry.payload):
                    return seen

    readers = [asyncio.create_task(follow()) for _ in range(3)]
    outcomes = await asyncio.gather(*(write(n) for n in range(16)), return_exceptions=True)
    lost = [each for each in outcomes if each is not None]
    await world.task("the last")
    every = await asyncio.wait_for(asyncio.gather(*readers), 30)
    head = await log.head(own)

    assert [list(range(start, head.position + 1))] * 3 == every
    assert {"StaleWrite"} >= {type(each).__name__ for each in lost}


async def test_a_correction_that_waited_for_a_change_of_prices_has_the_new_one(world, beside):
    """
    A flush that waits for the head row looks at the number of price changes that was committed meanwhile.
    """
    price = await create_price_override(world.ports, world.me, cheap("large"))
    before = await recorded(world, model="large")
    lock = beside.transaction()
    await lock.start()
    await beside.execute("UPDATE heads SET price_changes = price_changes + 1")
    await beside.execute("UPDATE price_overrides SET version = version + 1")
    change = CorrectUsage(usage=before.id, reason="wrong", input_tokens=7)
    corrected = asyncio.create_task(correct_usage(world.ports, world.me, change))
    await somebody_waits(beside)
    await lock.commit()

    assert (f"{price.id}@0", f"{price.id}@1") == (before.price_version, (await corrected).price_version)
