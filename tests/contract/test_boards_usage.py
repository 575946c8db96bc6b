"""
The token ledger in the Boards API.
"""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from attrs import evolve

from mission_adapters.testing.contracts.token_ledger import PRICES
from mission_core.agents.use_cases import CreateAgent, create_agent
from mission_core.boards.groups import CreateGroup, create_group
from tests.contract.boards_driver import BoardsDriver
from tests.contract.conftest import World

PATH = "/api/v1/usage"
USAGE = {"model": "large", "input_tokens": 1000, "output_tokens": 100}
DOLLARS = 0.0045
"""The cost of that usage at the prices of these tests."""


@pytest.fixture
def world(world: World) -> World:
    """
    A fresh organization with prices of two models.
    """
    return evolve(world, ports=evolve(world.ports, prices=PRICES))


async def recorded(boards: BoardsDriver, **more: Any) -> Any:
    """
    The entry of a report.
    """
    return await boards.got("POST", PATH, USAGE | more)


async def test_a_report_is_answered_with_its_entry(boards: BoardsDriver, world: World) -> None:
    task, agent = await world.task(), await world.agent("ada")
    entry = await recorded(
        boards, task_id=str(task.id), agent_id=str(agent.id), cache_read_tokens=400, session="s", duration_ms=7,
        reported_cost_usd=0.25, report_id="r1",
    )  # fmt: skip

    assert {
        "task_id": str(task.id), "board_id": str(task.board), "agent_id": str(agent.id), "agent_name": "ada",
        "model": "large", "session": "s", "cost_usd": 0.00342, "cost_nano": 3_420_000, "list_cost_usd": 0.00342,
        "reported_cost_usd": 0.25, "unpriced_tokens": 0, "price_basis": "exact", "price_source": "operator",
        "late": False, "requests": 1, "report_id": "r1", "corrects": None, "reverses": None,
    }.items() <= entry.items()  # fmt: skip
    assert [entry] == (await boards.got("GET", PATH))["items"]


async def test_a_report_with_the_same_id_counts_once(boards: BoardsDriver) -> None:
    """
    By `report_id`, or `Idempotency-Key`.
    """
    first, again = [await recorded(boards, report_id="r1") for _ in range(2)]
    keyed = [await boards.got("POST", PATH, USAGE, idempotency_key="k1") for _ in range(2)]
    other = await boards.call("POST", PATH, USAGE | {"report_id": "r1", "input_tokens": 1})

    assert first == again
    assert keyed[0] == keyed[1] == await recorded(boards, report_id="k1")
    assert (409, "report_id_reused") == (other.status, other.json["code"])
    assert 2 == (await boards.got("GET", PATH))["total"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"input_tokens": -1}, {"output_tokens": 0.5}, {"input_tokens": 10**30}, {"model": ""},
        {"cache_read_tokens": 1001}, {"reasoning_tokens": 101}, {"used_at": "2019-01-01T00:00:00"},
        {"used_at": "9999-12-31T23:59:59"}, {"task_id": "x"}, {"reported_cost_usd": -1}, {"session": "é" * 300},
    ],
)  # fmt: skip
async def test_a_malformed_report_is_refused_with_the_field(boards: BoardsDriver, wrong: dict[str, Any]) -> None:
    """
    And nothing is counted; also in a batch, whose valid reports are not recorded either if a value has another type.
    """
    answer = await boards.call("POST", PATH, USAGE | wrong)

    assert 422 == answer.status
    assert [*wrong] == [error["loc"][-1] for error in answer.json["detail"]]
    assert 0 == (await boards.got("GET", PATH))["total"]


