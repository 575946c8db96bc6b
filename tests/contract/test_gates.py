"""
Gates: what every write of a status meets, on every store.
"""

import pytest

from mission_core.approvals.model import APPROVAL_LINKS, ApprovalStatus
from mission_core.approvals.use_cases import DecideApproval, RequestApproval, decide_approval, request_approval
from mission_core.boards.model import GateSet
from mission_core.boards.use_cases import UpdateBoard, update_board
from mission_core.tasks.bulk_update import MoveTasks, move_tasks
from mission_core.tasks.explanations import TaskState, explain_task
from mission_core.tasks.leases import (
    CompleteTask,
    FailTask,
    ReleaseTask,
    complete_task,
    expire_leases,
    fail_task,
    release_task,
)
from mission_core.tasks.model import CommentRequired, GateClosed, NotClaimable, Status
from mission_core.tasks.ports import ClaimFilter
from mission_core.tasks.queue_polls import PollQueue, poll_queue
from mission_core.tasks.runs import Failure, FailureReason
from mission_core.tasks.use_cases import UpdateMode, UpdateTask, update_task

GATED = GateSet()
HELD = GateSet(require_approval_for_done=False, block_status_changes_with_pending_approval=True)
APPROVED, PENDING, REJECTED = ApprovalStatus.APPROVED, ApprovalStatus.PENDING, ApprovalStatus.REJECTED


async def moved(world, task, **fields):
    return await update_task(world.ports, world.me, UpdateTask(task=task.id, **fields))


async def asked(world, board, *tasks, status=APPROVED):
    """
    An approval for these tasks, decided so.
    """
    ids = tuple(task.id for task in tasks)
    command = RequestApproval(board=board.id, action="task.finish", confidence=90, tasks=ids, status=status)
    return await request_approval(world.ports, world.me, command)


async def decided(world, approval, status):
    return await decide_approval(world.ports, world.me, DecideApproval(approval=approval.id, status=status))


async def used(world):
    """
    The tasks that passed on an approval.
    """
    links = await world.ports.reads.entities.every(world.me, APPROVAL_LINKS)
    return {link.task for link in links if link.used_at is not None}


async def refused(world, task, **fields):
    """
    The rule that keeps the task, which stays as it is.
    """
    before = await world.fresh(task)
    with pytest.raises(GateClosed) as closed:
        await moved(world, task, **fields)
    assert before == await world.fresh(task)
    return closed.value.rule


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
    assert "task.commented" in await world.event_kinds()


@pytest.mark.parametrize("manner", list(UpdateMode))
async def test_an_approved_task_may_be_done(world, manner):
    """
    Once somebody approved it: not while that is pending, nor when it is rejected.
    """
    board = await world.another_board(gates=GATED)
    task = await world.task(board=board.id)
    approval = await asked(world, board, task, status=PENDING)
    rules = [await refused(world, task, status=Status.DONE, mode=manner)]
    await decided(world, approval, REJECTED)
    rules.append(await refused(world, task, status=Status.DONE, mode=manner))
    await decided(world, approval, PENDING)
    await decided(world, approval, APPROVED)
    done = await moved(world, task, status=Status.DONE, mode=manner)

    assert ["require_approval_for_done"] * 2 == rules
    assert Status.DONE is done.status
    assert {task.id} == await used(world)
    assert "approval.used" in await world.event_kinds()


async def test_an_approval_is_good_once(world):
    """
    What is taken up again needs another one, or that one asked for again; an edit of what is done needs none.
    """
    board = await world.another_board(gates=GATED)
    task, other = await world.task(board=board.id), await world.task(board=board.id)
    approval = await asked(world, board, task, other)
    await moved(world, task, status=Status.DONE)
    await moved(world, task, title="Shipped", status=Status.DONE)
    await moved(world, task, status=Status.REVIEW)
    rule = await refused(world, task, status=Status.DONE)
    await moved(world, other, status=Status.DONE)
    await decided(world, approval, PENDING)
    await decided(world, approval, APPROVED)
    await moved(world, task, status=Status.DONE)
    await moved(world, task, status=Status.REVIEW)
    await asked(world, board, task)
    again = await moved(world, task, status=Status.DONE)

    assert "require_approval_for_done" == rule
    assert Status.DONE is again.status


