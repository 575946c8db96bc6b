"""
Clocks that agree with another one.
"""

from datetime import timedelta

import pytest

from mission_adapters.clocks import CorrectedClock
from mission_adapters.testing import ManualClock


@pytest.mark.parametrize("ahead", [timedelta(hours=3), timedelta(0), timedelta(days=-2, microseconds=7)])
async def test_a_corrected_clock_agrees_with_the_other(ahead):
    """
    Whichever of the two is ahead, then and later.
    """
    clock = ManualClock()

    async def other():
        return clock.now() + ahead

    corrected = await CorrectedClock.synchronized(clock, other)
    clock.advance(minutes=5)

    assert await other() == corrected.now()


async def test_the_quickest_answer_counts():
    """
    One that was long under way tells little.
    """
    clock, ways = ManualClock(), iter([(3, 1), (0.25, 0.25), (1, 9), (2, 0), (5, 5)])

    async def other():
        there, back = next(ways)
        clock.advance(seconds=there)
        told = clock.now() + timedelta(minutes=1)
        clock.advance(seconds=back)
        return told

    assert timedelta(minutes=1) == (await CorrectedClock.synchronized(clock, other)).offset


async def test_a_corrected_clock_agrees_again():
    """
    After one of them was set, or drifted.
    """
    clock, ahead = ManualClock(), [timedelta(hours=3)]

    async def other():
        return clock.now() + ahead[0]

    corrected = await CorrectedClock.synchronized(clock, other)
    ahead[0] = timedelta(hours=-1)
    await corrected.synchronize()

    assert await other() == corrected.now()
