"""
Whatever could exist is kept as it is, and read back equal.
"""

from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mission_adapters.testing import strategies as some
from mission_core.tasks.runs import Run
from tests.example_counts import max_examples

FEW = settings(max_examples=max_examples(15), suppress_health_check=[HealthCheck.function_scoped_fixture])


async def kept(world, repository, entity, *, key=None):
    """
    The entity as it is read back.
    """
    async with world.ports.unit(world.me) as unit:
        getattr(unit, repository).add(entity)
        await unit.commit()
    async with world.ports.unit(world.me) as unit:
        return await getattr(unit, repository).get(key or entity.id)


async def own(world, entity, scope):
    """
    The entity as one of the world's organization, with an id and a number that are free.
    """
    (number,) = await world.ports.numbers.next((world.me.organization, scope))
    changed = {"id": world.ports.ids.new(), "organization": world.me.organization}
    if not isinstance(entity, Run):
        changed["number"] = number
    return evolve(entity, **changed)


@FEW
@given(some.tasks())
async def test_a_task_is_kept_as_it_is(world, task):
    """
    In every field.
    """
    task = evolve(await own(world, task, "task"), board=world.board.id)

    assert task == await kept(world, "tasks", task)
    assert task.number == (await world.ports.reads.tasks.get(world.me, task.id)).number


@FEW
@given(some.runs())
async def test_a_run_is_kept_as_it_is(world, run):
    """
    In every state, with its orders and its end.
    """
    task = await world.task()
    run = evolve(await own(world, run, "run"), board=world.board.id, task=task.id)

    assert run == await kept(world, "runs", run)
    assert [run.id.bytes] == [row.id for row in await world.ports.reads.tasks.runs(world.me, task.id)]


@FEW
@given(some.boards())
async def test_a_board_is_kept_as_it_is(world, board):
    """
    In every field.
    """
    board = await own(world, board, "board")
    board = evolve(board, handle=f"{board.handle}-{board.number}", ticket_prefix=f"{board.number}")

    assert board == await kept(world, "boards", board)


@FEW
@given(some.agents())
async def test_an_agent_is_kept_as_it_is(world, agent):
    """
    With its presence.
    """
    agent = await own(world, agent, "agent")
    session_key = None if agent.session_key is None else f"{agent.session_key}{agent.number}"
    agent = evolve(agent, board=world.board.id, name=f"{agent.name}{agent.number}", session_key=session_key)

    assert agent == await kept(world, "agents", agent)


@FEW
@given(some.keys(), st.data())
async def test_a_key_is_kept_as_it_is(world, key, data):
    """
    In every field.
    """
    agent = await world.agent(f"ada {world.ports.ids.new()}")
    key = evolve(await own(world, key, "key"), agent=agent.id, digest=world.ports.ids.new().bytes * 2)

    assert key == await kept(world, "keys", key, key=key.number)


@FEW
@given(some.tasks(), some.tasks())
async def test_a_saved_task_is_kept_as_it_is(world, task, later):
    """
    Whatever changed of it, and with the next version.
    """
    task = evolve(await own(world, task, "task"), board=world.board.id)
    await kept(world, "tasks", task)
    async with world.ports.unit(world.me) as unit:
        found = await unit.tasks.get(task.id)
        saved = unit.tasks.save(
            evolve(later, id=found.id, number=found.number, organization=found.organization, board=found.board)
        )
        await unit.commit()

    assert 1 == saved.version
    assert saved == await world.fresh(task)
