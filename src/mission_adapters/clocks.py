"""
Clocks: the system's, and one that moves only when told.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from attrs import define, field, frozen


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
