"""
Reported runs and their evaluations in the Fleet API.
"""

from hashlib import sha256
from typing import Any

import pytest
from attrs import evolve

from mission_adapters.testing.contracts.token_ledger import PRICES
from mission_core.values import micros, moment
from mission_http.fleet.wire import iso_of
from tests.contract.boards_driver import BoardsDriver
from tests.contract.conftest import World
from tests.contract.fleet_driver import FleetDriver

COST = 0.0045
"""The cost in dollars of the tokens below."""
LISTS = ("/v1/runs", "/tokens")
TOKENS = {"input_tokens": 1000, "output_tokens": 100}


@pytest.fixture
def world(world: World) -> World:
    """
    A fresh organization with prices of two models.
    """
    return evolve(world, ports=evolve(world.ports, prices=PRICES))


@pytest.fixture
def started(world: World) -> str:
    """
    The time of the tests, as a client writes it.
    """
    return f"{world.clock.now():%Y-%m-%dT%H:%M:%SZ}"


async def reported(fleet: FleetDriver, started: str, **more: Any) -> str:
    """
    The id of a run that was reported.
    """
    key = {"key": more.pop("key")} if "key" in more else {}
    body = {"agent_id": "ada", "status": "running", "started_at": started, "model": "large", **more}
    id: str = (await fleet.got("POST", "/v1/runs", body, 201, **key))["id"]
    return id


async def test_a_reported_run_is_shown_as_it_was_told(fleet: FleetDriver, world: World, started: str) -> None:
    (agent, _), task = await fleet.agent("ada"), await fleet.task()
    told = {
        "provider": "acme", "runtime_version": "2", "trigger": "cron", "parent_run_id": "r0", "outcome": "success",
        "ended_at": started, "duration_ms": 5, "steps": [{"type": "tool_call", "n": [1.5, None]}],
        "tools_available": ["write", "read"], "error": "none", "git_branch": "b", "git_commit": "c", "tags": ["t"],
        "metadata": {"x": 1}, "status": "completed",
    }  # fmt: skip
    cost = {**TOKENS, "cache_read_tokens": 400, "cost_usd": 0.5}
    id = await reported(fleet, started, id="r1", agent_id=agent["id"], task_id=task["id"], cost=cost, **told)
    run = await fleet.got("GET", f"/v1/runs/{id}")
    hashed = sha256(f'{agent["id"]}|large|["read","write"]||cron'.encode()).hexdigest()

    assert "r1" == id
    assert told | {
        "id": "r1", "agent_id": str(agent["id"]), "agent_name": "ada", "model": "large", "runtime": "mission-control",
        "task_id": str(task["id"]), "started_at": started, "workspace_id": "1", "number": 1, "version": 0,
        "cost": {
            **TOKENS, "cache_read_tokens": 400, "cache_write_tokens": None, "cost_usd": 0.00342, "model": None,
            "reported_cost_usd": 0.5, "unpriced_tokens": 0,
        },
        "provenance": {
            "run_hash": hashed, "parent_run_hash": None, "lineage": [], "model_version": None, "config_hash": None,
            "runtime": None, "signed_by": None, "signature": None, "created_at": iso_of(world.clock.now()),
        },
    } == run  # fmt: skip
    assert run["provenance"] == await fleet.got("GET", "/v1/runs/r1/provenance")
    assert {"runs": [run], "total": 1} == await fleet.got("GET", "/v1/runs")
    assert 0.00342 == (await fleet.got("GET", "/tokens?action=stats"))["summary"]["totalCost"]


async def test_the_provenance_that_is_told_is_kept(fleet: FleetDriver, started: str) -> None:
    told = {
        "run_hash": "mine", "parent_run_hash": "p", "lineage": ["a", "b"], "model_version": "v", "config_hash": "c",
        "runtime": "r", "signed_by": "s", "signature": "x", "created_at": "yesterday",
    }  # fmt: skip
    id = await reported(fleet, started, provenance=told)

    assert told == await fleet.got("GET", f"/v1/runs/{id}/provenance")


