"""
Adopting late results: a completion with what an earlier worker brought too late.
"""

import asyncio

import pytest
from attrs import asdict

from mission_core.accounts.model import Role
from mission_core.boards.model import GateSet
from mission_core.boards.use_cases import UpdateBoard, update_board
from mission_core.errors import VersionMismatch
from mission_core.ports import IdempotencyKey, perform
from mission_core.tasks.gates import OwnReviewRefused
from mission_core.tasks.late_result_adoption import (
    AdoptionNeedsLease,
    AdoptLateResult,
    LateResultNotAdoptable,
    adopt_result,
)
from mission_core.tasks.late_results import LateResultNotFound, late_results_by_run
from mission_core.tasks.leases import ClaimTask, claim_task
from mission_core.tasks.model import BlockedByDependencies, GateClosed, Status
from mission_core.tasks.runs import Failure, FailureReason, LeaseLost, LeaseUnknown, Outcome, TaskResult
from mission_core.tasks.use_cases import UpdateTask, update_task
from mission_core.values import canonical
from tests.contract.late_results import DONE, hand_in, refused, taken_over

REVIEW = GateSet(require_approval_for_done=False, require_review_before_done=True)
LOST = Failure(reason=FailureReason.TIMEOUT)


async def adopt(world, late, holder=None, *, by=None, **fields):
    """
    Adopt the late result of a claim, by the lease of its present holder, or as an operator.
    """
    names = {"task": late.task.id, "run": late.run.id, "lease": holder.lease if holder else None} | fields
    return await adopt_result(world.ports, by or world.me, AdoptLateResult(**names))


async def late_and_held(world, brought=DONE, **fields):
    """
    A task of which ada brought a result too late, and which bob holds: both claims.
    """
    first, second = await taken_over(world, **fields)
    await refused(world, first, brought)
    return first, second


async def runs_of(world, task):
    return [row.state for row in await world.ports.reads.tasks.runs(world.me, task.id)]


async def test_the_holder_adopts_a_late_result(world):
    """
    It ends the holder's run with it; a repeat is answered alike, and another result is refused from then on.
    """
    first, second = await late_and_held(world)
    done = await adopt(world, first, second)
    again = await adopt(world, first, second)
    facts = await world.event_kinds()

    assert (Status.DONE, "all of it", canonical({"files": 3}), TaskResult.SUCCESS) == (
        done.status, done.resolution, done.output, done.result,
    )  # fmt: skip
    assert done == again
    assert ["completed", "expired"] == await runs_of(world, done)
    assert 1 == facts.count("run.result_adopted") == facts.count("run.completed")
    late = (await late_results_by_run(world.ports, world.me, done.id))[first.run.id]
    assert world.clock.now() == late.adopted_at
    with pytest.raises(LeaseLost):
        await hand_in(world, second, Outcome(resolution="else"))


async def test_an_operator_adopts_without_a_lease(world):
    """
    Whoever holds it loses it, and so does nobody where it waits, failed for good, or its lease ran out unnoticed.
    """
    held, second = await late_and_held(world)
    done = await adopt(world, held)
    with pytest.raises(LeaseLost):
        await hand_in(world, second)
    lapsed = await world.claim(await world.task(max_attempts=1))
    world.clock.advance(minutes=6)
    await refused(world, lapsed)
    failed = await world.claim(await world.task(max_attempts=1))
    world.clock.advance(minutes=6)
    await world.claim(agent="carl")  # which notices that both ran out
    await refused(world, failed)

    assert (Status.DONE, None, second.run.fence + 1) == (done.status, done.run, done.fence)
    assert ["revoked", "expired"] == await runs_of(world, done)
    assert Status.FAILED is (await world.fresh(failed.task)).status
    for each in (lapsed, failed):
        assert (Status.DONE, "ada") == (lambda task: (task.status, task.assignee.name))(await adopt(world, each))
        assert ["expired"] == await runs_of(world, each.task)


async def test_what_cannot_be_adopted_is_refused(world):
    """
    A failure, what was adopted, what is done, what waits for others, what never came, and another task's.
    """
    first, second = await late_and_held(world, LOST)
    with pytest.raises(LateResultNotAdoptable, match="failure"):
        await adopt(world, first, second)
    other, held = await late_and_held(world)
    for run in (second.run, other.run):
        with pytest.raises(LateResultNotFound):
            await adopt(world, first, second, run=run.id)
    with pytest.raises(VersionMismatch):
        await adopt(world, other, held, expects=77)
    await hand_in(world, held)
    with pytest.raises(LateResultNotAdoptable, match="done"):
        await adopt(world, other)
    with pytest.raises(LeaseLost):
        await adopt(world, other, held)

    waits, _ = await late_and_held(world)
    before = await world.task("first")
    await update_task(world.ports, world.me, UpdateTask(task=waits.task.id, status=Status.INBOX))
    await update_task(world.ports, world.me, UpdateTask(task=waits.task.id, depends_on=(before.id,)))
    with pytest.raises(BlockedByDependencies):
        await adopt(world, waits)


