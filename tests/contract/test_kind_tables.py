"""
Plain rows: every store keeps every kind from what the core says about it.
"""

from typing import Any

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings

from mission_adapters.kind_registry import KINDS
from mission_adapters.testing import strategies as some
from mission_core.accounts.model import SystemPrincipal
from mission_core.boards.assignments import BOARD_ASSIGNMENTS, AssignAgent, assign_agent
from mission_core.boards.model import BoardDenied
from mission_core.errors import StaleWrite
from mission_core.ids import OrganizationId
from mission_core.kinds import Kind
from mission_core.tasks.comments import COMMENTS, CommentNotFound
from mission_core.tasks.model import TaskNotFound
from mission_core.tasks.use_cases import DeleteTask, delete_task
from mission_core.values import PageRequest
from tests.contract.conftest import World
from tests.contract.kind_rows import a_comment, own, written
from tests.example_counts import max_examples

FEW = settings(max_examples=max_examples(10), suppress_health_check=[HealthCheck.function_scoped_fixture])


def elsewhere_in(world: World) -> World:
    """
    The world as it looks from an organization that has nothing yet.
    """
    return evolve(world, me=SystemPrincipal(organization=OrganizationId(world.ports.ids.new())))


def kept_as_it_is(kind: Kind[Any]) -> Any:
    @FEW
    @given(row=some.plain[kind.entity]())
    async def test(world: World, row: Any) -> None:
        """
        In every field, by id, by number, by what it is found by, and among all.
        """
        world = elsewhere_in(world)
        row = await own(world, kind, row)
        await written(world, kind, row)
        reads = world.ports.reads.entities

        assert row == await reads.get(world.me, kind, row.id)
        assert row in await reads.every(world.me, kind)
        for fields in kind.indexed_by:
            assert row in await reads.every(world.me, kind, **{name: getattr(row, name) for name in fields})
        if hasattr(row, "number"):
            assert row == await reads.get(world.me, kind, row.number)
            assert row == (await reads.page(world.me, kind, PageRequest(limit=1), newest=True)).rows[0]

    return test


def refused_a_second_time(kind: Kind[Any]) -> Any:
    @FEW
    @given(one=some.plain[kind.entity](), another=some.plain[kind.entity]())
    async def test(world: World, one: Any, another: Any) -> None:
        """
        By the commit, with the kind's own refusal.
        """
        for fields, refusal in kind.unique.items():
            world = elsewhere_in(world)
            first, second = await own(world, kind, one), await own(world, kind, another)
            if None in [getattr(first, name) for name in fields]:
                continue
            await written(world, kind, first)
            with pytest.raises(refusal):
                await written(world, kind, evolve(second, **{name: getattr(first, name) for name in fields}))

    return test


# A test for each kind, so that its rows are drawn before it runs: in an async test, Hypothesis could not end a draw.
for _kind in KINDS:
    globals()[f"test_a_row_of_{_kind.name}_is_kept_as_it_is"] = kept_as_it_is(_kind)
    if _kind.unique:
        globals()[f"test_what_is_unique_of_{_kind.name}_is_refused_a_second_time"] = refused_a_second_time(_kind)


async def test_a_saved_row_carries_its_next_version(world: World) -> None:
    """
    And whoever saves from an older one is too late.
    """
    comment = await a_comment(world)
    (saved,) = await written(world, COMMENTS, evolve(comment, content="Better"), by="save")

    assert (1, "Better") == (saved.version, saved.content)
    assert saved == await world.ports.reads.entities.get(world.me, COMMENTS, comment.number)
    async with world.ports.unit(world.me) as late:
        row = await late.repository(COMMENTS).get(comment.id)
        await written(world, COMMENTS, evolve(saved, content="Best"), by="save")
        late.repository(COMMENTS).save(evolve(row, content="Late"))
        with pytest.raises(StaleWrite):
            await late.commit()


async def test_a_unit_answers_from_its_own_writes(world: World) -> None:
    """
    By id and by number; what it removed is not found.
    """
    comment = await a_comment(world)
    async with world.ports.unit(world.me) as unit:
        row = await unit.repository(COMMENTS).get(comment.number)
        unit.repository(COMMENTS).save(evolve(row, content="Mine"))

        assert "Mine" == (await unit.repository(COMMENTS).get(comment.id)).content
        unit.repository(COMMENTS).remove(row)
        with pytest.raises(CommentNotFound):
            await unit.repository(COMMENTS).get(comment.number)
        await unit.commit()
    with pytest.raises(CommentNotFound):
        await world.ports.reads.entities.get(world.me, COMMENTS, comment.id)


async def test_what_a_unit_added_and_removed_was_never_there(world: World) -> None:
    """
    And its commit goes through.
    """
    row = evolve(await own(world, COMMENTS, await a_comment(world)), content="Never")
    async with world.ports.unit(world.me) as unit:
        unit.repository(COMMENTS).remove(unit.repository(COMMENTS).add(row))
        with pytest.raises(CommentNotFound):
            await unit.repository(COMMENTS).get(row.id)
        await unit.commit()

    assert "Never" not in [each.content for each in await world.ports.reads.entities.every(world.me, COMMENTS)]