async def test_a_patch_changes_what_it_names(fleet: FleetDriver, started: str) -> None:
    """
    Counts of the cache that it leaves out are kept, and the ledger is corrected. An empty one changes nothing.
    """
    id = await reported(fleet, started, cost={**TOKENS, "cache_read_tokens": 400, "cost_usd": 0.5}, tags=["a"])
    told = {"status": "completed", "ended_at": started, "error": "x", "steps": [1], "tags": [], "metadata": {"y": 2}}
    before = await fleet.got("GET", f"/v1/runs/{id}")
    patched = await fleet.got("PATCH", f"/v1/runs/{id}", told | {"cost": {"input_tokens": 500}})
    same = await fleet.got("PATCH", f"/v1/runs/{id}", {})
    forgotten = await fleet.got("PATCH", f"/v1/runs/{id}", {"error": None, "cost": {"cost_usd": None}})
    entries = await fleet.got("GET", "/tokens")
    stats = (await fleet.got("GET", "/tokens?action=stats"))["summary"]

    cost = before["cost"] | {"input_tokens": 500, "cost_usd": 0.00192}
    assert before | told | {"cost": cost, "version": 1} == patched == same
    assert (None, None, 0.00192) == (
        forgotten["error"], forgotten["cost"]["reported_cost_usd"], forgotten["cost"]["cost_usd"],
    )  # fmt: skip
    assert (5, 500, 0.00192) == (entries["total"], stats["inputTokens"], stats["totalCost"])


async def test_an_unknown_price_is_null_with_its_tokens_beside_it(fleet: FleetDriver, started: str) -> None:
    id = await reported(fleet, started, model="unheard-of", cost={**TOKENS, "cost_usd": 9})
    cost = (await fleet.got("GET", f"/v1/runs/{id}"))["cost"]
    id = await reported(fleet, started, cost={**TOKENS, "model": "large"}, model=None)
    other = (await fleet.got("GET", f"/v1/runs/{id}"))["cost"]
    stats = (await fleet.got("GET", "/tokens?action=stats"))["summary"]

    assert (None, 9, 1100) == tuple(cost[name] for name in ("cost_usd", "reported_cost_usd", "unpriced_tokens"))
    assert (COST, None, 0, "large") == tuple(
        other[name] for name in ("cost_usd", "reported_cost_usd", "unpriced_tokens", "model")
    )
    assert (COST, 1100) == (stats["totalCost"], stats["unpricedTokens"])


async def test_an_evaluation_is_shown_and_ranked(fleet: FleetDriver, started: str) -> None:
    """
    The leaderboard has means, and the cost of the runs with a known one.
    """
    first, second, odd = [
        await reported(fleet, started, cost=TOKENS, **more) for more in ({}, {}, {"model": "odd", "agent_id": "bob"})
    ]
    plain = await fleet.got("GET", f"/v1/runs/{first}")
    full = {
        "pass": True, "score": 0.75, "task_type": "t", "eval_layer": "l", "detail": "d", "metrics": {"a": 1},
        "benchmark_id": "b1",
    }  # fmt: skip
    evaluated = await fleet.got("PUT", f"/v1/runs/{first}/eval", full)
    await fleet.got("PUT", f"/v1/runs/{second}/eval", {"pass": 0, "score": 0.25, "benchmark_id": "b1"})
    await fleet.got("PUT", f"/v1/runs/{odd}/eval", {"pass": 1, "score": 1})
    ada, bob = (
        {"agent_name": name, "model": model, "runtime": "mission-control", "avg_score": score, "pass_rate": passed,
         "avg_cost_usd": cost, "run_count": runs, "priced_run_count": priced, "unpriced_tokens": unpriced}
        for name, model, score, passed, cost, runs, priced, unpriced in (
            ("ada", "large", 0.5, 0.5, COST, 2, 2, 0), ("bob", "odd", 1, 1, None, 1, 0, 1100),
        )
    )  # fmt: skip

    assert plain | {"eval": full, "version": 1} == evaluated
    assert {"entries": [bob, ada]} == await fleet.got("GET", "/v1/evals/leaderboard")
    assert {"entries": [ada]} == await fleet.got("GET", "/v1/evals/leaderboard?benchmark_id=b1")
    assert {"entries": [bob]} == await fleet.got("GET", "/v1/evals/leaderboard?limit=1")


async def test_runs_are_listed_newest_first_and_filtered(fleet: FleetDriver, world: World, started: str) -> None:
    later = iso_of(moment(micros(world.clock.now()) + 3_600_000_000))
    a = await reported(fleet, started, task_id="t")
    b = await reported(fleet, later, agent_id=7, status="completed")

    for query, expected in (
        ("", [b, a]), ("?agent_id=7", [b]), ("?status=running", [a]), ("?task_id=t", [a]), (f"?since={later}", [b]),
        ("?limit=1&offset=1", [a]), ("?limit=0", []), ("?after=2", [a]),
    ):  # fmt: skip
        assert expected == [run["id"] for run in (await fleet.got("GET", f"/v1/runs{query}"))["runs"]]
    assert 2 == (await fleet.got("GET", "/v1/runs?limit=1"))["total"]


