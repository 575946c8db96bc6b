"""
What every limiter promises: in this process, and in a Redis that many share.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from uuid import uuid4

import pytest
from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from mission_adapters.clocks import ManualClock
from mission_adapters.limiting import PREFIX, MemoryLimiter, RedisLimiter
from mission_core.limiting import Quota, RateLimiter, Verdict
from tests import redis
from tests.examples import examples

THREE = Quota(name="three", amount=3, seconds=60)


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """
    A running Redis. That none can be had is an error of the tests that ask for it, never a skip.
    """
    with redis.running() as url:
        yield url


@frozen
class Limited:
    """
    A limiter, and how to let time pass for it: by its clock, or by what Redis has left of each window.
    """

    limiter: RateLimiter
    passes: Callable[[float], Awaitable[None]]
    somebody: str

    async def hit(self, quota: Quota = THREE, who: str = "") -> Verdict:
        return await self.limiter.hit(quota, self.somebody + who)

    async def hits(self, count: int, quota: Quota = THREE, who: str = "") -> list[Verdict]:
        return [await self.hit(quota, who) for _ in range(count)]


@asynccontextmanager
async def in_memory() -> AsyncIterator[Limited]:
    clock = ManualClock()

    async def passes(seconds: float) -> None:
        clock.advance(seconds=seconds)

    yield Limited(MemoryLimiter(clock), passes, str(uuid4()))


@asynccontextmanager
async def in_redis(url: str) -> AsyncIterator[Limited]:
    clock, somebody = ManualClock(), str(uuid4())

    async def passes(seconds: float) -> None:
        clock.advance(seconds=seconds)
        async for key in client.scan_iter(f"{PREFIX}:*{somebody}*"):
            await client.pexpire(key, int(await client.pttl(key) - seconds * 1000))

    async with RedisLimiter.open(url, clock=clock) as limiter, Redis.from_url(url) as client:
        yield Limited(limiter, passes, somebody)


@pytest.fixture(params=["memory", "redis"])
async def limited(request: pytest.FixtureRequest) -> AsyncIterator[Limited]:
    """
    A limiter, and somebody whom it never saw.
    """
    opened = in_memory() if request.param == "memory" else in_redis(request.getfixturevalue("redis_url"))
    async with opened as limited:
        yield limited


async def test_as_many_pass_as_the_quota_says(limited: Limited) -> None:
    """
    Each is told how many are left; the others are refused.
    """
    verdicts = await limited.hits(5)

    assert [True, True, True, False, False] == [each.allowed for each in verdicts]
    assert [2, 1, 0, 0, 0] == [each.remaining for each in verdicts]
    assert [1, 2, 3, 4, 5] == [each.count for each in verdicts]


async def test_of_many_at_once_no_more_pass(limited: Limited) -> None:
    """
    Nobody slips in between the count and the verdict.
    """
    verdicts = await asyncio.gather(*(limited.hit(Quota(name="ten", amount=10, seconds=60)) for _ in range(500)))

    assert 10 == sum(each.allowed for each in verdicts)
    assert {*range(1, 501)} == {each.count for each in verdicts}


async def test_a_window_begins_with_its_first_request_and_then_ends(limited: Limited) -> None:
    """
    However many came in it.
    """
    first = await limited.hit()
    await limited.passes(40)
    before = await limited.hits(5)
    await limited.passes(21)
    after = await limited.hit()

    assert 60 == first.retry_after
    assert {20, 21} >= {each.retry_after for each in before}
    assert (True, 1, 60) == (after.allowed, after.count, after.retry_after)


async def test_who_comes_back_when_told_is_let_in(limited: Limited) -> None:
    """
    Whenever it was told.
    """
    for waited in (0.0, 12.3, 47.9):
        refused = (await limited.hits(4))[-1]
        await limited.passes(waited)
        again = await limited.hit()
        await limited.passes(again.retry_after)

        assert (False, False) == (refused.allowed, again.allowed)
        assert (await limited.hit()).allowed
        await limited.passes(61)


async def test_everybody_has_a_window_of_their_own(limited: Limited) -> None:
    """
    So does each class of requests.
    """
    await limited.hits(4)
    other = Quota(name="other", amount=3, seconds=60)

    assert (False, True, True) == tuple([each.allowed for each in (
        await limited.hit(), await limited.hit(who="'s neighbour"), await limited.hit(other)
    )])  # fmt: skip


async def test_the_end_is_the_same_for_all_of_a_window(limited: Limited) -> None:
    """
    A client may plan by it.
    """
    ends = {each.resets_at for each in await limited.hits(5)}

    assert 1 == len(ends)


@settings(max_examples=examples(25))
@given(steps=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([0, 20, 40])), min_size=1, max_size=20))
def test_a_limiter_counts_as_a_dictionary_does(redis_url: str, steps: list[tuple[str, float]]) -> None:
    """
    Whoever comes when.
    """

    async def counts(opened: AbstractAsyncContextManager[Limited]) -> list[int]:
        async with opened as limited:
            found = []
            for who, waited in steps:
                await limited.passes(waited)
                found.append((await limited.hit(who=who)).count)
            return found

    async def both() -> list[list[int]]:
        return [await counts(in_memory()), await counts(in_redis(redis_url))]

    assert [by_the_rule(steps)] * 2 == asyncio.run(both())


def by_the_rule(steps: list[tuple[str, float]]) -> list[int]:
    now, began, counts, found = 0.0, dict[str, float](), Counter[str](), []
    for who, waited in steps:
        now += waited
        if who not in began or now >= began[who] + THREE.seconds:
            began[who], counts[who] = now, 0
        counts[who] += 1
        found.append(counts[who])
    return found


async def test_two_processes_share_what_redis_counts(redis_url: str) -> None:
    """
    And are told the same end of a window, but for the second that Redis rounds.
    """
    who = str(uuid4())
    async with RedisLimiter.open(redis_url) as one, RedisLimiter.open(redis_url) as two:
        verdicts = [await limiter.hit(THREE, who) for limiter in (one, two, one, two)]

    ends = [each.resets_at for each in verdicts]

    assert [1, 2, 3, 4] == [each.count for each in verdicts]
    assert max(ends) - min(ends) <= timedelta(seconds=1)


async def test_a_full_memory_forgets_who_would_be_let_in_first() -> None:
    """
    And holds no more than it may.
    """
    clock = ManualClock()
    limiter = MemoryLimiter(clock, most=3)
    for who in "abcd":
        await limiter.hit(THREE, who)
        clock.advance(seconds=1)

    assert [2, 2, 2, 1] == [(await limiter.hit(THREE, who)).count for who in "dcba"]
    assert 3 == limiter.remembered(THREE)


async def test_memory_lets_go_of_windows_that_ended() -> None:
    """
    Nobody has to come for that.
    """
    clock = ManualClock()
    limiter = MemoryLimiter(clock)
    for who in range(100):
        await limiter.hit(THREE, str(who))
    clock.advance(seconds=60)
    await limiter.hit(THREE, "another")

    assert 1 == limiter.remembered(THREE)


async def test_a_clock_that_is_set_back_locks_nobody_out() -> None:
    """
    A window that seems to begin later begins anew.
    """
    moments = iter([datetime(2030, 1, 1, 12, tzinfo=UTC)] * 4 + [datetime(2030, 1, 1, 11, tzinfo=UTC)])
    limiter = MemoryLimiter(SimpleNamespace(now=lambda: next(moments)))

    assert [True, True, True, False, True] == [(await limiter.hit(THREE, "a")).allowed for _ in range(5)]
