"""
What the limiter over Redis does when Redis is killed, stopped, or was never there.
"""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator

import pytest
from attrs import evolve, frozen
from redis.asyncio import Redis

from mission_adapters.rate_limits import RETRY_INTERVAL, RedisRateLimiter
from mission_adapters.testing import ManualClock
from mission_core.rate_limits import LimiterFailed, Quota, RateLimitDecision
from tests import redis_server

pytestmark = pytest.mark.real_time

THREE = Quota(name="three", amount=3, seconds=60)
SLIDING = evolve(THREE, name="three that slide", sliding=True)
WENT, CAME = "redis_unreachable", "redis_reachable"


@frozen
class Limited:
    """
    A limiter over a Redis of its own.
    """

    server: redis_server.Server
    limiter: RedisRateLimiter
    clock: ManualClock
    quota: Quota

    async def hit(self) -> RateLimitDecision:
        return await self.limiter.hit(self.quota, "somebody")

    async def counts(self, hits: int) -> list[int]:
        return [(await self.hit()).count for _ in range(hits)]

    @property
    def counted(self) -> list[int]:
        """
        What the first four are told that are counted.
        """
        return [0, 0, 0, 4] if self.quota.sliding else [1, 2, 3, 4]

    def later(self) -> None:
        """
        It is time to ask a silent Redis again.
        """
        self.clock.advance(seconds=RETRY_INTERVAL.total_seconds())


@pytest.fixture
def server() -> Iterator[redis_server.Server]:
    """
    A running Redis.
    """
    with redis_server.redis_server() as server:
        yield server


@pytest.fixture(params=[THREE, SLIDING], ids=lambda quota: quota.name)
async def limited(request: pytest.FixtureRequest, server: redis_server.Server) -> AsyncIterator[Limited]:
    """
    A limiter over it.
    """
    clock = ManualClock()
    async with RedisRateLimiter.open(server.url, clock=clock, patience=0.3) as limiter:
        yield Limited(server, limiter, clock, request.param)


async def test_while_redis_is_away_all_may_pass(limited: Limited) -> None:
    """
    Also who was refused before; what is told is that nothing was counted.
    """
    before = await limited.counts(4)
    limited.server.kill()
    verdicts = [await limited.hit() for _ in range(10)]

    assert limited.counted == before
    assert {(True, 0, 3, 60)} == {(each.allowed, each.count, each.remaining, each.retry_after) for each in verdicts}


async def test_when_redis_is_back_requests_are_counted(limited: Limited) -> None:
    """
    By the first request that comes after a pause, and by all that follow.
    """
    limited.server.kill()
    away = await limited.counts(2)
    limited.server.start()
    left_alone = await limited.counts(2)
    limited.later()
    back = await limited.counts(4)

    assert ([0, 0], [0, 0], limited.counted) == (away, left_alone, back)


async def test_that_redis_went_and_came_back_is_logged_once(limited: Limited, caplog: pytest.LogCaptureFixture) -> None:
    """
    However many requests come in between, one by one or together.
    """
    limited.server.kill()
    await asyncio.gather(*(limited.hit() for _ in range(50)))
    for _ in range(5):
        limited.later()
        await limited.counts(3)
    limited.server.start()
    limited.later()
    await limited.counts(3)

    assert [WENT, CAME] == [each.getMessage().partition(" ")[0] for each in caplog.records]
    assert {"WARNING"} == {each.levelname for each in caplog.records}


async def test_a_restart_that_nobody_saw_is_no_outage(limited: Limited, caplog: pytest.LogCaptureFixture) -> None:
    """
    Connections that broke in the meantime are made anew.
    """
    await asyncio.gather(*(limited.hit() for _ in range(5)))
    limited.server.kill()
    limited.server.start()

    assert limited.counted == await limited.counts(4)
    assert [] == caplog.records


async def test_a_redis_that_hangs_holds_up_one_request_and_no_more(limited: Limited) -> None:
    """
    And that one for as long as the limiter is patient.
    """
    limited.server.signal(signal.SIGSTOP)
    began = time.monotonic()
    together = await asyncio.gather(*(limited.hit() for _ in range(200)))
    one_by_one = await limited.counts(200)
    took = time.monotonic() - began
    limited.server.signal(signal.SIGCONT)
    limited.later()

    assert {0} == {each.count for each in together} | {*one_by_one}
    assert 0.3 <= took < 3
    assert 4 <= (await limited.counts(4))[-1]


@pytest.mark.parametrize("limited", [SLIDING], indirect=True)
async def test_where_a_window_slid_to_is_told_as_of_the_answer(limited: Limited) -> None:
    """
    However long that took, nobody is told to come too early.
    """
    await limited.counts(3)
    limited.server.signal(signal.SIGSTOP)
    asked = asyncio.create_task(limited.hit())
    await asyncio.sleep(0)
    answered_at = limited.clock.advance(seconds=0.2)
    limited.server.signal(signal.SIGCONT)
    verdict = await asked

    assert (4, answered_at, 60) == (verdict.count, verdict.at, verdict.retry_after)


async def test_a_crowd_is_not_taken_for_an_outage(limited: Limited) -> None:
    """
    Waiting for one another is not waiting for Redis: all are counted, though all of it takes longer than patience.
    """
    verdicts = await asyncio.gather(*(limited.hit() for _ in range(5_000)))

    assert 3 == sum(each.allowed for each in verdicts)


async def test_a_redis_that_is_not_there_is_told_at_the_start() -> None:
    """
    With the reason.
    """
    with pytest.raises(LimiterFailed, match=r"connecting to 127\.0\.0\.1:1"):
        async with RedisRateLimiter.open("redis://127.0.0.1:1/0"):
            pass


async def test_a_redis_that_does_not_let_us_in_is_told_without_the_password(server: redis_server.Server) -> None:
    """
    Nor does a log show it.
    """
    url = server.url.replace("redis://", "redis://:sesame@")
    with pytest.raises(LimiterFailed) as failed:
        async with RedisRateLimiter.open(url):
            pass

    assert "password" in str(failed.value)
    assert "sesame" not in str(failed.value)


@pytest.mark.parametrize("forbidden", ["lpush", "incrby"])
async def test_a_redis_that_does_not_count_is_told_at_the_start(server: redis_server.Server, forbidden: str) -> None:
    """
    In windows that slide, or in others.
    """
    async with Redis.from_url(server.url) as client:
        await client.acl_setuser("ada", True, passwords="+sesame", keys=["*"], commands=["+@all", f"-{forbidden}"])
    url = server.url.replace("redis://", "redis://ada:sesame@")

    with pytest.raises(LimiterFailed, match=r"can't run|no permissions"):
        async with RedisRateLimiter.open(url):
            pass


async def test_a_redis_that_hangs_is_told_at_the_start(
    server: redis_server.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    After a while, which is longer than a request would wait.
    """
    monkeypatch.setattr("mission_adapters.rate_limits.REDIS_START_TIMEOUT", 0.1)
    server.signal(signal.SIGSTOP)

    with pytest.raises(LimiterFailed, match="no answer in time"):
        async with RedisRateLimiter.open(server.url):
            pass
