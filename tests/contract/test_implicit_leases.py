"""
Implicit leases: what polling hands out, what keeps it, and what plain writes do to it.
"""

import asyncio
from datetime import timedelta

import pytest
from attrs import evolve

from mission_core.accounts.model import KeyOfAnotherAgent, Role
from mission_core.boards.model import GateSet
from mission_core.errors import InvalidField, VersionMismatch
from mission_core.tasks.bulk_update import MoveTasks, move_tasks
from mission_core.tasks.explanations import explain_task
from mission_core.tasks.lease_ownership import LeaseHeldByAnother, LeaseRequired
from mission_core.tasks.leases import ClaimTask, claim_task, expire_leases
from mission_core.tasks.model import GateClosed, NotClaimable, NotYourTask, Status
from mission_core.tasks.operator_orders import GiveOrder, give_order
from mission_core.tasks.queue_polls import (
    PollQueue,
    PollReason,
    PollResult,
    RenewImplicitLeases,
    peek_queue,
    poll_queue,
    renew_implicit_leases,
)
from mission_core.tasks.runs import (
    IMPLICIT_LEASE_TERM,
    ImplicitHolder,
    LeaseTerms,
    OrderKind,
    OrderNotDeliverable,
    TaskResult,
)
from mission_core.tasks.use_cases import DeleteTask, UpdateTask, delete_task, update_task

NOTHING = PollResult(PollReason.NOTHING)
ADA_S_WAYS = ["her own key", "an operator in her name"]


@pytest.fixture(params=ADA_S_WAYS)
async def ada(request, world):
    """
    How to work as ada: who calls, and the name that is given.
    """
    if request.param == ADA_S_WAYS[0]:
        return await world.principal("ada"), None
    return world.me, "ada"


async def poll(world, who=None, agent=None, **more):
    """
    The answer to a poll without the task that it claimed, which is the one it names.
    """
    found = await poll_queue(world.ports, who or world.me, PollQueue(agent=agent, **more))
    claimed = found.claimed.id if found.claimed else None
    assert (found.task if found.reason is PollReason.ASSIGNED else None) == claimed
    return evolve(found, claimed=None)


async def write(world, task, who=None, agent=None, **fields):
    return await update_task(world.ports, who or world.me, UpdateTask(task=task.id, agent=agent, **fields))


async def runs_of(world, task):
    return [(row.state, row.fence) for row in await world.ports.reads.tasks.runs(world.me, task.id)]


async def live_run(world, task):
    async with world.ports.unit(world.me) as unit:
        found = await unit.tasks.get(task.id)
        return await unit.runs.get(found.run) if found.run else None


async def taken(world, ada, **fields):
    """
    A task that ada polled for.
    """
    task = await world.task(**fields)
    assert PollResult(PollReason.ASSIGNED, task.id) == await poll(world, *ada)
    return task


async def lost(world, ada, **fields):
    """
    A task that ada polled for and was not heard of since, back in the queue.
    """
    task = await taken(world, ada, **fields)
    world.clock.advance(minutes=10)
    assert 1 == await expire_leases(world.ports, world.me)
    return task


# Polling.


async def test_a_poll_takes_the_next_task_under_an_implicit_lease(world, ada):
    """
    In the order of the queue, for ten minutes, with a fence and an attempt like any claim.
    """
    await world.task("low", priority="low")
    task = await taken(world, ada, priority="high")
    fresh, run = await world.fresh(task), await live_run(world, task)

    assert (Status.IN_PROGRESS, "ada", 1, 1) == (fresh.status, fresh.assignee.name, fresh.fence, fresh.attempts)
    assert (run.claimed_at + IMPLICIT_LEASE_TERM, "ada") == (run.expires_at, run.holder.name)
    assert "task.claimed" == (await world.event_kinds())[-1]


async def test_a_pair_goes_on_with_its_current_task(world, ada):
    """
    However often it asks, and whatever else there is to do.
    """
    task = await taken(world, ada)
    await world.task(priority="critical")

    for _ in range(2):
        assert PollResult(PollReason.CONTINUE, task.id) == await poll(world, *ada)


