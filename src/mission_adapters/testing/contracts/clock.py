"""
The contract of the port `Clock`.
"""

from __future__ import annotations

from datetime import UTC, timedelta
from itertools import pairwise

from mission_core.ports import Clock


class ClockContract:
    """
    The contract of the port `Clock`. A subclass, its module or its `conftest.py` provides a fixture `clock`.
    """

    def test_now_is_an_aware_datetime_in_utc(self, clock: Clock) -> None:
        """
        `now` returns an aware datetime in UTC, whatever the time zone of the machine.
        """
        now = clock.now()

        assert UTC is now.tzinfo
        assert timedelta(0) == now.utcoffset()

    def test_now_never_goes_back(self, clock: Clock) -> None:
        """
        `now` never returns an earlier time than before.
        """
        told = [clock.now() for _ in range(1000)]

        assert all(earlier <= later for earlier, later in pairwise(told))
