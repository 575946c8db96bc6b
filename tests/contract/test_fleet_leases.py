"""
Work under a lease in the Fleet API.
"""

from typing import Any
from uuid import UUID

import pytest

from mission_adapters.testing import ManualClock
from tests.contract.fleet_driver import FleetDriver, refusal, wrong_fields

NOTHING = {"task": None, "lease": None, "late_results": []}


async def test_a_claim_answers_with_the_task_and_its_lease(fleet: FleetDriver, clock: ManualClock) -> None:
    _, token = await fleet.agent("ada")
    made = await fleet.task()
    answer = await fleet.call("POST", "/tasks/claim", {"lease_seconds": 60}, key=token)
    task, lease = answer.json["task"], answer.json["lease"]

    assert {"run_id", "lease", "fence", "attempt", "expires_at", "heartbeat_seconds"} == lease.keys()
    assert (1, 1, int(clock.now().timestamp()) + 60, 20) == (
        lease["fence"], lease["attempt"], lease["expires_at"], lease["heartbeat_seconds"],
    )  # fmt: skip
    assert (made["id"], "in_progress", "ada", 1, 1) == (
        task["id"], task["status"], task["assigned_to"], task["fence"], task["attempts"],
    )  # fmt: skip
    assert {"task": task} == await fleet.got("GET", f"/tasks/{made['id']}", key=token)
    assert f'"{task["version"]}"' == answer.headers["etag"]


async def test_with_nothing_to_do_a_claim_is_empty(fleet: FleetDriver) -> None:
    await fleet.task(assigned_to="bob")
    await fleet.task(status="backlog")

    assert NOTHING == await fleet.got("POST", "/tasks/claim", {"agent": "ada"})


async def test_a_claim_of_a_project_takes_from_it_alone(fleet: FleetDriver) -> None:
    general = await fleet.task(project_id=999_999, priority="critical")
    here = await fleet.task()
    body = {"agent": "ada", "project_id": fleet.project}

    assert here["id"] == (await fleet.got("POST", "/tasks/claim", body))["task"]["id"]
    assert NOTHING == await fleet.got("POST", "/tasks/claim", body)
    assert general["id"] == (await fleet.got("POST", "/tasks/claim", {"agent": "ada"}))["task"]["id"]
    answer = await fleet.call("POST", "/tasks/claim", body | {"project_id": 999_999})
    assert (404, "Project not found") == refusal(answer)


async def test_the_header_says_for_whom_the_global_key_claims(fleet: FleetDriver) -> None:
    await fleet.task()

    assert ["agent"] == wrong_fields(await fleet.call("POST", "/tasks/claim", {}))
    claimed = await fleet.got("POST", "/tasks/claim", {}, x_agent_name="ada")
    assert "ada" == claimed["task"]["assigned_to"]


async def test_an_agent_claims_for_itself_only(fleet: FleetDriver) -> None:
    _, token = await fleet.agent("ada")
    task = await fleet.task()
    said = (403, "Access denied: agent key may only access its own agent.")

    assert said == refusal(await fleet.call("POST", "/tasks/claim", {"agent": "bob"}, key=token))
    assert said == refusal(await fleet.call("POST", f"/tasks/{task['id']}/claim", {"agent": "bob"}, key=token))
    assert task["id"] == (await fleet.got("POST", "/tasks/claim", {"agent": "ADA"}, key=token))["task"]["id"]


@pytest.mark.parametrize("seconds", [0, 86_401, "60", None])
async def test_a_term_out_of_bounds_is_refused(fleet: FleetDriver, seconds: Any) -> None:
    answer = await fleet.call("POST", "/tasks/claim", {"agent": "ada", "lease_seconds": seconds})

    assert ["lease_seconds"] == wrong_fields(answer)


async def test_a_repeated_claim_is_answered_with_the_same_lease(fleet: FleetDriver) -> None:
    for _ in range(2):
        await fleet.task()
    body = {"agent": "ada"}
    first, second = [await fleet.got("POST", "/tasks/claim", body, idempotency_key="k") for _ in range(2)]
    other = await fleet.got("POST", "/tasks/claim", body, idempotency_key="other")

    assert first == second
    assert first["task"]["id"] != other["task"]["id"]


