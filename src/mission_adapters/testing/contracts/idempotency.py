"""
The contract of idempotency keys.
"""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from mission_adapters.testing.contracts.base import StoreContract
from mission_adapters.testing.world import World
from mission_core.accounts.model import Principal
from mission_core.agents.use_cases import AgentWithToken, CreateAgent, create_agent
from mission_core.errors import KeyReused
from mission_core.ids import TaskId
from mission_core.ports import AlreadyDone, IdempotencyKey, Ports, perform
from mission_core.tasks.leases import ClaimNext, ClaimResult, claim_next, repeat_claim
from mission_core.tasks.model import Task
from mission_core.tasks.queries import TaskFilter
from mission_core.tasks.use_cases import CreateTask, create_task
from mission_core.values import PageRequest

ONCE = IdempotencyKey(key="k1", operation="create_task", body_digest=b"1" * 32)


async def create(
    world: World,
    *,
    me: Principal | None = None,
    key: str = "k1",
    operation: str = "create_task",
    digest: bytes = b"1" * 32,
) -> Task:
    """
    Create a task under an idempotency key.
    """

    async def again(ports: Ports, principal: Principal, id: UUID) -> Task:
        async with ports.unit(principal) as unit:
            return await unit.tasks.get(TaskId(id))

    once = IdempotencyKey(key=key, operation=operation, body_digest=digest)
    command = CreateTask(title="Ship it", board=world.board.id)
    return await perform(create_task, world.ports, me or world.me, command, once=once, again=again)


async def task_count(world: World) -> int:
    return (await world.ports.reads.tasks.page(world.me, TaskFilter(), PageRequest())).total


class IdempotencyContract(StoreContract):
    """
    The contract of a store's idempotency keys, as `UnitOfWork` and `Reads` keep them. A subclass provides the fixture
    `ports` of `StoreContract`.
    """

    async def test_a_repeated_request_returns_the_first_result(self, world: World) -> None:
        """
        A repeated request returns the first result, and the use case is performed once.
        """
        answers = [await create(world) for _ in range(3)]

        assert 1 == len({answer.id for answer in answers})
        assert 1 == await task_count(world)

    async def test_one_of_many_concurrent_requests_with_a_key_is_performed(self, world: World) -> None:
        """
        If many requests with one key are concurrent, one is performed and the others return its result.
        """
        answers = await asyncio.gather(*(create(world) for _ in range(8)))

        assert 1 == len({answer.id for answer in answers})
        assert 1 == await task_count(world)
        assert 1 == (await world.event_kinds()).count("task.created")

    async def test_a_commit_with_a_used_key_is_refused(self, world: World) -> None:
        """
        A commit with a used key raises `AlreadyDone` with the first result and writes nothing, also if the key was not
        looked up before.
        """
        first = await create(world)
        task = await world.task("pattern")
        async with world.ports.unit(world.me, once=ONCE) as unit:
            unit.tasks.remove(await unit.tasks.get(task.id))
            unit.result(task.id)
            with pytest.raises(AlreadyDone) as done:
                await unit.commit()

        assert first.id == done.value.result
        assert task == await world.fresh(task)

    async def test_a_key_reused_with_another_body_is_refused(self, world: World) -> None:
        """
        A key that is reused with another request body raises `KeyReused`, in `perform` and in `commit`.
        """
        await create(world)
        with pytest.raises(KeyReused):
            await create(world, digest=b"2" * 32)
        async with world.ports.unit(
            world.me, once=IdempotencyKey(key="k1", operation="create_task", body_digest=b"2")
        ) as unit:
            unit.result(world.board.id)
            with pytest.raises(KeyReused):
                await unit.commit()

        assert 1 == await task_count(world)

    async def test_keys_are_separate_for_each_principal_operation_and_organization(
        self, world: World, elsewhere: World
    ) -> None:
        """
        The same key of another principal, operation or organization is a different key.
        """
        ada, bob = await world.principal("ada"), await world.principal("bob")
        answers = [
            await create(world),
            await create(world, me=ada),
            await create(world, me=bob),
            await create(world, operation="copy_task"),
            await create(world, key="k2"),
            await create(elsewhere),
        ]

        assert 6 == len({answer.id for answer in answers})

    async def test_a_key_expires_after_24_hours(self, world: World) -> None:
        """
        A key expires after 24 hours; the same request is then performed again.
        """
        first = await create(world)
        world.clock.advance(hours=23, minutes=59)
        same = await create(world)
        world.clock.advance(minutes=1)
        other = await create(world)

        assert first.id == same.id != other.id
        assert other.id == (await create(world)).id

    async def test_a_failed_request_does_not_use_up_its_key(self, world: World) -> None:
        """
        A failed request does not use up its key.
        """
        await world.agent("ada")
        once = IdempotencyKey(key="k", operation="create_agent", body_digest=b"1")

        async def again(ports: Ports, principal: Principal, id: UUID) -> AgentWithToken:
            raise AssertionError("there is no first result")

        for _ in range(2):
            with pytest.raises(Exception, match="already exists"):
                await perform(create_agent, world.ports, world.me, CreateAgent(name="ada"), once=once, again=again)

    async def test_a_repeated_claim_returns_the_same_lease(self, world: World) -> None:
        """
        Repeated and concurrent claims with one key return the same lease, and one task is claimed.
        """
        for title in "abc":
            await world.task(title)
        once = IdempotencyKey(key="c", operation="claim_next", body_digest=b"1")

        async def claim() -> ClaimResult | None:
            return await perform(
                claim_next, world.ports, world.me, ClaimNext(agent="ada"), once=once, again=repeat_claim
            )

        answers = await asyncio.gather(*(claim() for _ in range(5)))
        answers.append(await claim())

        assert 1 == len({answer and answer.lease for answer in answers})
        assert 1 == (await world.event_kinds()).count("task.claimed")

    async def test_a_claim_on_an_empty_queue_does_not_use_up_its_key(self, world: World) -> None:
        """
        A claim on an empty queue does not use up its key, so a repeat can claim a task that was created since.
        """
        once = IdempotencyKey(key="c", operation="claim_next", body_digest=b"1")

        async def claim() -> ClaimResult | None:
            return await perform(
                claim_next, world.ports, world.me, ClaimNext(agent="ada"), once=once, again=repeat_claim
            )

        nothing = await claim()
        task = await world.task()

        assert nothing is None
        assert [task.id] == [claimed.task.id for claimed in [await claim()] if claimed]

    async def test_idempotent_result_ignores_keys_used_before_since(self, world: World) -> None:
        """
        `idempotent_result` returns the result of a key that was used after *since*, and None otherwise.
        """
        before = world.clock.now()
        world.clock.advance(seconds=1)
        first = await create(world)
        once = world.ports.reads.idempotent_result

        assert first.id == await once(world.me, ONCE, since=before)
        assert await once(world.me, ONCE, since=world.clock.now()) is None
        assert await once(world.me, IdempotencyKey(key="k9", operation="x", body_digest=b""), since=before) is None
