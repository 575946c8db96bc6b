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
from attrs import evolve, frozen
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from mission_adapters.rate_limits import KEY_PREFIX, MemoryRateLimiter, RedisRateLimiter, SlidingWindow
from mission_adapters.testing import ManualClock
from mission_core.rate_limits import Quota, RateLimitDecision, RateLimiter
from tests import redis_server
from tests.example_counts import max_examples

THREE = Quota(name="three", amount=3, seconds=60)
SLIDING = evolve(THREE, name="three that slide", sliding=True)
by_either = pytest.mark.parametrize("quota", [THREE, SLIDING], ids=lambda quota: quota.name)


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """
    A running Redis. That none can be had is an error of the tests that ask for it, never a skip.
    """
    with redis_server.shared_redis() as url:
        yield url


@frozen
class Limited:
    """
    A limiter, and how to let time pass for it: by its clock, or by what Redis has left of each window.
    """

    limiter: RateLimiter
    passes: Callable[[float], Awaitable[None]]
    somebody: str

    async def hit(self, quota: Quota = THREE, who: str = "") -> RateLimitDecision:
        return await self.limiter.hit(quota, self.somebody + who)

    async def hits(self, count: int, quota: Quota = THREE, who: str = "") -> list[RateLimitDecision]:
        return [await self.hit(quota, who) for _ in range(count)]


@asynccontextmanager
async def in_memory() -> AsyncIterator[Limited]:
    clock = ManualClock()

    async def passes(seconds: float) -> None:
        clock.advance(seconds=seconds)

    yield Limited(MemoryRateLimiter(clock), passes, str(uuid4()))


@asynccontextmanager
async def in_redis(url: str) -> AsyncIterator[Limited]:
    clock, somebody = ManualClock(), str(uuid4())

    async def passes(seconds: float) -> None:
        clock.advance(seconds=seconds)
        for key in [each async for each in client.scan_iter(f"{KEY_PREFIX}:*{somebody}*")]:
            await slide(client, key, -seconds)
            await client.pexpire(key, int(await client.pttl(key) - seconds * 1000))

    async with RedisRateLimiter.open(url, clock=clock) as limiter, Redis.from_url(url) as client:
        yield Limited(limiter, passes, somebody)


async def slide(client: Redis, key: bytes, seconds: float) -> None:
    """
    All that was allowed was so much later, if a window slides there.
    """
    if await client.type(key) == b"list":
        for n, moment in enumerate(await client.lrange(key, 0, -1)):
            await client.lset(key, n, repr(float(moment) + seconds))


@pytest.fixture(params=["memory", "redis"])
async def limited(request: pytest.FixtureRequest) -> AsyncIterator[Limited]:
    """
    A limiter, and somebody whom it never saw.
    """
    opened = in_memory() if request.param == "memory" else in_redis(request.getfixturevalue("redis_url"))
    async with opened as limited:
        yield limited


@by_either
async def test_as_many_pass_as_the_quota_says(limited: Limited, quota: Quota) -> None:
    """
    Each is told how many are left, unless the window slides; the others are refused.
    """
    verdicts = await limited.hits(5, quota)

    assert [True, True, True, False, False] == [each.allowed for each in verdicts]
    assert ([3, 3, 3, 0, 0] if quota.sliding else [2, 1, 0, 0, 0]) == [each.remaining for each in verdicts]
    assert ([0, 0, 0, 4, 5] if quota.sliding else [1, 2, 3, 4, 5]) == [each.count for each in verdicts]


@by_either
async def test_of_many_at_once_no_more_pass(limited: Limited, quota: Quota) -> None:
    """
    Nobody slips in between the count and the verdict.
    """
    verdicts = await asyncio.gather(*(limited.hit(evolve(quota, amount=10)) for _ in range(500)))

    assert 10 == sum(each.allowed for each in verdicts)
    assert {*range(11, 501)} == {each.count for each in verdicts if not each.allowed}


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


