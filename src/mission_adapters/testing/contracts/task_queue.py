"""
The contract of the task queue.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve

from mission_adapters.testing.contracts.base import StoreContract
from mission_adapters.testing.world import World
from mission_core.accounts.model import KeyOfAnotherAgent, Role
from mission_core.boards.model import BoardDenied, BoardStatus
from mission_core.boards.use_cases import UpdateBoard, update_board
from mission_core.errors import InvalidField, RoleTooLow, VersionMismatch
from mission_core.ids import BoardId, TaskId
from mission_core.tasks.leases import ClaimNext, ClaimTask, CompleteTask, claim_next, claim_task, complete_task
from mission_core.tasks.model import NotClaimable, Status, TaskNotFound
from mission_core.tasks.ports import Candidate, ClaimFilter, TaskChange
from mission_core.tasks.runs import Assignee, LeaseTerms, RunState
from mission_core.tasks.use_cases import UpdateTask, update_task

REVOKED = RunState.REVOKED


async def claimed_titles(world: World, count: int, **wanted: Any) -> list[str | None]:
    """
    The titles of the next *count* claims, each by another agent; None for a claim that found nothing.
    """
    claims = [await world.claim(agent=f"agent {i}", **wanted) for i in range(count)]
    return [claim.task.title if claim else None for claim in claims]


class TaskQueueContract(StoreContract):
    """
    The contract of `UnitOfWork.tasks` as a queue: the order of claims, and the tasks each principal can claim. A
    subclass provides the fixture `ports` of `StoreContract`.
    """

    async def test_the_queue_is_sorted_by_priority_due_date_and_age(self, world: World) -> None:
        """
        The queue is sorted by priority, due date and age. Unknown priorities come last, and tasks without a due date
        after those with one.
        """
        now = world.clock.now()
        await world.task("someday", priority="whenever")
        await world.task("low", priority="low")
        await world.task("medium, undated")
        await world.task("medium, due late", due_at=now + timedelta(days=9))
        await world.task("medium, due soon", due_at=now + timedelta(days=1))
        await world.task("medium, undated, younger")
        await world.task("critical", priority="critical")
        await world.task("high", priority="high")

        assert [
            "critical",
            "high",
            "medium, due soon",
            "medium, due late",
            "medium, undated",
            "medium, undated, younger",
            "low",
            "someday",
            None,
        ] == await claimed_titles(world, 9)

    async def test_a_claimed_task_is_in_progress_under_a_lease(self, world: World) -> None:
        """
        A claimed task is in progress and assigned to its claimant, under a run with a fence, an attempt and an expiry.
        """
        task = await world.task()
        claimed = await world.claimed(agent="ada", terms=LeaseTerms(term=timedelta(seconds=90)))
        run, fresh = claimed.run, await world.fresh(task)

        assert fresh == claimed.task
        assert (Status.IN_PROGRESS, Assignee("ada"), run.id) == (fresh.status, fresh.assignee, fresh.run)
        assert (1, 1, RunState.LEASED) == (run.fence, run.attempt, run.state)
        assert world.clock.now() + timedelta(seconds=90) == run.expires_at
        assert run.id == world.ports.secrets.run_of_lease(claimed.lease)
        assert "task.claimed" == (await world.event_kinds())[-1]

    @pytest.mark.parametrize("status", [status for status in Status if status not in (Status.INBOX, Status.ASSIGNED)])
    async def test_only_inbox_and_assigned_tasks_are_claimable(self, world: World, status: Any) -> None:
        """
        A task that is neither in the inbox nor assigned cannot be claimed.
        """
        task = await world.task(status=status)
        with pytest.raises(NotClaimable):
            await world.claimed(task)

        assert await world.claim() is None

    async def test_a_task_is_claimable_while_all_its_dependencies_are_done(self, world: World) -> None:
        """
        A task is claimable while all of its dependencies are done, and blocked again when one is reopened.
        """
        first, second = (
            await world.task("first", status=Status.BACKLOG),
            await world.task("second", status=Status.BACKLOG),
        )
        task = await world.task("last", depends_on=(first.id, second.number))
        with pytest.raises(NotClaimable, match="2 tasks"):
            await world.claimed(task)
        await update_task(world.ports, world.me, UpdateTask(task=first.id, status=Status.DONE))
        one_open = await world.claim()
        await update_task(world.ports, world.me, UpdateTask(task=second.id, status=Status.DONE))
        await update_task(world.ports, world.me, UpdateTask(task=first.id, status=Status.REVIEW))
        reopened = await world.claim()
        await update_task(world.ports, world.me, UpdateTask(task=first.id, status=Status.DONE))

        assert [None, None] == [one_open, reopened]
        assert "last" == (await world.claimed()).task.title

    async def test_a_failed_dependency_blocks(self, world: World) -> None:
        """
        A task that depends on a failed task is blocked.
        """
        first = await world.task("first", status=Status.FAILED)
        await world.task("second", depends_on=(first.id,))

        assert await world.claim() is None

    async def test_a_removed_dependency_no_longer_blocks(self, world: World) -> None:
        """
        A task is claimable again once the dependency that blocked it is removed from it.
        """
        first = await world.task("first", status=Status.BACKLOG)
        second = await world.task("second")
        await update_task(world.ports, world.me, UpdateTask(task=second.id, depends_on=(first.id,)))
        blocked = await world.claim()
        await update_task(world.ports, world.me, UpdateTask(task=second.id, depends_on=()))

        assert blocked is None
        assert "second" == (await world.claimed()).task.title

    async def test_a_task_is_claimable_from_its_not_before_on(self, world: World) -> None:
        """
        A task is claimable from its `not_before` on, to the microsecond.
        """
        task = await world.task(not_before=world.clock.now() + timedelta(minutes=1))
        await world.task("meanwhile")
        world.clock.advance(minutes=1, microseconds=-1)
        with pytest.raises(NotClaimable, match="delayed until"):
            await world.claimed(task)
        early = await claimed_titles(world, 2)
        world.clock.advance(microseconds=1)

        assert ["meanwhile", None] == early
        assert task.id == (await world.claimed(agent="bob")).task.id

    async def test_an_assigned_task_is_claimable_by_its_assignee_only(self, world: World) -> None:
        """
        An assigned task is claimable by its assignee only; names are compared without regard to case.
        """
        task = await world.task(assignee="Ada")
        with pytest.raises(NotClaimable, match="assigned to Ada"):
            await world.claimed(task, agent="bob")
        others = await world.claim(agent="bob")

        assert others is None
        assert task.id == (await world.claimed(agent="ADA")).task.id

    async def test_unassigned_and_own_tasks_form_one_queue(self, world: World) -> None:
        """
        Unassigned tasks and those assigned to the claimant form one queue in one order.
        """
        await world.task("open, low", priority="low")
        await world.task("own, high", priority="high", assignee="ada")
        await world.task("open, critical", priority="critical")
        await world.task("own, low", priority="low", assignee="ada")
        titles = [(await world.claimed(agent="ada")).task.title for _ in range(4)]

        assert ["open, critical", "own, high", "open, low", "own, low"] == titles

    async def test_decide_is_offered_claimable_tasks_only(self, world: World) -> None:
        """
        `claim_next` offers its `decide` function claimable tasks only, in the order of the queue, until it returns a
        change.
        """
        parked = await world.task("parked", status=Status.BACKLOG)
        await world.task("blocked", depends_on=(parked.id,))
        await world.task("resting", not_before=world.clock.now() + timedelta(seconds=1))
        await world.task("bob's", assignee="bob")
        await world.claimed(await world.task("leased"), agent="eve")
        await world.task("open")
        await world.task("own", assignee="Ada")
        await world.task("never reached", priority="low")
        offered = []

        def decide(candidate: Candidate) -> TaskChange | None:
            offered.append((candidate.task.title, candidate.run, candidate.open_dependencies))
            return TaskChange(task=candidate.task) if candidate.task.title == "own" else None

        async with world.ports.unit(world.me) as unit:
            unit.tasks.claim_next(ClaimFilter(name_key="ada"), decide, at=world.clock.now())
            change = await unit.commit()

        assert [("open", None, 0), ("own", None, 0)] == offered
        assert ("own", 1) == (change.task.title, change.task.version)

    async def test_a_decide_function_that_returns_none_changes_nothing(self, world: World) -> None:
        """
        A `decide` function that returns None for every task is offered all of them, and the commit returns None.
        """
        tasks = [await world.task(f"task {i}") for i in range(20)]
        offered = []
        async with world.ports.unit(world.me) as unit:
            unit.tasks.claim_next(
                ClaimFilter(name_key="ada"), lambda candidate: offered.append(candidate.task), at=world.clock.now()
            )

            assert await unit.commit() is None
        assert tasks == offered == [await world.fresh(task) for task in tasks]

    async def test_a_claim_on_a_board_takes_tasks_of_that_board_only(self, world: World) -> None:
        """
        A claim on a board hands out tasks of that board only, whatever the priority of others.
        """
        other = await world.another_board()
        await world.task("urgent", priority="critical")
        await world.task("here", board=other.id)

        assert ["here", None] == await claimed_titles(world, 2, board=other.id)

    async def test_an_agent_of_a_board_claims_tasks_of_that_board_only(self, world: World) -> None:
        """
        An agent of a board claims tasks of that board only; a claim on another board raises `BoardDenied`.
        """
        other = await world.another_board()
        await world.task("urgent", priority="critical")
        there = await world.task("there")
        await world.task("here", board=other.id)
        me = await world.principal("ada", board=other.id)
        with pytest.raises(BoardDenied):
            await claim_next(world.ports, me, ClaimNext(board=world.board.id))
        with pytest.raises(BoardDenied):
            await claim_task(world.ports, me, ClaimTask(task=there.number))
        claims = [await claim_next(world.ports, me, ClaimNext()) for _ in range(2)]

        assert ["here", None] == [claim.task.title if claim else None for claim in claims]

    async def test_a_moved_task_is_in_the_queue_of_its_new_board_only(self, world: World) -> None:
        """
        A task that moved to another board is in the queue of that board only.
        """
        other, task = await world.another_board(), await world.task()
        await update_task(world.ports, world.me, UpdateTask(task=task.id, board=other.id))

        assert await world.claim(board=world.board.id) is None
        assert task.id == (await world.claimed(board=other.id)).task.id

    async def test_a_changed_priority_or_due_date_changes_the_place_in_the_queue(self, world: World) -> None:
        """
        A changed priority or due date changes the place of a task in the queue.
        """
        first, second, third = [await world.task(title) for title in ("first", "second", "third")]
        await update_task(world.ports, world.me, UpdateTask(task=second.id, priority="high"))
        await update_task(world.ports, world.me, UpdateTask(task=third.id, due_at=world.clock.now()))

        assert ["second", "third", "first"] == await claimed_titles(world, 3)
        assert first.version == 0

    async def test_a_claim_needs_an_agent(self, world: World) -> None:
        """
        An operator must name the agent of a claim, an agent can claim for itself only, and a viewer cannot claim.
        """
        ada = await world.principal("ada")
        task = await world.task()
        with pytest.raises(InvalidField):
            await claim_next(world.ports, world.me, ClaimNext())
        with pytest.raises(KeyOfAnotherAgent):
            await claim_task(world.ports, ada, ClaimTask(task=task.id, agent="bob"))
        with pytest.raises(RoleTooLow):
            await claim_next(world.ports, evolve(world.me, role=Role.VIEWER), ClaimNext(agent="ada"))

        assert "ada" == (await claim_task(world.ports, ada, ClaimTask(task=task.id, agent="Ada"))).run.by.name

    async def test_a_refused_claim_tells_the_reason(self, world: World) -> None:
        """
        A refused claim tells the reason: an unknown task, another board, another version, or the holder of the lease.
        """
        task = await world.task()
        for refusal, claim in [
            (TaskNotFound, ClaimTask(task=TaskId(world.ports.ids.new()), agent="ada")),
            (TaskNotFound, ClaimTask(task=task.id, on=BoardId(world.ports.ids.new()), agent="ada")),
            (VersionMismatch, ClaimTask(task=task.id, expects=7, agent="ada")),
        ]:
            with pytest.raises(refusal):
                await claim_task(world.ports, world.me, claim)
        await world.claimed(task)
        with pytest.raises(NotClaimable, match="ada holds a lease on it until"):
            await world.claimed(task, agent="bob")

    async def test_one_of_many_concurrent_claims_of_a_task_succeeds(self, world: World) -> None:
        """
        If many agents claim one task at once, one claim succeeds and the others raise `NotClaimable`.
        """
        task = await world.task()
        claims = [world.claim(task, agent=f"agent {i}") for i in range(12)]
        answers = await asyncio.gather(*claims, return_exceptions=True)

        assert 1 == sum(not isinstance(answer, Exception) for answer in answers)
        assert 11 == sum(isinstance(answer, NotClaimable) for answer in answers)
        assert (1, 1) == ((await world.fresh(task)).fence, (await world.event_kinds()).count("task.claimed"))

    async def test_concurrent_calls_of_claim_next_receive_different_tasks(self, world: World) -> None:
        """
        Concurrent calls of `claim_next` receive different tasks, and together all of them.
        """
        tasks = {(await world.task(f"task {i}")).id for i in range(15)}
        claims = await asyncio.gather(*(world.claim(agent=f"agent {i}") for i in range(20)))
        taken = [claim.task.id for claim in claims if claim]

        assert 15 == len(taken)
        assert tasks == set(taken)

    async def test_each_lease_raises_the_fence_and_each_expiry_counts_as_an_attempt(self, world: World) -> None:
        """
        Each lease of a task has a higher fence than those before it; each expired lease counts as an attempt.
        """
        task = await world.task()
        fences = []
        for _ in range(3):
            claimed = await world.claimed(task)
            fences.append((claimed.run.fence, claimed.run.attempt))
            world.clock.advance(hours=1)

        assert [(1, 1), (2, 2), (3, 3)] == fences

    async def test_an_operators_change_of_status_or_assignee_revokes_the_lease(self, world: World) -> None:
        """
        An operator's change of status or assignee revokes the lease and raises the fence of the task.
        """
        task = await world.task()
        first = await world.claimed(task)
        moved = await update_task(world.ports, world.me, UpdateTask(task=task.id, status=Status.INBOX, assignee=None))
        rows = await world.ports.reads.tasks.runs(world.me, task.id)
        second = await world.claimed(task)

        assert (None, first.run.fence + 1) == (moved.run, moved.fence)
        assert [REVOKED.value] == [row.state for row in rows]
        assert moved.fence + 1 == second.run.fence

    async def test_an_edit_of_other_fields_leaves_the_lease_live(self, world: World) -> None:
        """
        An edit that changes neither status nor assignee leaves the lease live.
        """
        task = await world.task()
        claimed = await world.claimed(task)
        edited = await update_task(world.ports, world.me, UpdateTask(task=task.id, title="Ship it soon"))
        done = await complete_task(world.ports, world.me, CompleteTask(task=task.id, lease=claimed.lease))

        assert claimed.run.id == edited.run
        assert Status.DONE is done.status

    async def test_tasks_of_an_archived_board_are_claimable(self, world: World) -> None:
        """
        Tasks of an archived board can be claimed.
        """
        task = await world.task()
        await update_board(world.ports, world.me, UpdateBoard(board=world.board.id, status=BoardStatus.ARCHIVED))

        assert task.id == (await world.claimed()).task.id

    async def test_a_task_with_an_expired_lease_is_claimable_after_its_retry_delay(self, world: World) -> None:
        """
        A task whose lease expired longer ago than its retry delay is claimable at once, in its place in the queue.
        """
        low, high = await world.task(priority="low"), await world.task(priority="high")
        await world.claimed(high)
        world.clock.advance(hours=1)

        assert [high.id, low.id] == [(await world.claimed(agent=agent)).task.id for agent in ("bob", "cy")]
