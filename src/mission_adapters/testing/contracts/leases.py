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


async def send_heartbeat(world: World, held: ClaimResult, **fields: Any) -> HeartbeatResult:
    """
    Send a heartbeat under the lease.
    """
    return await heartbeat(world.ports, world.me, Heartbeat(task=held.task.id, lease=held.lease, **fields))


async def complete(world: World, held: ClaimResult, **fields: Any) -> Task:
    """
    Complete the task under its lease.
    """
    return await complete_task(world.ports, world.me, CompleteTask(task=held.task.id, lease=held.lease, **fields))


async def send_order(world: World, held: ClaimResult, kind: OrderKind, **fields: Any) -> Task:
    """
    Give an order to the holder of the lease.
    """
    return await give_order(world.ports, world.me, GiveOrder(task=held.task.id, kind=kind, **fields))


def delivered_order(answer: HeartbeatResult) -> Order:
    """
    The order in the answer to a heartbeat, which must have one.
    """
    assert answer.order is not None
    return answer.order


async def stored_run(world: World, held: ClaimResult) -> Run:
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
        answer = await send_heartbeat(world, held, progress=canonical({"percent": 40}))
        run = await stored_run(world, held)

        assert answer.run == run
        assert world.clock.now() + TERMS.term == run.expires_at
        assert ('{"percent":40}', held.run.version) == (run.progress, run.version)
        assert events == await world.event_kinds()

    async def test_a_heartbeat_without_progress_keeps_the_last_progress(self, world: World, held: ClaimResult) -> None:
        """
        A heartbeat without progress keeps the last reported progress.
        """
        await send_heartbeat(world, held, progress=canonical({"percent": 40}))
        await send_heartbeat(world, held)

        assert '{"percent":40}' == (await stored_run(world, held)).progress

    async def test_a_heartbeat_after_the_expiry_is_refused(self, world: World, held: ClaimResult) -> None:
        """
        A heartbeat after the expiry raises `LeaseLost`, before the expiry is noticed and after another worker's claim.
        """
        world.clock.advance(minutes=1)
        with pytest.raises(LeaseLost):
            await send_heartbeat(world, held)
        world.clock.advance(minutes=1)
        other = await world.claimed(held.task, agent="bob")
        with pytest.raises(LeaseLost) as lost:
            await send_heartbeat(world, held)

        assert (1, 2) == (lost.value.fence, lost.value.current)
        assert other.run.id == (await world.fresh(held.task)).run

    async def test_a_lease_of_another_task_or_a_forged_lease_is_refused(self, world: World, held: ClaimResult) -> None:
        """
        The lease of another task, a forged lease and malformed text raise `LeaseUnknown`.
        """
        other = await world.claimed(await world.task(), agent="bob")
        forged = world.ports.secrets.lease(held.run.id, held.run.fence + 1)
        for lease in (other.lease, forged, "nonsense", held.lease[:-1] + "_"):
            with pytest.raises(LeaseUnknown):
                await send_heartbeat(world, evolve(held, lease=lease))
            with pytest.raises(LeaseUnknown):
                await complete(world, evolve(held, lease=lease))

    async def test_a_heartbeat_from_another_organization_is_refused(
        self, world: World, elsewhere: World, held: ClaimResult
    ) -> None:
        """
        A valid lease that is sent from another organization raises `NotFound`.
        """
        with pytest.raises(NotFound):
            await heartbeat(elsewhere.ports, elsewhere.me, Heartbeat(task=held.task.id, lease=held.lease))

    async def test_each_expiry_doubles_the_retry_delay_up_to_the_longest(self, world: World) -> None:
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

    async def test_claim_next_expires_leases_without_a_sweeper(self, world: World, held: ClaimResult) -> None:
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

    async def test_claiming_a_task_expires_its_lease_without_a_sweeper(self, world: World, held: ClaimResult) -> None:
        """
        A claim of a task with an expired lease raises `NotClaimable` during the retry delay and succeeds after it.
        """
        world.clock.advance(minutes=1)
        with pytest.raises(NotClaimable, match="delayed until"):
            await world.claimed(held.task, agent="bob")
        world.clock.advance(seconds=10)
        claimed = await world.claimed(held.task, agent="bob")

        assert (2, 2) == (claimed.run.fence, claimed.run.attempt)
        assert RunState.EXPIRED is (await stored_run(world, held)).state

    async def test_a_task_assigned_before_its_claim_keeps_its_assignee_after_an_expiry(self, world: World) -> None:
        """
        A task that was assigned before its claim keeps its assignee after an expiry.
        """
        task = await world.task(assignee="ada")
        await world.claimed(task, terms=TERMS)
        world.clock.advance(minutes=1)
        await expire_leases(world.ports, world.me)
        fresh = await world.fresh(task)

        assert (Status.ASSIGNED, Assignee("ada")) == (fresh.status, fresh.assignee)

    async def test_a_task_whose_last_attempt_expires_is_failed(self, world: World) -> None:
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

    async def test_concurrent_sweeps_expire_a_lease_once(self, world: World, held: ClaimResult) -> None:
        """
        Two concurrent sweeps expire a lease once.
        """
        world.clock.advance(minutes=1)
        answers = await asyncio.gather(expire_leases(world.ports, world.me), expire_leases(world.ports, world.me))

        assert [0, 1] == sorted(answers)
        assert 1 == (await world.event_kinds()).count("run.expired")

    async def test_a_sweep_with_a_limit_expires_the_earliest_leases(self, world: World) -> None:
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

    async def test_a_completion_without_gates_sets_the_task_to_done(self, world: World, held: ClaimResult) -> None:
        """
        On a board without gates, a completion stores the outcome and sets the task to done.
        """
        outcome = Outcome(result=TaskResult.PARTIAL, resolution="mostly", output=canonical({"pull": 7}))
        done = await complete(world, held, outcome=outcome)
        run = await stored_run(world, held)

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
    async def test_a_completion_on_a_board_with_gates_sets_the_task_to_review(
        self, world: World, held: ClaimResult, gates: GateSet
    ) -> None:
        """
        On a board with gates, a completion completes the run and sets the task to review.
        """
        await update_board(world.ports, world.me, UpdateBoard(board=world.board.id, gates=asdict(gates)))
        reviewed = await complete(world, held)

        assert Status.REVIEW is reviewed.status
        assert RunState.COMPLETED is (await stored_run(world, held)).state

    async def test_a_repeated_completion_returns_the_same_task(self, world: World, held: ClaimResult) -> None:
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

    async def test_concurrent_equal_completions_are_recorded_once(self, world: World, held: ClaimResult) -> None:
        """
        Concurrent equal completions all succeed, and one is recorded.
        """
        command = CompleteTask(task=held.task.id, lease=held.lease)
        answers = await asyncio.gather(*(complete_task(world.ports, world.me, command) for _ in range(6)))

        assert {Status.DONE} == {answer.status for answer in answers}
        assert 1 == (await world.event_kinds()).count("run.completed")

    async def test_a_completion_after_the_expiry_is_refused(self, world: World, held: ClaimResult) -> None:
        """
        A completion after the expiry raises `LeaseLost`.
        """
        world.clock.advance(minutes=1)
        with pytest.raises(LeaseLost):
            await complete(world, held)

    @pytest.mark.parametrize("reason", FailureReason)
    async def test_the_retry_class_of_a_failure_decides_what_follows(
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

    async def test_a_release_makes_the_task_claimable_and_does_not_count_as_an_attempt(
        self, world: World, held: ClaimResult
    ) -> None:
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
            await send_heartbeat(world, held)

    async def test_heartbeats_repeat_the_oldest_order_until_it_is_acknowledged(
        self, world: World, held: ClaimResult
    ) -> None:
        """
        Heartbeats are answered with the oldest order until it is acknowledged by its id, then with the next one.
        """
        await send_order(world, held, OrderKind.STEER, message="only the tests")
        await send_order(world, held, OrderKind.PAUSE)
        first, again = await send_heartbeat(world, held), await send_heartbeat(world, held)
        second = await send_heartbeat(world, held, acknowledges=delivered_order(first).id)
        last = await send_heartbeat(world, held, acknowledges=delivered_order(second).id)
        repeat = await send_heartbeat(world, held, acknowledges=delivered_order(second).id)

        assert (OrderKind.STEER, "only the tests") == (delivered_order(first).kind, delivered_order(first).message)
        assert first.order == again.order
        assert OrderKind.PAUSE is delivered_order(second).kind
        assert (None, True) == (last.order, last.run.paused)
        assert (None, True) == (repeat.order, repeat.run.paused)
        assert 2 == (await world.event_kinds()).count("run.acknowledged")

    async def test_the_seventeenth_unacknowledged_order_is_refused(self, world: World, held: ClaimResult) -> None:
        """
        The seventeenth unacknowledged order raises `TooManyOrders`.
        """
        for i in range(16):
            await send_order(world, held, OrderKind.STEER, message=f"{i}")
        with pytest.raises(TooManyOrders):
            await send_order(world, held, OrderKind.STEER, message="17")

    async def test_an_acknowledged_cancel_order_moves_the_task_to_the_backlog(
        self, world: World, held: ClaimResult
    ) -> None:
        """
        A cancel order comes before other orders. The lease lives until the order is acknowledged; then the run is
        revoked and the task is in the backlog.
        """
        await send_order(world, held, OrderKind.STEER, message="faster")
        before = await send_order(world, held, OrderKind.CANCEL, message="not needed")
        told = await send_heartbeat(world, held)
        last = await send_heartbeat(world, held, acknowledges=delivered_order(told).id)
        fresh = await world.fresh(held.task)

        assert (Status.IN_PROGRESS, OrderKind.CANCEL) == (before.status, delivered_order(told).kind)
        assert RunState.REVOKED is last.run.state
        assert (Status.BACKLOG, None) == (fresh.status, fresh.run)
        with pytest.raises(LeaseLost):
            await send_heartbeat(world, held)

    async def test_a_cancelled_task_goes_to_the_backlog_when_its_lease_expires(
        self, world: World, held: ClaimResult
    ) -> None:
        """
        A task with an unacknowledged cancel order goes to the backlog when its lease expires.
        """
        await send_order(world, held, OrderKind.CANCEL)
        world.clock.advance(minutes=1)
        await expire_leases(world.ports, world.me)

        assert Status.BACKLOG is (await world.fresh(held.task)).status

    async def test_a_cancelled_task_goes_to_the_backlog_when_it_is_released(
        self, world: World, held: ClaimResult
    ) -> None:
        """
        A task with an unacknowledged cancel order goes to the backlog when it is released, and is not handed out again.
        """
        await send_order(world, held, OrderKind.CANCEL)
        given_back = ReleaseTask(task=held.task.id, lease=held.lease, note="so far")
        released = await release_task(world.ports, world.me, given_back)

        assert (Status.BACKLOG, "so far") == (released.status, released.hand_over)
        assert await world.claim() is None

    async def test_an_acknowledged_cancel_order_drops_later_orders(self, world: World, held: ClaimResult) -> None:
        """
        An acknowledged cancel order drops the orders that came after it.
        """
        await send_order(world, held, OrderKind.CANCEL)
        await send_order(world, held, OrderKind.STEER, message="faster")
        told = await send_heartbeat(world, held)
        last = await send_heartbeat(world, held, acknowledges=delivered_order(told).id)

        assert (None, "cancel") == (last.order, last.instruction)

    async def test_a_lease_stays_live_when_its_task_moves_to_another_board(
        self, world: World, held: ClaimResult
    ) -> None:
        """
        A lease stays live when its task moves to another board. The lead of that board can then give orders and revoke
        the lease.
        """
        other = await world.another_board()
        lead = await world.principal("lead", board=other.id, lead=True)
        await update_task(world.ports, world.me, UpdateTask(task=held.task.id, board=other.id))
        await give_order(world.ports, lead, GiveOrder(task=held.task.id, kind=OrderKind.STEER, message="faster"))
        told = await send_heartbeat(world, held)
        taken = await update_task(world.ports, lead, UpdateTask(task=held.task.id, status=Status.INBOX))

        assert ("steer", other.id) == (told.instruction, told.run.board)
        assert (None, 2) == (taken.run, taken.fence)
        assert RunState.REVOKED is (await stored_run(world, held)).state

    async def test_a_steal_order_ends_the_lease_at_once(self, world: World, held: ClaimResult) -> None:
        """
        A steal order ends the lease at once, assigns the task to the named agent, raises the fence and does not count
        as an attempt.
        """
        stolen = await send_order(world, held, OrderKind.STEAL, to="bob")
        with pytest.raises(LeaseLost):
            await send_heartbeat(world, held)
        with pytest.raises(LeaseLost):
            await complete(world, held)
        taken = await world.claimed(agent="bob")

        assert (Status.ASSIGNED, Assignee("bob"), 0) == (stolen.status, stolen.assignee, stolen.attempts)
        assert taken.run.fence > stolen.fence > held.run.fence

    async def test_an_order_without_a_live_lease_or_a_needed_message_is_refused(
        self, world: World, held: ClaimResult
    ) -> None:
        """
        An order to a task without a live lease raises `NoLiveLease`; a steer order without a message raises
        `InvalidField`.
        """
        world.clock.advance(minutes=1)
        with pytest.raises(NoLiveLease):
            await send_order(world, held, OrderKind.PAUSE)
        with pytest.raises(InvalidField):
            await send_order(world, held, OrderKind.STEER)

    async def test_a_run_that_waits_for_a_person_is_suspended(self, world: World, held: ClaimResult) -> None:
        """
        A run that waits for a person is suspended: it does not expire during the wait, and the explanation names the
        question.
        """
        waiting = await send_heartbeat(world, held, waiting_for="which database?", wait=timedelta(hours=2))
        world.clock.advance(hours=1)
        swept = await expire_leases(world.ports, world.me)
        fresh = await world.fresh(held.task)

        assert (RunState.SUSPENDED, 0) == (waiting.run.state, swept)
        assert (Status.AWAITING_OWNER, held.run.id) == (fresh.status, fresh.run)
        assert "which database?" in (await explain_task(world.ports, world.me, held.task.id)).why

    async def test_a_resume_order_restarts_the_lease(self, world: World, held: ClaimResult) -> None:
        """
        A resume order restarts the lease with a full term, and delivers its message as a steer order.
        """
        await send_heartbeat(world, held, waiting_for="which database?", wait=timedelta(hours=2))
        world.clock.advance(hours=1)
        resumed = await send_order(world, held, OrderKind.RESUME, message="the small one")
        told = await send_heartbeat(world, held)

        assert Status.IN_PROGRESS is resumed.status
        assert (RunState.LEASED, OrderKind.STEER, "the small one") == (
            told.run.state, delivered_order(told).kind, delivered_order(told).message,
        )  # fmt: skip
        assert world.clock.now() + TERMS.term == told.run.expires_at

    async def test_after_the_wait_a_heartbeat_resumes_the_run_or_the_lease_expires(
        self, world: World, held: ClaimResult
    ) -> None:
        """
        After the wait, a heartbeat resumes the run; without one, the lease expires a term later.
        """
        other = await world.claimed(await world.task(), agent="bob", terms=TERMS)
        for each in (held, other):
            await send_heartbeat(world, each, waiting_for="anybody?", wait=timedelta(hours=2))
        world.clock.advance(hours=2)
        woken = await send_heartbeat(world, held)
        world.clock.advance(seconds=59)
        nobody_yet = await expire_leases(world.ports, world.me)
        await send_heartbeat(world, held)
        world.clock.advance(seconds=1)
        swept = await expire_leases(world.ports, world.me)

        assert (RunState.LEASED, Status.IN_PROGRESS) == (woken.run.state, (await world.fresh(held.task)).status)
        assert (0, 1) == (nobody_yet, swept)
        assert Status.INBOX is (await world.fresh(other.task)).status

    async def test_saving_a_run_keeps_a_concurrent_heartbeat(self, world: World, held: ClaimResult) -> None:
        """
        Saving a run keeps the expiry and progress of a heartbeat that came after the run was read.
        """
        async with world.ports.unit(world.me) as unit:
            run = await unit.runs.get(held.run.id)
            world.clock.advance(seconds=30)
            extended = await send_heartbeat(world, held, progress=canonical({"percent": 70}))
            unit.runs.save(evolve(run, paused=True))
            await unit.commit()
        fresh = await stored_run(world, held)

        assert (True, extended.run.expires_at, '{"percent":70}') == (fresh.paused, fresh.expires_at, fresh.progress)
        assert extended.run.heartbeat_at == fresh.heartbeat_at

    async def test_saving_a_run_with_a_changed_expiry_stores_it(self, world: World, held: ClaimResult) -> None:
        """
        Saving a run with a changed `expires_at` stores it.
        """
        until = world.clock.now() + timedelta(hours=9)
        async with world.ports.unit(world.me) as unit:
            run = await unit.runs.get(held.run.id)
            unit.runs.save(evolve(run, expires_at=until))
            await unit.commit()

        assert until == (await stored_run(world, held)).expires_at

    async def test_deleting_a_task_ends_its_lease_and_deletes_its_runs(self, world: World, held: ClaimResult) -> None:
        """
        Deleting a task ends its lease and deletes all its runs. Later heartbeats and completions raise `NotFound`.
        """
        await release_task(world.ports, world.me, ReleaseTask(task=held.task.id, lease=held.lease))
        again = await world.claimed(held.task)
        await delete_task(world.ports, world.me, DeleteTask(task=held.task.id))
        with pytest.raises(NotFound):
            await send_heartbeat(world, held)
        with pytest.raises(TaskNotFound):
            await complete(world, held)

        for each in (held, again):
            with pytest.raises(RunNotFound):
                await stored_run(world, each)
        assert "run.revoked" in await world.event_kinds()

    async def test_deleting_a_task_updates_its_dependents(self, world: World, held: ClaimResult) -> None:
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

    async def test_reopening_a_done_task_returns_its_dependents_to_the_inbox(
        self, world: World, held: ClaimResult
    ) -> None:
        """
        Reopening a done task revokes the leases of the tasks that depend on it and returns them to the inbox.
        """
        done = await complete(world, held)
        dependent = await world.task("dependent", depends_on=(done.id,))
        other = await world.claimed(dependent, agent="bob")
        await update_task(world.ports, world.me, UpdateTask(task=done.id, status=Status.INBOX))
        fresh = await world.fresh(dependent)
        with pytest.raises(LeaseLost):
            await send_heartbeat(world, other)

        assert (Status.INBOX, None, None) == (fresh.status, fresh.assignee, fresh.run)
        with pytest.raises(NotClaimable, match="depends on"):
            await world.claimed(dependent)

    async def test_a_lease_can_be_computed_again_from_its_run(self, world: World, held: ClaimResult) -> None:
        """
        A lease can be computed again from its run, because it is an HMAC over the run's id and fence.
        """
        assert held == await repeat_claim(world.ports, world.me, held.run.id)

    async def test_a_cancel_order_resumes_a_suspended_run(self, world: World) -> None:
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

    async def test_reopening_a_failed_task_resets_its_attempts(self, world: World) -> None:
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