async def test_a_named_task_is_claimed_once(fleet: FleetDriver) -> None:
    place = f"/tasks/{(await fleet.task())['id']}/claim"
    first, second = [await fleet.got("POST", place, {"agent": "ada"}, idempotency_key="k") for _ in range(2)]
    status, said = refusal(await fleet.call("POST", place, {"agent": "bob"}))

    assert first == second
    assert 409 == status
    assert "ada holds a lease" in said


async def test_what_cannot_be_worked_on_cannot_be_claimed(fleet: FleetDriver) -> None:
    first = await fleet.task()
    blocked = await fleet.task(depends_on=[first["id"]])
    parked = await fleet.task(status="backlog")
    body = {"agent": "ada"}

    for task, why in ((blocked, "depends on 1 task"), (parked, "backlog")):
        status, said = refusal(await fleet.call("POST", f"/tasks/{task['id']}/claim", body))
        assert (409, True) == (status, why in said), said
    assert (404, "Task not found") == refusal(await fleet.call("POST", "/tasks/999999/claim", body))
    answer = await fleet.call("POST", f"/tasks/{first['id']}/claim", body, if_match='"99"')
    assert 412 == answer.status


async def test_a_heartbeat_extends_the_lease(fleet: FleetDriver, clock: ManualClock) -> None:
    task = await fleet.task()
    lease = await fleet.claim(task["id"], lease_seconds=30)
    clock.advance(seconds=20)
    body = {"lease": lease["lease"], "progress": {"done": 0.5}}
    beat = await fleet.got("POST", f"/tasks/{task['id']}/lease/heartbeat", body)
    (run,) = (await fleet.got("GET", f"/tasks/{task['id']}/runs"))["runs"]

    assert {
        "order": {"id": None, "kind": "continue", "message": None}, "state": "leased",
        "expires_at": lease["expires_at"] + 20, "heartbeat_seconds": 10,
        "late_results": [],
    } == beat  # fmt: skip
    assert ({"done": 0.5}, beat["expires_at"]) == (run["progress"], run["expires_at"])


async def test_an_order_is_told_until_it_is_acknowledged(fleet: FleetDriver) -> None:
    place = f"/tasks/{(await fleet.task())['id']}"
    lease = (await fleet.got("POST", f"{place}/claim", {"agent": "ada"}))["lease"]["lease"]

    async def beat(**body: Any) -> Any:
        return (await fleet.got("POST", f"{place}/lease/heartbeat", {"lease": lease, **body}))["order"]

    for kind, message, then in (
        ("steer", "left", "continue"), ("pause", None, "pause"), ("resume", None, "continue"),
    ):  # fmt: skip
        await fleet.got("POST", f"{place}/orders", {"kind": kind, "message": message})
        told, again = await beat(), await beat()
        assert told == again
        assert ("continue" if kind == "resume" else kind, message) == (told["kind"], told["message"])
        assert {"id": None, "kind": then, "message": None} == await beat(acknowledges=told["id"])
        assert 36 == len(told["id"])


async def test_an_acknowledged_cancellation_ends_the_run(fleet: FleetDriver) -> None:
    place = f"/tasks/{(await fleet.task())['id']}"
    lease = (await fleet.got("POST", f"{place}/claim", {"agent": "ada"}))["lease"]["lease"]
    await fleet.got("POST", f"{place}/orders", {"kind": "cancel"})
    told = await fleet.got("POST", f"{place}/lease/heartbeat", {"lease": lease})
    body = {"lease": lease, "acknowledges": told["order"]["id"]}
    first, second = [await fleet.got("POST", f"{place}/lease/heartbeat", body, idempotency_key="k") for _ in range(2)]

    assert (first["order"], "revoked") == ({"id": None, "kind": "cancel", "message": None}, first["state"])
    assert first == second
    assert "backlog" == (await fleet.got("GET", place))["task"]["status"]
    assert 409 == (await fleet.call("POST", f"{place}/lease/heartbeat", body)).status


