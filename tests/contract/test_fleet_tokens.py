"""
The token ledger in the Fleet API.
"""

import csv
from io import StringIO
from typing import Any

import pytest
from attrs import evolve

from mission_adapters.testing.contracts.token_ledger import PRICES
from mission_core.values import micros
from tests.contract.conftest import World
from tests.contract.fleet_driver import FleetDriver, refusal, without

USAGE = {"model": "large", "inputTokens": 1000, "outputTokens": 100}
REASONS = ("may report the tokens of another agent", "do not hold this task")
DOLLARS = 0.0045
"""The cost of that usage at the prices of these tests."""


@pytest.fixture
def world(world: World) -> World:
    """
    A fresh organization with prices of two models.
    """
    return evolve(world, ports=evolve(world.ports, prices=PRICES, subscribed_providers=frozenset({"acme"})))


async def recorded(fleet: FleetDriver, session: str = "ada:main", **more: Any) -> Any:
    """
    The record of a report.
    """
    key = {"key": more.pop("key")} if "key" in more else {}
    return (await fleet.got("POST", "/tokens", {**USAGE, "sessionId": session, **more}, **key))["record"]


async def test_a_report_is_answered_with_its_record(fleet: FleetDriver, world: World) -> None:
    task = await fleet.task()
    record = await recorded(fleet, taskId=task["id"], cacheReadTokens=400, duration=7, reportedCost=0.5)

    assert {
        "model": "large", "sessionId": "ada:main", "agentName": "ada", "inputTokens": 1000, "outputTokens": 100,
        "totalTokens": 1100, "cost": 0.00342, "costNano": 3_420_000, "listCost": 0.00342, "reportedCost": 0.5,
        "operation": "chat_completion", "taskId": task["id"], "workspaceId": 1, "duration": 7, "cacheReadTokens": 400,
        "unpricedTokens": 0, "priceBasis": "exact", "priceSource": "operator", "priceVersion": "1", "late": False,
        "timestamp": micros(world.clock.now()) // 1000,
    }.items() <= record.items()  # fmt: skip


async def test_an_unknown_price_is_null_and_its_tokens_stand_beside_each_sum(fleet: FleetDriver) -> None:
    unpriced = await recorded(fleet, model="unheard-of")
    await recorded(fleet)
    stats = await fleet.got("GET", "/tokens?action=stats")
    by_agent = await fleet.got("GET", "/tokens/by-agent")

    assert (None, None, 1100, "unknown") == tuple(
        unpriced[name] for name in ("cost", "costNano", "unpricedTokens", "priceBasis")
    )
    assert (DOLLARS, 1100, 2200, 2) == tuple(
        stats["summary"][name] for name in ("totalCost", "unpricedTokens", "totalTokens", "requestCount")
    )
    assert (None, 1100) == tuple(stats["models"]["unheard-of"][name] for name in ("totalCost", "unpricedTokens"))
    assert (DOLLARS, 1100) == tuple(by_agent["summary"][name] for name in ("total_cost", "unpriced_tokens"))


async def test_a_subscription_costs_nothing_and_shows_its_list_price(fleet: FleetDriver) -> None:
    record = await recorded(fleet, model="acme/large", provider="acme")

    assert (0, DOLLARS, True) == (record["cost"], record["listCost"], record["subscription"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"inputTokens": -1}, {"outputTokens": 1.5}, {"inputTokens": 2**60}, {"model": " "}, {"sessionId": ""},
        {"cacheReadTokens": 1001}, {"reasoningTokens": 101}, {"duration": -1}, {"operation": ""},
        {"sessionId": "é" * 300}, {"reportedCost": -1}, {"model": None},
    ],
)  # fmt: skip
async def test_a_malformed_report_is_refused_with_the_field(fleet: FleetDriver, wrong: dict[str, Any]) -> None:
    answer = await fleet.call("POST", "/tokens", {**USAGE, "sessionId": "ada:main", **wrong})

    assert (400, "Invalid token usage record") == (answer.status, answer.json["error"])
    assert [*wrong] == [*{name for detail in answer.json["details"] for name in wrong if _spells(detail, name)}]
    assert 0 == (await fleet.got("GET", "/tokens"))["total"]


def _spells(detail: str, name: str) -> bool:
    """
    Whether a detail is about this field, as this API or the core spells it.
    """
    core = {"cacheReadTokens": "cache_read_tokens", "reasoningTokens": "reasoning_tokens", "sessionId": "session"}
    return name in detail or core.get(name, name) in detail


