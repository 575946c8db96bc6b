"""
The pools of database connections of all processes of a server.
"""

from __future__ import annotations

import mmap
import time
from collections.abc import Callable, Iterable, Mapping
from itertools import chain, islice
from typing import Final, Self

from attrs import evolve

from mission_core.lazy_attrs import define
from mission_core.reports.server_figures import ConnectionPoolState

MAX_POOLS: Final = 4
VALUES: Final = len(ConnectionPoolState._fields)
STALE_SECONDS: Final = 5.0
"""Seconds after which a process that has not told its pools is taken for one that has ended or hangs."""


@define(eq=False)
class PoolStates:
    """
    The state of each pool of connections of each process, in memory that processes share after a fork, and when it was
    told. All processes have the same pools in the same order.
    """

    _values: memoryview[int]
    _told_at: memoryview[float]
    place: int = 0
    _now: Callable[[], float] = time.monotonic

    @classmethod
    def of(cls, processes: int, now: Callable[[], float] = time.monotonic) -> Self:
        """
        States of this number of processes, none of which has told any.
        """
        told_at = memoryview(mmap.mmap(-1, 8 * processes)).cast("d")
        for place in range(processes):
            told_at[place] = float("-inf")
        return cls(memoryview(mmap.mmap(-1, 8 * MAX_POOLS * VALUES * processes)).cast("q"), told_at, now=now)

    def at(self, place: int) -> PoolStates:
        """
        The same states, for the process at this place.
        """
        return evolve(self, place=place)

    def tell(self, pools: Mapping[str, ConnectionPoolState]) -> None:
        """
        Tell the others the state of the pools of this process.
        """
        first = self.place * MAX_POOLS * VALUES
        for place, value in enumerate(chain.from_iterable(islice(pools.values(), MAX_POOLS)), first):
            self._values[place] = value
        self._told_at[self.place] = self._now()

    def totals(self, names: Iterable[str]) -> Mapping[str, ConnectionPoolState]:
        """
        The sums over all processes that told their pools recently, by the name of the pool.

        Args:
            names: The names of the pools that each process has.
        """
        since = self._now() - STALE_SECONDS
        firsts = [place * MAX_POOLS * VALUES for place, at in enumerate(self._told_at) if at > since]
        found = {}
        for number, name in enumerate(islice(names, MAX_POOLS)):
            rows = [self._values[(first + number * VALUES) : (first + (number + 1) * VALUES)] for first in firsts]
            found[name] = ConnectionPoolState(*(sum(column) for column in zip(*rows, strict=True)))
        return found
