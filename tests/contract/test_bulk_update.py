"""
Moving many tasks at once: as one after the other, but all of them or none.
"""

import asyncio
from uuid import UUID

import pytest
from attrs import evolve

from mission_core.boards.model import GateSet
from mission_core.tasks.bulk_update import MoveTasks, move_tasks
from mission_core.tasks.model import GateClosed, NotYourTask, Status
from mission_core.tasks.use_cases import UpdateTask, update_task
from tests.contract.conftest import viewer


async def moved(world, *moves, by=None, own=False):
    named = tuple((getattr(task, "number", task), status) for task, status in moves)
    return await move_tasks(world.ports, by or world.me, MoveTasks(moves=named, own=own))


def shape(task):
    return evolve(task, id=UUID(int=0), number=0, ticket=None, title="", depends_on=(), version=0, edits=0)


async def a_story(world):
    """
    A task that is done, one that waits for it, one that is under a lease, and one that rests.
    """
    done = await world.task(status=Status.DONE)
    waiting = await world.task(depends_on=(done.id,))
    await update_task(world.ports, world.me, UpdateTask(task=waiting.id, status=Status.IN_PROGRESS))
    leased = await world.task()
    await world.claim(leased)
    return done, waiting, leased, await world.task()


async def test_many_moves_are_as_one_after_the_other(world):
    """
    With all that follows: leases end, clocks start and stop, and those who wait for what is reopened go back to rest.
    """
    plan = (Status.IN_PROGRESS, Status.IN_PROGRESS, Status.REVIEW, Status.DONE)
    one, many = await a_story(world), await a_story(world)
    before = len(await world.event_kinds())
    for task, status in zip(one, plan, strict=True):
        await update_task(world.ports, world.me, UpdateTask(task=task.id, status=status))
    apart = (await world.event_kinds())[before:]
    before += len(apart)
    answer = await moved(world, *zip(many, plan, strict=True))

    assert [shape(await world.fresh(task)) for task in one] == [shape(await world.fresh(task)) for task in many]
    assert apart == (await world.event_kinds())[before:]
    assert [many[0].id, many[2].id, many[3].id] == [task.id for task in answer.tasks]  # the second ends as it began


async def test_many_moves_are_made_in_the_order_they_come(world):
    """
    Also where the same task is named twice, or what one does looks at another: what was parked before the task it
    waits for is reopened stays parked.
    """
    done, waiting, _, resting = await a_story(world)
    answer = await moved(
        world, (waiting, Status.BACKLOG), (done, Status.INBOX), (resting, Status.FAILED), (resting, Status.BACKLOG)
    )

    assert Status.BACKLOG is (await world.fresh(waiting)).status
    assert Status.BACKLOG is (await world.fresh(resting)).status
    assert {waiting.id, done.id, resting.id} == {task.id for task in answer.tasks}


async def test_one_closed_gate_keeps_all_where_they_are(world):
    board = await world.another_board(gates=GateSet())
    free, gated = await world.task(), await world.task(board=board.id)
    before = len(await world.event_kinds())
    with pytest.raises(GateClosed) as refused:
        await moved(world, (free, Status.DONE), (gated, Status.DONE))

    assert gated.id == refused.value.task
    assert [free, gated] == [await world.fresh(free), await world.fresh(gated)]
    assert before == len(await world.event_kinds())


async def test_what_is_not_there_is_told_and_passed_over(world, elsewhere):
    task, foreign = await world.task(), await elsewhere.task()
    answer = await moved(world, (999_999, Status.DONE), (task, Status.DONE), (foreign.number + 500, Status.DONE))

    assert ([task.id], (999_999, foreign.number + 500)) == ([each.id for each in answer.tasks], answer.missing)


async def test_nothing_to_do_is_no_change(world):
    task = await world.task()
    before = len(await world.event_kinds())

    assert () == (await moved(world, (task, task.status))).tasks
    assert (task, before) == (await world.fresh(task), len(await world.event_kinds()))


async def test_an_agents_key_moves_its_own_tasks_or_none(world):
    ada = await world.principal("ada")
    own, other = await world.task(assignee="ada"), await world.task(assignee="bob")
    with pytest.raises(NotYourTask):
        await moved(world, (own, Status.REVIEW), (other, Status.REVIEW), by=ada, own=True)

    assert own == await world.fresh(own)
    assert 1 == len((await moved(world, (own, Status.REVIEW), by=ada, own=True)).tasks)


async def test_only_operators_move_tasks(world):
    with pytest.raises(Exception, match="operator"):
        await moved(world, (await world.task(), Status.DONE), by=viewer(world))


async def test_two_who_move_the_same_tasks_in_opposite_order_both_come_through(world):
    tasks = [await world.task() for _ in range(8)]
    there = [(task, Status.REVIEW) for task in tasks]
    back = [(task, Status.BACKLOG) for task in reversed(tasks)]
    await asyncio.gather(moved(world, *there), moved(world, *back))

    assert 1 == len({(await world.fresh(task)).status for task in tasks})
