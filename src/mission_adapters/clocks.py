"""
Clocks: the system's, one that agrees with a database's, and one that moves only when told.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Self

from attrs import define, field, frozen

if TYPE_CHECKING:
    from mission_core.ports import Clock

QUESTIONS: Final = 5
"""How often a database is asked for its moment; the quickest answer counts."""


@frozen
class SystemClock:
    """
    The computer's own clock.
    """

    def now(self) -> datetime:
        """
        The present moment.
        """
        return datetime.now(UTC)


@define(eq=False)
class CorrectedClock:
    """
    A clock put forward (or back) so that it agrees with another: whoever shares a database shares its time. Clocks
    drift, and are set, so it is to be corrected from time to time.
    """

    clock: Clock
    ask: Callable[[], Awaitable[datetime]]
    ahead: timedelta = timedelta(0)

    @classmethod
    async def agreeing(cls, clock: Clock, ask: Callable[[], Awaitable[datetime]]) -> Self:
        """
        A clock that agrees with the one that *ask* asks.
        """
        corrected = cls(clock, ask)
        await corrected.correct()
        return corrected

    async def correct(self) -> None:
        """
        Agree with the other again. An answer is taken to be made half-way through its question.
        """
        measured = [await _measured(self.clock, self.ask) for _ in range(QUESTIONS)]
        self.ahead = min(measured)[1]

    def now(self) -> datetime:
        """
        The present moment, as the other clock would tell it.
        """
        return self.clock.now() + self.ahead


async def _measured(clock: Clock, ask: Callable[[], Awaitable[datetime]]) -> tuple[timedelta, timedelta]:
    """
    How long an answer took, and how far it was ahead.
    """
    before = clock.now()
    told = await ask()
    took = clock.now() - before
    return abs(took), told - (before + took / 2)


@define
class ManualClock:
    """
    A clock for tests: it stands still until somebody moves it.
    """

    _now: datetime = field(default=datetime(2030, 1, 1, tzinfo=UTC))

    def now(self) -> datetime:
        """
        The moment it was moved to.
        """
        return self._now

    def advance(self, **by: float) -> datetime:
        """
        Move it forward, in the words of `timedelta`: `advance(hours=1)`.

        Raises:
            ValueError: If it would go back.
        """
        step = timedelta(**by)
        if step < timedelta(0):
            raise ValueError(f"a clock does not go back: {step}")
        self._now += step
        return self._now