async def test_only_ready_work_is_handed_out(world, ada):
    """
    Never what is blocked, rests, is parked, waits, or is another's.
    """
    first = await world.task(assignee="bob")
    await world.task(depends_on=(first.id,))
    await world.task(not_before=world.clock.now() + timedelta(hours=1))
    for status in (Status.BACKLOG, Status.AWAITING_OWNER, Status.REVIEW):
        await world.task(status=status)

    assert NOTHING == await poll(world, *ada)


async def test_a_pair_is_a_principal_and_a_name(world):
    """
    The same name under another principal, and another name under the same, have tasks of their own.
    """
    ada = await world.principal("ada")
    tasks = {(await world.task()).id for _ in range(3)}
    polled = [await poll(world, ada), await poll(world, agent="ADA"), await poll(world, agent="bob")]

    assert tasks == {each.task for each in polled}
    assert polled[1].task == (await poll(world, agent="ada")).task


async def test_instances_of_one_name_have_tasks_of_their_own(world, ada):
    """
    And each goes on with its own.
    """
    for _ in range(3):
        await world.task()
    names = (None, "one", "two")
    first = [(await poll(world, *ada, instance=name)).task for name in names]
    again = [await poll(world, *ada, instance=name) for name in names]

    assert 3 == len(set(first))
    assert [PollResult(PollReason.CONTINUE, task) for task in first] == again


async def test_no_more_is_in_progress_than_a_name_has_capacity_for(world, ada):
    """
    Where that is said: over all instances, and what is held counts.
    """
    for _ in range(3):
        await world.task()
    polls = [await poll(world, *ada, instance=name, max_in_progress=2) for name in ("one", "two", "three", "one")]

    assert [PollReason.ASSIGNED, PollReason.ASSIGNED, PollReason.AT_CAPACITY, PollReason.CONTINUE] == [
        each.reason for each in polls
    ]
    assert PollReason.ASSIGNED is (await poll(world, *ada, instance="three", max_in_progress=3)).reason


async def test_a_held_task_is_the_current_one_of_its_assignee(world, ada):
    """
    As the callers of old expect; but no instance's, for another one might have it too.
    """
    held = await world.task(status=Status.IN_PROGRESS, assignee="Ada")
    other = await world.task()

    assert PollResult(PollReason.CONTINUE, held.id) == await poll(world, *ada)
    assert await live_run(world, held) is None
    assert PollResult(PollReason.ASSIGNED, other.id) == await poll(world, *ada, instance="one")


async def test_of_several_tasks_the_one_changed_last_is_current(world, ada):
    """
    Those that the pair moved to in progress itself among them.
    """
    first, second = await world.task(assignee="ada"), await world.task(assignee="ada")
    for task in (second, first):
        world.clock.advance(seconds=1)
        await write(world, task, *ada, status=Status.IN_PROGRESS)

    assert PollResult(PollReason.CONTINUE, first.id) == await poll(world, *ada)


async def test_work_under_a_secret_lease_is_not_gone_on_with(world, ada):
    """
    Whoever has the lease's secret has the work.
    """
    claimed = await world.claim(await world.task())
    other = await world.task()

    assert PollResult(PollReason.ASSIGNED, other.id) == await poll(world, *ada)
    assert claimed.run.id == (await world.fresh(claimed.task)).run


async def test_looking_takes_nothing(world, ada):
    """
    It tells what is current; what would be next is not known without taking it.
    """
    task = await world.task()
    command = PollQueue(agent=ada[1])
    before = await peek_queue(world.ports, ada[0], command)
    fresh = await world.fresh(task)
    await poll(world, *ada)

    assert (None, task) == (before, fresh)
    assert PollResult(PollReason.CONTINUE, task.id) == await peek_queue(world.ports, ada[0], command)


async def test_agents_poll_for_themselves(world):
    """
    An admin's key for any, and an operator must say for whom.
    """
    ada = await world.principal("ada")
    task = await world.task(assignee="bob")
    for who, agent, refusal in ((ada, "bob", KeyOfAnotherAgent), (world.me, None, InvalidField)):
        with pytest.raises(refusal):
            await poll(world, who, agent)
        with pytest.raises(refusal):
            await peek_queue(world.ports, who, PollQueue(agent=agent))

    assert task.id == (await poll(world, evolve(ada, role=Role.ADMIN), "bob")).task


