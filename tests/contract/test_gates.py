"""
Gates: what every write of a status meets, on every store.
"""

import pytest

from mission_core.boards.model import GateSet
from mission_core.ports import perform
from mission_core.tasks.model import CommentRequired, GateClosed, Status
from mission_core.tasks.use_cases import UpdateTask, update_task

GATED = GateSet()


async def moved(world, task, **fields):
    return await perform(update_task, world.ports, world.me, UpdateTask(task=task.id, **fields))


async def test_a_gated_board_keeps_work_from_done(world):
    """
    Without an approval nobody, not even an admin, writes done.
    """
    board = await world.another_board(gates=GATED)
    task = await world.task(board=board.id)

    with pytest.raises(GateClosed) as refused:
        await moved(world, task, status=Status.DONE)

    assert "require_approval_for_done" == refused.value.rule
    assert Status.INBOX is (await world.fresh(task)).status


async def test_leaving_for_an_open_board_does_not_lead_around_a_gate(world):
    """
    A move to another board and to done at once meets the gates of both.
    """
    board = await world.another_board(gates=GATED)
    task = await world.task(board=board.id)

    with pytest.raises(GateClosed):
        await moved(world, task, status=Status.DONE, board=world.board.id)

    assert board.id == (await world.fresh(task)).board


async def test_a_review_comes_before_done_where_the_board_says_so(world):
    """
    From review it passes, from anywhere else it does not.
    """
    board = await world.another_board(gates=GateSet(require_approval_for_done=False, require_review_before_done=True))
    task = await world.task(board=board.id)
    with pytest.raises(GateClosed) as refused:
        await moved(world, task, status=Status.DONE)
    await moved(world, task, status=Status.REVIEW)
    await moved(world, task, status=Status.DONE)

    assert "require_review_before_done" == refused.value.rule
    assert Status.DONE is (await world.fresh(task)).status


async def test_a_review_wants_a_comment_where_the_board_says_so(world):
    """
    The comment is kept in the log.
    """
    board = await world.another_board(gates=GateSet(comment_required_for_review=True))
    task = await world.task(board=board.id)
    with pytest.raises(CommentRequired):
        await moved(world, task, status=Status.REVIEW)
    await moved(world, task, status=Status.REVIEW, comment="look at the second page")

    assert Status.REVIEW is (await world.fresh(task)).status
    assert "task.commented" in await world.facts()
