"""
What boards and groups are told to remember: who may say it, what is kept of it, and with what it goes.
"""

import json

import pytest

from mission_adapters.testing.concurrent_writes import BOTH_ORDERS, in_turn
from mission_core.accounts.profiles import UpdateProfile, ensure_local_user, update_profile
from mission_core.boards.groups import CreateGroup, DeleteGroup, GroupNotFound, create_group, delete_group
from mission_core.boards.model import BoardDenied, BoardNotFound
from mission_core.boards.use_cases import UpdateBoard, update_board
from mission_core.conversations.memory_entries import BOARD_MEMORY, GROUP_MEMORY
from mission_core.conversations.use_cases import (
    BoardNotInGroup,
    GroupOfBoard,
    WriteBoardMemory,
    WriteGroupMemory,
    group_memory_of_board,
    write_board_memory,
    write_group_memory,
)
from mission_core.errors import InvalidField, RoleTooLow
from mission_core.tasks.board_deletion import DeleteBoard, delete_board
from mission_core.values import PageRequest
from tests.contract.conftest import viewer


async def told(world, content="Remember", *, board=None, by=None, **more):
    command = WriteBoardMemory(board=board or world.board.id, content=content, **more)
    return await write_board_memory(world.ports, by or world.me, command)


async def told_group(world, group, content="Remember", *, by=None, **more):
    command = WriteGroupMemory(group=group, content=content, **more)
    return await write_group_memory(world.ports, by or world.me, command)


async def a_group(world, *boards):
    group = await create_group(world.ports, world.me, CreateGroup(name="Fleet"))
    for board in boards:
        await update_board(world.ports, world.me, UpdateBoard(board=board.id, group=group.id))
    return group


async def kept(world, kind=BOARD_MEMORY, **equal):
    return await world.ports.reads.entities.every(world.me, kind, **equal)


async def test_a_board_remembers_what_it_is_told(world):
    """
    As it was said, but for blanks around it; the log tells that, without the words.
    """
    first = await told(world, "  Ship on Fridays\n", tags=("policy",), source="handbook")
    second = await told(world)
    facts = [each for each in await world.ports.log.read(world.me.organization, limit=1000) if each.subject == first.id]

    assert [first, second] == await kept(world)
    assert ("Ship on Fridays", ("policy",), "handbook", False, world.clock.now()) == (
        first.content, first.tags, first.source, first.chat, first.created_at,
    )  # fmt: skip
    assert (None, None, False) == (second.tags, second.source, second.chat)
    assert second.number > first.number
    assert ["board.memory_written"] == [each.kind for each in facts]
    assert {
        "entry": str(first.id), "board": str(world.board.id), "chat": False, "tags": ["policy"], "source": "handbook",
        "length": 15,
    } == json.loads(facts[0].payload)  # fmt: skip


async def test_chat_is_from_whoever_says_it(world):
    """
    Unless it says otherwise; what is no chat is from nobody in particular.
    """
    ada = await world.principal("ada", board=world.board.id)
    sources = [
        (await told(world, by=by, tags=tags, source=source)).source
        for by, tags, source in (
            (ada, ("chat",), None), (ada, ("x", "chat"), "The lookout"), (ada, ("chat",), ""), (ada, ("note",), None),
            (world.me, ("chat",), None),
        )
    ]  # fmt: skip

    assert ["ada", "The lookout", "ada", None, "System"] == sources
    assert [True, True, True, False, True] == [each.chat for each in await kept(world)]


async def test_a_person_speaks_by_the_name_it_prefers(world):
    """
    As soon as it has told one.
    """
    local = await ensure_local_user(world.ports, world.me.organization, username=f"jo-{world.me.organization}")
    person = await world.ports.credentials.member(local)
    before = await told(world, by=person, tags=("chat",))
    await update_profile(world.ports, person, UpdateProfile(preferred_name="Jo"))

    assert ["Local User", "Jo"] == [before.source, (await told(world, by=person, tags=("chat",))).source]


