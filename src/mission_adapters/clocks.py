"""
Clocks: the system clock, and a clock that follows the database's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Self

from mission_core.lazy_attrs import define, frozen

if TYPE_CHECKING:
    from mission_core.ports import Clock

MEASUREMENTS: Final = 5
"""The number of requests for each measurement; the one with the shortest round trip counts."""


@frozen
class SystemClock:
    """
    The clock of the operating system.
    """

    def now(self) -> datetime:
        """
        The present time in UTC.
        """
        return datetime.now(UTC)


@define(eq=False)
class CorrectedClock:
    """
    A clock with an offset that makes it agree with another clock, such as the database's: all processes of one database
    then have the same time. Clocks drift, so the offset must be measured again from time to time.
    """

    clock: Clock
    read_other: Callable[[], Awaitable[datetime]]
    offset: timedelta = timedelta(0)

    @classmethod
    async def synchronized(cls, clock: Clock, ask: Callable[[], Awaitable[datetime]]) -> Self:
        """
        A clock that agrees with the one that *ask* reads.
        """
        corrected = cls(clock, ask)
        await corrected.synchronize()
        return corrected

    async def synchronize(self) -> None:
        """
        Measure the offset again. Each answer is assumed to be given half-way between its request and its arrival.
        """
        measured = [await _measure_offset(self.clock, self.read_other) for _ in range(MEASUREMENTS)]
        self.offset = min(measured)[1]

    def now(self) -> datetime:
        """
        The present time according to the other clock.
        """
        return self.clock.now() + self.offset


async def _measure_offset(clock: Clock, ask: Callable[[], Awaitable[datetime]]) -> tuple[timedelta, timedelta]:
    """
    The round-trip time of one request, and the offset that it showed.
    """
    before = clock.now()
    told = await ask()
    took = clock.now() - before
    return abs(took), told - (before + took / 2)
