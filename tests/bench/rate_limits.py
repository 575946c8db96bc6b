"""
What it costs to count a request under a rate limit: in this process, and in a Redis; in windows that begin with the
first request, and in such as slide.
"""

import asyncio
import time

from attrs import evolve

from mission_adapters.rate_limits import MemoryRateLimiter, RedisRateLimiter
from mission_core.rate_limits import Quota, RateLimiter
from tests import redis_server

COUNT = 5000
CALLERS = 50
QUOTA = Quota(name="bench", amount=1_000_000, seconds=600)
SLIDING = evolve(QUOTA, name="sliding", sliding=True)


def costs() -> dict[str, float]:
    """
    CPU milliseconds of this process for one request, by what counts it.
    """
    return asyncio.run(_costs())


async def _costs() -> dict[str, float]:
    with redis_server.shared_redis() as url:
        async with RedisRateLimiter.open(url) as shared:
            counters: dict[str, RateLimiter] = {"memory": MemoryRateLimiter(), "Redis": shared}
            return {
                f"{name}{how}": await _cost(counter, quota)
                for name, counter in counters.items()
                for how, quota in (("", QUOTA), (", sliding", SLIDING))
            }


async def _cost(limiter: RateLimiter, quota: Quota) -> float:
    await limiter.hit(quota, "warming up")
    before = time.process_time()
    for n in range(COUNT):
        assert (await limiter.hit(quota, f"192.0.2.{n % CALLERS}")).allowed
    return (time.process_time() - before) / COUNT * 1000