async def test_where_no_approval_is_needed_none_is_used_up(world):
    """
    It is good for when the rule comes back.
    """
    board = await world.another_board(gates=HELD)
    task = await world.task(board=board.id)
    await asked(world, board, task)
    await moved(world, task, status=Status.DONE)
    before = await used(world)
    await update_board(world.ports, world.me, UpdateBoard(board=board.id, gates={"require_approval_for_done": True}))
    await moved(world, task, status=Status.REVIEW)
    await moved(world, task, status=Status.DONE)

    assert (set(), {task.id}) == (before, await used(world))


async def test_an_approval_speaks_on_its_own_board(world):
    """
    What moves to another one is approved there; coming back, it is good again.
    """
    here, there = [await world.another_board(name, gates=GATED) for name in ("here", "there")]
    task = await world.task(board=here.id)
    await asked(world, here, task)
    rules = [await refused(world, task, status=Status.DONE, board=there.id)]
    await moved(world, task, board=there.id)
    rules.append(await refused(world, task, status=Status.DONE))
    pending = await asked(world, there, task, status=PENDING)
    await moved(world, task, board=here.id)
    await asked(world, here, task, status=PENDING)
    done = await moved(world, task, status=Status.DONE)

    assert ["require_approval_for_done"] * 2 == rules
    assert Status.DONE is done.status
    assert PENDING is pending.status


async def test_moving_to_done_on_another_board_uses_the_word_of_both(world):
    """
    Each is good once.
    """
    here, there = [await world.another_board(name, gates=GATED) for name in ("here", "there")]
    task = await world.task(board=here.id)
    await asked(world, here, task)
    await moved(world, task, board=there.id)
    await asked(world, there, task)
    await moved(world, task, board=here.id)
    done = await moved(world, task, board=there.id, status=Status.DONE)
    links = await world.ports.reads.entities.every(world.me, APPROVAL_LINKS, task=task.id)

    assert (Status.DONE, there.id) == (done.status, done.board)
    assert all(link.used_at is not None for link in links)


async def test_finished_work_is_done_if_it_was_approved(world):
    """
    Else it waits in review; the approval of that lets it be done.
    """
    board = await world.another_board(gates=GATED)
    approved, other = [await world.task(title, board=board.id) for title in ("approved", "other")]
    await asked(world, board, approved)
    finished = []
    for task in (approved, other):
        claimed = await world.claim(task)
        command = CompleteTask(task=task.id, lease=claimed.lease)
        finished.append((await complete_task(world.ports, world.me, command)).status)
    late = await asked(world, board, other, status=PENDING)
    await decided(world, late, APPROVED)
    await moved(world, other, status=Status.DONE)

    assert [Status.DONE, Status.REVIEW] == finished
    assert {approved.id, other.id} == await used(world)


async def test_many_tasks_are_done_on_approvals_of_their_own(world):
    """
    All of them or none; one that is done twice in one go needs two.
    """
    board = await world.another_board(gates=GATED)
    first, second = [await world.task(title, board=board.id) for title in ("first", "second")]
    await asked(world, board, first)
    done = [(first.number, Status.DONE), (second.number, Status.DONE)]
    twice = [(first.number, Status.DONE), (first.number, Status.REVIEW), (first.number, Status.DONE)]
    for moves in (done, twice):
        with pytest.raises(GateClosed):
            await move_tasks(world.ports, world.me, MoveTasks(moves=tuple(moves)))
    assert set() == await used(world)
    await asked(world, board, second, first)
    await move_tasks(world.ports, world.me, MoveTasks(moves=(*done, *twice[1:])))

    assert {Status.DONE} == {(await world.fresh(task)).status for task in (first, second)}


@pytest.mark.parametrize("manner", list(UpdateMode))
async def test_a_pending_approval_keeps_a_task_where_it_is(world, manner):
    """
    If its board says so: other fields may change, and once somebody decided it moves.
    """
    board = await world.another_board(gates=HELD)
    task, free = await world.task(board=board.id), await world.task(board=board.id)
    approval = await asked(world, board, task, status=PENDING)
    rules = {
        await refused(world, task, status=status, mode=manner)
        for status in (Status.IN_PROGRESS, Status.REVIEW, Status.DONE)
    }
    await moved(world, task, title="Another", assignee="ada")
    await moved(world, free, status=Status.REVIEW, mode=manner)
    await decided(world, approval, REJECTED)

    assert {"block_status_changes_with_pending_approval"} == rules
    assert Status.REVIEW is (await moved(world, task, status=Status.REVIEW, mode=manner)).status