async def test_an_agent_of_a_board_is_handed_what_is_on_it(world):
    """
    And goes on with nothing elsewhere.
    """
    other = await world.another_board()
    ada = await world.principal("ada", board=other.id)
    await world.task()
    await world.task(status=Status.IN_PROGRESS, assignee="ada")
    here = await world.task(board=other.id)

    polled = [await poll(world, ada) for _ in range(2)]

    assert [PollResult(PollReason.ASSIGNED, here.id), PollResult(PollReason.CONTINUE, here.id)] == polled


async def test_two_pollers_never_get_one_task(world):
    """
    Polls at once by many names hand every task out once.
    """
    tasks = {(await world.task()).id for _ in range(8)}
    polled = await asyncio.gather(*(poll(world, agent=f"agent {i}") for i in range(12)))
    handed = [each.task for each in polled if each.task]

    assert (8, tasks) == (len(handed), set(handed))


async def test_polls_of_one_pair_at_once_get_one_task(world):
    """
    Whoever comes second goes on with what the first one took.
    """
    for _ in range(6):
        await world.task()
    polled = await asyncio.gather(*(poll(world, agent="ada") for _ in range(6)))

    assert 1 == len({each.task for each in polled})
    assert [PollReason.ASSIGNED, *[PollReason.CONTINUE] * 5] == sorted(each.reason for each in polled)
    assert 1 == (await world.event_kinds()).count("task.claimed")


async def test_polls_at_once_keep_to_the_capacity(world):
    """
    Instances that count the same free places do not all take one.
    """
    for _ in range(8):
        await world.task()
    polled = await asyncio.gather(*(poll(world, agent="ada", instance=str(i), max_in_progress=2) for i in range(5)))

    assert 2 == sum(each.reason is PollReason.ASSIGNED for each in polled)
    assert 3 == sum(each.reason is PollReason.AT_CAPACITY for each in polled)


# Keeping, and losing.


async def test_a_request_renews_at_most_once_a_minute(world, ada):
    """
    By a term from its own moment, without version and without event.
    """
    task = await taken(world, ada)
    facts, command = await world.event_kinds(), RenewImplicitLeases(agent=ada[1])
    before = await live_run(world, task)
    renewed = []
    for seconds in (59, 1, 59, 1):
        world.clock.advance(seconds=seconds)
        renewed.append((await renew_implicit_leases(world.ports, ada[0], command)).count)
    run = await live_run(world, task)

    assert [0, 1, 0, 1] == renewed
    assert evolve(before, expires_at=world.clock.now() + IMPLICIT_LEASE_TERM, heartbeat_at=world.clock.now()) == run
    assert facts == await world.event_kinds()


async def test_polling_renews(world, ada):
    """
    To ask again is to be there.
    """
    task = await taken(world, ada)
    for _ in range(3):
        world.clock.advance(minutes=9)
        assert PollResult(PollReason.CONTINUE, task.id) == await poll(world, *ada)

    assert world.clock.now() + IMPLICIT_LEASE_TERM == (await live_run(world, task)).expires_at


async def test_a_request_renews_nothing_of_others(world, ada):
    """
    Neither another name's, nor another instance's, nor a lease with a secret.
    """
    claimed = await world.claim(await world.task())
    tasks = [claimed.task]
    for agent, instance in (("bob", None), ("ada", "one"), ("ada", "two")):
        who = ada if agent == "ada" else (world.me, agent)
        tasks.append(await world.task())
        await poll(world, *who, instance=instance)
    world.clock.advance(minutes=2)
    before = [await live_run(world, task) for task in tasks]

    assert 0 == (await renew_implicit_leases(world.ports, ada[0], RenewImplicitLeases(agent=ada[1]))).count
    second = RenewImplicitLeases(agent=ada[1], instance="two")
    assert 1 == (await renew_implicit_leases(world.ports, ada[0], second)).count
    after = [await live_run(world, task) for task in tasks]
    assert [True, True, True, False] == [old == new for old, new in zip(before, after, strict=True)]