async def test_rows_of_a_board_are_for_those_who_may_see_it(world: World) -> None:
    """
    By id, by number, in lists and in units; an agent of another board learns nothing of them.
    """
    await assign_agent(world.ports, world.me, AssignAgent(board=world.board.id, agent_name="ada"))
    (here,) = await world.ports.reads.entities.every(world.me, BOARD_ASSIGNMENTS, board=world.board.id)
    near = await world.principal("ada", board=world.board.id)
    far = await world.principal("eve", board=(await world.another_board()).id)
    reads = world.ports.reads.entities

    assert (
        [here]
        == await reads.every(near, BOARD_ASSIGNMENTS)
        == (await reads.page(near, BOARD_ASSIGNMENTS, PageRequest())).rows
    )
    for key in (here.id, here.number):
        assert here == await reads.get(near, BOARD_ASSIGNMENTS, key)
        with pytest.raises(BoardDenied):
            await reads.get(far, BOARD_ASSIGNMENTS, key)
    for equal in ({}, {"board": world.board.id}, {"agent_name": "ada"}):
        assert [] == await reads.every(far, BOARD_ASSIGNMENTS, **equal)
        assert ([], 0) == await reads.page(far, BOARD_ASSIGNMENTS, PageRequest(), **equal)
        async with world.ports.unit(far) as unit:
            assert await unit.repository(BOARD_ASSIGNMENTS).find(**equal) is None
            assert [] == await unit.repository(BOARD_ASSIGNMENTS).every(**equal)


async def test_another_organizations_row_is_not_found(world: World, elsewhere: World) -> None:
    """
    By id, by number, or in a list.
    """
    theirs = await a_comment(elsewhere)
    reads = world.ports.reads.entities
    for key in (theirs.id, theirs.number):
        with pytest.raises(CommentNotFound):
            await reads.get(world.me, COMMENTS, key)

    assert [] == await reads.every(world.me, COMMENTS, task=theirs.task)
    assert 0 == (await reads.page(world.me, COMMENTS, PageRequest(), task=theirs.task)).total


@pytest.mark.parametrize("newest", [False, True])
async def test_pages_go_by_number(world: World, newest: bool) -> None:
    """
    Either way round, by offset or after a number, with the total of all.
    """
    task = (await world.task()).id
    numbers = [(await a_comment(world, task=task)).number for _ in range(5)]
    await a_comment(world)
    line = numbers[::-1] if newest else numbers

    async def page(**limits: int) -> tuple[list[int], int]:
        listed = await world.ports.reads.entities.page(
            world.me, COMMENTS, PageRequest(**limits), newest=newest, task=task
        )
        return [row.number for row in listed.rows], listed.total

    assert (line, 5) == await page()
    assert (line[1:3], 5) == await page(limit=2, offset=1)
    assert (line[2:4], 5) == await page(limit=2, after=line[1])


async def test_the_first_and_the_last_of_a_kind_are_found(world: World) -> None:
    """
    Among the rows whose fields have these values.
    """
    task = (await world.task()).id
    first, _, last = [await a_comment(world, task=task, author=name) for name in ("ada", "bob", "ada")]
    await a_comment(world, author="ada")
    async with world.ports.unit(world.me) as unit:
        comments = unit.repository(COMMENTS)

        assert first == await comments.find(task=task, author="ada")
        assert last == await comments.find(task=task, author="ada", newest=True)
        assert await comments.find(task=task, author="eve", newest=True) is None
        assert await comments.find(task=task, author_id=world.board.id) is None


async def test_a_removed_entity_takes_its_rows_along(world: World) -> None:
    """
    And none of another's.
    """
    comment, other = await a_comment(world), await a_comment(world)
    await delete_task(world.ports, world.me, DeleteTask(task=comment.task))

    assert [] == await world.ports.reads.entities.every(world.me, COMMENTS, task=comment.task)
    assert [other] == await world.ports.reads.entities.every(world.me, COMMENTS)


async def test_nothing_stays_behind_on_what_was_removed_meanwhile(world: World) -> None:
    """
    A row that relies on its task is not kept when the task goes first.
    """
    task, comment = await world.task(), await a_comment(world)
    async with world.ports.unit(world.me) as unit:
        unit.rely_on(await unit.tasks.get(task.id))
        unit.repository(COMMENTS).add(evolve(await own(world, COMMENTS, comment), task=task.id))
        await delete_task(world.ports, world.me, DeleteTask(task=task.id))
        with pytest.raises(StaleWrite):
            await unit.commit()
    with pytest.raises(TaskNotFound):
        await world.ports.reads.tasks.get(world.me, task.id)