async def test_an_agents_key_reports_for_itself_on_its_own_tasks(fleet: FleetDriver) -> None:
    """
    Whatever its session is called. Only an admin names another agent or task.
    """
    (_, token), _ = await fleet.agent("ada"), await fleet.agent("bob")
    own, foreign = await fleet.task(assigned_to="ada"), await fleet.task(assigned_to="bob")
    record = await recorded(fleet, "any session", key=token, taskId=own["id"])
    refused = [
        await fleet.call("POST", "/tokens", {**USAGE, "sessionId": "s", **more}, key=token)
        for more in ({"agentName": "bob"}, {"taskId": foreign["id"]})
    ]
    confined = await recorded(fleet, key=await fleet.key("ada", "agent:self"))

    assert ("ada", own["id"], "any session") == tuple(record[name] for name in ("agentName", "taskId", "sessionId"))
    assert [403, 403] == [each.status for each in refused]
    assert ["may report the tokens of another agent", "do not hold this task"] == [
        next(text for text in REASONS if text in each.json["error"]) for each in refused
    ]
    assert "ada" == confined["agentName"]
    assert "bob" == (await recorded(fleet, "x", agentName="bob", taskId=own["id"]))["agentName"]


async def test_an_unknown_task_is_left_out(fleet: FleetDriver) -> None:
    assert [None, None] == [(await recorded(fleet, taskId=each))["taskId"] for each in (10**6, "no number")]


async def test_a_report_with_the_same_id_counts_once(fleet: FleetDriver) -> None:
    """
    By `reportId`, or `Idempotency-Key`, in which case also after the key was forgotten.
    """
    first, again = [await recorded(fleet, reportId="r1") for _ in range(2)]
    keyed = [await fleet.got("POST", "/tokens", {**USAGE, "sessionId": "s"}, idempotency_key="k1") for _ in range(2)]
    later = await recorded(fleet, "s", reportId="k1")
    other = await fleet.call("POST", "/tokens", {**USAGE, "sessionId": "s", "reportId": "r1"})

    assert first == again
    assert keyed[0] == keyed[1]
    assert later == keyed[0]["record"]
    assert (409, "report_id_reused") == (other.status, other.json["code"])
    assert 2 == (await fleet.got("GET", "/tokens"))["total"]


async def test_the_usage_of_a_heartbeat_is_recorded(fleet: FleetDriver) -> None:
    """
    A repeated heartbeat with the same key counts once; refused usage does not refuse the heartbeat.
    """
    agent, token = await fleet.agent("ada")
    path = f"/agents/{agent['id']}/heartbeat"
    beats = [await fleet.got("POST", path, {"token_usage": USAGE}, key=token, idempotency_key="beat") for _ in range(2)]
    refused = await fleet.got("POST", path, {"token_usage": {**USAGE, "inputTokens": -1}}, key=token)
    without_usage = await fleet.got("POST", path, {"status": "idle"}, key=token)
    costs = await fleet.got("GET", "/tokens?action=agent-costs")

    assert [True, True, False, False] == [each["token_recorded"] for each in (*beats, refused, without_usage)]
    assert "inputTokens" in refused["token_error"]
    assert "token_error" not in without_usage
    assert (1, DOLLARS, ["ada:cli"]) == (
        costs["agents"]["ada"]["stats"]["requestCount"], costs["agents"]["ada"]["stats"]["totalCost"],
        costs["agents"]["ada"]["sessions"],
    )  # fmt: skip


@pytest.mark.every_store
async def test_the_sums_agree_with_each_other(fleet: FleetDriver, world: World) -> None:
    """
    By model, session, agent, task, project, day and hour.
    """
    task, other = await fleet.task("First"), await fleet.task("Second")
    await recorded(fleet, "ada:1", taskId=task["id"])
    await recorded(fleet, "ada:2", taskId=task["id"], model="small")
    await recorded(fleet, "bob:1", taskId=other["id"])
    await recorded(fleet, "bob:1")
    await fleet.got("DELETE", f"/tasks/{other['id']}")
    stats, agents, tasks, trends = [
        await fleet.got("GET", f"/tokens?action={action}&timeframe=day")
        for action in ("stats", "agent-costs", "task-costs", "trends")
    ]
    by_agent = await fleet.got("GET", "/tokens/by-agent?days=1")
    total, small = 3 * 4_500_000 + 450_000, 450_000

    assert (4, total) == (stats["recordCount"], stats["summary"]["totalCostNano"])
    assert {"large": 3, "small": 1} == {name: each["requestCount"] for name, each in stats["models"].items()}
    assert {"ada:1": 1, "ada:2": 1, "bob:1": 2} == {n: each["requestCount"] for n, each in stats["sessions"].items()}
    for name in ("ada", "bob"):
        assert stats["agents"][name] == agents["agents"][name]["stats"]
    assert [1100 * 2] == [each["tokens"] for each in agents["agents"]["ada"]["timeline"]]
    assert [(task["id"], "First", 2, 4_500_000 + small)] == [
        (each["taskId"], each["title"], each["stats"]["requestCount"], each["stats"]["totalCostNano"])
        for each in tasks["tasks"]
    ]
    assert (fleet.project, [task["id"]]) == (
        tasks["tasks"][0]["project"]["id"], tasks["projects"][str(fleet.project)]["taskIds"]
    )  # fmt: skip
    assert (1, 2, 4) == (
        tasks["unattributed"]["requestCount"], tasks["attributedRecordCount"], tasks["recordCount"]
    )  # fmt: skip
    assert {"ada": [task["id"]]} == {name: each["taskIds"] for name, each in tasks["agents"].items()}
    assert [(4, 4400)] == [(each["requests"], each["tokens"]) for each in trends["trends"]]
    assert [("ada", 2, 2, 2200), ("bob", 2, 1, 2200)] == [
        (each["agent"], each["request_count"], each["session_count"], each["total_tokens"])
        for each in by_agent["agents"]
    ]
    assert {"total_tokens": 4400, "agent_count": 2, "days": 1}.items() <= by_agent["summary"].items()