async def test_a_batch_says_for_each_report_what_became_of_it(boards: BoardsDriver, world: World) -> None:
    """
    Each is recorded wholly or not at all.
    """
    entries = [
        USAGE | {"report_id": "a"}, USAGE | {"report_id": "a"}, USAGE | {"agent_id": str(uuid4())},
        USAGE | {"cache_read_tokens": 2000}, USAGE,
    ]  # fmt: skip
    told = await boards.got("POST", f"{PATH}/batch", {"entries": entries})
    wrong = await boards.call("POST", f"{PATH}/batch", {"entries": [USAGE, USAGE | {"input_tokens": -1}]})
    many = await boards.call("POST", f"{PATH}/batch", {"entries": [USAGE] * 10_000})

    assert ["recorded", "repeated", "refused", "refused", "recorded"] == [each["status"] for each in told["results"]]
    assert (2, 1, 2) == (told["recorded"], told["repeated"], told["refused"])
    assert "agent_not_found" == told["results"][2]["code"]
    assert "cache_read_tokens" in told["results"][3]["detail"]
    assert (422, ["body", "entries", 1, "input_tokens"]) == (wrong.status, wrong.json["detail"][0]["loc"])
    assert (422, ["body", "entries"]) == (many.status, many.json["detail"][0]["loc"])
    assert 2 == (await boards.got("GET", PATH))["total"]


@pytest.mark.every_store
async def test_a_summary_has_the_sums_by_group(boards: BoardsDriver, world: World) -> None:
    """
    In total, and by model, agent, board, task, session, hour and day, within the time.
    """
    task, agent, now = await world.task(), await world.agent("ada"), world.clock.now()
    await recorded(boards, task_id=str(task.id), agent_id=str(agent.id), session="s")
    await recorded(boards, model="unheard-of", used_at=(now - timedelta(days=3)).isoformat())

    async def groups(query: str) -> dict[str | None, tuple[int, float | None, int]]:
        found = await boards.got("GET", f"{PATH}/summary?{query}")
        return {
            each["key"]: tuple(each["totals"][name] for name in ("requests", "cost_usd", "unpriced_tokens"))
            for each in (*found["groups"], {"key": "total", "totals": found["total"]})
        }

    one, other, both = (1, DOLLARS, 0), (1, None, 1100), (2, DOLLARS, 1100)
    since = f"since={(now - timedelta(hours=1)).replace(tzinfo=None).isoformat()}"

    assert {"large": one, "unheard-of": other, "total": both} == await groups("")
    assert {str(agent.id): one, None: other, "total": both} == await groups("group_by=agent")
    assert {str(task.board): one, None: other, "total": both} == await groups("group_by=board")
    assert {str(task.id): one, None: other, "total": both} == await groups("group_by=task")
    assert {"s": one, "": other, "total": both} == await groups("group_by=session")
    assert [other, one, both] == list((await groups("group_by=day")).values())
    assert {"large": one, "total": one} == await groups(since)
    assert {"large": one, "total": one} == await groups(f"task_id={task.id}")
    assert {"large": one, "total": one} == await groups(f"board_id={task.board}&agent_id={agent.id}&model=large")
    assert {"total": (0, 0, 0)} == await groups("until=2020-01-01T00:00:00&since=0001-01-01T00:00:00")
    assert {"large": one, "unheard-of": other, "total": both} == await groups("until=9999-12-31T23:59:59")
    assert 1 == (await boards.got("GET", f"{PATH}?{since}&limit=1"))["total"]


