"""
The number of open connections of each worker process, by which workers share new connections evenly.
"""

from __future__ import annotations

import mmap
import time
from collections.abc import Callable
from typing import Final, Self

from mission_core.lazy_attrs import frozen

ABSENT: Final = -1
STALE_SECONDS: Final = 1.0
"""Seconds after which a worker that has not told its count is taken for one that hangs."""


@frozen(eq=False)
class ConnectionCounts:
    """
    The number of open connections of each worker, in memory that processes share after a fork, and when it was told.
    """

    _counts: memoryview[int]
    _told_at: memoryview[float]
    _now: Callable[[], float] = time.monotonic

    @classmethod
    def of(cls, size: int, now: Callable[[], float] = time.monotonic) -> Self:
        """
        Counts of up to *size* workers, all absent.
        """
        counts = cls(memoryview(mmap.mmap(-1, 8 * size)).cast("q"), memoryview(mmap.mmap(-1, 8 * size)).cast("d"), now)
        for place in range(size):
            counts.clear(place)
        return counts

    def store(self, place: int, count: int) -> None:
        """
        Store the count of the worker at this place.
        """
        self._counts[place] = count
        self._told_at[place] = self._now()

    def clear(self, place: int) -> None:
        """
        Note that no worker accepts connections at this place.
        """
        self._counts[place] = ABSENT

    def excess(self, count: int) -> int:
        """
        The number of connections that a worker with this count has beyond those of the worker with the fewest.
        """
        since = self._now() - STALE_SECONDS
        told = zip(self._counts, self._told_at, strict=True)
        return count - min((other for other, at in told if other != ABSENT and at > since), default=count)
