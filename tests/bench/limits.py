"""
What it costs to count a request under a rate limit: in this process, and in a Redis.
"""

import asyncio
import time

from mission_adapters.limiting import MemoryLimiter, RedisLimiter
from mission_core.limiting import Quota, RateLimiter
from tests import redis

COUNT = 5000
CALLERS = 50
QUOTA = Quota(name="bench", amount=1_000_000, seconds=600)


def costs() -> dict[str, float]:
    """
    CPU milliseconds of this process for one request, by what counts it.
    """
    return asyncio.run(_costs())


async def _costs() -> dict[str, float]:
    with redis.running() as url:
        async with RedisLimiter.open(url) as shared:
            return {"memory": await _cost(MemoryLimiter()), "Redis": await _cost(shared)}


async def _cost(limiter: RateLimiter) -> float:
    await limiter.hit(QUOTA, "warming up")
    before = time.process_time()
    for n in range(COUNT):
        assert (await limiter.hit(QUOTA, f"192.0.2.{n % CALLERS}")).allowed
    return (time.process_time() - before) / COUNT * 1000
