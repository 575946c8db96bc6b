"""
Claims of two processes on one PostgreSQL database, each of which reads its task before it claims it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from threading import Thread
from typing import Any

import pytest
from attrs import define, evolve, field

from mission_adapters.sql.optimistic_claims import NotOptimistic, OptimisticClaims
from mission_adapters.sql.store import SqlStore
from mission_adapters.testing import ManualClock, World, make_world, seeded_secrets
from mission_core.approvals.use_cases import RequestApproval, request_approval
from mission_core.boards.use_cases import UpdateBoard, update_board
from mission_core.errors import StaleWrite
from mission_core.ids import RunId
from mission_core.tasks.leases import (
    ClaimNext,
    ClaimTask,
    claim_decision,
    claim_next,
    claim_task,
    claiming_assignee,
    expiry_decision,
)
from mission_core.tasks.model import Status, Task
from mission_core.tasks.ports import Candidate, ClaimFilter, TaskChange
from mission_core.tasks.queue_polls import PollQueue, PollReason, poll_queue
from mission_core.tasks.runs import LeaseTerms
from mission_core.tasks.use_cases import DeleteTask, UpdateTask, delete_task, update_task
from tests.contract.conftest import ports_over

pytestmark = pytest.mark.parametrize("store_url", ["postgres"], indirect=True, scope="session")

HOLDING = {"block_status_changes_with_pending_approval": True}


@define(eq=False)
class InterruptedClaims(OptimisticClaims):
    """
    Claims between whose two statements something else happens, once. With *locks* all are decided on locked rows.
    """

    meanwhile: list[Callable[[], Awaitable[Any]]] = field(factory=list)
    attempts: int = 0
    locks: bool = False

    async def claim(self, *args: Any, **kwargs: Any) -> Any:
        if self.locks:
            raise NotOptimistic
        return await super().claim(*args, **kwargs)

    async def _write(self, *args: Any, **kwargs: Any) -> Any:
        self.attempts += 1
        while self.meanwhile:
            await self.meanwhile.pop()()
        return await super()._write(*args, **kwargs)


@pytest.fixture
async def processes(store_url: str, clock: ManualClock) -> AsyncIterator[tuple[World, World, InterruptedClaims]]:
    """
    One organization in two processes, and the claims of the first one.
    """
    async with SqlStore.open(store_url, clock=clock) as one, SqlStore.open(store_url, clock=clock) as other:
        claims = one.claims = InterruptedClaims(one.session)
        first = evolve(ports_over(one, clock), secrets=seeded_secrets(9))
        world = await make_world(first)
        names = ("unit", "reads", "log", "credentials", "numbers")
        yield world, evolve(world, ports=evolve(first, **{name: getattr(other, name) for name in names})), claims


async def test_polls_of_one_name_in_two_processes_get_one_task(processes: Any) -> None:
    """
    A name that polls two processes at once works on one task.
    """
    here, there, claims = processes
    await here.task()
    polls = []

    async def poll(world: World) -> None:
        polls.append(await poll_queue(world.ports, world.me, PollQueue(agent="ada")))

    async def poll_there() -> None:
        await there.task(priority="critical")  # so that the two do not find the same task
        await poll(there)

    claims.meanwhile = [poll_there]
    await poll(here)

    assert 1 == claims.attempts
    assert [PollReason.ASSIGNED, PollReason.CONTINUE] == [each.reason for each in polls]
    assert 1 == len({each.task for each in polls})


async def test_polls_at_once_in_two_processes_keep_to_the_capacity(processes: Any) -> None:
    """
    A name with a capacity of two gets two tasks, from whichever processes.
    """
    here, there, _ = processes
    for _ in range(8):
        await here.task()
    polled = await asyncio.gather(
        *(
            poll_queue(world.ports, world.me, PollQueue(agent="ada", instance=f"{n}", max_in_progress=2))
            for n, world in enumerate([here, there] * 4)
        )
    )

    assert 2 == [each.reason for each in polled].count(PollReason.ASSIGNED)


async def test_claims_at_once_in_two_processes_take_every_task_once(processes: Any) -> None:
    """
    Twenty claims of ten tasks in two processes take each once.
    """
    here, there, _ = processes
    tasks = {(await here.task()).id for _ in range(10)}
    claims = [claim_next(w.ports, w.me, ClaimNext(agent=f"a{n}")) for n, w in enumerate([here, there] * 10)]
    taken = [each.task.id for each in await asyncio.gather(*claims) if each]

    assert sorted(tasks) == sorted(taken)


async def claim_it(world: World, task: Task) -> None:
    await claim_task(world.ports, world.me, ClaimTask(task=task.id, agent="bob"))


async def assign_it(world: World, task: Task) -> None:
    await update_task(world.ports, world.me, UpdateTask(task=task.id, assignee="bob"))


async def finish_it(world: World, task: Task) -> None:
    await update_task(world.ports, world.me, UpdateTask(task=task.id, status=Status.DONE))


async def block_it(world: World, task: Task) -> None:
    other = await world.task("other", status=Status.BACKLOG)
    await update_task(world.ports, world.me, UpdateTask(task=task.id, depends_on=(other.id,)))


async def remove_it(world: World, task: Task) -> None:
    await delete_task(world.ports, world.me, DeleteTask(task=task.id))


async def hold_it(world: World, task: Task) -> None:
    await update_board(world.ports, world.me, UpdateBoard(board=task.board, gates=HOLDING))
    request = RequestApproval(board=task.board, action="x", confidence=1, tasks=(task.id,))
    await request_approval(world.ports, world.me, request)


@pytest.mark.parametrize("change", [claim_it, assign_it, finish_it, block_it, remove_it, hold_it])
async def test_a_task_that_changes_before_its_claim_is_not_claimed(processes: Any, change: Any) -> None:
    """
    Another process changes the task between the two statements of a claim, which then takes the next task.
    """
    here, there, claims = processes
    task, following = await here.task("first", priority="high"), await here.task("second", priority="low")
    claims.meanwhile = [lambda: change(there, task)]
    claimed = await claim_next(here.ports, here.me, ClaimNext(agent="ada"))

    assert 1 == claims.attempts
    assert following.id == claimed.task.id


async def test_a_task_of_a_board_that_reserves_moves_before_a_workers_claim_is_not_claimed(processes: Any) -> None:
    """
    Another process reserves the moves on a board for its lead between the two statements of a worker's claim.
    """
    here, there, claims = processes
    worker, task = await here.principal("ada", board=here.board.id), await here.task()
    reserve = UpdateBoard(board=task.board, gates={"only_lead_can_change_status": True})
    claims.meanwhile = [lambda: update_board(there.ports, there.me, reserve)]

    assert await claim_next(here.ports, worker, ClaimNext()) is None
    assert 1 == claims.attempts


@pytest.mark.parametrize(("seed", "gates", "depends"), [(10, {}, False), (11, HOLDING, False), (12, {}, True)])
async def test_a_board_that_reserves_moves_while_a_locked_claim_is_decided_refuses_it(
    processes: Any, store_url: str, seed: int, gates: Any, depends: bool
) -> None:
    """
    Another process reserves the moves on a board for its lead while a worker's claim has its task locked. Either that
    comes after the claim, or the claim is decided again.
    """
    here, _, claims = processes
    here = evolve(here, ports=evolve(here.ports, secrets=seeded_secrets(seed)))
    worker = await here.principal("ada", board=here.board.id)
    upon = await here.task("upon")
    await finish_it(here, upon)
    await here.task(depends_on=(upon.id,) if depends else ())
    await update_board(here.ports, here.me, UpdateBoard(board=here.board.id, gates=gates))
    claims.locks = True
    now = here.ports.clock.now()
    by, id = claiming_assignee(worker, None), RunId(here.ports.ids.new())
    take = claim_decision(by, worker, id=id, terms=LeaseTerms(), at=now)

    async def reserve() -> None:
        async with SqlStore.open(store_url, clock=here.ports.clock) as store:
            reserved = UpdateBoard(board=here.board.id, gates={"only_lead_can_change_status": True})
            await update_board(ports_over(store, here.ports.clock), here.me, reserved)

    reserving = Thread(target=asyncio.run, args=(reserve(),))

    def decide(candidate: Candidate) -> TaskChange | None:
        reserving.start()
        reserving.join(0.5)  # with the board locked, it waits for this claim
        return take(candidate)

    async with here.ports.unit(worker) as unit:
        unit.tasks.expire_due(expiry_decision(now), at=now)
        unit.tasks.claim_next(ClaimFilter(name_key=by.key, board=here.board.id, worker=True), decide, at=now)
        with suppress(StaleWrite):
            await unit.commit()
    await asyncio.to_thread(reserving.join)
    told = await here.event_kinds()

    assert "task.claimed" not in told[len(told) - told[::-1].index("board.updated") :]
