"""
The memory of boards and groups in the Boards API.
"""

from typing import Any

import pytest

from mission_adapters.testing import ManualClock
from tests.contract.boards_driver import BoardsDriver, field_refusal, refusal
from tests.contract.conftest import World

NOWHERE = "0195a000-0000-7000-8000-000000000000"
HALVES = pytest.mark.parametrize("half", ["", "/agent"])


def memory(boards: BoardsDriver, half: str = "") -> str:
    return f"/api/v1{half}/boards/{boards.board}/memory"


def together(boards: BoardsDriver) -> str:
    return f"/api/v1/boards/{boards.board}/group-memory"


async def told(boards: BoardsDriver, content: str = "Remember", **fields: Any) -> Any:
    return await boards.got("POST", memory(boards), {"content": content, **fields})


async def a_group(boards: BoardsDriver) -> str:
    """
    The memory of a group that the board joins.
    """
    group = await boards.got("POST", "/api/v1/board-groups", {"name": "Fleet", "slug": "fleet"})
    await boards.got("PATCH", f"/api/v1/boards/{boards.board}", {"board_group_id": group["id"]})
    return f"/api/v1/board-groups/{group['id']}/memory"


async def test_an_entry_is_shown_as_it_was_told(boards: BoardsDriver, clock: ManualClock) -> None:
    made = await told(boards, "  Ship on Fridays\n", tags=["policy"], source="handbook")

    assert {
        "id": made["id"], "board_id": str(boards.board), "content": "Ship on Fridays", "tags": ["policy"],
        "source": "handbook", "is_chat": False, "created_at": clock.now().replace(tzinfo=None).isoformat(),
        "number": made["number"],
    } == made  # fmt: skip
    assert {"items": [made], "total": 1, "limit": 200, "offset": 0} == await boards.got("GET", memory(boards))


@HALVES
async def test_an_agent_tells_and_reads_the_memory_of_its_board(boards: BoardsDriver, half: str) -> None:
    ada = (await boards.agent("ada"))["agent_token"]
    note = await boards.got("POST", memory(boards, half), {"content": "Found it"}, agent=ada)
    chat = await boards.got("POST", memory(boards, half), {"content": "Look", "tags": ["x", "chat"]}, agent=ada)
    seen = await boards.got("GET", memory(boards, half), agent=ada)

    assert (None, None, False) == (note["source"], note["tags"], note["is_chat"])
    assert ("ada", ["x", "chat"], True) == (chat["source"], chat["tags"], chat["is_chat"])
    assert [chat, note] == seen["items"]


async def test_chat_of_a_person_has_the_name_it_prefers(boards: BoardsDriver) -> None:
    before = await told(boards, tags=["chat"])
    await boards.got("PATCH", "/api/v1/users/me", {"preferred_name": "Jo"})

    assert ["Local User", "Jo", "Else"] == [
        before["source"], (await told(boards, tags=["chat"]))["source"],
        (await told(boards, tags=["chat"], source="Else"))["source"],
    ]  # fmt: skip


@pytest.mark.every_store
async def test_memory_comes_newest_first_in_pages(boards: BoardsDriver) -> None:
    made = [await told(boards, str(n), tags=["chat"] if n % 2 else None) for n in range(5)]
    page, after, chat, rest = [
        await boards.got("GET", f"{memory(boards)}?{query}")
        for query in ("limit=2&offset=1", f"limit=2&after={made[2]['number']}", "is_chat=true", "is_chat=false&limit=2")
    ]

    assert ([made[3], made[2]], 5, 2, 1) == (page["items"], page["total"], page["limit"], page["offset"])
    assert ([made[1], made[0]], 5) == (after["items"], after["total"])
    assert ([made[3], made[1]], 2) == (chat["items"], chat["total"])
    assert ([made[4], made[2]], 3) == (rest["items"], rest["total"])


@pytest.mark.parametrize(
    ("body", "kind", "loc"),
    [
        ({}, "missing", ["body", "content"]),
        ({"content": "   "}, "string_too_short", ["body", "content"]),
        ({"content": None}, "string_type", ["body", "content"]),
        ({"content": "a\0b"}, "value_error", ["body", "content"]),
        ({"content": "x", "tags": "chat"}, "list_type", ["body", "tags"]),
        ({"content": "x", "tags": [1]}, "string_type", ["body", "tags", 0]),
        ({"content": "x", "tags": ["a\0b"]}, "value_error", ["body", "tags", 0]),
        ({"content": "x", "source": 1}, "string_type", ["body", "source"]),
    ],
)
async def test_what_cannot_be_remembered_is_refused_by_name(
    boards: BoardsDriver, body: Any, kind: str, loc: list[Any]
) -> None:
    await a_group(boards)
    for path in (memory(boards), together(boards)):
        assert (kind, loc) == field_refusal(await boards.call("POST", path, body))[:2]

    assert 0 == (await boards.got("GET", memory(boards)))["total"]