async def test_a_list_and_an_export_have_the_records(fleet: FleetDriver) -> None:
    """
    Newest first. In CSV, no text can be taken for a formula, and an unknown cost is empty.
    """
    first = await recorded(fleet, "=1+1:x, y", model="unheard-of")
    second = await recorded(fleet)
    listed = await fleet.got("GET", "/tokens?timeframe=soon")
    exported = await fleet.call("GET", "/tokens?action=export")
    table = await fleet.call("GET", "/tokens?action=export&format=csv&timeframe=week")
    rows = list(csv.DictReader(StringIO(table.body.decode())))

    assert ([second, first], 2, "soon") == (listed["usage"], listed["total"], listed["timeframe"])
    assert [second, first] == exported.json["usage"]
    assert 2 == exported.json["summary"]["requestCount"]
    assert table.headers["content-type"].startswith("text/csv")
    assert table.headers["content-disposition"].startswith("attachment; filename=token-usage-week-")
    assert [("0.0045", "4500000", "ada:main"), ("", "", "'=1+1:x, y")] == [
        (each["cost"], each["costNano"], each["sessionId"]) for each in rows
    ]


async def test_an_unknown_action_is_refused(fleet: FleetDriver) -> None:
    answer = await fleet.call("GET", "/tokens?action=guess")

    assert (400, "Invalid action", "guess") == (answer.status, answer.json["error"], answer.json["action"])


async def test_the_dashboard_has_the_tokens_of_today_and_of_the_week(fleet: FleetDriver, world: World) -> None:
    """
    Beside the counts of the records.
    """
    await recorded(fleet)
    world.clock.advance(hours=24)
    await recorded(fleet, model="unheard-of")
    tokens = (await fleet.got("GET", "/status?action=dashboard"))["db"]["tokens"]

    assert [(1, None, 1100), (2, DOLLARS, 1100)] == [
        tuple(tokens[span][name] for name in ("requestCount", "totalCost", "unpricedTokens"))
        for span in ("today", "week")
    ]


async def test_an_operator_reports_under_a_label_and_for_no_agent(fleet: FleetDriver) -> None:
    """
    A name that is an agent's is refused.
    """
    await fleet.agent("ada")
    _, lead = await fleet.agent("robot")
    assert "robot" == (await recorded(fleet, "ada:main", key=lead))["agentName"]
    assert {"error"} == without((await fleet.call("POST", "/tokens", USAGE, key=None)).json, "code").keys()
    assert 401 == refusal(await fleet.call("POST", "/tokens", USAGE, key=None))[0]


async def test_the_reports_of_an_agent_tell_its_tokens(fleet: FleetDriver) -> None:
    """
    By model and day, without those of others.
    """
    await fleet.agent("ada")
    await recorded(fleet)
    await recorded(fleet, model="unheard-of")
    await recorded(fleet, "bob:main")
    cost = (await fleet.got("GET", "/agents/ada/attribution?privileged=1&section=cost"))["cost"]
    tokens = (await fleet.got("GET", "/agents/ada/diagnostics?privileged=1&section=tokens"))["tokens"]
    total = {"input_tokens": 2000, "output_tokens": 200, "requests": 2, "total_cost": DOLLARS, "unpriced_tokens": 1100}
    counts = {"input_tokens": 1000, "output_tokens": 100, "request_count": 1}
    by_model = [
        {"model": "large", "total_cost": DOLLARS, "unpriced_tokens": 0, **counts},
        {"model": "unheard-of", "total_cost": None, "unpriced_tokens": 1100, **counts},
    ]

    assert {"by_model": by_model, "total": total} == tokens == without(cost, "daily_trend")
    assert [total] == [without(each, "date", "day_bucket") for each in cost["daily_trend"]]


