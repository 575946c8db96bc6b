"""
Groups of boards in the Boards API.
"""

import pytest

from tests.contract.boards_driver import field_refusal, refusal
from tests.contract.boards_examples import NEW, OTHER

GROUPS = "/api/v1/board-groups"


async def made(boards, name="Products", **fields):
    return await boards.got("POST", GROUPS, {"name": name, "slug": "", **fields})


async def test_a_group_is_made_read_changed_and_removed(boards, world, clock):
    group = await made(boards, description="what we sell")
    path = f"{GROUPS}/{group['id']}"
    clock.advance(seconds=5)
    changed = await boards.got("PATCH", path, {"name": "Wares", "slug": None})
    now = clock.now().replace(tzinfo=None).isoformat()

    assert {
        "organization_id": str(world.me.organization), "name": "Products", "slug": "products",
        "description": "what we sell", "created_at": group["updated_at"], "version": 0,
    } == {name: value for name, value in group.items() if name not in ("id", "updated_at", "number")}  # fmt: skip
    assert group | {"name": "Wares", "slug": "wares", "updated_at": now, "version": 1} == changed
    assert changed == await boards.got("GET", path)
    assert {"ok": True} == await boards.got("DELETE", path)
    for method in ("GET", "PATCH", "DELETE"):
        assert (404, "Not Found") == refusal(await boards.call(method, path, {} if method == "PATCH" else None))


async def test_groups_come_by_name(boards):
    names = ["beta", "Alpha", "gamma"]
    for name in names:
        await made(boards, name)
    listed = await boards.got("GET", f"{GROUPS}?limit=2&offset=1")

    assert {"total": 3, "limit": 2, "offset": 1} == {name: listed[name] for name in ("total", "limit", "offset")}
    assert ["beta", "gamma"] == [each["name"] for each in listed["items"]]


@pytest.mark.parametrize(
    ("body", "loc"),
    [({}, ["body", "name"]), ({"name": 5}, ["body", "name"]), ({"name": "x" * 201}, ["body", "name"])],
)
async def test_a_wrong_field_is_named(boards, body, loc):
    assert loc == field_refusal(await boards.call("POST", GROUPS, body))[1]


@pytest.mark.every_store
async def test_boards_join_and_leave_groups(boards):
    group = await made(boards)
    board = await boards.got("POST", "/api/v1/boards", NEW | {"board_group_id": group["id"]})
    path = f"/api/v1/boards/{board['id']}"
    listed = await boards.got("GET", f"/api/v1/boards?board_group_id={group['id']}")
    alone = await boards.got("PATCH", path, {"board_group_id": None})
    back = await boards.got("PATCH", path, {"board_group_id": group["id"]})
    await boards.got("DELETE", f"{GROUPS}/{group['id']}")

    assert [board["id"]] == [each["id"] for each in listed["items"]]
    assert [group["id"], None, group["id"]] == [each["board_group_id"] for each in (board, alone, back)]
    assert (await boards.got("GET", path))["board_group_id"] is None


async def grouped(boards):
    """
    A group, the token of the lead of its board, and the ids of its lead and its worker.
    """
    group = await made(boards)
    await boards.got("PATCH", f"/api/v1/boards/{boards.board}", {"board_group_id": group["id"]})
    token = await boards.lead("lea")
    worker = await boards.agent("bob", heartbeat_config={"every": "1h", "target": "none", "extra": 1})
    lead = await boards.got("GET", "/api/v1/agent/healthz", agent=token)
    return group, token, lead["agent_id"], worker


@pytest.mark.every_store
async def test_a_groups_agents_are_woken_as_often_as_is_said(boards):
    group, _, lead, worker = await grouped(boards)
    path, body = f"{GROUPS}/{group['id']}/heartbeat", {"every": "5m"}
    applied = await boards.got("POST", path, body)
    with_leads = await boards.got("POST", path, {"every": "6m", "include_board_leads": True})
    read = await boards.got("GET", f"/api/v1/agents/{worker['id']}")

    assert {
        "board_group_id": group["id"], "requested": {"every": "5m", "include_board_leads": False},
        "updated_agent_ids": [worker["id"]], "failed_agent_ids": [],
    } == applied  # fmt: skip
    assert [lead, worker["id"]] == with_leads["updated_agent_ids"]
    assert {"every": "6m", "target": "last", "includeReasoning": False, "extra": 1} == read["heartbeat_config"]


async def test_the_lead_of_one_of_its_boards_may_say_so_too(boards, world):
    group, token, _, worker = await grouped(boards)
    other = await world.another_board()
    stranger = (await boards.agent("eve", board_id=str(other.id)))["agent_token"]
    path, body = f"{GROUPS}/{group['id']}/heartbeat", {"every": "5m"}

    assert [worker["id"]] == (await boards.got("POST", path, body, agent=token))["updated_agent_ids"]
    for agent in (stranger, worker["agent_token"], await boards.main()):
        assert (403, "Forbidden") == refusal(await boards.call("POST", path, body, agent=agent))
    assert (404, "Not Found") == refusal(await boards.call("POST", f"{GROUPS}/{OTHER}/heartbeat", {}, agent=token))


async def test_a_repeated_setting_is_answered_alike(boards):
    group, *_ = await grouped(boards)
    path = f"{GROUPS}/{group['id']}/heartbeat"
    first, again = [await boards.got("POST", path, {"every": "5m"}, **{"idempotency-key": "k"}) for _ in range(2)]

    assert first == again
    assert ["body", "every"] == field_refusal(await boards.call("POST", path, {}))[1]