MALFORMED: list[tuple[dict[str, Any], str]] = [
    ({"agent_id": ""}, "agent_id"), ({"agent_id": -1}, "agent_id"), ({"status": 7}, "status"),
    ({"started_at": "soon"}, "started_at"), ({"started_at": 12}, "started_at"), ({"ended_at": "x"}, "ended_at"),
    ({"started_at": "2001-01-01T00:00:00Z", "cost": TOKENS}, "started_at"),
    ({"ended_at": "2999-01-01", "cost": TOKENS}, "ended_at"), ({"id": "a/b"}, "id"), ({"id": "stream"}, "id"),
    ({"id": "x" * 129}, "id"), ({"duration_ms": -1}, "duration_ms"), ({"steps": {}}, "steps"),
    ({"steps": ["\x00"]}, "steps"), ({"tools_available": [1]}, "tools_available"), ({"metadata": []}, "metadata"),
    ({"cost": {"input_tokens": -1}}, "cost.input_tokens"), ({"cost": {"input_tokens": 1.5}}, "cost.input_tokens"),
    ({"cost": {"input_tokens": 2**62}}, "cost.input_tokens"), ({"cost": {"cost_usd": -1}}, "cost.cost_usd"),
    ({"cost": {"input_tokens": 1, "cache_read_tokens": 2}}, "cost.cache_read_tokens"),
    ({"cost": {"input_tokens": 10**10, "output_tokens": 10**10}}, "cost.input_tokens"), ({"model": ""}, "model"),
    ({"provenance": {"lineage": "x"}}, "provenance.lineage"), ({"eval": {"pass": True}}, "eval.score"),
    ({"tags": ["x" * 201]}, "tags"), ({"git_branch": "x" * 201}, "git_branch"),
]  # fmt: skip
"""Fields of a run that are wrong, and the field that the error names."""


async def test_a_malformed_run_is_refused_with_the_field(fleet: FleetDriver, started: str) -> None:
    for wrong, field in MALFORMED:
        body = {"agent_id": "ada", "status": "running", "started_at": started, "model": "large"}
        answer = await fleet.call("POST", "/v1/runs", body | wrong)

        assert 400 == answer.status, wrong
        assert all(detail.startswith(field) for detail in answer.json["details"]), answer.json
    assert (0, 0) == tuple([(await fleet.got("GET", path))["total"] for path in LISTS])


async def test_what_is_missing_is_told(fleet: FleetDriver, started: str) -> None:
    id = await reported(fleet, started)
    run = await fleet.call("POST", "/v1/runs", {"agent_id": "ada"})
    evaluation = await fleet.call("PUT", f"/v1/runs/{id}/eval", {"score": 1})

    assert [
        (400, "Missing required fields: agent_id, status, started_at", ["status", "started_at"]),
        (400, "Missing required fields: pass, score", ["pass"]),
    ] == [
        (each.status, each.json["error"], [detail.partition(":")[0] for detail in each.json["details"]])
        for each in (run, evaluation)
    ]


async def test_a_malformed_change_is_refused_with_the_field(fleet: FleetDriver, started: str) -> None:
    id = await reported(fleet, started)
    before = await fleet.got("GET", f"/v1/runs/{id}")
    changes: list[tuple[str, str, dict[str, Any]]] = [
        ("PATCH", "", {"status": ""}), ("PATCH", "", {"steps": None}), ("PATCH", "", {"cost": {"input_tokens": None}}),
        ("PATCH", "", {"cost": {"input_tokens": 1, "cache_write_tokens": 2}}),
        ("PATCH", "", {"ended_at": "2001-01-01", "cost": TOKENS}), ("PUT", "/eval", {"pass": 2, "score": 1}),
        ("PUT", "/eval", {"pass": True, "score": "x"}), ("PUT", "/eval", {"pass": True, "score": 1e300}),
    ]  # fmt: skip
    for method, path, wrong in changes:
        answer = await fleet.call(method, f"/v1/runs/{id}{path}", wrong)
        named = {detail.partition(":")[0].partition(".")[0] for detail in answer.json["details"]}

        assert (400, True) == (answer.status, named <= wrong.keys()), wrong
    assert before == await fleet.got("GET", f"/v1/runs/{id}")