@pytest.mark.every_store
async def test_waiting_for_a_person_suspends_the_lease(fleet: FleetDriver, clock: ManualClock) -> None:
    place = f"/tasks/{(await fleet.task())['id']}"
    lease = (await fleet.got("POST", f"{place}/claim", {"agent": "ada"}))["lease"]["lease"]
    body = {"lease": lease, "waiting_for": "a decision", "wait_seconds": 600}
    beat = await fleet.got("POST", f"{place}/lease/heartbeat", body)
    explained = await fleet.got("GET", f"{place}/explain")
    clock.advance(seconds=500)
    resumed = await fleet.got("POST", f"{place}/orders", {"kind": "resume"})

    assert "suspended" == beat["state"]
    assert ("waiting", True) == (explained["state"], "a decision" in explained["why"])
    assert "in_progress" == resumed["task"]["status"]


async def test_stealing_frees_the_task_at_once(fleet: FleetDriver) -> None:
    place = f"/tasks/{(await fleet.task())['id']}"
    lease = (await fleet.got("POST", f"{place}/claim", {"agent": "ada"}))["lease"]["lease"]
    answer = await fleet.call("POST", f"{place}/orders", {"kind": "steal", "to": "bob"})
    late = await fleet.call("POST", f"{place}/complete", {"lease": lease})

    assert ("assigned", "bob") == (answer.json["task"]["status"], answer.json["task"]["assigned_to"])
    assert 409 == late.status
    assert "has ended" in late.json["error"]


async def test_orders_need_somebody_to_order(fleet: FleetDriver) -> None:
    place = f"/tasks/{(await fleet.task())['id']}/orders"

    assert 409 == (await fleet.call("POST", place, {"kind": "pause"})).status
    assert ["kind"] == wrong_fields(await fleet.call("POST", place, {"kind": "dance"}))
    assert ["message"] == wrong_fields(await fleet.call("POST", place, {"kind": "steer"}))


async def test_agents_do_not_order_each_other(fleet: FleetDriver) -> None:
    _, token = await fleet.agent("bob")
    task = await fleet.task()
    await fleet.claim(task["id"], "ada")

    assert 403 == (await fleet.call("POST", f"/tasks/{task['id']}/orders", {"kind": "steal"}, key=token)).status


async def test_completed_work_is_done(fleet: FleetDriver) -> None:
    place = f"/tasks/{(await fleet.task())['id']}"
    lease = (await fleet.got("POST", f"{place}/claim", {"agent": "ada"}))["lease"]["lease"]
    body = {"lease": lease, "outcome": "partial", "resolution": "half", "output": {"lines": 5}}
    first, second = [await fleet.call("POST", f"{place}/complete", body) for _ in range(2)]
    task = first.json["task"]

    assert first.json == second.json == await fleet.got("GET", place)
    assert ("done", "partial", "half", {"lines": 5}, task["updated_at"]) == (
        task["status"], task["outcome"], task["resolution"], task["output"], task["completed_at"],
    )  # fmt: skip
    assert f'"{task["version"]}"' == first.headers["etag"]


async def test_completed_work_behind_a_gate_is_in_review(fleet: FleetDriver) -> None:
    place = f"/tasks/{(await fleet.task(project_id=999_999))['id']}"
    lease = (await fleet.got("POST", f"{place}/claim", {"agent": "ada"}))["lease"]["lease"]
    task = (await fleet.got("POST", f"{place}/complete", {"lease": lease}))["task"]

    assert ("review", "success", None) == (task["status"], task["outcome"], task["completed_at"])


