"""
Snapshots in the Boards API.
"""

import asyncio

import pytest

from mission_core.boards.groups import CreateGroup, create_group
from mission_core.boards.use_cases import UpdateBoard, update_board
from mission_core.tasks.model import Status
from mission_core.tasks.use_cases import UpdateTask
from mission_core.tasks.use_cases import update_task as change_task
from tests.contract.boards_driver import field_refusal, refusal
from tests.contract.boards_examples import OTHER

pytestmark = pytest.mark.every_store


async def snapshot(boards, **more):
    return await boards.got("GET", f"/api/v1/boards/{boards.board}/snapshot", **more)


async def cards(boards):
    """
    The tasks of the board as its list has them, as a snapshot should show them.
    """
    listed = await boards.got("GET", boards.tasks)
    return [task | {"approvals_count": 0, "approvals_pending_count": 0} for task in listed["items"]]


async def test_a_snapshot_has_all_that_stands_on_a_board(boards):
    first = await boards.task("first")
    agent = await boards.agent("bob")
    await boards.task("second", assigned_agent_id=agent["id"])
    await boards.task("third", depends_on_task_ids=[first["id"]])
    seen = await snapshot(boards)
    board = await boards.got("GET", f"/api/v1/boards/{boards.board}")
    agents = await boards.got("GET", f"/api/v1/agents?board_id={boards.board}")

    assert {"approvals": [], "chat_messages": [], "pending_approvals_count": 0, "board": board} == {
        name: value for name, value in seen.items() if name not in ("tasks", "agents", "usage_today")
    }
    assert agents["items"] == seen["agents"]
    assert await cards(boards) == seen["tasks"]
    assert ["third", "second", "first"] == [card["title"] for card in seen["tasks"]]
    assert [None, "bob", None] == [card["assignee"] for card in seen["tasks"]]


async def test_a_snapshot_shows_what_is_so_now(boards, world):
    """
    However often it was looked at before.
    """
    fields = "/api/v1/organizations/me/custom-fields"
    tag = await boards.got("POST", "/api/v1/tags", {"name": "red"})
    first = await boards.task("first", tag_ids=[tag["id"]])
    waits = await boards.task("waits", depends_on_task_ids=[first["id"]])
    named = await world.task("ada's", assignee="ada")
    await snapshot(boards)

    for changing in (
        lambda: boards.got("PATCH", f"{boards.tasks}/{waits['id']}", {"title": "still waits"}),
        lambda: change_task(world.ports, world.me, UpdateTask(task=named.id, priority="low")),
        lambda: boards.agent("Ada"),
        lambda: boards.got("PATCH", f"/api/v1/tags/{tag['id']}", {"name": "blue"}),
        lambda: boards.got("POST", fields, {"field_key": "cost", "default_value": "low", "board_ids": [
            str(boards.board)]}),
        lambda: boards.got("PATCH", f"{boards.tasks}/{waits['id']}", {"custom_field_values": {"cost": "high"}}),
        lambda: boards.got("PATCH", f"{boards.tasks}/{first['id']}", {"status": "done"}),
        lambda: boards.got("DELETE", f"/api/v1/tags/{tag['id']}"),
        lambda: boards.got("DELETE", f"{boards.tasks}/{first['id']}"),
        lambda: boards.task("new"),
    ):  # fmt: skip
        before = await cards(boards)
        await changing()
        seen = await snapshot(boards)
        assert await cards(boards) == seen["tasks"] != before
    assert {"cost"} == seen["tasks"][0]["custom_field_values"].keys()


async def test_snapshots_at_once_agree(boards):
    for title in "abc":
        await boards.task(title)
    first, *others = await asyncio.gather(*(snapshot(boards) for _ in range(5)))

    assert [first] * 4 == others


async def test_a_snapshot_is_seen_by_who_may_read_the_board(boards, world):
    other = await world.another_board()
    here, there = await boards.agent("bob"), await boards.agent("eve", board_id=str(other.id))
    path = f"/api/v1/boards/{boards.board}/snapshot"

    assert 2 == len((await snapshot(boards, agent=here["agent_token"]))["agents"]) + 1
    assert 200 == (await boards.call("GET", path, agent=await boards.main())).status
    assert (403, "Forbidden") == refusal(await boards.call("GET", path, agent=there["agent_token"]))
    assert (404, "Not Found") == refusal(await boards.call("GET", f"/api/v1/boards/{OTHER}/snapshot"))
    assert 401 == refusal(await boards.call("GET", path, user=None))[0]