@HALVES
async def test_an_agent_of_another_board_may_not_look(boards: BoardsDriver, world: World, half: str) -> None:
    other = await world.another_board()
    made = await boards.got("POST", "/api/v1/agents", {"name": "far", "board_id": str(other.id)})
    paths = [memory(boards, half), *([] if half else [together(boards)])]
    for path in paths:
        for method, body in (("GET", None), ("POST", {"content": "x"}), ("POST", {})):
            answer = await boards.call(method, path, body, agent=made["agent_token"])
            assert (403, "Forbidden") == refusal(answer)


@HALVES
async def test_the_main_agent_reads_every_board_of_its_organization(boards: BoardsDriver, half: str) -> None:
    main, made = await boards.main(), await told(boards)

    assert [made] == (await boards.got("GET", f"{memory(boards, half)}?is_chat=false&limit=50", agent=main))["items"]


async def test_a_board_that_is_not_there_remembers_nothing(boards: BoardsDriver) -> None:
    for path in ("memory", "group-memory"):
        for method, body in (("GET", None), ("POST", {"content": "x"}), ("POST", {})):
            answer = await boards.call(method, f"/api/v1/boards/{NOWHERE}/{path}", body)
            assert (404, "Not Found") == refusal(answer)
    for method, body in (("GET", None), ("POST", {"content": "x"}), ("POST", {})):
        answer = await boards.call(method, f"/api/v1/board-groups/{NOWHERE}/memory", body)
        assert (404, "Not Found") == refusal(answer)


async def test_only_people_tell_a_group_by_itself(boards: BoardsDriver) -> None:
    path, ada = await a_group(boards), (await boards.agent("ada"))["agent_token"]
    for method, body in (("GET", None), ("POST", {"content": "x"})):
        assert (401, "Unauthorized") == refusal(await boards.call(method, path, body, agent=ada))


async def test_the_boards_of_a_group_remember_together(boards: BoardsDriver, clock: ManualClock) -> None:
    path, ada = await a_group(boards), (await boards.agent("ada"))["agent_token"]
    group = path.split("/")[-2]
    plain = await boards.got("POST", path, {"content": " Low tide at six "})
    called = await boards.got("POST", together(boards), {"content": "@all in"}, agent=ada)
    chat = await boards.got("POST", together(boards), {"content": "Out", "tags": ["chat"]})
    cast = await boards.got("POST", path, {"content": "Out", "tags": ["broadcast"], "source": "The pilot"})

    assert {
        "id": plain["id"], "board_group_id": group, "content": "Low tide at six", "tags": None, "source": None,
        "is_chat": False, "created_at": clock.now().replace(tzinfo=None).isoformat(), "number": plain["number"],
    } == plain  # fmt: skip
    assert [("ada", False), ("Local User", True), ("The pilot", False)] == [
        (each["source"], each["is_chat"]) for each in (called, chat, cast)
    ]
    for place, caller in ((path, None), (together(boards), None), (together(boards), ada)):
        assert [cast, chat, called, plain] == (await boards.got("GET", place, agent=caller))["items"]
        page = await boards.got("GET", f"{place}?is_chat=false&limit=1&offset=1", agent=caller)
        assert ([called], 3, 1, 1) == (page["items"], page["total"], page["limit"], page["offset"])


async def test_a_board_by_itself_has_no_group_to_tell(boards: BoardsDriver) -> None:
    empty = {"items": [], "total": 0, "limit": 200, "offset": 0}

    assert empty == await boards.got("GET", together(boards))
    assert (422, "Board is not in a board group") == refusal(
        await boards.call("POST", together(boards), {"content": "x"})
    )


async def test_what_is_sent_twice_under_one_key_is_told_once(boards: BoardsDriver) -> None:
    path = await a_group(boards)
    for place in (memory(boards), together(boards), path):
        made = [await boards.got("POST", place, {"content": "Once"}, idempotency_key=place) for _ in range(2)]
        other = await boards.call("POST", place, {"content": "Else"}, idempotency_key=place)

        assert made[0] == made[1]
        assert 422 == other.status
    assert (1, 2) == (
        (await boards.got("GET", memory(boards)))["total"], (await boards.got("GET", path))["total"],
    )  # fmt: skip


async def test_a_snapshot_has_the_latest_of_the_chat(boards: BoardsDriver) -> None:
    made = [await told(boards, str(n), tags=["chat"]) for n in range(203)]
    await told(boards, "No chat")
    shown = (await boards.got("GET", f"/api/v1/boards/{boards.board}/snapshot"))["chat_messages"]

    assert made[3:] == shown
