"""
Who waits for which log is woken once it is reached, and never left behind.
"""

import asyncio
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_adapters.sql.log_watches import WATCH_SECONDS, LogWatches
from mission_core.errors import StoreFailed
from mission_core.ids import OrganizationId

ACME = OrganizationId(UUID(int=1))


class Database:
    """
    A log that only grows, and how often somebody looked.
    """

    def __init__(self, position: int = 0) -> None:
        self.position = position
        self.looks = 0

    async def look(self, organization: OrganizationId) -> int:
        self.looks += 1
        seen = self.position
        await asyncio.sleep(0)
        return seen


@given(steps=st.lists(st.sampled_from(["commit", "tell", "turn"]), max_size=40), before=st.integers(0, 3))
def test_a_follower_arrives_however_commits_and_tidings_interleave(steps, before):
    """
    A commit is told after it happened, and a follower reads by looking and waits in between.
    """

    async def story() -> None:
        waking, database = LogWatches(), Database(before)

        async def follow(last: int) -> None:
            for position in range(last):
                await waking.wait(ACME, after=position, look=database.look)

        following = asyncio.ensure_future(follow(before + steps.count("commit")))
        for step in steps:
            if step == "commit":
                database.position += 1
            elif step == "tell":
                waking.advance(ACME, database.position)
            else:
                await asyncio.sleep(0)
        waking.advance(ACME, database.position)
        await asyncio.wait_for(following, 10)

    asyncio.run(story())


async def test_further_waits_look_no_more():
    waking, database = LogWatches(), Database(1)
    await waking.wait(ACME, after=0, look=database.look)
    for position in range(1, 5):
        waking.advance(ACME, position + 1)
        await waking.wait(ACME, after=position, look=database.look)

    assert 1 == database.looks


async def test_a_look_that_fails_leaves_nobody_behind():
    waking, database = LogWatches(), Database(1)

    async def fails(organization: OrganizationId) -> int:
        raise StoreFailed("a lost connection")

    with pytest.raises(StoreFailed):
        await waking.wait(ACME, after=0, look=fails)
    await waking.wait(ACME, after=0, look=database.look)

    assert not waking.has_waiters


async def test_a_log_that_nobody_waits_for_is_forgotten_after_a_while():
    waking, database = LogWatches(), Database(1)
    await waking.wait(ACME, after=0, look=database.look)
    waking.drop_unwatched()

    assert [ACME] == list(waking.watched)

    waking.watched[ACME].last_wait_at -= WATCH_SECONDS + 1
    waking.drop_unwatched()

    assert [] == list(waking.watched)


async def test_closing_refuses_who_waits_and_who_comes():
    waking, database = LogWatches(), Database()
    waiting = asyncio.ensure_future(waking.wait(ACME, after=0, look=database.look))
    looking = asyncio.ensure_future(waking.wait(ACME, after=0, look=database.look))
    await asyncio.sleep(0)
    waking.close()
    for each in (waiting, looking, waking.wait(ACME, after=0, look=database.look)):
        with pytest.raises(StoreFailed):
            await each