async def test_a_change_of_another_version_is_refused(fleet: FleetDriver, started: str) -> None:
    id = await reported(fleet, started)
    tag = (await fleet.call("GET", f"/v1/runs/{id}")).headers["etag"]
    evaluation = {"pass": True, "score": 1}
    answers = [
        await fleet.call(method, f"/v1/runs/{id}{path}", body, if_match=tag)
        for method, path, body in (
            ("PATCH", "", {"status": "done"}), ("PATCH", "", {"status": "failed"}), ("PUT", "/eval", evaluation),
        )
    ]  # fmt: skip

    assert [200, 412, 412] == [each.status for each in answers]


async def test_a_malformed_query_is_refused(fleet: FleetDriver) -> None:
    for query in ("since=soon", "limit=x", "offset=-", "limit=-1"):
        assert 400 == (await fleet.call("GET", f"/v1/runs?{query}")).status


async def test_these_paths_speak_the_fleets_dialect(fleet: FleetDriver, boards: BoardsDriver, started: str) -> None:
    """
    Its credentials and errors, and the header of the protocol on every answer.
    """
    id = await reported(fleet, started, id="r1")
    again = await fleet.call("POST", "/v1/runs", {"id": "r1", "agent_id": "a", "status": "s", "started_at": started})
    answers = [
        await fleet.call("GET", f"/v1/runs/{id}", key=None), await fleet.call("GET", "/v1/runs/none"),
        await fleet.call("GET", "/v1/evals/none"), again,
        await fleet.call("GET", "/v1/runs"), await fleet.call("DELETE", f"/v1/runs/{id}"),
        await fleet.call("PATCH", "/v1/runs/none", {}),
    ]  # fmt: skip

    assert [401, 404, 404, 409, 200, 405, 404] == [each.status for each in answers]
    assert ["Unauthorized", "Run not found", "Not found"] == [each.json["error"] for each in answers[:3]]
    assert "reported_run_id_taken" == again.json["code"]
    assert {"0.1.0"} == {each.headers.get("x-agent-run-protocol") for each in answers}
    assert "x-agent-run-protocol" not in (await fleet.call("GET", "/tasks")).headers
    assert "x-agent-run-protocol" not in (await boards.call("GET", "/api/v1/boards")).headers


async def test_who_may_do_what(fleet: FleetDriver, started: str) -> None:
    """
    An agent's own key reports and changes its own runs; evaluating needs a role, and so does reading.
    """
    (_, ada), _ = await fleet.agent("ada"), await fleet.agent("bob")
    confined, viewer = await fleet.key("ada", "agent:self"), await fleet.key("bob", "viewer")
    own = await reported(fleet, started, key=confined)
    of_bob = await reported(fleet, started, agent_id="bob")
    evaluation = {"pass": True, "score": 1}
    run = {"agent_id": "bob", "status": "running", "started_at": started}

    for status, method, path, body, key in (
        (200, "PATCH", f"/{own}", {"status": "completed"}, confined),
        (403, "PUT", f"/{own}/eval", evaluation, confined), (403, "POST", "", run, ada),
        (403, "PATCH", f"/{of_bob}", {"status": "failed"}, ada), (403, "POST", "", run, viewer),
        (200, "PUT", f"/{of_bob}/eval", evaluation, ada), (403, "PUT", f"/{own}/eval", evaluation, viewer),
        (200, "GET", f"/{of_bob}", None, viewer), (403, "GET", "", None, confined),
    ):  # fmt: skip
        assert status == (await fleet.call(method, f"/v1/runs{path}", body, key=key)).status, (method, path)


async def test_a_repeat_with_an_idempotency_key_reports_once(fleet: FleetDriver, started: str) -> None:
    ids = {await reported(fleet, started, cost=TOKENS) for _ in range(2)}
    body = {"agent_id": "ada", "status": "running", "started_at": started, "cost": TOKENS}
    keyed = [await fleet.got("POST", "/v1/runs", body, 201, idempotency_key="k") for _ in range(2)]

    assert 2 == len(ids)
    assert keyed[0] == keyed[1]
    assert (3, 3) == tuple([(await fleet.got("GET", path))["total"] for path in LISTS])