async def test_a_worker_needs_the_lease_of_the_present_holder(world):
    """
    Its own, past one is lost, and another task's is unknown.
    """
    first, _ = await late_and_held(world)
    other = await world.claim(await world.task("other"))
    carl = await world.principal("carl")
    with pytest.raises(AdoptionNeedsLease):
        await adopt(world, first, by=carl)
    with pytest.raises(LeaseUnknown):
        await adopt(world, first, other, by=carl)
    with pytest.raises(LeaseLost):
        await adopt(world, first, first, by=carl)

    assert Status.IN_PROGRESS is (await world.fresh(first.task)).status


async def test_an_adoption_meets_the_gates_and_the_first_worker_is_an_author(world):
    """
    It goes to review, and neither who did the work nor who handed it in closes that.
    """
    await update_board(world.ports, world.me, UpdateBoard(board=world.board.id, gates=asdict(REVIEW)))
    ada, bob, eve = [await world.principal(name, role=Role.ADMIN) for name in ("ada", "bob", "eve")]
    task = await world.task()
    first = await claim_task(world.ports, ada, ClaimTask(task=task.id))
    world.clock.advance(minutes=6)
    second = await claim_task(world.ports, bob, ClaimTask(task=task.id))
    await refused(world, first, by=ada)
    reviewed = await adopt(world, first, second, by=bob)

    assert (Status.REVIEW, ada.agent) == (reviewed.status, reviewed.submitter)
    for each in (ada, bob):
        with pytest.raises(OwnReviewRefused):
            await update_task(world.ports, each, UpdateTask(task=task.id, status=Status.DONE))
    done = await update_task(world.ports, eve, UpdateTask(task=task.id, status=Status.DONE))
    assert Status.DONE is done.status


async def test_a_gate_that_lets_nothing_pass_stops_an_adoption_too(world):
    """
    A review that asks for a comment, where the late result says nothing.
    """
    gates = GateSet(require_approval_for_done=True, comment_required_for_review=True)
    await update_board(world.ports, world.me, UpdateBoard(board=world.board.id, gates=asdict(gates)))
    first, second = await late_and_held(world, Outcome())
    before = await world.fresh(first.task)
    for holder in (second, None):
        with pytest.raises(GateClosed):
            await adopt(world, first, holder)

    assert before == await world.fresh(first.task)


async def test_an_idempotency_key_adopts_once(world):
    """
    The repeat is told the first result.
    """
    first, second = await late_and_held(world)
    once = IdempotencyKey(key="k", operation="adopt", body_digest=b"1")
    command = AdoptLateResult(task=first.task.id, run=first.run.id, lease=second.lease)

    async def again(ports, principal, id):
        return id

    answers = [await perform(adopt_result, world.ports, world.me, command, once=once, again=again) for _ in range(2)]
    assert first.task.id == answers[0].id == answers[1]


@pytest.mark.parametrize("operator", [False, True])
async def test_an_adoption_and_a_completion_at_once_finish_the_task_once(world, operator):
    """
    Whichever comes first; the other is refused, and what it brought is not lost.
    """
    for _ in range(3):
        first, second = await late_and_held(world)
        adopted, handed = await asyncio.gather(
            adopt(world, first, None if operator else second), hand_in(world, second, Outcome(resolution="mine")),
            return_exceptions=True,
        )  # fmt: skip
        task = await world.fresh(first.task)
        late = await late_results_by_run(world.ports, world.me, task.id)

        assert [True] == [True for each in (adopted, handed) if not isinstance(each, Exception)]
        assert isinstance(adopted if isinstance(adopted, Exception) else handed, LeaseLost | LateResultNotAdoptable)
        assert (Status.DONE, None) == (task.status, task.run)
        assert ("mine" if isinstance(adopted, Exception) else "all of it") == task.resolution
        assert (late[first.run.id].adopted_at is None) is isinstance(adopted, Exception)


async def test_an_adoption_and_a_claim_at_once_leave_no_lease_on_finished_work(world):
    """
    The claim comes first and loses its lease, or too late.
    """
    for _ in range(3):
        first = await world.claim(await world.task())
        world.clock.advance(minutes=7)
        await refused(world, first)
        adopted, _ = await asyncio.gather(
            adopt(world, first), world.claim(first.task, agent="bob"), return_exceptions=True
        )
        task = await world.fresh(first.task)

        assert (Status.DONE, None) == (task.status, task.run)
        assert not isinstance(adopted, Exception)
        assert "leased" not in await runs_of(world, task)