async def test_work_is_not_handed_in_while_an_approval_is_pending(world):
    """
    Where the board says so. The lease goes on, and what only takes the work back is not held up.
    """
    board = await world.another_board(gates=HELD)
    tasks = [await world.task(title, board=board.id) for title in "abcd"]
    leases = [(await world.claim(task)).lease for task in tasks]
    approvals = [await asked(world, board, task, status=PENDING) for task in tasks]
    complete = CompleteTask(task=tasks[0].id, lease=leases[0])
    with pytest.raises(GateClosed) as closed:
        await complete_task(world.ports, world.me, complete)
    failure = Failure(reason=FailureReason.UNCLEAR)
    await fail_task(world.ports, world.me, FailTask(task=tasks[1].id, lease=leases[1], failure=failure))
    await release_task(world.ports, world.me, ReleaseTask(task=tasks[2].id, lease=leases[2]))
    await decided(world, approvals[0], APPROVED)
    await complete_task(world.ports, world.me, complete)
    world.clock.advance(hours=1)
    await expire_leases(world.ports, world.me)

    assert "block_status_changes_with_pending_approval" == closed.value.rule
    assert [Status.DONE, Status.AWAITING_OWNER, Status.INBOX, Status.INBOX] == [
        (await world.fresh(task)).status for task in tasks
    ]


async def test_what_an_approval_holds_is_not_handed_out(world):
    """
    Neither by name, nor as the next one, nor to who polls; and it is explained so.
    """
    board = await world.another_board(gates=HELD)
    held, free = [await world.task(title, board=board.id, priority=p) for title, p in (("h", "high"), ("f", "low"))]
    approval = await asked(world, board, held, status=PENDING)
    with pytest.raises(NotClaimable, match="pending"):
        await world.claim(held)
    told = await explain_task(world.ports, world.me, held.id)
    first = await world.claim()
    assert await world.claim() is None
    assert (await poll_queue(world.ports, world.me, PollQueue(agent="bob"))).task is None
    await decided(world, approval, REJECTED)
    polled = await poll_queue(world.ports, world.me, PollQueue(agent="bob"))

    assert (TaskState.BLOCKED, free.id, held.id) == (told.state, first.task.id, polled.task)
    assert TaskState.CLAIMABLE is not (await explain_task(world.ports, world.me, held.id)).state


async def test_many_that_are_held_do_not_hide_what_is_free(world):
    """
    However many come before it; a claim does not even look at them.
    """
    board = await world.another_board(gates=HELD)
    for turn in range(30):
        await asked(world, board, await world.task(f"{turn}", board=board.id, priority="high"), status=PENDING)
    free = await world.task("free", board=board.id)
    offered = []
    async with world.ports.unit(world.me) as unit:
        unit.tasks.claim_next(ClaimFilter(name_key="ada"), lambda each: offered.append(each), at=world.clock.now())
        await unit.commit()

    assert [(free.id, False)] == [(each.task.id, each.held) for each in offered]
    assert free.id == (await world.claim()).task.id


async def test_a_pending_approval_holds_nothing_where_no_rule_says_so(world):
    """
    It is only pending.
    """
    board = await world.another_board(gates=GATED)
    task = await world.task(board=board.id)
    await asked(world, board, task, status=PENDING)
    told = await explain_task(world.ports, world.me, task.id)

    assert TaskState.CLAIMABLE is told.state
    assert task.id == (await world.claim()).task.id


async def test_who_comes_back_to_what_is_held_does_not_begin_it(world):
    """
    A lease that ran out is not taken again past an approval that is pending.
    """
    board = await world.another_board(gates=HELD)
    task, ada = await world.task(board=board.id), await world.principal(board=board.id)
    begin = UpdateTask(task=task.id, status=Status.IN_PROGRESS)
    await update_task(world.ports, ada, begin)
    approval = await asked(world, board, task, status=PENDING)
    world.clock.advance(hours=1)
    await expire_leases(world.ports, world.me)
    with pytest.raises(GateClosed):
        await update_task(world.ports, ada, begin)
    await decided(world, approval, APPROVED)

    assert Status.IN_PROGRESS is (await update_task(world.ports, ada, begin)).status