async def test_an_agents_requests_keep_what_an_operator_took_in_its_name(world):
    """
    Whoever hands out work for agents need not speak for them from then on.
    """
    ada = await world.principal("ada")
    task = await taken(world, (world.me, "ada"))
    world.clock.advance(minutes=9)

    assert 1 == (await renew_implicit_leases(world.ports, ada, RenewImplicitLeases())).count
    done = await write(world, task, ada, own=True, status=Status.DONE)
    assert (Status.DONE, [("completed", 1)]) == (done.status, await runs_of(world, task))


async def test_an_implicit_lease_ends_ten_minutes_after_the_last_request(world, ada):
    """
    Swept like any other: the run is kept as expired, the attempt is spent, the work rests and is anybody's again.
    """
    task = await lost(world, ada)
    fresh = await world.fresh(task)
    (row,) = await world.ports.reads.tasks.runs(world.me, task.id)

    assert (Status.INBOX, None, 1) == (fresh.status, fresh.assignee, fresh.attempts)
    assert world.clock.now() + timedelta(seconds=5) == fresh.not_before
    assert ("expired", "lease_expired") == (row.state, row.failure)
    assert "no request since" in row.message


async def test_a_poll_notices_expiry_without_a_sweeper(world, ada):
    """
    What ran out is nobody's current task, and goes to whoever asks next.
    """
    task = await taken(world, ada)
    world.clock.advance(minutes=11)

    assert PollResult(PollReason.ASSIGNED, task.id) == await poll(world, agent="bob")
    assert [("leased", 2), ("expired", 1)] == await runs_of(world, task)
    assert NOTHING == await poll(world, *ada)


async def test_explaining_tells_what_keeps_an_implicit_lease(world, ada):
    """
    Requests, not heartbeats.
    """
    task = await taken(world, ada)
    told = await explain_task(world.ports, world.me, task.id)

    assert "leased" == told.state
    assert "ada works on it" in told.why
    assert "without another request" in told.next


async def test_a_cancellation_ends_an_implicit_lease_at_once(world, ada):
    """
    Nobody would acknowledge it; other orders are refused for the same reason.
    """
    task = await taken(world, ada)
    for kind in (OrderKind.PAUSE, OrderKind.RESUME, OrderKind.STEER):
        with pytest.raises(OrderNotDeliverable, match="ada has an implicit lease"):
            await give_order(world.ports, world.me, GiveOrder(task=task.id, kind=kind, message="m"))
    parked = await give_order(world.ports, world.me, GiveOrder(task=task.id, kind=OrderKind.CANCEL))

    assert (Status.BACKLOG, None, 2) == (parked.status, parked.run, parked.fence)
    assert [("revoked", 1)] == await runs_of(world, task)
    assert NOTHING == await poll(world, *ada)


async def test_deleted_work_is_nobodys_current_task(world, ada):
    """
    And nothing of it is renewed.
    """
    task = await taken(world, ada)
    world.clock.advance(minutes=2)
    await delete_task(world.ports, world.me, DeleteTask(task=task.id))

    assert 0 == (await renew_implicit_leases(world.ports, ada[0], RenewImplicitLeases(agent=ada[1]))).count
    assert NOTHING == await poll(world, *ada)


# Writing, as the holder.


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (Status.DONE, "completed"), (Status.REVIEW, "completed"), (Status.QUALITY_REVIEW, "completed"),
        (Status.FAILED, "failed"), (Status.INBOX, "released"), (Status.ASSIGNED, "released"),
        (Status.BACKLOG, "released"), (Status.AWAITING_OWNER, "released"),
    ],
)  # fmt: skip
async def test_the_holders_write_ends_the_run_as_it_says(world, ada, status, state):
    """
    The task is where it was put, the run has its outcome, and no stranger took anything away.
    """
    task = await taken(world, ada)
    kept = await write(world, task, *ada, own=True, status=status)

    assert (status, None, 1) == (kept.status, kept.run, kept.fence)
    assert [(state, 1)] == await runs_of(world, task)
    assert f"run.{state}" in await world.event_kinds()
    assert kept == await world.fresh(task)


