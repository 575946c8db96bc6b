"""
The contract of generic repositories: the same tests for every kind in `KINDS`, with generated rows.
"""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve, fields_dict
from hypothesis import given
from hypothesis import strategies as st

from mission_adapters.kind_registry import KINDS
from mission_adapters.testing import strategies as some
from mission_adapters.testing.contracts.base import StoreContract, contract_settings
from mission_adapters.testing.kind_rows import a_comment, own, written
from mission_adapters.testing.world import World
from mission_core.accounts.model import SystemPrincipal
from mission_core.agents.organization_creation import ensure_organization
from mission_core.boards.assignments import BOARD_ASSIGNMENTS, AssignAgent, assign_agent
from mission_core.boards.model import BoardDenied
from mission_core.errors import StaleWrite
from mission_core.ids import OrganizationId
from mission_core.kinds import Kind
from mission_core.tasks.comments import COMMENTS
from mission_core.tasks.model import TaskNotFound
from mission_core.tasks.use_cases import DeleteTask, delete_task
from mission_core.usage.budgets import BUDGETS
from mission_core.values import PageRequest

FEW = contract_settings(5)


async def other_organization_of(world: World, kind: Kind[Any]) -> World:
    """
    The same store with the principal of a new, empty organization. It is stored only if the kind is counted or is that
    of budgets, since the counters and budgets of an organization change under a lock on its head row.
    """
    own = OrganizationId(world.ports.ids.new())
    if kind.counted or kind is BUDGETS:
        own = (await ensure_organization(world.ports, slug=f"counted-{own}")).id
    return evolve(world, me=SystemPrincipal(organization=own))


def keys_of(row: Any) -> list[Any]:
    """
    The keys of the row: its id, and its number if it has one.
    """
    return [row.id, row.number] if hasattr(row, "number") else [row.id]


def edited_copy(kind: Kind[Any], row: Any, later: Any) -> Any:
    """
    The row with the values of *later*, except for its id, number, organization, version and unique fields.
    """
    stays = {"id", "number", "organization", "version"}.union(*kind.unique)
    return evolve(later, **{name: getattr(row, name) for name in fields_dict(kind.entity) if name in stays})


def round_trip_test(kind: Kind[Any]) -> Any:
    @FEW
    @given(row=some.entities[kind.entity]())
    async def test(self: Any, world: World, row: Any) -> None:
        """
        A stored row is read back unchanged by id, by number, by each of its indexes and in lists.
        """
        world = await other_organization_of(world, kind)
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


def unique_fields_test(kind: Kind[Any]) -> Any:
    @FEW
    @given(one=some.entities[kind.entity](), another=some.entities[kind.entity]())
    async def test(self: Any, world: World, one: Any, another: Any) -> None:
        """
        A commit that would repeat the value of a unique field raises the error that the kind declares for it.
        """
        for fields, refusal in kind.unique.items():
            world = await other_organization_of(world, kind)
            first, second = await own(world, kind, one), await own(world, kind, another)
            if None in [getattr(first, name) for name in fields]:
                continue
            await written(world, kind, first)
            with pytest.raises(refusal):
                await written(world, kind, evolve(second, **{name: getattr(first, name) for name in fields}))

    return test


def save_test(kind: Kind[Any]) -> Any:
    @FEW
    @given(one=some.entities[kind.entity](), later=some.entities[kind.entity]())
    async def test(self: Any, world: World, one: Any, later: Any) -> None:
        """
        A save stores all changed fields and raises the version by one. A save or removal of an older version raises
        `StaleWrite`.
        """
        world = await other_organization_of(world, kind)
        row = await own(world, kind, one)
        await written(world, kind, row)
        changed = edited_copy(kind, row, later)
        async with world.ports.unit(world.me) as unit, world.ports.unit(world.me) as late:
            old = await late.repository(kind).get(row.id)
            await unit.repository(kind).get(row.id)
            saved = unit.repository(kind).save(changed)

            assert saved == await unit.repository(kind).get(row.id)
            await unit.commit()
            late.repository(kind).save(old)
            with pytest.raises(StaleWrite):
                await late.commit()
        async with world.ports.unit(world.me) as unit:
            unit.repository(kind).remove(old)
            with pytest.raises(StaleWrite):
                await unit.commit()

        assert evolve(changed, version=row.version + 1) == saved
        assert saved == await world.ports.reads.entities.get(world.me, kind, row.id)

    return test


def removal_test(kind: Kind[Any]) -> Any:
    @FEW
    @given(one=some.entities[kind.entity](), another=some.entities[kind.entity]())
    async def test(self: Any, world: World, one: Any, another: Any) -> None:
        """
        A removed row is missing in its own unit at once, and everywhere after the commit; other rows stay. A row that
        is added and removed in the same unit is never stored.
        """
        world = await other_organization_of(world, kind)
        row, other = await own(world, kind, one), await own(world, kind, another)
        await written(world, kind, row, other)
        never = await own(world, kind, one)
        async with world.ports.unit(world.me) as unit:
            repository = unit.repository(kind)
            repository.remove(await repository.get(row.id))
            repository.remove(repository.add(never))
            for each in (row, never):
                with pytest.raises(kind.missing):
                    await repository.get(each.id)
            await unit.commit()
        for each in (row, never):
            with pytest.raises(kind.missing):
                await world.ports.reads.entities.get(world.me, kind, each.id)

        assert other == await world.ports.reads.entities.get(world.me, kind, other.id)

    return test