async def test_somebody_who_is_called_like_nobody_is_counted_with_them(fleet: FleetDriver) -> None:
    """
    Tokens without an agent are shown as those of `unknown`.
    """
    await recorded(fleet, session=":1")
    await recorded(fleet, session="unknown:1", model="small")
    stats, costs, by_agent = [
        await fleet.got("GET", f"/tokens{query}") for query in ("?action=stats", "?action=agent-costs", "/by-agent")
    ]

    assert {"unknown": 2200} == {name: each["totalTokens"] for name, each in stats["agents"].items()}
    assert {"unknown": 2200} == {name: each["stats"]["totalTokens"] for name, each in costs["agents"].items()}
    assert [("unknown", 2200, 2, ["large", "small"])] == [
        (each["agent"], each["total_tokens"], each["session_count"], [model["model"] for model in each["models"]])
        for each in by_agent["agents"]
    ]


async def test_the_largest_number_names_no_task(fleet: FleetDriver) -> None:
    assert [None, None] == [(await recorded(fleet, taskId=task))["taskId"] for task in ("9" * 32, 2**63 - 1)]


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
async def test_no_text_of_an_export_is_a_formula(fleet: FleetDriver, sign: str) -> None:
    """
    A spreadsheet would run it when the operator opens the file.
    """
    await recorded(fleet, operation=f"{sign}1+1\r=2\n=3")
    answer = await fleet.call("GET", "/tokens?action=export&format=csv")
    rows = list(csv.DictReader(answer.body.decode().splitlines()))

    assert [f"'{sign}1+1 =2 =3".replace("\r", " ").replace("\n", " ")] == [row["operation"] for row in rows]


async def test_a_batch_says_for_each_report_what_became_of_it(fleet: FleetDriver) -> None:
    """
    A refused one is left out. A malformed one refuses the whole call.
    """
    _, token = await fleet.agent("ada")
    foreign = await fleet.task()
    report = {**USAGE, "sessionId": "s"}
    records = [report | {"reportId": "a"}, report | {"reportId": "a"}, report | {"taskId": foreign["id"]}, report]
    told = await fleet.got("POST", "/tokens/batch", {"records": records}, key=token)
    answers = [
        await fleet.call("POST", "/tokens/batch", {"records": each}, key=token)
        for each in ([report, report | {"inputTokens": -1}], [], [report] * 1001)
    ]

    assert ["recorded", "repeated", "refused", "recorded"] == [each["status"] for each in told["results"]]
    assert (2, 1, 1) == tuple(told[name] for name in ("recorded", "repeated", "refused"))
    assert told["results"][0]["record"] == told["results"][1]["record"]
    assert (None, "usage_of_another_task") == tuple(told["results"][2][name] for name in ("record", "code"))
    assert [400] * 3 == [each.status for each in answers]
    assert answers[0].json["details"][0].startswith("records.1.inputTokens")
    assert 2 == (await fleet.got("GET", "/tokens"))["total"]


async def test_an_admin_corrects_a_record(fleet: FleetDriver) -> None:
    """
    The wrong one is reversed and replaced, or only reversed. Nobody else may.
    """
    _, token = await fleet.agent("ada")
    wrong = await recorded(fleet)
    path = f"/tokens/{wrong['id']}/corrections"
    right = (await fleet.got("POST", path, {"reason": "typo", "inputTokens": 10, "cacheReadTokens": 4}))["record"]
    summary = (await fleet.got("GET", "/tokens?action=stats"))["summary"]
    void = (await fleet.got("POST", path, {"reason": "never was", "void": True}))["record"]
    answers = [
        await fleet.call("POST", path, {"reason": "late"}), await fleet.call("POST", path, {"reason": "x"}, key=token),
        await fleet.call("POST", "/tokens/none/corrections", {"reason": "x"}), await fleet.call("POST", path, {}),
        await fleet.call("POST", f"/tokens/{right['id']}/corrections", {"reason": "x", "inputTokens": -1}),
    ]  # fmt: skip

    assert (wrong["id"], 10, 4) == tuple(right[name] for name in ("corrects", "inputTokens", "cacheReadTokens"))
    assert (10, 1, right["cost"]) == tuple(summary[name] for name in ("inputTokens", "requestCount", "totalCost"))
    assert (right["id"], -10) == (void["reverses"], void["inputTokens"])
    assert [409, 403, 404, 400, 400] == [each.status for each in answers]
    assert 0 == (await fleet.got("GET", "/tokens?action=stats"))["summary"]["totalTokens"]
