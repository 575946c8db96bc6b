"""
Late results: what a worker hands in after its lease was lost is refused, kept with its run, and changes nothing.
"""

import asyncio

import pytest
from attrs import evolve

from mission_core.accounts.model import MemberPrincipal, Role
from mission_core.boards.model import BoardReadOnly
from mission_core.ids import MemberId, UserId, UserNumber
from mission_core.ports import IdempotencyKey, perform
from mission_core.tasks.board_deletion import DeleteBoard, delete_board
from mission_core.tasks.explanations import explain_task
from mission_core.tasks.heartbeats import Heartbeat, heartbeat
from mission_core.tasks.late_results import (
    DUPLICATE_NOTE,
    KEPT_NOTE,
    LATE_RESULTS,
    MAX_BYTES,
    TOO_LARGE_NOTE,
    late_results_by_run,
)
from mission_core.tasks.lease_ownership import LeaseHeldByAnother
from mission_core.tasks.leases import (
    CompleteTask,
    ReleaseTask,
    complete_task,
    release_task,
)
from mission_core.tasks.model import Status, TaskNotFound
from mission_core.tasks.operator_orders import GiveOrder, give_order
from mission_core.tasks.queue_polls import PollQueue, poll_queue
from mission_core.tasks.runs import LeaseLost, LeaseUnknown, OrderKind, Outcome, RunState
from mission_core.tasks.team_rules import TaskAssigneeMismatch
from mission_core.tasks.use_cases import DeleteTask, UpdateMode, UpdateTask, delete_task, update_task
from mission_core.values import canonical
from tests.contract.late_results import DONE, LOST, hand_in, refused, taken_over


def reader_of(world, *boards):
    """
    A member who may see these boards, and write on none.
    """
    return MemberPrincipal(
        organization=world.me.organization, user=UserId(world.board.id), number=UserNumber(7),
        member=MemberId(world.board.id), name="mia", display="Mia", role=Role.OPERATOR,
        reads=frozenset(each.id for each in boards), writes=frozenset(),
    )  # fmt: skip


async def kept(world):
    """
    All late results of the organization.
    """
    return await world.ports.reads.entities.every(world.me, LATE_RESULTS)


async def beat(world, claimed):
    return await heartbeat(world.ports, world.me, Heartbeat(task=claimed.task.id, lease=claimed.lease))


@pytest.mark.parametrize("brought", [DONE, LOST])
async def test_what_comes_after_its_lease_was_lost_is_refused_and_kept(world, brought):
    """
    The task stays as it is, version and all; its holder sees it, and so do the runs, the explanation and the log.
    """
    first, second = await taken_over(world)
    before = await world.fresh(first.task)
    note = await refused(world, first, brought)
    (late,) = await kept(world)
    seen = (await beat(world, second)).late_results
    told = await explain_task(world.ports, world.me, first.task.id)
    entry = (await world.ports.log.read(world.me.organization, limit=1000))[-1]

    assert KEPT_NOTE == note
    assert (first.run.id, first.run.fence, "ada", brought) == (late.run, late.fence, late.by, late.content)
    assert evolve(before, late_results=1) == await world.fresh(first.task)
    assert (late,) == seen == told.late_results
    assert {first.run.id: late} == await late_results_by_run(world.ports, world.me, first.task.id)
    assert ("run.result_late", first.task.id) == (entry.kind, entry.subject)
    assert "all of it" not in entry.payload
    done = await hand_in(world, second)
    assert (Status.DONE, 1) == (done.status, done.late_results)


async def test_whoever_claims_it_next_sees_it_at_once(world):
    """
    A lease that ran out is lost, whether or not anybody noticed; and saving the task does not lose count.
    """
    first = await world.claim(await world.task())
    stale = await world.fresh(first.task)
    world.clock.advance(minutes=6)
    assert KEPT_NOTE == await refused(world, first)
    async with world.ports.unit(world.me) as unit:
        task = await unit.tasks.get(first.task.id)
        unit.tasks.save(evolve(task, title="Other", late_results=stale.late_results))
        await unit.commit()
    second = await world.claim(first.task, agent="bob")

    assert [DONE] == [late.content for late in second.late_results]
    assert RunState.EXPIRED.value == (await world.ports.reads.tasks.runs(world.me, first.task.id))[1].state


async def test_a_repeat_is_the_same_and_another_content_is_not_kept(world):
    """
    One for each run, whatever its content.
    """
    first, _ = await taken_over(world)
    facts = [await refused(world, first, brought) for brought in (DONE, DONE, Outcome(resolution="else"), LOST)]

    assert [KEPT_NOTE, KEPT_NOTE, DUPLICATE_NOTE, DUPLICATE_NOTE] == facts
    assert [DONE] == [late.content for late in await kept(world)]
    assert 1 == (await world.event_kinds()).count("run.result_late")


async def test_an_idempotency_key_does_not_make_a_refusal_a_success(world):
    """
    A repeat with the key is refused like the first request.
    """
    first, _ = await taken_over(world)
    once = IdempotencyKey(key="k", operation="complete", body_digest=b"1")

    async def again(ports, principal, id):
        raise AssertionError("it was never accepted")

    command = CompleteTask(task=first.task.id, lease=first.lease, outcome=DONE)
    for _ in range(2):
        with pytest.raises(LeaseLost, match="stored with the run"):
            await perform(complete_task, world.ports, world.me, command, once=once, again=again)
    assert 1 == len(await kept(world))