async def test_what_the_write_tells_is_the_outcome_of_the_run(world, ada):
    """
    Result and resolution, and what went wrong.
    """
    first = await taken(world, ada)
    await write(world, first, *ada, status=Status.DONE, result=TaskResult.PARTIAL, resolution="half of it")
    second = await taken(world, ada)
    await write(world, second, *ada, status=Status.FAILED, error_message="out of disk")
    (done,) = await world.ports.reads.tasks.runs(world.me, first.id)
    (failed,) = await world.ports.reads.tasks.runs(world.me, second.id)

    assert ("partial", "half of it") == (done.result, done.resolution)
    assert ("impossible", "out of disk") == (failed.failure, failed.message)


async def test_work_given_back_costs_no_attempt(world, ada):
    """
    It is whose it was before: anybody's, or its assignee's.
    """
    open_work, own = await taken(world, ada), None
    back = await write(world, open_work, *ada, status=Status.INBOX)
    own = await taken(world, ada, assignee="ada", priority="critical")
    kept = await write(world, own, *ada, status=Status.ASSIGNED)

    assert (0, None) == (back.attempts, back.assignee)
    assert (0, "ada") == (kept.attempts, kept.assignee.name)
    assert own.id == (await poll(world, *ada)).task


async def test_handing_work_to_another_gives_it_back(world, ada):
    """
    The other one holds it; the run was released, not revoked.
    """
    task = await taken(world, ada)
    kept = await write(world, task, *ada, assignee="bob")

    assert (Status.IN_PROGRESS, "bob", None) == (kept.status, kept.assignee.name, kept.run)
    assert [("released", 1)] == await runs_of(world, task)


async def test_gates_have_their_say_about_the_holders_write(world, ada):
    """
    A refused write leaves the lease as it is.
    """
    board = await world.another_board("Gated", gates=GateSet(require_approval_for_done=True))
    task = await taken(world, ada, board=board.id)
    with pytest.raises(GateClosed):
        await write(world, task, *ada, status=Status.DONE)

    assert PollResult(PollReason.CONTINUE, task.id) == await poll(world, *ada)
    assert [("leased", 1)] == await runs_of(world, task)


async def test_in_progress_again_keeps_the_lease_and_renews_it(world, ada):
    """
    The task is not changed by it.
    """
    task = await taken(world, ada)
    before = await world.fresh(task)
    world.clock.advance(minutes=5)
    kept = await write(world, task, *ada, own=True, status=Status.IN_PROGRESS)

    assert before == kept == await world.fresh(task)
    assert world.clock.now() + IMPLICIT_LEASE_TERM == (await live_run(world, task)).expires_at


async def test_an_edit_of_the_holder_leaves_the_lease(world, ada):
    """
    To another board it goes along.
    """
    task, other = await taken(world, ada), await world.another_board()
    await write(world, task, *ada, own=True, title="New", board=other.id)
    run = await live_run(world, task)

    assert ("ada", other.id) == (run.by.name, run.board)


async def test_an_operator_who_polled_for_an_agent_hands_in_without_naming_it(world):
    """
    As those do who tell the name only when they poll; an operator who did not poll takes the work away.
    """
    mine, other = await taken(world, (world.me, "ada")), evolve(world.me, name="other")
    await write(world, mine, status=Status.DONE)
    theirs = await taken(world, (world.me, "ada"))
    changed = await write(world, theirs, other, status=Status.DONE)

    assert [("completed", 1)] == await runs_of(world, mine)
    assert ([("revoked", 1)], 2) == (await runs_of(world, theirs), changed.fence)


async def test_an_operators_write_ends_an_implicit_lease(world):
    """
    It raises the fence, and whoever had the task polls for another.
    """
    ada = await world.principal("ada")
    task = await taken(world, (ada, None))
    changed = await write(world, task, status=Status.BACKLOG)

    assert (None, 2, [("revoked", 1)]) == (changed.run, changed.fence, await runs_of(world, task))
    assert NOTHING == await poll(world, ada)


async def test_moves_of_many_tasks_are_the_holders_too(world, ada):
    """
    Each ends its run as a write of its own would.
    """
    first = await taken(world, ada)
    moves = MoveTasks(moves=((first.number, Status.DONE),), own=True, agent=ada[1])
    moved = await move_tasks(world.ports, ada[0], moves)

    assert [Status.DONE] == [task.status for task in moved.tasks]
    assert [("completed", 1)] == await runs_of(world, first)