@by_either
async def test_who_comes_back_when_told_is_let_in(limited: Limited, quota: Quota) -> None:
    """
    Whenever it was told.
    """
    for waited in (0.0, 12.3, 47.9):
        refused = (await limited.hits(4, quota))[-1]
        await limited.passes(waited)
        again = await limited.hit(quota)
        await limited.passes(again.retry_after)

        assert (False, False) == (refused.allowed, again.allowed)
        assert (await limited.hit(quota)).allowed
        await limited.passes(61)


@by_either
async def test_everybody_has_a_window_of_their_own(limited: Limited, quota: Quota) -> None:
    """
    So does each class of requests.
    """
    await limited.hits(4, quota)
    other = evolve(quota, name="other")

    assert (False, True, True) == tuple([each.allowed for each in (
        await limited.hit(quota), await limited.hit(quota, "'s neighbour"), await limited.hit(other)
    )])  # fmt: skip


@by_either
async def test_parts_of_a_name_do_not_run_into_each_other(limited: Limited, quota: Quota) -> None:
    """
    Nobody uses up what is somebody else's by what they are called.
    """
    whole = f"{limited.somebody}:b"
    verdicts = [await limited.limiter.hit(quota, *who) for who in [(whole, "c")] * 4 + [(limited.somebody, "b:c")]]

    assert [True, True, True, False, True] == [each.allowed for each in verdicts]


async def test_the_end_is_the_same_for_all_of_a_window(limited: Limited) -> None:
    """
    A client may plan by it.
    """
    ends = {each.resets_at for each in await limited.hits(5)}

    assert 1 == len(ends)


async def test_a_window_that_slides_lets_go_of_one_request_after_the_other(limited: Limited) -> None:
    """
    So there is no moment at which all may pass again, and what is told is when the next may.
    """
    first = await limited.hit(SLIDING)
    await limited.passes(40)
    later = await limited.hits(3, SLIDING)
    await limited.passes(20)
    last = await limited.hits(2, SLIDING)

    assert [True, True, True, False, True, False] == [each.allowed for each in (first, *later, *last)]
    assert pytest.approx([20, 40], abs=1) == [each.retry_after for each in (later[-1], last[-1])]


async def test_in_a_window_that_slides_what_is_refused_takes_no_place(limited: Limited) -> None:
    """
    Who never ceases to ask is let in as often as who asks only when told.
    """
    allowed = []
    for _ in range(12):
        allowed.append(sum(each.allowed for each in await limited.hits(5, SLIDING)))
        await limited.passes(20)

    assert [3, 0, 0] * 4 == allowed


async def test_the_refused_of_a_window_that_slides_are_numbered(limited: Limited) -> None:
    """
    Anew when the seconds of the quota are over since the first of them, whatever was allowed in between.
    """
    numbered = []
    for wait, hits in [(0, 1), (40, 2), (10, 2), (11, 2), (50, 4)]:
        await limited.passes(wait)
        numbered.append([each.count for each in await limited.hits(hits, SLIDING)])

    assert [[0], [0, 0], [4, 5], [0, 6], [0, 0, 4, 5]] == numbered


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

    async def counts(opened: AbstractAsyncContextManager[Limited]) -> list[int]:
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
        keys = [each async for each in client.scan_iter(f"{KEY_PREFIX}:*{limited.somebody}*")]
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
        for key in [each async for each in client.scan_iter(f"{KEY_PREFIX}:*{limited.somebody}*")]:
            await slide(client, key, 3600)
        refused = await limited.hit(SLIDING)
        await limited.passes(refused.retry_after)

        assert (False, 60) == (refused.allowed, refused.retry_after)
        assert (await limited.hit(SLIDING)).allowed


async def test_where_fewer_may_pass_from_now_on_they_are_told_when(limited: Limited) -> None:
    """
    Not before so many have left.
    """
    for _ in range(3):
        await limited.hit(SLIDING)
        await limited.passes(10)
    fewer = evolve(SLIDING, amount=2)
    refused = await limited.hit(fewer)
    await limited.passes(refused.retry_after)

    assert pytest.approx(40, abs=1) == refused.retry_after
    assert [True, False] == [each.allowed for each in await limited.hits(2, fewer)]


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
