"""
A manual clock for tests.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from attrs import field

from mission_core.lazy_attrs import define


@define
class ManualClock:
    """
    A clock for tests. It stands still until `advance` moves it.
    """

    _now: datetime = field(default=datetime(2030, 1, 1, tzinfo=UTC))

    def now(self) -> datetime:
        """
        The time that the clock shows.
        """
        return self._now

    def advance(self, **by: float) -> datetime:
        """
        Move the clock forward. The keywords are those of `timedelta`: `advance(hours=1)`.

        Raises:
            ValueError: If the clock would go back.
        """
        step = timedelta(**by)
        if step < timedelta(0):
            raise ValueError(f"a clock does not go back: {step}")
        self._now += step
        return self._now