def organization_isolation_test(kind: Kind[Any]) -> Any:
    @FEW
    @given(one=some.entities[kind.entity]())
    async def test(self: Any, world: World, one: Any) -> None:
        """
        A row is not found from another organization, neither by id nor by number, nor in lists, pages and units.
        """
        there, here = [await other_organization_of(world, kind) for _ in range(2)]
        row = await own(there, kind, one)
        await written(there, kind, row)
        reads = world.ports.reads.entities
        for key in keys_of(row):
            with pytest.raises(kind.missing):
                await reads.get(here.me, kind, key)
            async with world.ports.unit(here.me) as unit:
                with pytest.raises(kind.missing):
                    await unit.repository(kind).get(key)

        assert [] == await reads.every(here.me, kind)
        if hasattr(row, "number"):
            assert ([], 0) == await reads.page(here.me, kind, PageRequest())
        async with world.ports.unit(here.me) as unit:
            assert await unit.repository(kind).find() is None
            if hasattr(row, "number"):
                assert [] == await unit.repository(kind).numbered([row.number])

    return test


def paging_test(kind: Kind[Any]) -> Any:
    @FEW
    @given(rows=st.lists(some.entities[kind.entity](), min_size=3, max_size=3))
    async def test(self: Any, world: World, rows: list[Any]) -> None:
        """
        Pages are sorted by number in either direction, start at an offset or after a number, and tell the total.
        """
        world = await other_organization_of(world, kind)
        kept = [await own(world, kind, row) for row in rows]
        for each in kept:
            await written(world, kind, each)

        async def page(newest: bool, **limits: int) -> Any:
            return await world.ports.reads.entities.page(world.me, kind, PageRequest(**limits), newest=newest)

        for newest, line in ((False, kept), (True, kept[::-1])):
            assert (line, 3) == await page(newest)
            assert (line[1:2], 3) == await page(newest, limit=1, offset=1)
            assert (line[1:], 3) == await page(newest, limit=2, after=line[0].number)
        assert kept == await world.ports.reads.entities.every(world.me, kind)
        async with world.ports.unit(world.me) as unit:
            numbers = [kept[2].number, kept[0].number, kept[2].number, max(each.number for each in kept) + 1]
            assert [kept[0], kept[2]] == await unit.repository(kind).numbered(numbers)
            assert kept[0] == await unit.repository(kind).find()
            assert kept[-1] == await unit.repository(kind).find(newest=True)

    return test


class EntityKindsContract(StoreContract):
    """
    The contract of `UnitOfWork.repository` and `Reads.entities` for rows of every kind. A subclass provides the fixture
    `ports` of `StoreContract`; the tests of each kind are added below.
    """

    async def test_rows_of_a_board_are_denied_to_agents_of_other_boards(self, world: World) -> None:
        """
        A row of a board raises `BoardDenied` for an agent of another board by id and by number, and is left out of that
        agent's lists, pages and units.
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
                assert [] == await unit.repository(BOARD_ASSIGNMENTS).numbered([here.number])

    async def test_find_returns_the_first_or_the_newest_row(self, world: World) -> None:
        """
        `find` returns the first row with the given field values, and with `newest` the last one.
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

    async def test_lists_and_pages_contain_only_rows_with_the_given_values(self, world: World) -> None:
        """
        `every` and `page` leave out rows with other field values, and the total does, too; so does `every` of a unit.
        """
        task = (await world.task()).id
        comments = [await a_comment(world, task=task) for _ in range(2)]
        await a_comment(world)
        reads = world.ports.reads.entities

        assert comments == await reads.every(world.me, COMMENTS, task=task)
        assert (comments[:1], 2) == await reads.page(world.me, COMMENTS, PageRequest(limit=1), task=task)
        async with world.ports.unit(world.me) as unit:
            assert comments == await unit.repository(COMMENTS).every(task=task)

    async def test_deleting_a_task_deletes_its_comments(self, world: World) -> None:
        """
        Deleting a task deletes its comments and leaves those of other tasks.
        """
        comment, other = await a_comment(world), await a_comment(world)
        await delete_task(world.ports, world.me, DeleteTask(task=comment.task))

        assert [] == await world.ports.reads.entities.every(world.me, COMMENTS, task=comment.task)
        assert [other] == await world.ports.reads.entities.every(world.me, COMMENTS)

    async def test_a_comment_on_a_concurrently_deleted_task_is_refused(self, world: World) -> None:
        """
        A commit that adds a comment to a task that was deleted since it was read raises `StaleWrite`.
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


def tests_of(kind: Kind[Any]) -> dict[str, Any]:
    """
    The tests of a kind, by name. They are generated per kind, because in an async test Hypothesis could not draw the
    kind inside the test.
    """
    tests = {
        f"test_a_stored_row_of_{kind.name}_is_read_back_unchanged": round_trip_test(kind),
        f"test_a_save_of_{kind.name}_raises_the_version_by_one": save_test(kind),
        f"test_a_removed_row_of_{kind.name}_is_not_found": removal_test(kind),
    }
    if kind.unique:
        tests[f"test_a_repeated_unique_value_of_{kind.name}_is_refused"] = unique_fields_test(kind)
    if not kind.shared:
        tests[f"test_a_row_of_{kind.name}_is_not_found_from_another_organization"] = organization_isolation_test(kind)
        if "number" in fields_dict(kind.entity):
            tests[f"test_pages_of_{kind.name}_are_sorted_by_number"] = paging_test(kind)
    return tests


for _kind in KINDS:
    for _name, _test in tests_of(_kind).items():
        setattr(EntityKindsContract, _name, _test)
