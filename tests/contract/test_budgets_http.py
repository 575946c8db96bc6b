"""
Budgets in both dialects.
"""

from typing import Any
from uuid import uuid4

import pytest
from attrs import evolve

from mission_adapters.testing.contracts.budgets import PRICES
from tests.contract.boards_driver import BoardsDriver
from tests.contract.conftest import World
from tests.contract.fleet_driver import FleetDriver, without

PATH = "/api/v1/budgets"
CAP = {"name": "cap", "limit": 0.009, "per_run": 0.005, "period": "monthly", "unknown_prices": "tokens"}
"""Room for one run. Each token of the model `mill` costs a thousandth of a dollar."""


@pytest.fixture
def world(world: World) -> World:
    """
    A fresh organization with the price of a model.
    """
    return evolve(world, ports=evolve(world.ports, prices=PRICES))


async def test_a_budget_of_a_project_is_made_read_changed_and_deleted(fleet: FleetDriver) -> None:
    """
    With its amounts in dollars, and exactly in nano-dollars.
    """
    made = (await fleet.got("POST", "/budgets", CAP | {"scope": "board", "project_id": fleet.project}, 201))["budget"]
    path = f"/budgets/{made['id']}"
    task = await fleet.task()
    await fleet.claim(task["id"])
    await fleet.got(
        "POST", "/tokens",
        {"model": "mill", "sessionId": "ada:1", "inputTokens": 2, "outputTokens": 0, "taskId": task["id"]},
    )  # fmt: skip
    found = (await fleet.got("GET", path))["budget"]

    assert {
        "name": "cap", "scope": "board", "project_id": fleet.project, "agent_id": None, "measure": "money",
        "limit": 0.009, "per_run": 0.005, "hard": True, "time_zone": "UTC", "spent": 0.002, "reserved": 0.003,
        "available": 0.004, "spent_nano": 2_000_000, "reserved_nano": 3_000_000, "unpriced_tokens": 0, "version": 0,
    }.items() <= found.items()  # fmt: skip
    assert found["period_starts_at"] <= found["created_at"] < found["resets_at"]
    changed = (await fleet.got("PATCH", path, {"limit": 0.02, "name": "more"}))["budget"]
    assert (0.02, "more", 1) == (changed["limit"], changed["name"], changed["version"])
    assert 412 == (await fleet.call("PATCH", path, {"limit": 1}, if_match='"7"')).status
    assert {"budgets": [changed], "total": 1} == await fleet.got("GET", "/budgets")
    await fleet.got("DELETE", path)
    assert 404 == (await fleet.call("GET", path)).status


@pytest.mark.every_store
async def test_a_claim_without_room_is_told_the_budget(fleet: FleetDriver, boards: BoardsDriver) -> None:
    """
    With 402 and its amounts. The queue has nothing, `explain` names the budget, and a heartbeat tells to stop.
    """
    budget = (await fleet.got("POST", "/budgets", CAP, 201))["budget"]
    one, other = await fleet.task(), await boards.task()
    claimed = await fleet.claim(one["id"])
    lease = claimed["lease"]
    refused = await fleet.call("POST", f"/tasks/{other['number']}/claim", {"agent": "eve"})
    theirs = await boards.call("POST", f"{boards.tasks}/{other['id']}/claim", {"agent": "eve"})

    told = {
        "name": "cap", "scope": "organization", "measure": "money", "limit": 0.009, "spent": 0.0, "reserved": 0.005,
        "needed": 0.005, "price_unknown": False,
    }  # fmt: skip
    assert (402, "budget_reached") == (refused.status, refused.json["code"])
    assert told | {"id": budget["id"], "resets_at": budget["resets_at"]} == refused.json["budget"]
    assert (402, "budget_reached") == (theirs.status, theirs.json["code"])
    assert without(told, "name").items() <= theirs.json["detail"].items()
    assert "reserved 0.005 dollars" in theirs.json["detail"]["message"] == refused.json["error"]
    assert (await fleet.got("POST", "/tasks/claim", {"agent": "eve"}))["task"] is None
    explained = await fleet.got("GET", f"/tasks/{other['number']}/explain")
    assert "blocked" == explained["state"]
    assert "budget 'cap' has no room" in explained["why"]
    spent = {"model": "mill", "sessionId": "ada:1", "inputTokens": 9, "outputTokens": 0, "taskId": one["id"]}
    await fleet.got("POST", "/tokens", spent)
    beat = f"/tasks/{one['id']}/lease/heartbeat"
    order = (await fleet.got("POST", beat, {"lease": lease}))["order"]
    assert ("budget_reached", None) == (order["kind"], order["id"])
    assert "budget 'cap'" in order["message"]
    await fleet.got("PATCH", f"/budgets/{budget['id']}", {"limit": 1})
    assert "continue" == (await fleet.got("POST", beat, {"lease": lease}))["order"]["kind"]


