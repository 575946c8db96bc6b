"""
The contract of leases.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from attrs import asdict, evolve

from mission_adapters.testing.contracts.base import StoreContract
from mission_adapters.testing.world import World
from mission_core.boards.model import GateSet
from mission_core.boards.use_cases import UpdateBoard, update_board
from mission_core.errors import InvalidField, NotFound
from mission_core.tasks.explanations import explain_task
from mission_core.tasks.heartbeats import Heartbeat, HeartbeatResult, heartbeat
from mission_core.tasks.leases import (
    ClaimResult,
    CompleteTask,
    FailTask,
    ReleaseTask,
    complete_task,
    expire_leases,
    fail_task,
    release_task,
    repeat_claim,
)
from mission_core.tasks.model import NotClaimable, Status, Task, TaskNotFound
from mission_core.tasks.operator_orders import GiveOrder, give_order
from mission_core.tasks.runs import (
    Assignee,
    Failure,
    FailureReason,
    LeaseLost,
    LeaseTerms,
    LeaseUnknown,
    NoLiveLease,
    Order,
    OrderKind,
    Outcome,
    RetryClass,
    Run,
    RunNotFound,
    RunState,
    TaskResult,
    TooManyOrders,
)
from mission_core.tasks.use_cases import DeleteTask, UpdateTask, delete_task, update_task
from mission_core.values import canonical

TERMS = LeaseTerms(term=timedelta(minutes=1), delay=timedelta(seconds=10), longest_delay=timedelta(seconds=30))


async def beat(world: World, held: ClaimResult, **fields: Any) -> HeartbeatResult:
    """
    Send a heartbeat under the lease.
    """
    return await heartbeat(world.ports, world.me, Heartbeat(task=held.task.id, lease=held.lease, **fields))


async def complete(world: World, held: ClaimResult, **fields: Any) -> Task:
    """
    Complete the task under its lease.
    """
    return await complete_task(world.ports, world.me, CompleteTask(task=held.task.id, lease=held.lease, **fields))


async def order(world: World, held: ClaimResult, kind: OrderKind, **fields: Any) -> Task:
    """
    Give an order to the holder of the lease.
    """
    return await give_order(world.ports, world.me, GiveOrder(task=held.task.id, kind=kind, **fields))


def order_in(answer: HeartbeatResult) -> Order:
    """
    The order in the answer to a heartbeat, which must have one.
    """
    assert answer.order is not None
    return answer.order


async def run_of(world: World, held: ClaimResult) -> Run:
    """
    The run of the lease as last committed.
    """
    async with world.ports.unit(world.me) as unit:
        return await unit.runs.get(held.run.id)


class LeaseContract(StoreContract):
    """
    The contract of a store for leases: claims, heartbeats, expiry, results and orders. It covers `UnitOfWork.runs` and
    `UnitOfWork.tasks`. A subclass provides the fixture `ports` of `StoreContract`.
    """

    @pytest.fixture
    async def held(self, world: World) -> ClaimResult:
        """
        A task with a lease of one minute.
        """
        return await world.claimed(await world.task(), terms=TERMS)

    async def test_a_heartbeat_extends_the_lease(self, world: World, held: ClaimResult) -> None:
        """
        A heartbeat moves the expiry to one term from now, and changes no version and records no event.
        """
        events = await world.event_kinds()
        world.clock.advance(seconds=59)
        answer = await beat(world, held, progress=canonical({"percent": 40}))
        run = await run_of(world, held)

        assert answer.run == run
        assert world.clock.now() + TERMS.term == run.expires_at
        assert ('{"percent":40}', held.run.version) == (run.progress, run.version)
        assert events == await world.event_kinds()

    async def test_progress_stands_until_told_otherwise(self, world: World, held: ClaimResult) -> None:
        """
        A heartbeat without progress keeps the last reported progress.
        """
        await beat(world, held, progress=canonical({"percent": 40}))
        await beat(world, held)

        assert '{"percent":40}' == (await run_of(world, held)).progress

    async def test_a_late_heartbeat_has_lost_the_lease(self, world: World, held: ClaimResult) -> None:
        """
        A heartbeat after the expiry raises `LeaseLost`, before the expiry is noticed and after another worker's claim.
        """
        world.clock.advance(minutes=1)
        with pytest.raises(LeaseLost):
            await beat(world, held)
        world.clock.advance(minutes=1)
        other = await world.claimed(held.task, agent="bob")
        with pytest.raises(LeaseLost) as lost:
            await beat(world, held)

        assert (1, 2) == (lost.value.fence, lost.value.current)
        assert other.run.id == (await world.fresh(held.task)).run

    async def test_a_lease_is_good_for_its_own_task_only(self, world: World, held: ClaimResult) -> None:
        """
        The lease of another task, a forged lease and malformed text raise `LeaseUnknown`.
        """
        other = await world.claimed(await world.task(), agent="bob")
        forged = world.ports.secrets.lease(held.run.id, held.run.fence + 1)
        for lease in (other.lease, forged, "nonsense", held.lease[:-1] + "_"):
            with pytest.raises(LeaseUnknown):
                await beat(world, evolve(held, lease=lease))
            with pytest.raises(LeaseUnknown):
                await complete(world, evolve(held, lease=lease))

    async def test_a_heartbeat_of_another_organization_finds_nothing(
        self, world: World, elsewhere: World, held: ClaimResult
    ) -> None:
        """
        A valid lease that is sent from another organization raises `NotFound`.
        """
        with pytest.raises(NotFound):
            await heartbeat(elsewhere.ports, elsewhere.me, Heartbeat(task=held.task.id, lease=held.lease))

    async def test_expiry_returns_the_task_with_a_growing_delay(self, world: World) -> None:
        """
        Each expiry counts as an attempt. The retry delay doubles up to the longest delay and starts at the expiry.
        """
        task = await world.task()
        delays = []
        for _ in range(4):
            claimed = await world.claimed(task, terms=TERMS)
            world.clock.advance(minutes=1)
            assert 1 == await expire_leases(world.ports, world.me)
            fresh = await world.fresh(task)
            assert fresh.not_before is not None
            delays.append((fresh.not_before - claimed.run.expires_at).total_seconds())
            world.clock.advance(minutes=1)

        assert [10, 20, 30, 30] == delays
        assert (Status.INBOX, None, 4) == (fresh.status, fresh.assignee, fresh.attempts)

    async def test_a_claim_notices_expiry_without_a_sweeper(self, world: World, held: ClaimResult) -> None:
        """
        `claim_next` hands out a task with an expired lease once its retry delay is over, and keeps the run as expired.
        """
        world.clock.advance(minutes=1, seconds=9)
        early = await world.claim(agent="bob")
        world.clock.advance(seconds=1)
        claimed = await world.claimed(agent="bob")
        rows = await world.ports.reads.tasks.runs(world.me, held.task.id)

        assert early is None
        assert held.task.id == claimed.task.id
        assert [("leased", 2), ("expired", 1)] == [(row.state, row.fence) for row in rows]
        assert "lease_expired" == rows[1].failure

    async def test_claiming_the_very_task_notices_expiry_too(self, world: World, held: ClaimResult) -> None:
        """
        A claim of a task with an expired lease raises `NotClaimable` during the retry delay and succeeds after it.
        """
        world.clock.advance(minutes=1)
        with pytest.raises(NotClaimable, match="delayed until"):
            await world.claimed(held.task, agent="bob")
        world.clock.advance(seconds=10)
        claimed = await world.claimed(held.task, agent="bob")

        assert (2, 2) == (claimed.run.fence, claimed.run.attempt)
        assert RunState.EXPIRED is (await run_of(world, held)).state

    async def test_expired_work_of_an_assignee_stays_theirs(self, world: World) -> None:
        """
        A task that was assigned before its claim keeps its assignee after an expiry.
        """
        task = await world.task(assignee="ada")
        await world.claimed(task, terms=TERMS)
        world.clock.advance(minutes=1)
        await expire_leases(world.ports, world.me)
        fresh = await world.fresh(task)

        assert (Status.ASSIGNED, Assignee("ada")) == (fresh.status, fresh.assignee)

    async def test_after_the_last_attempt_the_task_failed(self, world: World) -> None:
        """
        A task whose last attempt expires is failed, and all its failed runs are kept.
        """
        task = await world.task(max_attempts=2)
        for _ in range(2):
            await world.claimed(task, terms=TERMS)
            world.clock.advance(minutes=2)
            await expire_leases(world.ports, world.me)
        fresh, rows = await world.fresh(task), await world.ports.reads.tasks.runs(world.me, task.id)

        assert (Status.FAILED, TaskResult.FAILED) == (fresh.status, fresh.result)
        assert ["lease_expired"] * 2 == [row.failure for row in rows]
        assert "no heartbeat since" in (fresh.error_message or "")

    async def test_sweeping_twice_changes_nothing_more(self, world: World, held: ClaimResult) -> None:
        """
        Two concurrent sweeps expire a lease once.
        """
        world.clock.advance(minutes=1)
        answers = await asyncio.gather(expire_leases(world.ports, world.me), expire_leases(world.ports, world.me))

        assert [0, 1] == sorted(answers)
        assert 1 == (await world.event_kinds()).count("run.expired")

    async def test_a_sweep_takes_the_earliest_first(self, world: World) -> None:
        """
        A sweep with a limit expires the leases with the earliest expiry.
        """
        tasks = []
        for minutes in (3, 1, 2):
            tasks.append(await world.task(f"{minutes}"))
            await world.claimed(tasks[-1], terms=LeaseTerms(term=timedelta(minutes=minutes)))
        world.clock.advance(minutes=5)
        swept = await expire_leases(world.ports, world.me, limit=2)

        assert 2 == swept
        assert [True, False, False] == [(await world.fresh(task)).run is not None for task in tasks]

    async def test_completing_ends_the_run_and_the_task(self, world: World, held: ClaimResult) -> None:
        """
        On a board without gates, a completion stores the outcome and sets the task to done.
        """
        outcome = Outcome(result=TaskResult.PARTIAL, resolution="mostly", output=canonical({"pull": 7}))
        done = await complete(world, held, outcome=outcome)
        run = await run_of(world, held)

        assert done == await world.fresh(held.task)
        assert (Status.DONE, None, TaskResult.PARTIAL) == (done.status, done.run, done.result)
        assert ("mostly", '{"pull":7}') == (done.resolution, done.output)
        assert (RunState.COMPLETED, outcome) == (run.state, run.outcome)

    @pytest.mark.parametrize(
        "gates",
        [
            GateSet(),
            GateSet(require_approval_for_done=False, require_review_before_done=True),
        ],
    )
    async def test_completing_on_a_gated_board_leaves_the_task_in_review(
        self, world: World, held: ClaimResult, gates: GateSet
    ) -> None:
        """
        On a board with gates, a completion completes the run and sets the task to review.
        """
        await update_board(world.ports, world.me, UpdateBoard(board=world.board.id, gates=asdict(gates)))
        reviewed = await complete(world, held)

        assert Status.REVIEW is reviewed.status
        assert RunState.COMPLETED is (await run_of(world, held)).state

    async def test_a_repeated_complete_answers_the_same(self, world: World, held: ClaimResult) -> None:
        """
        A repeated completion with the same lease and outcome returns the same task and records no event. Another
        outcome raises `LeaseLost`.
        """
        outcome = Outcome(resolution="done")
        first = await complete(world, held, outcome=outcome)
        events = await world.event_kinds()
        world.clock.advance(days=1)
        again = await complete(world, held, outcome=outcome)
        with pytest.raises(LeaseLost):
            await complete(world, held, outcome=Outcome(resolution="otherwise"))

        assert first == again
        assert events == await world.event_kinds()

    async def test_completes_at_once_are_accepted_once(self, world: World, held: ClaimResult) -> None:
        """
        Concurrent equal completions all succeed, and one is recorded.
        """
        command = CompleteTask(task=held.task.id, lease=held.lease)
        answers = await asyncio.gather(*(complete_task(world.ports, world.me, command) for _ in range(6)))

        assert {Status.DONE} == {answer.status for answer in answers}
        assert 1 == (await world.event_kinds()).count("run.completed")

    async def test_a_complete_after_the_end_has_lost_the_lease(self, world: World, held: ClaimResult) -> None:
        """
        A completion after the expiry raises `LeaseLost`.
        """
        world.clock.advance(minutes=1)
        with pytest.raises(LeaseLost):
            await complete(world, held)

    @pytest.mark.parametrize("reason", FailureReason)
    async def test_what_follows_a_failure_is_the_retry_class_of_its_reason(
        self, world: World, held: ClaimResult, reason: FailureReason
    ) -> None:
        """
        The retry class of a failure decides what follows: another attempt after a delay, a wait for the owner, or a
        failed task.
        """
        command = FailTask(task=held.task.id, lease=held.lease, failure=Failure(reason=reason, message="it broke"))
        failed = await fail_task(world.ports, world.me, command)
        again = await fail_task(world.ports, world.me, command)
        expected = {
            RetryClass.RETRY: (Status.INBOX, world.clock.now() + TERMS.delay, None),
            RetryClass.PERSON: (Status.AWAITING_OWNER, None, None),
            RetryClass.NEVER: (Status.FAILED, None, TaskResult.FAILED),
        }[reason.retry]

        assert failed == again == await world.fresh(held.task)
        assert expected == (failed.status, failed.not_before, failed.result)
        assert ("it broke", None) == (failed.error_message, failed.run)

    async def test_releasing_gives_work_and_attempt_back(self, world: World, held: ClaimResult) -> None:
        """
        A release makes the task claimable at once with the hand-over note, does not count as an attempt, and ends the
        lease.
        """
        command = ReleaseTask(task=held.task.id, lease=held.lease, note="look at the logs first")
        released = await release_task(world.ports, world.me, command)
        again = await release_task(world.ports, world.me, command)
        claimed = await world.claimed(agent="bob")

        assert released == again
        assert (Status.INBOX, 0, "look at the logs first") == (released.status, released.attempts, released.hand_over)
        assert (2, 1) == (claimed.run.fence, claimed.run.attempt)
        with pytest.raises(LeaseLost):
            await beat(world, held)

    async def test_an_order_is_repeated_until_it_is_acknowledged(self, world: World, held: ClaimResult) -> None:
        """
        Heartbeats are answered with the oldest order until it is acknowledged by its id, then with the next one.
        """
        await order(world, held, OrderKind.STEER, message="only the tests")
        await order(world, held, OrderKind.PAUSE)
        first, again = await beat(world, held), await beat(world, held)
        second = await beat(world, held, acknowledges=order_in(first).id)
        last = await beat(world, held, acknowledges=order_in(second).id)
        repeat = await beat(world, held, acknowledges=order_in(second).id)

        assert (OrderKind.STEER, "only the tests") == (order_in(first).kind, order_in(first).message)
        assert first.order == again.order
        assert OrderKind.PAUSE is order_in(second).kind
        assert (None, True) == (last.order, last.run.paused)
        assert (None, True) == (repeat.order, repeat.run.paused)
        assert 2 == (await world.event_kinds()).count("run.acknowledged")

    async def test_only_so_many_orders_wait(self, world: World, held: ClaimResult) -> None:
        """
        The seventeenth unacknowledged order raises `TooManyOrders`.
        """
        for i in range(16):
            await order(world, held, OrderKind.STEER, message=f"{i}")
        with pytest.raises(TooManyOrders):
            await order(world, held, OrderKind.STEER, message="17")

    async def test_cancelling_parks_the_task_once_acknowledged(self, world: World, held: ClaimResult) -> None:
        """
        A cancel order comes before other orders. The lease lives until the order is acknowledged; then the run is
        revoked and the task is in the backlog.
        """
        await order(world, held, OrderKind.STEER, message="faster")
        before = await order(world, held, OrderKind.CANCEL, message="not needed")
        told = await beat(world, held)
        last = await beat(world, held, acknowledges=order_in(told).id)
        fresh = await world.fresh(held.task)

        assert (Status.IN_PROGRESS, OrderKind.CANCEL) == (before.status, order_in(told).kind)
        assert RunState.REVOKED is last.run.state
        assert (Status.BACKLOG, None) == (fresh.status, fresh.run)
        with pytest.raises(LeaseLost):
            await beat(world, held)

    async def test_cancelled_work_that_runs_out_is_parked_too(self, world: World, held: ClaimResult) -> None:
        """
        A task with an unacknowledged cancel order goes to the backlog when its lease expires.
        """
        await order(world, held, OrderKind.CANCEL)
        world.clock.advance(minutes=1)
        await expire_leases(world.ports, world.me)

        assert Status.BACKLOG is (await world.fresh(held.task)).status

    async def test_cancelled_work_that_is_given_back_is_parked_too(self, world: World, held: ClaimResult) -> None:
        """
        A task with an unacknowledged cancel order goes to the backlog when it is released, and is not handed out again.
        """
        await order(world, held, OrderKind.CANCEL)
        given_back = ReleaseTask(task=held.task.id, lease=held.lease, note="so far")
        released = await release_task(world.ports, world.me, given_back)

        assert (Status.BACKLOG, "so far") == (released.status, released.hand_over)
        assert await world.claim() is None

    async def test_what_waits_behind_a_cancellation_is_not_ordered_any_more(
        self, world: World, held: ClaimResult
    ) -> None:
        """
        An acknowledged cancel order drops the orders that came after it.
        """
        await order(world, held, OrderKind.CANCEL)
        await order(world, held, OrderKind.STEER, message="faster")
        told = await beat(world, held)
        last = await beat(world, held, acknowledges=order_in(told).id)

        assert (None, "cancel") == (last.order, last.instruction)

    async def test_a_lease_follows_its_task_to_another_board(self, world: World, held: ClaimResult) -> None:
        """
        A lease stays live when its task moves to another board. The lead of that board can then give orders and revoke
        the lease.
        """
        other = await world.another_board()
        lead = await world.principal("lead", board=other.id, lead=True)
        await update_task(world.ports, world.me, UpdateTask(task=held.task.id, board=other.id))
        await give_order(world.ports, lead, GiveOrder(task=held.task.id, kind=OrderKind.STEER, message="faster"))
        told = await beat(world, held)
        taken = await update_task(world.ports, lead, UpdateTask(task=held.task.id, status=Status.INBOX))

        assert ("steer", other.id) == (told.instruction, told.run.board)
        assert (None, 2) == (taken.run, taken.fence)
        assert RunState.REVOKED is (await run_of(world, held)).state

    async def test_stealing_ends_the_run_at_once(self, world: World, held: ClaimResult) -> None:
        """
        A steal order ends the lease at once, assigns the task to the named agent, raises the fence and does not count
        as an attempt.
        """
        stolen = await order(world, held, OrderKind.STEAL, to="bob")
        with pytest.raises(LeaseLost):
            await beat(world, held)
        with pytest.raises(LeaseLost):
            await complete(world, held)
        taken = await world.claimed(agent="bob")

        assert (Status.ASSIGNED, Assignee("bob"), 0) == (stolen.status, stolen.assignee, stolen.attempts)
        assert taken.run.fence > stolen.fence > held.run.fence

    async def test_nobody_holding_a_lease_can_be_ordered(self, world: World, held: ClaimResult) -> None:
        """
        An order to a task without a live lease raises `NoLiveLease`; a steer order without a message raises
        `InvalidField`.
        """
        world.clock.advance(minutes=1)
        with pytest.raises(NoLiveLease):
            await order(world, held, OrderKind.PAUSE)
        with pytest.raises(InvalidField):
            await order(world, held, OrderKind.STEER)

    async def test_waiting_for_a_person_suspends_the_lease(self, world: World, held: ClaimResult) -> None:
        """
        A run that waits for a person is suspended: it does not expire during the wait, and the explanation names the
        question.
        """
        waiting = await beat(world, held, waiting_for="which database?", wait=timedelta(hours=2))
        world.clock.advance(hours=1)
        swept = await expire_leases(world.ports, world.me)
        fresh = await world.fresh(held.task)

        assert (RunState.SUSPENDED, 0) == (waiting.run.state, swept)
        assert (Status.AWAITING_OWNER, held.run.id) == (fresh.status, fresh.run)
        assert "which database?" in (await explain_task(world.ports, world.me, held.task.id)).why

    async def test_a_decision_starts_the_lease_again(self, world: World, held: ClaimResult) -> None:
        """
        A resume order restarts the lease with a full term, and delivers its message as a steer order.
        """
        await beat(world, held, waiting_for="which database?", wait=timedelta(hours=2))
        world.clock.advance(hours=1)
        resumed = await order(world, held, OrderKind.RESUME, message="the small one")
        told = await beat(world, held)

        assert Status.IN_PROGRESS is resumed.status
        assert (RunState.LEASED, OrderKind.STEER, "the small one") == (
            told.run.state, order_in(told).kind, order_in(told).message,
        )  # fmt: skip
        assert world.clock.now() + TERMS.term == told.run.expires_at

    async def test_a_wait_that_nobody_ends_ends_itself(self, world: World, held: ClaimResult) -> None:
        """
        After the wait, a heartbeat resumes the run; without one, the lease expires a term later.
        """
        other = await world.claimed(await world.task(), agent="bob", terms=TERMS)
        for each in (held, other):
            await beat(world, each, waiting_for="anybody?", wait=timedelta(hours=2))
        world.clock.advance(hours=2)
        woken = await beat(world, held)
        world.clock.advance(seconds=59)
        nobody_yet = await expire_leases(world.ports, world.me)
        await beat(world, held)
        world.clock.advance(seconds=1)
        swept = await expire_leases(world.ports, world.me)

        assert (RunState.LEASED, Status.IN_PROGRESS) == (woken.run.state, (await world.fresh(held.task)).status)
        assert (0, 1) == (nobody_yet, swept)
        assert Status.INBOX is (await world.fresh(other.task)).status

    async def test_a_heartbeat_between_reading_and_saving_a_run_stands(self, world: World, held: ClaimResult) -> None:
        """
        Saving a run keeps the expiry and progress of a heartbeat that came after the run was read.
        """
        async with world.ports.unit(world.me) as unit:
            run = await unit.runs.get(held.run.id)
            world.clock.advance(seconds=30)
            extended = await beat(world, held, progress=canonical({"percent": 70}))
            unit.runs.save(evolve(run, paused=True))
            await unit.commit()
        fresh = await run_of(world, held)

        assert (True, extended.run.expires_at, '{"percent":70}') == (fresh.paused, fresh.expires_at, fresh.progress)
        assert extended.run.heartbeat_at == fresh.heartbeat_at

    async def test_a_saver_that_sets_the_lease_record_wins(self, world: World, held: ClaimResult) -> None:
        """
        Saving a run with a changed `expires_at` stores it.
        """
        until = world.clock.now() + timedelta(hours=9)
        async with world.ports.unit(world.me) as unit:
            run = await unit.runs.get(held.run.id)
            unit.runs.save(evolve(run, expires_at=until))
            await unit.commit()

        assert until == (await run_of(world, held)).expires_at

    async def test_deleting_ends_the_lease(self, world: World, held: ClaimResult) -> None:
        """
        Deleting a task ends its lease and deletes all its runs. Later heartbeats and completions raise `NotFound`.
        """
        await release_task(world.ports, world.me, ReleaseTask(task=held.task.id, lease=held.lease))
        again = await world.claimed(held.task)
        await delete_task(world.ports, world.me, DeleteTask(task=held.task.id))
        with pytest.raises(NotFound):
            await beat(world, held)
        with pytest.raises(TaskNotFound):
            await complete(world, held)

        for each in (held, again):
            with pytest.raises(RunNotFound):
                await run_of(world, each)
        assert "run.revoked" in await world.event_kinds()

    async def test_deleting_tells_of_those_who_waited(self, world: World, held: ClaimResult) -> None:
        """
        Deleting a task removes it from the dependencies of others, raises their versions and records `task.updated` for
        each.
        """
        waiting = await world.task("waiting", depends_on=(held.task.id,))
        await delete_task(world.ports, world.me, DeleteTask(task=held.task.id))
        freed = await world.fresh(waiting)
        entries = await world.ports.log.read(world.me.organization)

        assert ((), waiting.version + 1) == (freed.depends_on, freed.version)
        assert ["task.created", "task.updated"] == [each.kind for each in entries if each.subject == waiting.id]

    async def test_reopening_sends_dependents_back_to_rest(self, world: World, held: ClaimResult) -> None:
        """
        Reopening a done task revokes the leases of the tasks that depend on it and returns them to the inbox.
        """
        done = await complete(world, held)
        dependent = await world.task("dependent", depends_on=(done.id,))
        other = await world.claimed(dependent, agent="bob")
        await update_task(world.ports, world.me, UpdateTask(task=done.id, status=Status.INBOX))
        fresh = await world.fresh(dependent)
        with pytest.raises(LeaseLost):
            await beat(world, other)

        assert (Status.INBOX, None, None) == (fresh.status, fresh.assignee, fresh.run)
        with pytest.raises(NotClaimable, match="depends on"):
            await world.claimed(dependent)

    async def test_a_lease_can_be_shown_again(self, world: World, held: ClaimResult) -> None:
        """
        A lease can be computed again from its run, because it is an HMAC over the run's id and fence.
        """
        assert held == await repeat_claim(world.ports, world.me, held.run.id)

    async def test_cancelling_ends_a_wait(self, world: World) -> None:
        """
        A cancel order resumes a suspended run; unacknowledged, it sends the task to the backlog when the lease expires.
        """
        task = await world.task()
        claimed = await world.claimed(task)
        await heartbeat(world.ports, world.me, Heartbeat(task=task.id, lease=claimed.lease, waiting_for="a decision"))
        await give_order(world.ports, world.me, GiveOrder(task=task.id, kind=OrderKind.CANCEL))
        world.clock.advance(minutes=6)
        await expire_leases(world.ports, world.me)

        assert Status.BACKLOG is (await world.fresh(task)).status

    async def test_what_failed_for_good_and_is_taken_up_again_has_all_its_attempts(self, world: World) -> None:
        """
        Reopening a failed task resets its number of attempts.
        """
        task = await world.task(max_attempts=1)
        claimed = await world.claimed(task)
        failure = Failure(reason=FailureReason.TRANSIENT)
        await fail_task(world.ports, world.me, FailTask(task=task.id, lease=claimed.lease, failure=failure))
        failed = await world.fresh(task)
        await update_task(world.ports, world.me, UpdateTask(task=task.id, status=Status.INBOX))

        assert (Status.FAILED, 1) == (failed.status, failed.attempts)
        assert 0 == (await world.fresh(task)).attempts
