"""
The activity of the Boards API, and the comments on its tasks.
"""

import pytest

from tests.contract.boards_driver import BoardsDriver

TYPES = ["task.comment", "task.status_changed", "task.created"]


@pytest.mark.every_store
async def test_the_activity_has_what_happened_with_its_place_in_the_web_client(boards: BoardsDriver) -> None:
    """
    Newest first. A comment is an activity with its own id.
    """
    task = await boards.task(title="Ship it")
    path = f"{boards.tasks}/{task['id']}"
    await boards.got("PATCH", path, {"status": "in_progress"})
    said = await boards.got("POST", f"{path}/comments", {"message": "soon"})
    found = await boards.got("GET", "/api/v1/activity?limit=20")
    told = [each for each in found["items"] if each["event_type"] in TYPES]
    comment, moved, made = told
    board = task["board_id"]

    assert TYPES == [each["event_type"] for each in told]
    assert ["soon", "Task moved to in_progress: Ship it.", "Task created: Ship it."] == [
        each["message"] for each in told
    ]
    assert {(task["id"], board)} == {(each["task_id"], each["board_id"]) for each in told}
    assert said["id"] == comment["id"]
    assert ("board", {"boardId": board, "taskId": task["id"], "commentId": said["id"]}) == (
        comment["route_name"], comment["route_params"],
    )  # fmt: skip
    assert {"boardId": board, "taskId": task["id"]} == moved["route_params"]
    assert found["items"][1:3] == (await boards.got("GET", "/api/v1/activity?limit=2&offset=1"))["items"]
    assert "Task created: Ship it." == made["message"]
    feed = await boards.got("GET", f"/api/v1/activity/task-comments?board_id={board}")
    assert [(said["id"], "soon", "Ship it", board)] == [
        (each["id"], each["message"], each["task_title"], each["board_id"]) for each in feed["items"]
    ]
    assert 1 == feed["total"]


async def test_an_agent_sees_what_it_did_itself(boards: BoardsDriver) -> None:
    task = await boards.task()
    agent = await boards.agent()
    token = agent["agent_token"]
    await boards.got("PATCH", f"{boards.agent_tasks}/{task['id']}", {"status": "in_progress"}, agent=token)
    found = await boards.got("GET", "/api/v1/activity", agent=token)

    assert {(agent["id"], task["id"])} == {(each["agent_id"], each["task_id"]) for each in found["items"]}
    assert "task.status_changed" in {each["event_type"] for each in found["items"]}
