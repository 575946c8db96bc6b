"""
Overviews of boards and groups, on every store.
"""

from typing import Any

import pytest
from attrs import evolve

from mission_core.accounts.model import Role
from mission_core.boards.custom_field_use_cases import CreateField, create_field
from mission_core.boards.custom_fields import CUSTOM_FIELDS
from mission_core.boards.groups import BoardGroup, CreateGroup, DeleteGroup, GroupNotFound, create_group, delete_group
from mission_core.boards.model import Board, BoardDenied, BoardNotFound, BoardStatus
from mission_core.boards.tags import CreateTag, UpdateTag, create_tag, update_tag
from mission_core.boards.use_cases import UpdateBoard, update_board
from mission_core.tasks.model import Status
from mission_core.tasks.queries import TaskFilter
from mission_core.tasks.snapshots import BoardView, GroupView, TaskSurroundings, group_view, sibling_boards_view
from mission_core.tasks.use_cases import UpdateTask, update_task
from mission_core.values import PageRequest
from tests.contract.conftest import World

ORDER = (
    (Status.IN_PROGRESS,), (Status.REVIEW, Status.QUALITY_REVIEW, Status.FAILED),
    (Status.BACKLOG, Status.INBOX, Status.ASSIGNED, Status.AWAITING_OWNER), (Status.DONE,),
)  # fmt: skip


async def view(world: World, known: Any = None, *, by: Any = None, board: Board | None = None) -> BoardView:
    """
    The view of a board, when these are known: versions, and what is around them, by ids.
    """
    told = known or {}
    return await world.ports.reads.snapshots.board(
        by or world.me, (board or world.board).id, lambda id, *seen: told.get(id) == tuple(seen)
    )


def knowledge(seen: BoardView) -> dict[bytes, Any]:
    """
    All that was seen whole.
    """
    return {id: (row.version, TaskSurroundings.of(row)) for id, row in seen.rows.items()}


async def test_a_view_has_the_board_its_agents_and_its_tasks(world: World) -> None:
    """
    As they are read one by one, newest first, and nothing of another board.
    """
    other = await world.another_board()
    first = await world.task("first", assignee="Ada")
    await world.task("elsewhere", board=other.id)
    await world.task("second", depends_on=(first.id,), tags=("red",))
    await world.agent("bob", board=other.id)
    agents = [await world.agent(name, board=world.board.id) for name in ("ada", "eve")]
    seen, reads = await view(world), world.ports.reads
    listed = await reads.tasks.page(world.me, TaskFilter(board=world.board.id), PageRequest())

    assert await reads.boards.get(world.me, world.board.id) == seen.board
    assert [await reads.agents.get(world.me, agent.id) for agent in reversed(agents)] == seen.agents
    assert listed.rows == [seen.rows[id] for id in seen.tasks]
    assert ["second", "first"] == [row.title for row in listed.rows]


async def test_an_empty_board_has_a_view(world: World) -> None:
    """
    With nothing on it.
    """
    seen = await view(world)

    assert ([], [], {}) == (seen.agents, seen.tasks, seen.rows)


async def test_what_an_agent_keeps_in_mind_is_not_read(world: World) -> None:
    """
    It may be long.
    """
    agent = await world.agent("ada", board=world.board.id)
    async with world.ports.unit(world.me) as unit:
        unit.agents.save(evolve(await unit.agents.get(agent.id), working_memory="a lot"))
        await unit.commit()

    assert [""] == [row.working_memory for row in (await view(world)).agents]


async def test_a_board_is_seen_by_who_may(world: World, elsewhere: World) -> None:
    """
    Its agents, those without a board, and nobody of another organization.
    """
    other = await world.another_board()
    here = await world.principal("a", board=world.board.id)
    there = await world.principal("b", board=other.id)
    await view(world, by=here)
    await view(world, by=await world.principal("c"))

    with pytest.raises(BoardDenied):
        await view(world, by=there)
    with pytest.raises(BoardNotFound):
        await view(world, by=elsewhere.me)


async def test_what_is_known_is_not_read_again(world: World) -> None:
    """
    Until it, or something around it, has changed: then it alone is.
    """
    red = await create_tag(world.ports, world.me, CreateTag(name="red"))
    first = await world.task("first", status=Status.BACKLOG)
    waits = await world.task("waits", depends_on=(first.id,))
    await world.task("ada's", assignee="ada")
    await world.task("tagged", tags=("red",))
    await world.task("plain")
    seen = await view(world)
    known = knowledge(seen)

    async def changed() -> set[str]:
        now = await view(world, known)
        assert [row.id for row in await _listed(world)] == now.tasks
        known.update(knowledge(now))
        return {row.title for row in now.rows.values()}

    assert set() == await changed()
    await world.agent("Ada")
    assert {"ada's"} == await changed()
    await update_task(world.ports, world.me, UpdateTask(task=first.id, status=Status.DONE))
    assert {"first", "waits"} == await changed()
    await update_task(world.ports, world.me, UpdateTask(task=waits.id, title="new"))
    assert {"new"} == await changed()
    await update_tag(world.ports, world.me, UpdateTag(tag=red.id, color="ff0000"))
    assert {"tagged"} == await changed()
    await create_field(world.ports, world.me, CreateField(field_key="cost", boards=(world.board.id,)))
    assert {"first", "new", "ada's", "tagged", "plain"} == await changed()
    async with world.ports.unit(world.me) as unit:
        (field,) = await unit.repository(CUSTOM_FIELDS).every()
        unit.repository(CUSTOM_FIELDS).save(evolve(field, default_value='"low"'))
        await unit.commit()
    assert 5 == len(await changed())
    assert set() == await changed()