async def grouped(boards, world):
    """
    A group with two boards: the one named Work has a task in progress, two in the inbox and one done.
    """
    group = await create_group(world.ports, world.me, CreateGroup(name="G"))
    other = await world.another_board("alpha", group=group.id)
    await update_board(world.ports, world.me, UpdateBoard(board=world.board.id, group=group.id))
    await world.task("inbox", priority="low")
    await world.task("awaited", status=Status.AWAITING_OWNER, priority="high")
    await world.task("running", status=Status.IN_PROGRESS, assignee="ada")
    await world.task("done", status=Status.DONE)
    return group, other


def titles(seen):
    return {part["board"]["name"]: [task["title"] for task in part["tasks"]] for part in seen["boards"]}


async def test_a_groups_snapshot_tells_what_is_foremost(boards, world):
    group, _ = await grouped(boards, world)
    path = f"/api/v1/board-groups/{group.id}"
    seen = await boards.got("GET", f"{path}/snapshot")
    alpha, work = seen["boards"]
    running = work["tasks"][0]

    assert await boards.got("GET", path) == seen["group"]
    assert await boards.got("GET", f"/api/v1/boards/{boards.board}") == work["board"]
    assert ({}, {"inbox": 2, "in_progress": 1, "done": 1}) == (alpha["task_counts"], work["task_counts"])
    assert {"alpha": [], "Work": ["running", "awaited", "inbox"]} == titles(seen)
    assert ("Work", "in_progress", "ada", None, []) == tuple(
        running[name] for name in ("board_name", "status", "assignee", "assigned_agent_id", "tags")
    )
    with_done = await boards.got("GET", f"{path}/snapshot?include_done=true&per_board_task_limit=9")
    assert ["running", "awaited", "inbox", "done"] == titles(with_done)["Work"]
    assert ["running"] == titles(await boards.got("GET", f"{path}/snapshot?per_board_task_limit=1"))["Work"]
    assert {"alpha": [], "Work": []} == titles(await boards.got("GET", f"{path}/snapshot?per_board_task_limit=0"))
    assert (404, "Not Found") == refusal(await boards.call("GET", f"/api/v1/board-groups/{OTHER}/snapshot"))


async def test_a_boards_group_snapshot_is_about_the_others(boards, world):
    _, other = await grouped(boards, world)
    token = (await boards.agent("bob", board_id=str(other.id)))["agent_token"]
    path = f"/api/v1/boards/{other.id}/group-snapshot"

    for agent in (None, token):
        assert {"Work": ["running", "awaited", "inbox"]} == titles(await boards.got("GET", path, agent=agent))
        itself = await boards.got("GET", f"{path}?include_self=1&include_done=1", agent=agent)
        assert {"alpha": [], "Work": ["running", "awaited", "inbox", "done"]} == titles(itself)
    elsewhere = await boards.call("GET", f"/api/v1/boards/{boards.board}/group-snapshot", agent=token)
    assert (403, "Forbidden") == refusal(elsewhere)


async def test_a_board_without_a_group_has_an_empty_group_snapshot(boards):
    path = f"/api/v1/boards/{boards.board}/group-snapshot"

    assert {"group": None, "boards": []} == await boards.got("GET", path)
    assert (404, "Not Found") == refusal(await boards.call("GET", f"/api/v1/boards/{OTHER}/group-snapshot"))


@pytest.mark.parametrize("query", ["per_board_task_limit=-1", "per_board_task_limit=x", "include_done=x"])
async def test_a_wrong_parameter_is_named(boards, world, query):
    group, _ = await grouped(boards, world)
    name = query.partition("=")[0]
    for path in (f"board-groups/{group.id}/snapshot", f"boards/{boards.board}/group-snapshot"):
        assert ["query", name] == field_refusal(await boards.call("GET", f"/api/v1/{path}?{query}"))[1]


async def test_a_boards_group_snapshot_shows_a_hundred_tasks_at_most(boards):
    path = f"/api/v1/boards/{boards.board}/group-snapshot"

    assert "less_than_equal" == field_refusal(await boards.call("GET", f"{path}?per_board_task_limit=101"))[0]
