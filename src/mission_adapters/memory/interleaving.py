"""
Pauses of the memory store: where a database would let other tasks run, this lets them run, too.
"""

from __future__ import annotations

import asyncio
from functools import wraps
from inspect import iscoroutinefunction
from random import Random
from typing import Any, Final, TypeVar, cast

from attrs import frozen

T = TypeVar("T")
MOST_TURNS: Final = 4


class Interleaving:
    """
    Lets other tasks run for some turns of the event loop, as many as the seed says: the same seed and the same tasks
    make the same story.
    """

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    async def pause(self) -> None:
        """
        Let others run, or not.
        """
        for _ in range(self._random.randrange(MOST_TURNS)):
            await asyncio.sleep(0)

    async def backoff(self, attempt: int) -> None:
        """
        Let others run before the next try, the longer the more tries have failed.
        """
        for _ in range(1 + self._random.randrange(MOST_TURNS * 2**attempt)):
            await asyncio.sleep(0)

    def over(self, reader: T) -> T:
        """
        The reader, with a pause before and after each of its asynchronous methods.
        """
        return cast(T, _Interleaved(reader, self))


@frozen
class _Interleaved:
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
