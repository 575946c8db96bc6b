"""
The rate limiters in this process and in a Redis that many share: their contract, and what only one of them promises.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from uuid import uuid4

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from mission_adapters.rate_limits import KEY_PREFIX, MemoryRateLimiter, RedisRateLimiter, SlidingWindow
from mission_adapters.testing import ManualClock
from mission_adapters.testing.contracts import LimiterUnderTest, RateLimiterContract
from mission_adapters.testing.contracts.rate_limiter import SLIDING, THREE, by_either
from mission_core.rate_limits import Quota, RateLimitDecision
from tests import redis_server
from tests.example_counts import max_examples


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """
    A running Redis. That none can be had is an error of the tests that ask for it, never a skip.
    """
    with redis_server.shared_redis() as url:
        yield url


@asynccontextmanager
async def in_memory() -> AsyncIterator[LimiterUnderTest]:
    clock = ManualClock()

    async def passes(seconds: float) -> None:
        clock.advance(seconds=seconds)

    yield LimiterUnderTest(MemoryRateLimiter(clock), passes, str(uuid4()))


@asynccontextmanager
async def in_redis(url: str) -> AsyncIterator[LimiterUnderTest]:
    clock, somebody = ManualClock(), str(uuid4())

    async def passes(seconds: float) -> None:
        clock.advance(seconds=seconds)
        for key in [each async for each in client.scan_iter(f"{KEY_PREFIX}:*{somebody}*")]:
            await slide(client, key, -seconds)
            await client.pexpire(key, int(await client.pttl(key) - seconds * 1000))

    async with RedisRateLimiter.open(url, clock=clock) as limiter, Redis.from_url(url) as client:
        yield LimiterUnderTest(limiter, passes, somebody)


async def slide(client: Redis, key: bytes, seconds: float) -> None:
    """
    All that was allowed was so much later, if a window slides there.
    """
    if await client.type(key) == b"list":
        for n, moment in enumerate(await client.lrange(key, 0, -1)):
            await client.lset(key, n, repr(float(moment) + seconds))


@pytest.fixture(params=["memory", "redis"])
async def limited(request: pytest.FixtureRequest) -> AsyncIterator[LimiterUnderTest]:
    """
    A limiter, and somebody whom it never saw.
    """
    opened = in_memory() if request.param == "memory" else in_redis(request.getfixturevalue("redis_url"))
    async with opened as limited:
        yield limited


class TestRateLimiters(RateLimiterContract):
    """
    In this process and in Redis.
    """


Step = tuple[str, float]
"""Who asks, and after how many seconds."""
Rule = Callable[[list[Step]], list[int]]


def by_the_rule(steps: list[Step]) -> list[int]:
    now, began, counts, found = 0.0, dict[str, float](), Counter[str](), []
    for who, waited in steps:
        now += waited
        if who not in began or now >= began[who] + THREE.seconds:
            began[who], counts[who] = now, 0
        counts[who] += 1
        found.append(counts[who])
    return found


def by_the_sliding_rule(steps: list[Step]) -> list[int]:
    now, allowed, refused, found = 0.0, list[Step](), list[Step](), list[int]()
    last_refusal = 0.0
    for who, waited in steps:
        now += waited
        if sum(each == who and at > now - SLIDING.seconds for each, at in allowed) < SLIDING.amount:
            allowed.append((who, now))
            found.append(0)
        else:
            refused.append((who, now - last_refusal))
            last_refusal = now
            found.append(SLIDING.amount + by_the_rule(refused)[-1])  # they have windows that begin with the first
    return found


@pytest.mark.parametrize(("quota", "rule"), [(THREE, by_the_rule), (SLIDING, by_the_sliding_rule)])
@settings(max_examples=max_examples(25))
@given(steps=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([0, 20, 40])), min_size=1, max_size=20))
def test_a_limiter_counts_as_a_dictionary_does(redis_url: str, quota: Quota, rule: Rule, steps: list[Step]) -> None:
    """
    Whoever comes when.
    """

    async def counts(opened: AbstractAsyncContextManager[LimiterUnderTest]) -> list[int]:
        async with opened as limited:
            found = []
            for who, waited in steps:
                await limited.passes(waited)
                found.append((await limited.hit(quota, who)).count)
            return found

    async def both() -> list[list[int]]:
        return [await counts(in_memory()), await counts(in_redis(redis_url))]

    assert [rule(steps)] * 2 == asyncio.run(both())


@pytest.mark.parametrize("store", ["memory", "redis"])
@settings(max_examples=max_examples(50))
@given(waits=st.lists(st.integers(0, 3).map(lambda n: 5 * n) | st.integers(0, 14).map(lambda n: 5 * n), max_size=20))
def test_a_window_that_slides_keeps_its_laws(redis_url: str, store: str, waits: list[int]) -> None:
    """
    In no span of its seconds are more allowed than may be, and nobody else is refused; it is told when the first of
    them leaves it, and who comes then gets in; and in no span is more than one told to be the first that is refused.
    """

    async def told() -> tuple[list[tuple[int, RateLimitDecision]], RateLimitDecision]:
        async with in_memory() if store == "memory" else in_redis(redis_url) as limited:
            now, found = 0, [(0, await limited.hit(SLIDING))]
            for wait in waits:
                await limited.passes(wait)
                now += wait
                found.append((now, await limited.hit(SLIDING)))
            await limited.passes(found[-1][1].retry_after)
            return found, await limited.hit(SLIDING)

    found, in_time = asyncio.run(told())
    for n, (at, verdict) in enumerate(found):
        span = [(moment, each) for moment, each in found[:n] if moment > at - SLIDING.seconds]
        allowed = [moment for moment, each in span if each.allowed]
        assert verdict.allowed == (len(allowed) < SLIDING.amount)
        if not verdict.allowed:
            assert pytest.approx(allowed[0] + SLIDING.seconds - at, abs=1) == verdict.retry_after
        if verdict.count == SLIDING.amount + 1:
            assert verdict.count not in {each.count for _, each in span}
    assert in_time.allowed


attempts = st.tuples(st.sampled_from("aaabc"), st.sampled_from([0, 0, 10, 25]), st.booleans())
"""Who asks, after how many seconds, and whether they do so even if they are refused."""


@by_either
@settings(max_examples=max_examples(100))
@given(steps=st.lists(attempts, min_size=20, max_size=40))
def test_what_is_refused_changes_nothing_for_what_comes_later(quota: Quota, steps: list[tuple[str, int, bool]]) -> None:
    """
    All others are told the same without it, also where memory is full.
    """

    async def told(left_out: set[int]) -> dict[int, tuple[bool, datetime]]:
        clock, found = ManualClock(), {}
        limiter = MemoryRateLimiter(clock, max_callers=2)
        for n, (who, wait, _) in enumerate(steps):
            clock.advance(seconds=wait)
            if n not in left_out:
                verdict = await limiter.hit(quota, who)
                found[n] = verdict.allowed, verdict.resets_at
        return found

    found = asyncio.run(told(set()))
    vain = {n for n, (allowed, _) in found.items() if not allowed and not steps[n][2]}

    assert {n: each for n, each in found.items() if n not in vain} == asyncio.run(told(vain))


async def test_a_place_that_is_free_by_the_time_of_the_answer_is_told(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Though it was not when Redis refused.
    """
    async with in_redis(redis_url) as limited:
        assert isinstance(limited.limiter, RedisRateLimiter)
        storage = limited.limiter.storage
        count = storage.incr

        async def incr(key: str, expiry: int) -> int:
            await limited.passes(60)
            return await count(key, expiry)

        monkeypatch.setattr(storage, "incr", incr)
        refused = (await limited.hits(4, SLIDING))[-1]

        assert (False, refused.at) == (refused.allowed, refused.resets_at)
        assert (await limited.hit(SLIDING)).allowed