async def test_entries_are_found_by_whether_they_are_chat(world):
    """
    Newest first.
    """
    entries = [await told(world, tags=tags) for tags in (("chat",), None, ("chat",), ("x",))]
    reads, board = world.ports.reads.entities, world.board.id
    chat, rest = [
        await reads.page(world.me, BOARD_MEMORY, PageRequest(), newest=True, board=board, chat=chat)
        for chat in (True, False)
    ]

    assert ([entries[2], entries[0]], 2) == chat
    assert ([entries[3], entries[1]], 2) == rest


async def test_who_may_not_write_tells_nothing(world):
    """
    Who only looks, an agent of another board, and whoever names no board of theirs.
    """
    other = await world.another_board()
    far = await world.principal("far", board=other.id)
    group = await a_group(world, world.board)
    for refusal, wanted in (
        (RoleTooLow, told(world, by=viewer(world))),
        (BoardDenied, told(world, by=far)),
        (BoardNotFound, told(world, board=group.id)),
        (RoleTooLow, told_group(world, group.id, by=viewer(world))),
        (BoardDenied, told_group(world, GroupOfBoard(world.board.id), by=far)),
        (BoardNotInGroup, told_group(world, GroupOfBoard(other.id))),
        (GroupNotFound, told_group(world, other.id)),
        (InvalidField, told(world, "  ")),
    ):
        with pytest.raises(refusal):
            await wanted

    assert ([], []) == (await kept(world), await kept(world, GROUP_MEMORY))


async def test_all_boards_of_a_group_remember_together(world):
    """
    Through each of them, or as the group.
    """
    other, alone = await world.another_board("Other"), await world.another_board("Alone")
    group = await a_group(world, world.board, other)
    ada = await world.principal("ada", board=other.id)
    first = await told_group(world, GroupOfBoard(world.board.id), "Low tide at six")
    second = await told_group(world, GroupOfBoard(other.id), "@all come in", by=ada)
    third = await told_group(world, group.id, "Out again", tags=("chat",))

    async def seen(board, **wanted):
        return await group_memory_of_board(world.ports, ada, board.id, PageRequest(), **wanted)

    assert [first, second, third] == await kept(world, GROUP_MEMORY, group=group.id)
    assert ([third, second, first], 3) == await seen(other)
    assert ([third], 1) == await seen(other, chat=True)
    assert ([second, first], 2) == await seen(other, chat=False)
    assert ([], 0) == await group_memory_of_board(world.ports, world.me, alone.id, PageRequest())
    assert [(None, False), ("ada", False), ("System", True)] == [
        (each.source, each.chat) for each in (first, second, third)
    ]
    with pytest.raises(BoardDenied):
        await seen(world.board)


async def test_memory_goes_with_its_board_or_group(world):
    """
    And that of others stays.
    """
    other = await world.another_board()
    group, rest = await a_group(world, other), await a_group(world, world.board)
    await told(world, board=other.id)
    await told_group(world, group.id)
    stays = await told(world)
    stays_too = await told_group(world, rest.id)
    await delete_board(world.ports, world.me, DeleteBoard(board=other.id))
    await delete_group(world.ports, world.me, DeleteGroup(group=group.id))

    assert [stays] == await kept(world)
    assert [stays_too] == await kept(world, GROUP_MEMORY)


@BOTH_ORDERS
async def test_nothing_is_told_to_a_board_that_goes_meanwhile(world, last):
    """
    It would stay behind for ever.
    """
    other = await world.another_board()
    telling = (write_board_memory, WriteBoardMemory(board=other.id, content="Too late"))
    await in_turn(world, telling, (delete_board, DeleteBoard(board=other.id)), last=last)

    assert [] == await kept(world)


@BOTH_ORDERS
async def test_nothing_is_told_to_a_group_that_goes_meanwhile(world, last):
    """
    Nor through a board that leaves it by that.
    """
    other = await world.another_board()
    for meant in (None, GroupOfBoard(other.id)):
        group = await a_group(world, other)
        telling = (write_group_memory, WriteGroupMemory(group=meant or group.id, content="Too late"))
        await in_turn(world, telling, (delete_group, DeleteGroup(group=group.id)), last=last)

        assert [] == await kept(world, GROUP_MEMORY, group=group.id)
