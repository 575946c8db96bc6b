"""
Scheduling pauses for the memory store. They let other asyncio tasks run at the points where a database would.
"""

from __future__ import annotations

import asyncio
from functools import wraps
from inspect import iscoroutinefunction
from random import Random
from typing import Any, Final, TypeVar, cast

from mission_core.lazy_attrs import frozen

T = TypeVar("T")
MAX_YIELDS: Final = 4


class Interleaving:
    """
    Yields to the event loop a pseudo-random number of times. The same seed and the same asyncio tasks give the same
    schedule.
    """

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    async def pause(self) -> None:
        """
        Yield to other asyncio tasks a pseudo-random number of times, less than `MAX_YIELDS`.
        """
        for _ in range(self._random.randrange(MAX_YIELDS)):
            await asyncio.sleep(0)

    async def backoff(self, attempt: int) -> None:
        """
        Yield to other asyncio tasks a pseudo-random number of times, at least once, before a retry. The upper bound
        doubles with each failed attempt.
        """
        for _ in range(1 + self._random.randrange(MAX_YIELDS * 2**attempt)):
            await asyncio.sleep(0)

    def over(self, reader: T) -> T:
        """
        A proxy of *reader* that pauses before and after each asynchronous method.
        """
        return cast(T, _PausingReader(reader, self))


@frozen
class _PausingReader:
    reader: Any
    interleaving: Interleaving

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.reader, name)
        if not iscoroutinefunction(found):
            return found

        @wraps(found)
        async def paused(*args: Any, **kwargs: Any) -> Any:
            await self.interleaving.pause()
            answer = await found(*args, **kwargs)
            await self.interleaving.pause()
            return answer

        return paused