async def test_only_the_holder_of_a_lost_lease_leaves_one(world):
    """
    Whoever shows that very lease; and not for a run that has brought its result already.
    """
    first, second = await taken_over(world)
    other = await world.claim(await world.task("other"))
    for lease in ("nonsense", other.lease):
        with pytest.raises(LeaseUnknown):
            await hand_in(world, first, lease=lease)
    await hand_in(world, second)
    await hand_in(world, other, LOST)

    assert None is await refused(world, second, Outcome(resolution="else"))
    assert None is await refused(world, other)
    assert [] == await kept(world)


async def test_what_was_given_back_or_taken_away_may_be_handed_in_late(world):
    """
    Finished work is not thrown away, however the lease ended.
    """
    released, stolen = [await world.claim(await world.task()) for _ in range(2)]
    given_back = ReleaseTask(task=released.task.id, lease=released.lease)
    await release_task(world.ports, world.me, given_back)
    await give_order(world.ports, world.me, GiveOrder(task=stolen.task.id, kind=OrderKind.STEAL, to="bob"))

    assert [KEPT_NOTE, KEPT_NOTE] == [await refused(world, each) for each in (released, stolen)]


async def test_no_more_than_fits_is_kept(world):
    """
    64 KiB of text, to the byte; the version that was expected does not matter to what is lost.
    """
    first, _ = await taken_over(world)
    room = MAX_BYTES - len(canonical({"a": ""}).encode())
    large, fitting = [Outcome(output=canonical({"a": "é" * (room // 2) + tail})) for tail in ("xx", "")]

    assert TOO_LARGE_NOTE == await refused(world, first, large, expects=77)
    assert KEPT_NOTE == await refused(world, first, fitting, expects=77)
    assert MAX_BYTES - 2 < (await kept(world))[0].size <= MAX_BYTES


async def test_late_results_go_with_their_task(world):
    """
    However it is removed.
    """
    board = await world.another_board()
    claims = [(await taken_over(world, board=each.id))[0] for each in (world.board, board)]
    for each in claims:
        await refused(world, each)
    await delete_task(world.ports, world.me, DeleteTask(task=claims[0].task.id))
    assert [claims[1].run.id] == [late.run for late in await kept(world)]
    await delete_board(world.ports, world.me, DeleteBoard(board=board.id))

    assert [] == await kept(world)
    with pytest.raises(TaskNotFound):
        await hand_in(world, claims[0])


async def test_borders_and_grants_hold_for_late_results(world, elsewhere):
    """
    Another organization finds nothing, and whoever may only look leaves nothing.
    """
    first, _ = await taken_over(world)
    reader, blind = reader_of(world, world.board), reader_of(world)
    with pytest.raises(TaskNotFound):
        await hand_in(world, first, by=elsewhere.me)
    with pytest.raises(BoardReadOnly):
        await hand_in(world, first, by=reader)
    assert [] == await kept(world)
    await refused(world, first)

    counts = [len(await world.ports.reads.entities.every(each, LATE_RESULTS)) for each in (reader, blind, elsewhere.me)]
    assert [1, 0, 0] == counts


@pytest.mark.parametrize("status", [Status.DONE, Status.FAILED])
async def test_a_pair_s_late_write_leaves_one_too(world, status):
    """
    It is refused as before, with what it says kept.
    """
    ada = await world.principal("ada")
    task = await world.task()
    await poll_queue(world.ports, ada, PollQueue())
    world.clock.advance(minutes=11)
    bob = await world.claim(task, agent="bob")
    write = UpdateTask(task=task.id, status=status, resolution="by hand", error_message="no way")
    for _ in range(2):
        with pytest.raises(LeaseHeldByAnother):
            await update_task(world.ports, ada, write)
    (late,) = await kept(world)

    assert ("ada", 1) == (late.by, late.fence)
    assert ("by hand" if status is Status.DONE else "no way") == (late.resolution or late.message)
    assert (late,) == (await beat(world, bob)).late_results


async def test_a_worker_s_late_word_on_a_team_is_kept_as_its_result(world):
    """
    The comment that came with its move; whoever never had the task leaves nothing.
    """
    ada, eve = [await world.principal(name, board=world.board.id) for name in ("ada", "eve")]
    task = await world.task()
    await update_task(world.ports, ada, UpdateTask(task=task.id, status=Status.IN_PROGRESS, mode=UpdateMode.TEAM))
    world.clock.advance(minutes=11)
    await world.claim(task, agent="bob")
    write = UpdateTask(task=task.id, status=Status.REVIEW, comment="see the branch", mode=UpdateMode.TEAM)
    for each in (ada, eve):
        with pytest.raises(TaskAssigneeMismatch):
            await update_task(world.ports, each, write)

    assert [("ada", "see the branch")] == [(late.by, late.resolution) for late in await kept(world)]


async def test_two_at_once_keep_one(world):
    """
    And a completion that meets a steal is either accepted or kept.
    """
    first, _ = await taken_over(world)
    notes = await asyncio.gather(*(refused(world, first) for _ in range(4)))
    assert ([KEPT_NOTE] * 4, 1) == (notes, len(await kept(world)))

    for _ in range(3):
        claimed = await world.claim(await world.task())
        steal = GiveOrder(task=claimed.task.id, kind=OrderKind.STEAL)
        handed, _ = await asyncio.gather(
            hand_in(world, claimed), give_order(world.ports, world.me, steal), return_exceptions=True
        )
        late = await late_results_by_run(world.ports, world.me, claimed.task.id)
        accepted = not isinstance(handed, Exception)
        assert accepted is not bool(late)
