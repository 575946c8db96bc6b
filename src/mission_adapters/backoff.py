"""
The delay before a use case is retried.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import SystemRandom
from typing import Final

from mission_core.lazy_attrs import frozen

FIRST_DELAY: Final = 0.01
MAX_DELAY: Final = 0.25


@frozen(kw_only=True)
class JitteredBackoff:
    """
    Exponential backoff with full jitter. The delay is random: at most 10 ms before the first retry, twice that before
    each further one, and never more than 250 ms.
    """

    random: Callable[[], float] = SystemRandom().random
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep

    async def __call__(self, attempt: int) -> None:
        """
        Wait after this many failed attempts.
        """
        await self.sleep(self.random() * min(MAX_DELAY, FIRST_DELAY * 2 ** (attempt - 1)))
