"""
A member with grants on some boards, through either dialect: those boards are all there is for them.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from attrs import evolve, frozen

from mission_core.ports import Ports
from mission_http.app import create_app
from mission_http.boards.dialect import boards_dialect
from mission_http.fleet.dialect import fleet_dialect
from tests.contract.boards_driver import BoardsDriver, Person, run_lifespan
from tests.contract.conftest import World
from tests.contract.fleet_driver import fleet_settings

pytestmark = pytest.mark.every_store

MEMBERS = "/api/v1/organizations/me/members"


@frozen
class Half:
    """
    Two boards with a task and an agent on each, and somebody to whom the first may be granted.
    """

    boards: BoardsDriver
    me: Person
    mine: World
    other: Any
    tasks: tuple[Any, Any]

    async def grant(self, *, write: bool) -> None:
        """
        Say anew what they may do with the first board.
        """
        access = {"board_access": [{"board_id": str(self.mine.board.id), "can_write": write}]}
        await self.boards.got("PUT", f"{MEMBERS}/{self.me.member}/access", access)

    async def status(self, method: str, path: str, body: Any = None) -> int:
        """
        How they are answered.
        """
        return (await self.boards.call(method, path, body, user=self.me.token)).status

    async def got(self, path: str) -> Any:
        """
        What they are told.
        """
        return await self.boards.got("GET", path, user=self.me.token)


@pytest.fixture
async def half(boards: BoardsDriver, world: World) -> AsyncIterator[Half]:
    """
    Both dialects over that organization.
    """
    other = await world.another_board()
    tasks = (await world.task("Mine"), await world.task("Theirs", board=other.id))
    await world.agent("ada", board=world.board.id)
    await world.agent("eve", board=other.id)
    me = await boards.person("me", role="member", boards=False)
    setting = fleet_settings()

    @asynccontextmanager
    async def wire() -> AsyncIterator[Ports]:
        yield boards.ports

    app = create_app(wire, (fleet_dialect(setting), boards_dialect(setting)))
    async with run_lifespan(app):
        yield Half(evolve(boards, app=app), me, world, other, tasks)


async def test_nothing_is_there_without_a_grant(half: Half) -> None:
    """
    And nothing of it may be changed.
    """
    assert 0 == (await half.got("/api/v1/boards"))["total"]
    assert [] == (await half.got("/api/projects"))["projects"]
    assert 0 == (await half.got("/api/tasks"))["total"]
    assert 403 == await half.status("GET", f"/api/v1/boards/{half.mine.board.id}")
    assert 403 == await half.status("POST", "/api/tasks", {"title": "x", "project_id": half.mine.board.number})


@pytest.mark.parametrize("write", [False, True])
async def test_only_what_is_on_the_granted_board_is_seen(half: Half, write: bool) -> None:
    """
    In lists and by name, through either dialect.
    """
    await half.grant(write=write)
    mine, other = half.mine.board, half.other
    listed = await half.got("/api/v1/boards")
    tasks = await half.got("/api/tasks")

    assert [str(mine.id)] == [each["id"] for each in listed["items"]]
    assert [mine.number] == [each["id"] for each in (await half.got("/api/projects"))["projects"]]
    assert (1, ["Mine"]) == (tasks["total"], [each["title"] for each in tasks["tasks"]])
    assert ["ada"] == [each["name"] for each in (await half.got(f"/api/v1/boards/{mine.id}/snapshot"))["agents"]]
    assert ["ada"] == [each["name"] for each in (await half.got("/api/agents"))["agents"]]
    assert 200 == await half.status("GET", f"/api/v1/boards/{mine.id}/tasks")
    assert 403 == await half.status("GET", f"/api/v1/boards/{other.id}/tasks")
    assert 403 == await half.status("GET", f"/api/projects/{other.number}")
    assert 403 == await half.status("GET", f"/api/tasks/{half.tasks[1].number}")


async def test_only_a_board_to_write_on_is_written_on(half: Half) -> None:
    """
    To see one is not enough.
    """
    mine, other = half.mine.board, half.other
    wishes = [
        ("POST", f"/api/v1/boards/{mine.id}/tasks", {"title": "New"}),
        ("PATCH", f"/api/v1/boards/{mine.id}/tasks/{half.tasks[0].id}", {"title": "Other"}),
        ("PUT", f"/api/tasks/{half.tasks[0].number}", {"title": "Another"}),
        ("POST", "/api/tasks", {"title": "New, too", "project_id": mine.number}),
    ]
    await half.grant(write=False)

    assert [403] * 4 == [await half.status(*wish) for wish in wishes]
    await half.grant(write=True)
    assert [200, 200, 200, 201] == [await half.status(*wish) for wish in wishes]
    assert 403 == await half.status("POST", f"/api/v1/boards/{other.id}/tasks", {"title": "New"})
    assert 403 == await half.status("POST", "/api/tasks", {"title": "New", "project_id": other.number})
    assert 403 == await half.status("PUT", f"/api/tasks/{half.tasks[1].number}", {"title": "Theirs"})


async def test_a_grant_that_is_taken_back_is_gone_at_once(half: Half) -> None:
    """
    With the next request.
    """
    await half.grant(write=True)
    before = await half.status("GET", f"/api/v1/boards/{half.mine.board.id}")
    await half.boards.got("PUT", f"{MEMBERS}/{half.me.member}/access", {})

    assert (200, 403) == (before, await half.status("GET", f"/api/v1/boards/{half.mine.board.id}"))


async def test_an_admin_without_boards_still_says_who_works_where(half: Half) -> None:
    """
    Their role is for people, and grants are for boards: they grant what they do not see, and see what they granted.
    """
    ports, member = half.boards, half.me.member
    await ports.got("PATCH", f"{MEMBERS}/{member}", {"role": "admin"})
    other = await ports.person("other", role="member", boards=False)
    access = {"board_access": [{"board_id": str(half.other.id)}]}
    path = f"{MEMBERS}/{other.member}"
    await ports.got("PUT", f"{path}/access", access, user=half.me.token)
    shown = await ports.got("GET", path, user=half.me.token)

    assert [str(half.other.id)] == [each["board_id"] for each in shown["board_access"]]
    assert 403 == await half.status("GET", f"/api/v1/boards/{half.other.id}")