async def test_the_boards_api_has_the_same_budgets(boards: BoardsDriver, fleet: FleetDriver, world: World) -> None:
    """
    With UUIDs, dollars per million tokens as a ceiling, and the version as entity tag.
    """
    body = CAP | {"unknown_prices": "ceiling", "ceiling_price": 2.5, "scope": "board", "board_id": str(boards.board)}
    made = await boards.got("POST", PATH, body, idempotency_key="k")
    assert made == await boards.got("POST", PATH, body, idempotency_key="k")
    assert (2.5, str(boards.board), 0.0) == (made["ceiling_price"], made["board_id"], made["spent"])
    changed = await boards.got("PATCH", f"{PATH}/{made['id']}", {"unknown_prices": "stop", "ceiling_price": None})
    assert ("stop", None) == (changed["unknown_prices"], changed["ceiling_price"])
    listed = await boards.got("GET", f"{PATH}?limit=1")
    assert ([changed], 1) == (listed["items"], listed["total"])
    tokens = {"name": "t", "measure": "tokens", "limit": 1000, "per_run": 10, "period": "once"}
    assert {"limit": 1000, "spent": 0, "spent_nano": None, "resets_at": None}.items() <= (
        await boards.got("POST", PATH, tokens)
    ).items()
    assert 2 == (await fleet.got("GET", "/budgets"))["total"]
    await boards.got("DELETE", f"{PATH}/{made['id']}")
    assert 404 == (await boards.call("GET", f"{PATH}/{made['id']}")).status


WRONG: tuple[tuple[str, dict[str, Any]], ...] = (
    ("limit", {"limit": 0}),
    ("limit", {"limit": -1}),
    ("limit", {"limit": 1e300}),
    ("limit", {"limit": 1.5, "measure": "tokens", "unknown_prices": None}),
    ("per_run", {"per_run": 0}),
    ("per_run", {"per_run": 1}),
    ("time_zone", {"time_zone": "Mars"}),
    ("time_zone", {"time_zone": "../../etc/passwd"}),
    ("unknown_prices", {"unknown_prices": None}),
    ("ceiling_price", {"unknown_prices": "ceiling"}),
    ("ceiling_price", {"unknown_prices": "ceiling", "ceiling_price": 1e9}),
    ("agent_id", {"scope": "agent"}),
    ("name", {"name": ""}),
    ("period", {"period": "hourly"}),
)


@pytest.mark.parametrize(("field", "wrong"), WRONG, ids=str)
async def test_bad_input_names_the_field(
    fleet: FleetDriver, boards: BoardsDriver, field: str, wrong: dict[str, Any]
) -> None:
    """
    In both dialects, and nothing is made.
    """
    ours = await fleet.call("POST", "/budgets", CAP | wrong)
    theirs = await boards.call("POST", PATH, CAP | wrong)

    assert 400 == ours.status
    assert ours.json["details"][0].startswith(f"{field}: ")
    assert (422, field) == (theirs.status, theirs.json["detail"][0]["loc"][-1])
    assert 0 == (await fleet.got("GET", "/budgets"))["total"]


async def test_only_an_admin_changes_budgets_and_grants_show_their_boards(
    fleet: FleetDriver, boards: BoardsDriver
) -> None:
    """
    An operator reads them. A member sees the budgets of the boards with a grant, and no total of the organization.
    """
    whole = await boards.got("POST", PATH, CAP)
    own = await boards.got("POST", PATH, CAP | {"scope": "board", "board_id": str(boards.board)})
    _, operator = await fleet.agent("ada")
    mia = await boards.person("mia", role="member", boards=False)
    access = {"board_access": [{"board_id": str(boards.board), "can_read": True, "can_write": True}]}
    await boards.got("PUT", f"/api/v1/organizations/me/members/{mia.member}/access", access)
    member = mia.token

    for method, path, body in (
        ("POST", "/budgets", CAP), ("PATCH", f"/budgets/{whole['number']}", {"limit": 9}),
        ("DELETE", f"/budgets/{whole['number']}", None),
    ):  # fmt: skip
        assert 403 == (await fleet.call(method, path, body, key=operator)).status
    assert 2 == (await fleet.got("GET", "/budgets", key=operator))["total"]
    assert [own["id"]] == [each["id"] for each in (await boards.got("GET", PATH, user=member))["items"]]
    assert 404 == (await boards.call("GET", f"{PATH}/{whole['id']}", user=member)).status
    assert 403 == (await boards.call("PATCH", f"{PATH}/{own['id']}", {"limit": 9}, user=member)).status
    assert 404 == (await boards.call("DELETE", f"{PATH}/{uuid4()}")).status


@pytest.mark.every_store
async def test_a_heartbeat_of_an_agent_counts_its_usage_first(fleet: FleetDriver, world: World) -> None:
    """
    The lease that it holds without a secret is not renewed once its budget is reached, until the limit is raised.
    """
    agent, key = await fleet.agent()
    budget = (await fleet.got("POST", "/budgets", CAP, 201))["budget"]
    task = await fleet.task(assigned_to="ada")
    assert task["id"] == (await fleet.got("GET", "/tasks/queue?agent=ada", key=key))["task"]["id"]
    beat = f"/agents/{agent['id']}/heartbeat"
    usage = {"model": "mill", "inputTokens": 9, "outputTokens": 0, "taskId": task["id"]}

    async def ends_at() -> int:
        (run,) = (await fleet.got("GET", f"/tasks/{task['id']}/runs"))["runs"]
        return int(run["expires_at"])

    before = await ends_at()
    world.clock.advance(minutes=2)
    answer = await fleet.got("POST", beat, {"token_usage": usage}, key=key)

    assert (True, "budget_reached") == (answer["token_recorded"], answer["order"]["kind"])
    assert "budget 'cap'" in answer["order"]["message"]
    assert before == await ends_at()
    assert "budget_reached" == (await fleet.got("POST", beat, key=key))["order"]["kind"]
    await fleet.got("PATCH", f"/budgets/{budget['id']}", {"limit": 1})
    world.clock.advance(minutes=2)
    assert "order" not in await fleet.got("POST", beat, key=key)
    assert before < await ends_at()