# Beginning work by a plain write.


async def test_an_agents_move_to_in_progress_takes_the_task(world, ada):
    """
    Under an implicit lease, so that it comes back when the agent is heard of no more.
    """
    task = await world.task(assignee="ada")
    kept = await write(world, task, *ada, own=True, status=Status.IN_PROGRESS)
    run = await live_run(world, task)
    facts = await world.event_kinds()

    assert (run.id, 1, 1) == (kept.run, kept.fence, kept.attempts)
    assert isinstance(run.holder, ImplicitHolder)
    assert ["task.created", "task.claimed", "task.updated"] == facts[-3:]
    assert PollResult(PollReason.CONTINUE, task.id) == await poll(world, *ada)
    world.clock.advance(minutes=10)
    assert 1 == await expire_leases(world.ports, world.me)
    assert Status.ASSIGNED is (await world.fresh(task)).status


async def test_a_persons_move_to_in_progress_makes_a_held_task(world):
    """
    No lease, and so no end.
    """
    task = await world.task(assignee="ada")
    held = await write(world, task, status=Status.IN_PROGRESS)
    told = await explain_task(world.ports, world.me, task.id)

    assert (None, 0, "held") == (held.run, held.fence, told.state)


async def test_what_is_not_ready_is_not_begun(world, ada):
    """
    Neither blocked work nor what rests.
    """
    first = await world.task(assignee="bob")
    blocked = await write(world, await world.task(assignee="ada"), depends_on=(first.id,))
    resting = await world.task(assignee="ada", not_before=world.clock.now() + timedelta(hours=1))
    for task, why in ((blocked, "depends on 1 task"), (resting, "delayed until")):
        with pytest.raises(NotClaimable, match=why):
            await write(world, task, *ada, own=True, status=Status.IN_PROGRESS)

        assert task == await world.fresh(task)


async def test_rework_is_taken_like_new_work(world, ada):
    """
    What comes back from a review is in progress under a lease, too; what had failed for good has all its attempts.
    """
    review = await world.task(assignee="ada", status=Status.REVIEW)
    failed = await world.task(assignee="ada", status=Status.FAILED)
    for task in (review, failed):
        kept = await write(world, task, *ada, own=True, status=Status.IN_PROGRESS)

        assert (1, 1) == (kept.attempts, kept.fence)
        assert kept.run is not None


async def test_in_progress_for_somebody_else_is_no_lease(world):
    """
    A lead hands work out; whoever gets it holds it.
    """
    lead = await world.principal("lead", board=world.board.id, lead=True)
    await world.agent("ada", board=world.board.id)
    kept = await write(world, await world.task(), lead, status=Status.IN_PROGRESS, assignee="ada")

    assert (None, "ada") == (kept.run, kept.assignee.name)


async def test_other_moves_of_an_agent_are_just_written(world, ada):
    """
    Work that nobody has may be called done by whom it is assigned to.
    """
    task = await world.task(assignee="ada")
    kept = await write(world, task, *ada, own=True, status=Status.DONE)

    assert (Status.DONE, []) == (kept.status, await runs_of(world, task))


# Late writes.


@pytest.mark.parametrize("swept", [True, False])
@pytest.mark.parametrize(
    ("status", "states"),
    [
        (Status.DONE, [("completed", 2), ("expired", 1)]), (Status.REVIEW, [("completed", 2), ("expired", 1)]),
        (Status.FAILED, [("failed", 2), ("expired", 1)]), (Status.IN_PROGRESS, [("leased", 2), ("expired", 1)]),
    ],
)  # fmt: skip
async def test_a_late_write_takes_the_task_again(world, ada, swept, status, states):
    """
    Whether or not anybody noticed that the lease ran out; the delay is for others.
    """
    task = await taken(world, ada)
    world.clock.advance(minutes=10)
    if swept:
        await expire_leases(world.ports, world.me)
    kept = await write(world, task, *ada, own=True, status=status)

    assert (status, states) == (kept.status, await runs_of(world, task))
    assert kept == await world.fresh(task)
    assert 2 == kept.fence


