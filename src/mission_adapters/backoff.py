"""
The wait between two tries of a use case.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import SystemRandom
from typing import Final

from attrs import frozen

FIRST: Final = 0.01
LONGEST: Final = 0.25


@frozen(kw_only=True)
class JitteredBackoff:
    """
    Exponential backoff with full jitter: a random wait, at most 10 ms before the second try, twice that before each
    further one, and never above 250 ms.
    """

    random: Callable[[], float] = SystemRandom().random
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep

    async def __call__(self, attempt: int) -> None:
        """
        Wait, when so many tries have failed.
        """
        await self.sleep(self.random() * min(LONGEST, FIRST * 2 ** (attempt - 1)))
