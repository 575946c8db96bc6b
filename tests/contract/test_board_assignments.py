"""
Who is assigned to a board, on every store.
"""

import asyncio

import pytest

from mission_core.accounts.model import SystemPrincipal
from mission_core.boards.assignments import (
    BOARD_ASSIGNMENTS,
    AgentsUnknown,
    AssignAgent,
    UnassignAgent,
    assign_agent,
    unassign_agent,
)
from mission_core.boards.model import BoardNotFound
from mission_core.boards.use_cases import UpdateBoard, update_board
from tests.contract.conftest import World


async def staff(world: World) -> list[tuple[str, str]]:
    """
    Who is assigned to the board, and as what, oldest first.
    """
    rows = await world.ports.reads.entities.every(world.me, BOARD_ASSIGNMENTS, board=world.board.id)
    return [(row.agent_name, row.role) for row in rows]


async def assign(world: World, name: str, role: str = "member", *, by: SystemPrincipal | None = None) -> None:
    """
    Assign somebody to the board.
    """
    await assign_agent(world.ports, by or world.me, AssignAgent(board=world.board.id, agent_name=name, role=role))


async def test_who_is_assigned_keeps_its_role(world: World) -> None:
    """
    Whatever it is assigned as again, in whatever case; it need not exist.
    """
    await assign(world, "ada", "owner")
    await assign(world, "bob")
    await assign(world, "ADA", "guest")

    assert [("ada", "owner"), ("bob", "member")] == await staff(world)
    assert 2 == (await world.event_kinds()).count("board.agent_assigned")


async def test_who_is_unassigned_is_gone_and_was_perhaps_never_there(world: World) -> None:
    """
    It makes no difference.
    """
    await assign(world, "ada")
    for _ in range(2):
        await unassign_agent(world.ports, world.me, UnassignAgent(board=world.board.id, agent_name="Ada"))

    assert [] == await staff(world)
    assert 1 == (await world.event_kinds()).count("board.agent_unassigned")


async def test_an_update_names_all_who_are_assigned(world: World) -> None:
    """
    Others leave, new ones are members, and who stays keeps its role.
    """
    for name in ("ada", "bob", "eve"):
        await world.agent(name)
    await assign(world, "ada", "owner")
    await assign(world, "eve")
    await update_board(world.ports, world.me, UpdateBoard(board=world.board.id, assigned_agents=("bob", "Ada")))

    assert [("ada", "owner"), ("bob", "member")] == await staff(world)


async def test_an_update_that_names_strangers_changes_nothing(world: World) -> None:
    """
    It says who they are.
    """
    await world.agent("ada")
    wanted = UpdateBoard(board=world.board.id, name="New", assigned_agents=("nobody", "ADA", "no one"))
    with pytest.raises(AgentsUnknown) as refused:
        await update_board(world.ports, world.me, wanted)

    assert ("nobody", "no one") == refused.value.names
    assert [] == await staff(world)
    assert "Work" == (await world.ports.reads.boards.get(world.me, world.board.id)).name


async def test_assigned_by_two_at_once_it_is_assigned_once(world: World) -> None:
    """
    And both are content.
    """
    await asyncio.gather(*(assign(world, "ada", role) for role in "ab"))

    assert 1 == len(await staff(world))


async def test_a_board_of_another_organization_has_no_place(world: World, elsewhere: World) -> None:
    """
    To be assigned to, or unassigned from.
    """
    with pytest.raises(BoardNotFound):
        await assign(world, "ada", by=elsewhere.me)
    with pytest.raises(BoardNotFound):
        await unassign_agent(world.ports, elsewhere.me, UnassignAgent(board=world.board.id, agent_name="ada"))