async def test_work_that_is_taken_again_began_when_it_first_did(world, ada):
    """
    To its holder it never stopped.
    """
    task = await taken(world, ada)
    began = (await world.fresh(task)).started_at
    world.clock.advance(minutes=11)
    again = await write(world, task, *ada, status=Status.IN_PROGRESS)

    assert began == again.started_at


async def test_a_late_write_tells_who_has_the_task_by_now(world, ada):
    """
    And changes nothing of theirs. What it hands in is kept.
    """
    task = await lost(world, ada)
    world.clock.advance(minutes=1)
    await poll(world, agent="bob")
    before = await world.fresh(task)
    for status in (Status.DONE, Status.IN_PROGRESS, Status.FAILED):
        with pytest.raises(LeaseHeldByAnother, match="bob holds this task under a lease until"):
            await write(world, task, *ada, own=True, status=status)

    assert evolve(before, late_results=1) == await world.fresh(task)
    assert [("leased", 2), ("expired", 1)] == await runs_of(world, task)


async def test_a_late_write_takes_nothing_from_a_new_assignee(world, ada):
    """
    Whether the work still waits for them or is in progress.
    """
    task = await lost(world, ada)
    await write(world, task, assignee="bob")
    with pytest.raises(LeaseHeldByAnother, match="bob has this task now"):
        await write(world, task, *ada, own=True, status=Status.DONE)
    await write(world, task, status=Status.IN_PROGRESS)
    with pytest.raises(LeaseHeldByAnother, match="bob has this task now"):
        await write(world, task, *ada, own=True, status=Status.DONE)

    assert [("expired", 1)] == await runs_of(world, task)


async def test_a_late_write_counts_after_the_last_attempt(world, ada):
    """
    What failed for good only because its holder was not heard of is not lost when they come back with the result.
    """
    task = await lost(world, ada, max_attempts=1)
    failed = await world.fresh(task)
    done = await write(world, task, *ada, own=True, status=Status.DONE)

    assert (Status.FAILED, Status.DONE) == (failed.status, done.status)
    assert [("completed", 2), ("expired", 1)] == await runs_of(world, task)


async def test_a_late_write_does_not_begin_what_is_blocked_by_now(world, ada):
    """
    The reason is told.
    """
    task = await lost(world, ada)
    await write(world, task, depends_on=((await world.task(assignee="bob")).id,))
    with pytest.raises(NotClaimable, match="depends on"):
        await write(world, task, *ada, own=True, status=Status.DONE)


async def test_whoever_was_taken_from_does_not_come_back(world):
    """
    An operator's decision stands: the task is no longer the agent's.
    """
    ada = await world.principal("ada")
    task = await taken(world, (ada, None))
    await give_order(world.ports, world.me, GiveOrder(task=task.id, kind=OrderKind.STEAL, to="bob"))
    with pytest.raises(NotYourTask):
        await write(world, task, ada, own=True, status=Status.DONE)

    assert Status.ASSIGNED is (await world.fresh(task)).status


async def test_a_late_write_of_an_operator_who_names_nobody_decides(world):
    """
    It takes the work from whoever has it by now, as operators may.
    """
    task = await lost(world, (world.me, "ada"))
    world.clock.advance(minutes=1)
    await poll(world, await world.principal("bob"))
    done = await write(world, task, status=Status.DONE)

    assert Status.DONE is done.status
    assert [("revoked", 2), ("expired", 1)] == await runs_of(world, task)


async def test_only_one_of_a_late_write_and_a_poll_has_the_task(world):
    """
    When both come at once: either the work is handed in and the other gets nothing, or the writer is told.
    """
    ada = await world.principal("ada")
    for _ in range(4):
        task = await lost(world, (ada, None))
        world.clock.advance(minutes=1)
        written, polled = await asyncio.gather(
            write(world, task, ada, own=True, status=Status.DONE), poll(world, agent="bob"), return_exceptions=True
        )
        fresh = await world.fresh(task)

        if isinstance(written, LeaseHeldByAnother):
            assert PollResult(PollReason.ASSIGNED, task.id) == polled
            await write(world, task, agent="bob", status=Status.DONE)
        else:
            assert (Status.DONE, NOTHING) == (fresh.status, polled)
        assert 1 == sum(state == "completed" for state, _ in await runs_of(world, task))