async def _listed(world: World) -> list[Any]:
    return (await world.ports.reads.tasks.page(world.me, TaskFilter(board=world.board.id), PageRequest())).rows


async def grouped(world: World) -> tuple[BoardGroup, Board, Board]:
    """
    A group, and two boards in it: the world's, named Work, and another before it by name.
    """
    group = await create_group(world.ports, world.me, CreateGroup(name="G"))
    other = await world.another_board("alpha", group=group.id)
    board = await update_board(world.ports, world.me, UpdateBoard(board=world.board.id, group=group.id))
    return group, other, board


def shown(seen: GroupView) -> list[tuple[str, list[str]]]:
    """
    The boards by name, each with its foremost tasks.
    """
    return [(part.board.name, [row.title for row in part.top_tasks.tasks]) for part in seen.boards]


async def test_the_foremost_tasks_come_by_status_priority_and_change(world: World) -> None:
    """
    Of each board so many; of all of them it is told how many there are.
    """
    group, other, _ = await grouped(world)
    for title, status, priority in (
        ("i-low", Status.INBOX, "low"), ("done", Status.DONE, "critical"), ("i-odd", Status.BACKLOG, "odd"),
        ("r", Status.QUALITY_REVIEW, "low"), ("p-old", Status.IN_PROGRESS, "medium"),
        ("p-new", Status.IN_PROGRESS, "medium"), ("p-high", Status.IN_PROGRESS, "high"),
        ("i-critical", Status.AWAITING_OWNER, "critical"), ("f-high", Status.FAILED, "high"),
    ):  # fmt: skip
        world.clock.advance(seconds=1)
        await world.task(title, status=status, priority=priority)
    await world.task("alone", board=other.id, assignee="ada")

    async def first(limit: int, order: Any = ORDER) -> list[tuple[str, list[str]]]:
        return shown(await group_view(world.ports, world.me, group.id, order, limit=limit))

    line = ["p-high", "p-new", "p-old", "f-high", "r", "i-critical", "i-low", "i-odd", "done"]
    assert [("alpha", ["alone"]), ("Work", line)] == await first(50)
    assert [("alpha", ["alone"]), ("Work", line[:-1])] == await first(50, ORDER[:-1])
    assert [("alpha", ["alone"]), ("Work", line[:4])] == await first(4)
    assert [("alpha", []), ("Work", [])] == await first(0)
    parts = (await group_view(world.ports, world.me, group.id, ORDER[:-1], limit=1)).boards
    assert {"in_progress": 3, "quality_review": 1, "failed": 1, "backlog": 1, "inbox": 1, "awaiting_owner": 1,
            "done": 1} == dict(parts[1].top_tasks.counts)  # fmt: skip
    assert {"assigned": 1} == dict(parts[0].top_tasks.counts)


async def test_a_group_of_many_boards_is_seen_whole(world: World) -> None:
    """
    More than one statement is about.
    """
    group, *_ = await grouped(world)
    for number in range(60):
        board = await world.another_board(f"b{number:02}", group=group.id)
        await world.task(f"t{number:02}", board=board.id)
    seen = shown(await group_view(world.ports, world.me, group.id, ORDER, limit=3))

    assert [("alpha", []), *((f"b{n:02}", [f"t{n:02}"]) for n in range(60)), ("Work", [])] == seen


async def test_a_board_has_siblings_in_its_group(world: World) -> None:
    """
    And is among them if that is asked for; archived ones are not told of.
    """
    _, other, board = await grouped(world)
    await world.task("mine")

    async def siblings(board: Board, *, itself: bool = False, by: Any = None) -> list[str]:
        seen = await sibling_boards_view(world.ports, by or world.me, board.id, ORDER, limit=5, itself=itself)
        return [name for name, _ in shown(seen)]

    ada = await world.principal("ada", board=board.id)
    assert ["alpha"] == await siblings(board)
    assert ["alpha", "Work"] == await siblings(board, itself=True)
    assert ["alpha"] == await siblings(board, by=ada)
    with pytest.raises(BoardDenied):
        await siblings(other, by=ada)
    assert ["Work"] == await siblings(other, by=await world.principal("bob", role=Role.VIEWER))
    await update_board(world.ports, world.me, UpdateBoard(board=other.id, status=BoardStatus.ARCHIVED))
    assert [] == await siblings(board)


async def test_a_board_without_a_group_has_no_siblings(world: World, elsewhere: World) -> None:
    """
    Nor one whose group is gone; and what is not there is not seen.
    """
    alone = await sibling_boards_view(world.ports, world.me, world.board.id, ORDER, limit=5, itself=True)
    group, *_ = await grouped(world)
    await delete_group(world.ports, world.me, DeleteGroup(group=group.id))

    assert GroupView() == alone
    assert GroupView() == await sibling_boards_view(world.ports, world.me, world.board.id, ORDER, limit=5, itself=True)
    with pytest.raises(GroupNotFound):
        await group_view(world.ports, world.me, group.id, ORDER, limit=5)
    with pytest.raises(BoardNotFound):
        await sibling_boards_view(world.ports, elsewhere.me, world.board.id, ORDER, limit=5, itself=True)
