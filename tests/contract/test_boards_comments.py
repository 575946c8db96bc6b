"""
Comments in the Boards API.
"""

from typing import Any

import pytest

from mission_adapters.testing import ManualClock
from mission_core.tasks.model import Status
from tests.contract.boards_driver import BoardsDriver, field_refusal, refusal
from tests.contract.conftest import World

NOWHERE = "0195a000-0000-7000-8000-000000000000"
HELD_BACK = "Board leads can only comment during review, when mentioned, or on tasks they created."


def place(boards: BoardsDriver, task: Any, *, agent: bool = False) -> str:
    return f"{boards.agent_tasks if agent else boards.tasks}/{task['id']}/comments"


async def said(boards: BoardsDriver, task: Any, message: str = "Hello", **more: Any) -> Any:
    return await boards.got("POST", place(boards, task), {"message": message}, **more)


async def test_a_comment_of_a_person_names_no_agent(boards: BoardsDriver, clock: ManualClock) -> None:
    task = await boards.task()
    made = await said(boards, task, "  Well done  ")

    assert {
        "id": made["id"], "message": "Well done", "agent_id": None, "task_id": task["id"],
        "created_at": clock.now().replace(tzinfo=None).isoformat(), "number": made["number"], "author": "Local User",
        "parent_id": None, "mentions": [],
    } == made  # fmt: skip
    assert {"items": [made], "total": 1, "limit": 200, "offset": 0} == await boards.got("GET", place(boards, task))


async def test_an_agent_comments_on_any_task_of_its_board_under_its_own_name(boards: BoardsDriver) -> None:
    ada, task = await boards.agent("ada"), await boards.task()
    path = place(boards, task, agent=True)
    made = await boards.got("POST", path, {"message": "Hi @ada"}, agent=ada["agent_token"])

    assert (ada["id"], "ada", ["ada"]) == (made["agent_id"], made["author"], made["mentions"])
    assert [made] == (await boards.got("GET", path, agent=ada["agent_token"]))["items"]
    assert [made] == (await boards.got("GET", place(boards, task)))["items"]
    assert ada["id"] == (await said(boards, task, agent=ada["agent_token"]))["agent_id"]


@pytest.mark.every_store
async def test_comments_come_oldest_first_in_pages(boards: BoardsDriver) -> None:
    task, other = await boards.task(), await boards.task()
    made = [await said(boards, task, str(n)) for n in range(4)]
    await said(boards, other)
    page = await boards.got("GET", f"{place(boards, task)}?limit=2&offset=1")
    after = await boards.got("GET", f"{place(boards, task)}?limit=2&after={made[2]['number']}")

    assert (made[1:3], 4, 2, 1) == (page["items"], page["total"], page["limit"], page["offset"])
    assert (made[3:], 4) == (after["items"], after["total"])


async def test_a_reply_names_the_comment_it_answers(boards: BoardsDriver) -> None:
    task = await boards.task()
    first = await said(boards, task)
    reply = await boards.got("POST", place(boards, task), {"message": "Hi", "parent_id": first["id"]})
    nowhere = await boards.call("POST", place(boards, task), {"message": "Hi", "parent_id": NOWHERE})

    assert first["id"] == reply["parent_id"]
    assert (404, "Not Found") == refusal(nowhere)


@pytest.mark.parametrize(
    ("body", "kind", "loc"),
    [
        ({}, "missing", ["body", "message"]),
        ({"message": "   "}, "string_too_short", ["body", "message"]),
        ({"message": 5}, "string_type", ["body", "message"]),
        ({"message": None}, "string_type", ["body", "message"]),
        ({"message": "Hi", "parent_id": "x"}, "uuid_parsing", ["body", "parent_id"]),
    ],
)
async def test_a_comment_says_something(boards: BoardsDriver, body: Any, kind: str, loc: list[str]) -> None:
    answer = await boards.call("POST", place(boards, await boards.task()), body)

    assert (kind, loc) == field_refusal(answer)[:2]


async def test_what_is_not_on_the_board_is_not_found(boards: BoardsDriver, world: World) -> None:
    elsewhere = await world.task(board=(await world.another_board()).id)
    for id in (NOWHERE, str(elsewhere.id)):
        for method, body in (("GET", None), ("POST", {"message": "Hi"}), ("POST", {})):
            assert (404, "Not Found") == refusal(await boards.call(method, f"{boards.tasks}/{id}/comments", body))


