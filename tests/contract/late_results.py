"""
Results that workers hand in after their leases were lost.
"""

import pytest

from mission_core.tasks.leases import (
    CompleteTask,
    FailTask,
    complete_task,
    fail_task,
)
from mission_core.tasks.runs import Failure, FailureReason, LeaseLost, Outcome
from mission_core.values import canonical

DONE = Outcome(resolution="all of it", output=canonical({"files": 3}))
LOST = Failure(reason=FailureReason.TIMEOUT, message="too slow")


async def hand_in(world, claimed, brought=DONE, *, by=None, lease=None, **fields):
    """
    Hand in the result of a lease, or its failure.
    """
    names = {"task": claimed.task.id, "lease": lease or claimed.lease} | fields
    if isinstance(brought, Failure):
        return await fail_task(world.ports, by or world.me, FailTask(failure=brought, **names))
    return await complete_task(world.ports, by or world.me, CompleteTask(outcome=brought, **names))


async def refused(world, claimed, brought=DONE, **fields):
    """
    What becomes of a result that is refused because its lease was lost.
    """
    with pytest.raises(LeaseLost) as lost:
        await hand_in(world, claimed, brought, **fields)
    return lost.value.note


async def taken_over(world, **fields):
    """
    A task that ada had and bob has now: both claims.
    """
    first = await world.claim(await world.task(**fields))
    world.clock.advance(minutes=6)
    return first, await world.claim(first.task, agent="bob")