async def test_by_a_redis_nobody_is_told_to_come_too_early(redis_url: str) -> None:
    """
    Though it tells moments in fourteen digits.
    """
    one = evolve(SLIDING, amount=1)
    async with RedisRateLimiter.open(redis_url) as limiter, Redis.from_url(redis_url) as client:
        for _ in range(20):
            who = str(uuid4())
            await limiter.hit(one, who)
            refused = await limiter.hit(one, who)
            [moment] = await client.lrange(f"{KEY_PREFIX}:sliding:{one.name}\0{who}", 0, -1)
            early = float(moment) + 60 - refused.resets_at.timestamp()

            assert -0.1 < early <= 0


@by_either
async def test_two_processes_share_what_redis_counts(redis_url: str, quota: Quota) -> None:
    """
    And are told the same end of a window, but for the second that Redis rounds.
    """
    who = str(uuid4())
    async with RedisRateLimiter.open(redis_url) as one, RedisRateLimiter.open(redis_url) as two:
        verdicts = [await limiter.hit(quota, who) for limiter in (one, two, one, two, one)]

    ends = [each.resets_at for each in verdicts]

    assert [True, True, True, False, False] == [each.allowed for each in verdicts]
    assert [4, 5] == [each.count for each in verdicts[3:]]
    assert max(ends) - min(ends) <= timedelta(seconds=1)