async def test_failed_work_follows_its_reason(fleet: FleetDriver, clock: ManualClock) -> None:
    now = int(clock.now().timestamp())
    for reason, status, rests in (
        ("transient", "inbox", now + 5), ("unclear", "awaiting_owner", None), ("impossible", "failed", None),
    ):  # fmt: skip
        place = f"/tasks/{(await fleet.task())['id']}"
        lease = (await fleet.got("POST", f"{place}/claim", {"agent": "ada"}))["lease"]["lease"]
        body = {"lease": lease, "reason": reason, "message": "m"}
        first, second = [await fleet.got("POST", f"{place}/fail", body) for _ in range(2)]

        assert first == second
        task = first["task"]
        assert (status, "m", rests) == (task["status"], task["error_message"], task["not_before"])


async def test_released_work_is_claimable_with_a_note(fleet: FleetDriver) -> None:
    place = f"/tasks/{(await fleet.task())['id']}"
    lease = (await fleet.got("POST", f"{place}/claim", {"agent": "ada"}))["lease"]["lease"]
    task = (await fleet.got("POST", f"{place}/release", {"lease": lease, "note": "half"}, idempotency_key="k"))["task"]
    again = await fleet.got("POST", f"{place}/claim", {"agent": "bob"})

    assert ("inbox", None, 0, "half") == (
        task["status"], task["assigned_to"], task["attempts"], task["hand_over"],
    )  # fmt: skip
    assert (2, "half") == (again["lease"]["fence"], again["task"]["hand_over"])


@pytest.mark.parametrize("verb", ["lease/heartbeat", "complete", "fail", "release"])
async def test_work_needs_its_own_lease(fleet: FleetDriver, verb: str) -> None:
    one, other = await fleet.task(), await fleet.task()
    lease = (await fleet.claim(other["id"]))["lease"]
    place = f"/tasks/{one['id']}/{verb}"
    more = {"reason": "crashed"} if verb == "fail" else {}

    assert ["lease"] == wrong_fields(await fleet.call("POST", place, more))
    for wrong in (lease, "nonsense", ""):
        assert 403 == (await fleet.call("POST", place, {"lease": wrong} | more)).status
    place = f"/tasks/{other['id']}/{verb}"
    assert 412 == (await fleet.call("POST", place, {"lease": lease} | more, if_match='"99"')).status
    assert ["If-Match"] == wrong_fields(await fleet.call("POST", place, {"lease": lease} | more, if_match="99"))


async def test_wrong_words_are_refused_by_the_name_of_their_field(fleet: FleetDriver) -> None:
    place, lease = f"/tasks/{(await fleet.task())['id']}", {"lease": "x"}

    for verb, body, field in (
        ("complete", {"outcome": "fine"}, "outcome"), ("complete", {"output": []}, "output"),
        ("fail", {"reason": "lease_expired"}, "reason"), ("fail", {}, "reason"), ("release", {"note": 5}, "note"),
        ("lease/heartbeat", {"acknowledges": "x"}, "acknowledges"), ("lease/heartbeat", {"progress": 5}, "progress"),
        ("lease/heartbeat", {"wait_seconds": 0}, "wait_seconds"), ("lease/heartbeat", {"waiting_for": ""},
        "waiting_for"),
    ):  # fmt: skip
        assert [field] == wrong_fields(await fleet.call("POST", f"{place}/{verb}", lease | body)), body


async def test_every_task_can_be_explained(fleet: FleetDriver) -> None:
    made = await fleet.task()
    explained = await fleet.got("GET", f"/tasks/{made['id']}/explain")

    assert {"state": "claimable", "since": made["created_at"]} == {k: explained[k] for k in ("state", "since")}
    assert {"state", "since", "why", "next", "late_results"} == explained.keys()


