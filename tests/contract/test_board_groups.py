"""
Groups of boards, on every store.
"""

import pytest
from attrs import evolve

from mission_core.boards.groups import (
    GROUPS,
    BoardGroup,
    CreateGroup,
    DeleteGroup,
    GroupNotFound,
    UpdateGroup,
    create_group,
    delete_group,
    update_group,
)
from mission_core.boards.model import Board
from mission_core.boards.use_cases import CreateBoard, UpdateBoard, create_board, update_board
from mission_core.errors import StaleWrite
from tests.contract.conftest import World


async def made(world: World, name: str = "Products", **fields: str) -> BoardGroup:
    """
    A new group.
    """
    return await create_group(world.ports, world.me, CreateGroup(name=name, **fields))


async def fresh(world: World, board: Board) -> Board:
    """
    The board as it is committed now.
    """
    async with world.ports.unit(world.me) as unit:
        return await unit.boards.get(board.id)


async def test_a_group_is_made_changed_and_removed(world: World) -> None:
    """
    Each with its fact; what is not named stays.
    """
    group = await made(world, description="what we sell")
    world.clock.advance(seconds=5)
    changed = await update_group(world.ports, world.me, UpdateGroup(group=group.id, name="Wares"))
    await delete_group(world.ports, world.me, DeleteGroup(group=group.id))

    now = world.clock.now()
    assert ("Products", "products", "what we sell", 0) == (group.name, group.slug, group.description, group.version)
    assert evolve(group, name="Wares", updated_at=now, version=1) == changed
    assert ["group.created", "group.updated", "group.deleted"] == (await world.event_kinds())[-3:]
    with pytest.raises(GroupNotFound):
        await world.ports.reads.entities.get(world.me, GROUPS, group.id)


async def test_a_blank_slug_is_made_of_the_name(world: World) -> None:
    """
    When it is made, and when it is changed; of a name without letters, of the id.
    """
    group = await made(world, "Our Big Plans!", slug=" ")
    renamed = await update_group(world.ports, world.me, UpdateGroup(group=group.id, name="Small plans", slug=""))
    nameless = await made(world, "日本")

    assert ("our-big-plans", "small-plans") == (group.slug, renamed.slug)
    assert nameless.id.hex.endswith(nameless.slug)
    assert "mine" == (await made(world, slug="mine")).slug


async def test_boards_join_and_leave_a_group(world: World) -> None:
    """
    When they are made, or later; removing the group leaves them alone.
    """
    group = await made(world)
    first = await create_board(world.ports, world.me, CreateBoard(name="First", group=group.id))
    second = await update_board(world.ports, world.me, UpdateBoard(board=world.board.id, group=group.id))
    third = await create_board(world.ports, world.me, CreateBoard(name="Third", group=group.id))
    await update_board(world.ports, world.me, UpdateBoard(board=third.id, group=None))
    async with world.ports.unit(world.me) as unit:
        members = [board.id for board in await unit.boards.of_group(group.id)]
    await delete_group(world.ports, world.me, DeleteGroup(group=group.id))

    assert [second.id, first.id] == members
    assert [None, None] == [(await fresh(world, board)).group for board in (first, second)]


async def test_a_group_that_there_is_not_is_refused(world: World, elsewhere: World) -> None:
    """
    Also one of another organization; the board is not made.
    """
    theirs = await made(elsewhere)
    for group in (theirs.id, world.ports.ids.new()):
        with pytest.raises(GroupNotFound):
            await create_board(world.ports, world.me, CreateBoard(name="Lost", group=group))
        with pytest.raises(GroupNotFound):
            await update_board(world.ports, world.me, UpdateBoard(board=world.board.id, group=group))
        with pytest.raises(GroupNotFound):
            await update_group(world.ports, world.me, UpdateGroup(group=group, name="Mine"))
        with pytest.raises(GroupNotFound):
            await delete_group(world.ports, world.me, DeleteGroup(group=group))

    assert (await fresh(world, world.board)).group is None


@pytest.mark.parametrize("first", ["join", "remove"])
async def test_no_board_stays_in_a_group_that_is_removed_meanwhile(world: World, first: str) -> None:
    """
    Whoever commits second sees what the first one did.
    """
    group = await made(world)
    join = UpdateBoard(board=world.board.id, group=group.id)
    async with world.ports.unit(world.me) as unit:
        if first == "remove":
            board = await unit.boards.get(world.board.id)
            unit.boards.save(evolve(board, group=group.id))
            unit.rely_on(await unit.repository(GROUPS).get(group.id), bump=True)
            await delete_group(world.ports, world.me, DeleteGroup(group=group.id))
        else:
            unit.repository(GROUPS).remove(await unit.repository(GROUPS).get(group.id))
            await update_board(world.ports, world.me, join)
        with pytest.raises(StaleWrite):
            await unit.commit()
    if first == "join":
        await delete_group(world.ports, world.me, DeleteGroup(group=group.id))

    assert (await fresh(world, world.board)).group is None