async def test_a_redis_keeps_no_more_of_a_window_that_slides_than_may_pass(redis_url: str) -> None:
    """
    And nothing once it is over.
    """
    async with in_redis(redis_url) as limited, Redis.from_url(redis_url) as client:
        await limited.hits(20, SLIDING)
        keys = [each async for each in client.scan_iter(f"{KEY_PREFIX}:*{limited.client}*")]
        kept = [await client.llen(key) for key in keys if await client.type(key) == b"list"]
        lasting = [await client.ttl(key) for key in keys]

    assert [3] == kept
    assert 2 == len(lasting)
    assert {*lasting} <= {59, 60}


async def test_a_clock_that_was_set_back_refuses_nobody_for_longer_by_a_redis(redis_url: str) -> None:
    """
    It forgets what seems to come as soon as it forgets all else.
    """
    async with in_redis(redis_url) as limited, Redis.from_url(redis_url) as client:
        await limited.hits(3, SLIDING)
        for key in [each async for each in client.scan_iter(f"{KEY_PREFIX}:*{limited.client}*")]:
            await slide(client, key, 3600)
        refused = await limited.hit(SLIDING)
        await limited.passes(refused.retry_after)

        assert (False, 60) == (refused.allowed, refused.retry_after)
        assert (await limited.hit(SLIDING)).allowed


def test_memory_keeps_no_more_of_a_window_that_slides_than_may_pass() -> None:
    """
    However many ask.
    """
    clock = ManualClock()
    window = SlidingWindow(clock.now())
    for _ in range(200):
        window.allow(SLIDING, clock.advance(seconds=1))

    assert 3 == len(window.allowed)


@by_either
async def test_a_full_memory_forgets_who_would_be_let_in_first(quota: Quota) -> None:
    """
    And holds no more than it may.
    """
    clock = ManualClock()
    limiter, quota = MemoryRateLimiter(clock, max_callers=3), evolve(quota, amount=1)
    for who in "abcd":
        await limiter.hit(quota, who)
        clock.advance(seconds=1)

    assert [False, False, False, True] == [(await limiter.hit(quota, who)).allowed for who in "dcba"]
    assert 3 == limiter.caller_count(quota)


async def test_a_full_memory_of_windows_that_slide_forgets_who_was_let_in_least_lately() -> None:
    """
    However early the others began, and whoever was refused since.
    """
    clock = ManualClock()
    limiter, two = MemoryRateLimiter(clock, max_callers=3), evolve(SLIDING, amount=2)
    for who in "abbccbad":
        await limiter.hit(two, who)
        clock.advance(seconds=1)

    assert [False, False, True] == [(await limiter.hit(two, who)).allowed for who in "acb"]


@by_either
async def test_memory_lets_go_of_windows_that_ended(quota: Quota) -> None:
    """
    Nobody has to come for that.
    """
    clock = ManualClock()
    limiter = MemoryRateLimiter(clock)
    for who in range(100):
        await limiter.hit(quota, str(who))
    clock.advance(seconds=60)
    await limiter.hit(quota, "another")

    assert 1 == limiter.caller_count(quota)


@by_either
async def test_a_clock_that_is_set_back_locks_nobody_out(quota: Quota) -> None:
    """
    A window that seems to begin later begins anew.
    """
    moments = iter([datetime(2030, 1, 1, 12, tzinfo=UTC)] * 4 + [datetime(2030, 1, 1, 11, tzinfo=UTC)])
    limiter = MemoryRateLimiter(SimpleNamespace(now=lambda: next(moments)))

    assert [True, True, True, False, True] == [(await limiter.hit(quota, "a")).allowed for _ in range(5)]