async def test_a_correction_replaces_an_entry_in_the_sums(boards: BoardsDriver) -> None:
    """
    With a reason, by an admin; a void leaves nothing.
    """
    wrong = await recorded(boards)
    path = f"{PATH}/{wrong['id']}/corrections"
    right = await boards.got("POST", path, {"reason": "typo", "input_tokens": 10})
    total = (await boards.got("GET", f"{PATH}/summary"))["total"]
    await boards.got("POST", path, {"reason": "never was", "void": True})
    again = await boards.call("POST", path, {"reason": "too late"})
    reversal = next(each for each in (await boards.got("GET", PATH))["items"] if each["reverses"] == wrong["id"])

    assert (wrong["id"], 10) == (right["corrects"], right["input_tokens"])
    assert (1, 10, 100, right["cost_nano"]) == tuple(
        total[name] for name in ("requests", "input_tokens", "output_tokens", "cost_nano")
    )
    assert (-1, -1000, -wrong["cost_nano"]) == tuple(
        reversal[name] for name in ("requests", "input_tokens", "cost_nano")
    )
    assert (409, "usage_voided") == (again.status, again.json["code"])
    assert 0 == (await boards.got("GET", f"{PATH}/summary"))["total"]["requests"]
    assert 404 == (await boards.call("POST", f"{PATH}/{uuid4()}/corrections", {"reason": "none"})).status
    assert 409 == (await boards.call("POST", f"{PATH}/{reversal['id']}/corrections", {"reason": "no"})).status


async def test_an_agent_reports_for_itself_and_a_report_of_a_lost_lease_is_late(
    boards: BoardsDriver, world: World
) -> None:
    """
    Only a person with the role may name another agent, task or board, read the sums, or correct an entry.
    """
    made, other = [
        await create_agent(world.ports, world.me, CreateAgent(name=name, board=world.board.id))
        for name in ("ada", "bob")
    ]
    agent, token = str(made.agent.id), made.token
    own, foreign = await boards.task(), await boards.task()
    claimed = await boards.got(
        "POST", f"{boards.tasks}/{own['id']}/claim", {"lease_seconds": 60}, agent=token
    )  # fmt: skip
    in_time = await boards.got("POST", PATH, USAGE | {"task_id": own["id"]}, agent=token)
    world.clock.advance(minutes=2)
    late = await boards.got(
        "POST", PATH, USAGE | {"task_id": own["id"], "fence": claimed["lease"]["fence"]}, agent=token
    )  # fmt: skip
    refused = [
        await boards.call("POST", PATH, USAGE | more, agent=token)
        for more in ({"agent_id": str(other.agent.id)}, {"task_id": foreign["id"]})
    ]

    assert [(agent, "ada", False), (agent, "ada", True)] == [
        (each["agent_id"], each["agent_name"], each["late"]) for each in (in_time, late)
    ]
    assert in_time["run_id"] == late["run_id"]
    assert [403, 403] == [each.status for each in refused]
    assert 401 == (await boards.call("GET", f"{PATH}/summary", agent=token)).status


async def test_the_dashboard_and_the_snapshot_have_the_cost(boards: BoardsDriver, world: World) -> None:
    """
    Of the range and of today, of the boards that are asked for, with what has no price beside it.
    """
    group = (await create_group(world.ports, world.me, CreateGroup(name="G"))).id
    grouped = await world.another_board(group=group)
    await recorded(boards, board_id=str(boards.board))
    world.clock.advance(hours=25)
    for more in ({"board_id": str(boards.board), "model": "unheard-of"}, {"board_id": str(grouped.id)}, {}):
        await recorded(boards, **more)

    async def dashboard(query: str) -> tuple[Any, ...]:
        return shown((await boards.got("GET", f"/api/v1/metrics/dashboard?{query}"))["usage"])

    def shown(usage: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(usage[name] for name in ("requests", "cost_usd", "unpriced_tokens"))

    cost = 0.0045
    snapshot = await boards.got("GET", f"/api/v1/boards/{boards.board}/snapshot")
    assert (3, 0.009, 1100) == await dashboard("range_key=24h")
    assert (4, 0.0135, 1100) == await dashboard("range_key=7d")
    assert (2, cost, 1100) == await dashboard(f"range_key=7d&board_id={boards.board}")
    assert (1, cost, 0) == await dashboard(f"range_key=7d&group_id={group}")
    assert (0, 0, 0) == await dashboard(f"range_key=7d&group_id={group}&board_id={boards.board}")
    assert (1, None, 1100) == shown(snapshot["usage_today"])