# What others have.


async def test_an_agent_does_not_take_what_another_works_on(world):
    """
    It is told who does; a lead, an admin's key and an operator decide.
    """
    bob = await world.principal("bob")
    lead = await world.principal("lead", board=world.board.id, lead=True)
    for who, state in ((bob, "leased"), (lead, "revoked"), (evolve(bob, role=Role.ADMIN), "revoked")):
        task = await taken(world, (world.me, "ada"))
        if state == "leased":
            for fields in ({"status": Status.DONE}, {"assignee": "bob"}, {"status": Status.INBOX}):
                with pytest.raises(LeaseHeldByAnother, match="ada holds this task"):
                    await write(world, task, who, **fields)
        else:
            await write(world, task, who, status=Status.BACKLOG)

        assert [(state, 1)] == await runs_of(world, task)
        await write(world, task, status=Status.BACKLOG)


async def test_an_operator_who_works_as_an_agent_is_told_like_one(world):
    """
    The name says whose work it is, and that is not theirs.
    """
    task = await taken(world, (world.me, "ada"))
    with pytest.raises(LeaseHeldByAnother):
        await write(world, task, agent="bob", status=Status.DONE)
    with pytest.raises(LeaseHeldByAnother):
        await write(world, task, agent="ada", instance="two", status=Status.DONE)

    assert [("leased", 1)] == await runs_of(world, task)


async def test_of_several_at_work_under_a_name_it_is_told_which(world, ada):
    """
    To the others, and to people.
    """
    task = await world.task()
    await poll(world, *ada, instance="host 1")
    told = await explain_task(world.ports, world.me, task.id)
    with pytest.raises(LeaseHeldByAnother, match=r"ada \(host 1\) holds this task"):
        await write(world, task, *ada, instance="host 2", status=Status.DONE)

    assert "ada (host 1) works on it" in told.why


async def test_a_secret_lease_is_used_not_written_past(world, ada):
    """
    Edits that move nothing are welcome.
    """
    if ada[1] is None:
        claimed = await claim_task(world.ports, ada[0], ClaimTask(task=(await world.task()).id))
    else:
        claimed = await world.claim(await world.task())
    for fields in ({"status": Status.DONE}, {"assignee": "bob"}):
        with pytest.raises(LeaseRequired, match="complete, fail or release it with the lease"):
            await write(world, claimed.task, *ada, own=True, **fields)
    kept = await write(world, claimed.task, *ada, own=True, title="New", status=Status.IN_PROGRESS)

    assert (claimed.run.id, "New") == (kept.run, kept.title)
    assert [("leased", 1)] == await runs_of(world, claimed.task)


async def test_an_agent_finds_what_ran_out_under_another_at_rest(world):
    """
    Its write begins nothing before the delay is over.
    """
    bob = await world.principal("bob")
    claimed = await world.claim(await world.task(), terms=LeaseTerms(term=timedelta(minutes=1)))
    world.clock.advance(minutes=1)
    with pytest.raises(NotClaimable, match="delayed until"):
        await write(world, claimed.task, bob, status=Status.IN_PROGRESS)
    world.clock.advance(minutes=1)
    kept = await write(world, claimed.task, bob, status=Status.IN_PROGRESS)

    assert ("bob", 2) == (kept.assignee.name, kept.fence)
    assert [("leased", 2), ("expired", 1)] == await runs_of(world, claimed.task)


async def test_versions_are_compared_before_anything_is_told(world, ada):
    """
    A caller who expected another version hears of that.
    """
    task = await lost(world, ada)
    with pytest.raises(VersionMismatch):
        await write(world, task, *ada, own=True, expects=0, status=Status.DONE)


async def test_an_agent_below_admin_works_under_its_own_name(world):
    """
    An admin's key under any.
    """
    ada = await world.principal("ada")
    task = await world.task(assignee="bob")
    with pytest.raises(KeyOfAnotherAgent):
        await write(world, task, ada, "bob", status=Status.IN_PROGRESS)
    kept = await write(world, task, evolve(ada, role=Role.ADMIN), "Bob", status=Status.IN_PROGRESS)

    assert "Bob" == (await live_run(world, kept)).by.name
