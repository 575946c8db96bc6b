"""
The contract of the repositories of tasks, runs, boards, agents and API keys.
"""

from __future__ import annotations

from typing import Any

from attrs import evolve
from hypothesis import given

from mission_adapters.testing import strategies as some
from mission_adapters.testing.contracts.base import StoreContract, contract_settings
from mission_adapters.testing.world import World
from mission_core.accounts.model import ApiKey
from mission_core.agents.model import Agent
from mission_core.boards.model import Board
from mission_core.kinds import EntityT
from mission_core.tasks.model import Task
from mission_core.tasks.runs import Run

FEW = contract_settings(15)


async def stored(world: World, repository: str, entity: EntityT, *, key: int | None = None) -> EntityT:
    """
    Write the entity, and read it back in another unit.
    """
    async with world.ports.unit(world.me) as unit:
        getattr(unit, repository).add(entity)
        await unit.commit()
    async with world.ports.unit(world.me) as unit:
        found: EntityT = await getattr(unit, repository).get(key or entity.id)
        return found


async def owned_copy(world: World, entity: EntityT, scope: str) -> EntityT:
    """
    A copy of the entity that belongs to the world's organization, with a new id and a new number.
    """
    (number,) = await world.ports.numbers.next((world.me.organization, scope))
    changed: dict[str, Any] = {"id": world.ports.ids.new(), "organization": world.me.organization}
    if not isinstance(entity, Run):
        changed["number"] = number
    made: Any = entity
    owned: EntityT = evolve(made, **changed)
    return owned


class EntityRoundTripContract(StoreContract):
    """
    The contract of the repositories of tasks, runs, boards, agents and API keys: an entity is read back as it was
    written. A subclass provides the fixture `ports` of `StoreContract`.
    """

    @FEW
    @given(some.tasks())
    async def test_a_task_is_read_back_unchanged(self, world: World, task: Task) -> None:
        """
        A task is read back unchanged in every field.
        """
        task = evolve(await owned_copy(world, task, "task"), board=world.board.id)

        assert task == await stored(world, "tasks", task)
        assert task.number == (await world.ports.reads.tasks.get(world.me, task.id)).number

    @FEW
    @given(some.runs())
    async def test_a_run_is_read_back_unchanged(self, world: World, run: Run) -> None:
        """
        A run in any state is read back unchanged, with its orders and its outcome, and appears in its task's runs.
        """
        task = await world.task()
        run = evolve(await owned_copy(world, run, "run"), board=world.board.id, task=task.id)

        assert run == await stored(world, "runs", run)
        assert [run.id.bytes] == [row.id for row in await world.ports.reads.tasks.runs(world.me, task.id)]

    @FEW
    @given(some.boards())
    async def test_a_board_is_read_back_unchanged(self, world: World, board: Board) -> None:
        """
        A board is read back unchanged in every field.
        """
        board = await owned_copy(world, board, "board")
        board = evolve(board, handle=f"{board.handle}-{board.number}", ticket_prefix=f"{board.number}")

        assert board == await stored(world, "boards", board)

    @FEW
    @given(some.agents())
    async def test_an_agent_is_read_back_unchanged(self, world: World, agent: Agent) -> None:
        """
        An agent is read back unchanged, with its presence.
        """
        agent = await owned_copy(world, agent, "agent")
        session_key = None if agent.session_key is None else f"{agent.session_key}{agent.number}"
        agent = evolve(agent, board=world.board.id, name=f"{agent.name}{agent.number}", session_key=session_key)

        assert agent == await stored(world, "agents", agent)

    @FEW
    @given(some.keys())
    async def test_an_api_key_is_read_back_unchanged(self, world: World, key: ApiKey) -> None:
        """
        An API key is read back unchanged in every field.
        """
        agent = await world.agent(f"ada {world.ports.ids.new()}")
        key = evolve(await owned_copy(world, key, "key"), agent=agent.id, digest=world.ports.ids.new().bytes * 2)

        assert key == await stored(world, "keys", key, key=key.number)

    @FEW
    @given(some.tasks(), some.tasks())
    async def test_a_save_stores_every_changed_field_of_a_task(self, world: World, task: Task, later: Task) -> None:
        """
        A save stores every changed field of a task and raises its version by one.
        """
        task = evolve(await owned_copy(world, task, "task"), board=world.board.id)
        await stored(world, "tasks", task)
        async with world.ports.unit(world.me) as unit:
            found = await unit.tasks.get(task.id)
            saved = unit.tasks.save(
                evolve(later, id=found.id, number=found.number, organization=found.organization, board=found.board)
            )
            await unit.commit()

        assert 1 == saved.version
        assert saved == await world.fresh(task)
