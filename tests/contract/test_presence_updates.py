"""
What a request of an agent records beside what it was sent for.
"""

import time

import asyncpg

from mission_adapters.sql.store import SqlStore
from mission_adapters.testing import ManualClock
from tests.contract.boards_driver import boards_over
from tests.contract.conftest import make_world, ports_over


async def test_a_read_waits_for_nobody_who_has_locked_its_agent(fresh_postgres: str) -> None:
    """
    The presence is kept as soon as the lock is gone, and asked for once, however many requests come meanwhile.
    """
    clock = ManualClock()
    async with SqlStore.open(fresh_postgres, clock=clock) as store:
        world = await make_world(ports_over(store, clock))
        async with boards_over(world.ports, world.me, world.board.id) as boards:
            body = {"name": "ada", "board_id": str(boards.board)}
            made = await boards.got("POST", "/api/v1/agents", body)
            clock.advance(hours=1)
            other = await asyncpg.connect(fresh_postgres)
            lock = other.transaction()
            await lock.start()
            await other.execute("SELECT * FROM agents FOR UPDATE")
            began = time.monotonic()
            answers = [await boards.call("GET", boards.tasks, agent=made["agent_token"]) for _ in range(5)]
            took = time.monotonic() - began
            waiting = len(boards.app.presence_updates.running)
            await lock.rollback()
            await other.close()
            await boards.app.presence_updates.finish()
            left = len(boards.app.presence_updates.running)
            ada = await boards.got("GET", f"/api/v1/agents/{made['id']}")

    assert [200] * 5 == [each.status for each in answers]
    assert took < 2  # a lock is waited for for three seconds
    assert [1, 0] == [waiting, left]
    assert f"{clock.now():%Y-%m-%dT%H:%M:%S}" == ada["last_seen_at"]