async def test_runs_are_kept_latest_first(fleet: FleetDriver, clock: ManualClock) -> None:
    made = await fleet.task(max_attempts=3)
    place = f"/tasks/{made['id']}"
    first = await fleet.claim(made["id"])
    body = {"lease": first["lease"], "reason": "crashed", "message": "m"}
    await fleet.got("POST", f"{place}/fail", body)
    clock.advance(minutes=1)
    second = await fleet.claim(made["id"])
    listed = await fleet.got("GET", f"{place}/runs")
    latest, earliest = listed["runs"]

    assert 2 == listed["total"]
    assert (second["run_id"], "leased", made["id"]) == (latest["run_id"], latest["state"], latest["task_id"])
    assert (first["run_id"], "failed", "crashed", "m", "ada") == (
        earliest["run_id"], earliest["state"], earliest["reason"], earliest["message"], earliest["agent"],
    )  # fmt: skip
    assert UUID(first["run_id"])


async def test_an_agent_looks_into_its_own_tasks_only(fleet: FleetDriver) -> None:
    _, token = await fleet.agent("ada")
    own, other = await fleet.task(assigned_to="ada"), await fleet.task(assigned_to="bob")

    for verb in ("explain", "runs"):
        assert 200 == (await fleet.call("GET", f"/tasks/{own['id']}/{verb}", key=token)).status
        assert 403 == (await fleet.call("GET", f"/tasks/{other['id']}/{verb}", key=token)).status
        assert (404, "Task not found") == refusal(await fleet.call("GET", f"/tasks/999999/{verb}", key=token))
        assert (400, "Invalid task ID") == refusal(await fleet.call("GET", f"/tasks/x/{verb}"))


async def test_a_persons_write_ends_a_lease(fleet: FleetDriver) -> None:
    task = await fleet.task()
    lease = await fleet.claim(task["id"])
    changed = (await fleet.got("PUT", f"/tasks/{task['id']}", {"status": "inbox"}))["task"]

    assert 2 == changed["fence"]
    assert 409 == (await fleet.call("POST", f"/tasks/{task['id']}/complete", {"lease": lease["lease"]})).status


async def test_viewers_do_not_take_work(fleet: FleetDriver) -> None:
    await fleet.agent("ada")
    viewer = await fleet.key("ada", "viewer")
    answer = await fleet.call("POST", "/tasks/claim", raw=b"{", key=viewer)

    assert (403, "Requires operator role or higher") == refusal(answer)


async def test_a_late_result_is_kept_and_shown(fleet: FleetDriver, clock: ManualClock) -> None:
    """
    Refused with 409, and seen in the runs, the explanation, and by the next holder, as the words of another agent.
    """
    made = await fleet.task()
    place = f"/tasks/{made['id']}"
    first = (await fleet.got("POST", f"{place}/claim", {"agent": "ada"}))["lease"]
    clock.advance(minutes=6)
    late = {"lease": first["lease"], "resolution": "done after all", "output": {"files": 3}}
    answers = [await fleet.call("POST", f"{place}/complete", late) for _ in range(2)]
    claimed = await fleet.got("POST", f"{place}/claim", {"agent": "bob"})
    beat = await fleet.got("POST", f"{place}/lease/heartbeat", {"lease": claimed["lease"]["lease"]})
    explained = await fleet.got("GET", f"{place}/explain")
    runs = (await fleet.got("GET", f"{place}/runs"))["runs"]
    (shown,) = claimed["late_results"]

    assert [409, 409] == [answer.status for answer in answers]
    assert "stored with the run" in answers[0].json["error"]
    assert [shown] == beat["late_results"] == explained["late_results"]
    assert [None, shown] == [run["late_result"] for run in runs]
    assert (first["run_id"], "ada", "success", "done after all", {"files": 3}, None) == tuple(
        shown[name] for name in ("run_id", "agent", "outcome", "resolution", "output", "adopted_at")
    )
    assert "another agent" in shown["notice"]
    adopted = await fleet.got("POST", f"{place}/adopt", {"run_id": first["run_id"], "lease": claimed["lease"]["lease"]})
    assert ("done", "done after all") == (adopted["task"]["status"], adopted["task"]["resolution"])
    assert (await fleet.got("GET", f"{place}/runs"))["runs"][1]["late_result"]["adopted_at"] is not None
    assert 404 == (await fleet.call("POST", f"{place}/adopt", {"run_id": claimed["lease"]["run_id"]})).status