async def test_an_agent_of_another_board_may_not_look(boards: BoardsDriver, world: World) -> None:
    task = await boards.task()
    other = await world.another_board()
    made = await boards.got("POST", "/api/v1/agents", {"name": "far", "board_id": str(other.id)})
    for method, body in (("GET", None), ("POST", {"message": "Hi"})):
        answer = await boards.call(method, place(boards, task, agent=True), body, agent=made["agent_token"])
        assert (403, "Forbidden") == refusal(answer)


async def test_a_lead_holds_back_where_it_has_no_part(boards: BoardsDriver, world: World) -> None:
    lead = await boards.lead("Lea Lead")
    task = await boards.task()
    path = place(boards, task, agent=True)
    refused = await boards.call("POST", path, {"message": "Hi"}, agent=lead)
    await said(boards, task, "What now, @lead?")

    assert (403, HELD_BACK) == refusal(refused)
    assert "Lea Lead" == (await boards.got("POST", path, {"message": "This"}, agent=lead))["author"]


async def test_a_lead_speaks_in_a_review(boards: BoardsDriver, world: World) -> None:
    lead = await boards.lead()
    reviewed = await world.task(status=Status.QUALITY_REVIEW)
    path = f"{boards.agent_tasks}/{reviewed.id}/comments"

    assert "lea" == (await boards.got("POST", path, {"message": "Hi"}, agent=lead))["author"]


async def test_a_comment_that_is_sent_twice_under_one_key_is_made_once(boards: BoardsDriver) -> None:
    task = await boards.task()
    made = [await said(boards, task, idempotency_key="one") for _ in range(2)]
    other = await boards.call("POST", place(boards, task), {"message": "Else"}, idempotency_key="one")

    assert made[0] == made[1]
    assert 422 == other.status
    assert 1 == (await boards.got("GET", place(boards, task)))["total"]


@pytest.mark.every_store
async def test_a_comment_with_a_change_is_one_of_the_tasks_comments(boards: BoardsDriver) -> None:
    ada, task = await boards.agent("ada"), await boards.task()
    await boards.got("PATCH", f"{boards.tasks}/{task['id']}", {"comment": " Look, @ada ", "priority": "high"})
    (kept,) = (await boards.got("GET", place(boards, task)))["items"]

    assert ("Look, @ada", None, [ada["name"]]) == (kept["message"], kept["agent_id"], kept["mentions"])


async def test_what_a_worker_says_with_a_change_is_its_own(boards: BoardsDriver) -> None:
    ada, task = await boards.agent("ada"), await boards.task()
    change = {"status": "in_progress", "comment": "I begin"}
    await boards.got("PATCH", f"{boards.agent_tasks}/{task['id']}", change, agent=ada["agent_token"])
    (kept,) = (await boards.got("GET", place(boards, task)))["items"]

    assert ("I begin", ada["id"], "ada") == (kept["message"], kept["agent_id"], kept["author"])


async def test_a_review_takes_what_the_assignee_said_before(boards: BoardsDriver, world: World) -> None:
    await boards.got("PATCH", f"/api/v1/boards/{boards.board}", {"comment_required_for_review": True})
    ada, task = await boards.agent("ada"), await boards.task()
    begun = {"status": "in_progress", "assigned_agent_id": ada["id"]}
    await boards.got("PATCH", f"{boards.tasks}/{task['id']}", begun)
    refused = await boards.call("PATCH", f"{boards.tasks}/{task['id']}", {"status": "review"})
    await said(boards, task, "Done", agent=ada["agent_token"])

    assert (422, "Comment is required.") == refusal(refused)
    assert "review" == (await boards.got("PATCH", f"{boards.tasks}/{task['id']}", {"status": "review"}))["status"]


async def test_the_comments_of_a_task_go_with_it(boards: BoardsDriver, world: World) -> None:
    task = await boards.task()
    await said(boards, task)
    await boards.got("DELETE", f"{boards.tasks}/{task['id']}")

    assert 404 == (await boards.call("GET", place(boards, task))).status
