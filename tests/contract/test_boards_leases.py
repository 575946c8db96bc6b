"""
Work under a lease in the Boards API, in both halves of it.
"""

from typing import Any, get_args

import pytest
from attrs import frozen

from mission_core.tasks.leases import expire_leases
from mission_core.tasks.runs import FAILURE_BY_CODE
from mission_http.boards.lease_payloads import (
    FailureReasonCode,
    LateResultRead,
    LeaseBeat,
    LeaseRead,
    OrderRead,
    RunRead,
    TaskExplanation,
)
from mission_http.boards.payloads import TaskRead
from tests.contract.boards_driver import BoardsDriver, field_refusal, refusal
from tests.contract.boards_examples import names_of


@frozen
class Worker:
    """
    Somebody who works through one half of the API: an agent, or the user in its name.
    """

    boards: BoardsDriver
    tasks: str
    who: dict[str, Any]
    body: dict[str, Any]

    async def claim(self, task: Any = None, **more: Any) -> Any:
        path = f"{self.tasks}/claim" if task is None else f"{self.tasks}/{task['id']}/claim"
        return await self.boards.got("POST", path, self.body | more, **self.who)

    async def call(self, task: Any, what: str, body: Any = None, **headers: str) -> Any:
        method = "GET" if body is None else "POST"
        return await self.boards.call(method, f"{self.tasks}/{task['id']}/{what}", body, **self.who, **headers)

    async def got(self, task: Any, what: str, body: Any = None, **headers: str) -> Any:
        answer = await self.call(task, what, body, **headers)
        assert 200 == answer.status, answer.body
        return answer.json


@pytest.fixture(params=["agent", "mixed", "user"])
async def ada(boards: BoardsDriver, request: pytest.FixtureRequest) -> Worker:
    """
    The agent ada, in its own half, in the half for everybody, or with the user in its place.
    """
    token = (await boards.agent("ada"))["agent_token"]
    if request.param == "user":
        return Worker(boards, boards.tasks, {}, {"agent": "ada"})
    return Worker(boards, boards.agent_tasks if request.param == "agent" else boards.tasks, {"agent": token}, {})


async def test_a_claim_answers_with_the_task_and_its_lease(boards, ada):
    task = await boards.task()
    answer = await boards.call("POST", f"{ada.tasks}/claim", ada.body | {"lease_seconds": 60}, **ada.who)
    claimed, lease = answer.json["task"], answer.json["lease"]

    assert {"task", "lease", "late_results"} == answer.json.keys()
    assert names_of(TaskRead) == claimed.keys()
    assert names_of(LeaseRead) == lease.keys()
    assert (task["id"], "in_progress", "ada", 1, 1) == (
        claimed["id"], claimed["status"], claimed["assignee"], claimed["fence"], claimed["attempts"],
    )  # fmt: skip
    assert claimed["assigned_agent_id"] is not None
    assert (1, 1, 20) == (lease["fence"], lease["attempt"], lease["heartbeat_seconds"])
    assert f'"{claimed["version"]}"' == answer.headers["etag"]


async def test_nothing_to_do_is_no_error(ada):
    assert {"task": None, "lease": None, "late_results": []} == await ada.claim()


async def test_work_is_handed_out_by_priority_and_never_when_it_is_blocked(boards, ada):
    low = await boards.task("low", priority="low")
    high = await boards.task("high", priority="high")
    await boards.task("blocked", priority="critical", depends_on_task_ids=[low["id"]])
    await boards.task("rests", priority="critical", not_before="2100-01-01")

    taken = [(await ada.claim())["task"] for _ in range(3)]
    assert [high["id"], low["id"], None] == [each and each["id"] for each in taken]


async def test_an_agent_needs_no_body_to_claim(boards):
    token = (await boards.agent())["agent_token"]
    task = await boards.task()
    claimed = await boards.got("POST", f"{boards.agent_tasks}/claim", agent=token)

    assert (task["id"], 100) == (claimed["task"]["id"], claimed["lease"]["heartbeat_seconds"])


async def test_a_user_says_which_agent_takes_the_work(boards):
    for path in (f"{boards.tasks}/claim", f"{boards.tasks}/{(await boards.task())['id']}/claim"):
        assert ["body", "agent"] == field_refusal(await boards.call("POST", path, {}))[1]


async def test_an_agent_does_not_claim_for_another(boards):
    token = (await boards.agent())["agent_token"]
    answer = await boards.call("POST", f"{boards.agent_tasks}/claim", {"agent": "bob"}, agent=token)

    assert 403 == refusal(answer)[0]


@pytest.mark.parametrize("seconds", [0, 86_401, "soon", None, 1.5])
async def test_a_lease_lasts_from_a_second_to_a_day(boards, ada, seconds):
    answer = await boards.call("POST", f"{ada.tasks}/claim", ada.body | {"lease_seconds": seconds}, **ada.who)

    assert ["body", "lease_seconds"] == field_refusal(answer)[1]


async def test_a_named_task_is_claimed_once(boards, ada):
    await boards.task("other", priority="critical")
    task = await boards.task()
    claimed = await ada.claim(task)
    status, detail = refusal(await ada.call(task, "claim", {"agent": "ada"}))

    assert task["id"] == claimed["task"]["id"]
    assert 409 == status
    assert "holds a lease" in detail


async def test_a_claim_of_another_version_is_refused(boards, ada):
    task = await boards.task()

    assert 412 == refusal(await ada.call(task, "claim", {"agent": "ada"}, **{"if-match": '"9"'}))[0]
    assert 200 == (await ada.call(task, "claim", {"agent": "ada"}, **{"if-match": '"0"'})).status


async def test_a_repeated_claim_tells_the_same_lease(boards, ada):
    await boards.task("first")
    await boards.task("second")
    key = {"idempotency-key": "k"}
    path = f"{ada.tasks}/claim"
    first = await boards.got("POST", path, ada.body, **ada.who, **key)
    again = await boards.got("POST", path, ada.body, **ada.who, **key)

    assert first == again
    assert ["first", "second"] == [first["task"]["title"], (await ada.claim())["task"]["title"]]


async def test_a_heartbeat_extends_the_lease(boards, ada, clock):
    task = await boards.task()
    lease = (await ada.claim(lease_seconds=60))["lease"]
    clock.advance(seconds=40)
    beat = await ada.got(task, "lease/heartbeat", {"lease": lease["lease"], "progress": {"done": 0.5}})
    (run,) = (await ada.got(task, "runs"))["items"]

    assert names_of(LeaseBeat) == beat.keys()
    assert names_of(OrderRead) == beat["order"].keys()
    assert {"id": None, "kind": "continue", "message": None} == beat["order"]
    assert ("leased", 20) == (beat["state"], beat["heartbeat_seconds"])
    assert lease["expires_at"] < beat["expires_at"] == run["expires_at"]
    assert {"done": 0.5} == run["progress"]


async def test_an_order_is_told_until_it_is_acknowledged(boards, ada):
    task = await boards.task()
    lease = {"lease": (await ada.claim())["lease"]["lease"]}
    ordered = await boards.got("POST", f"{boards.tasks}/{task['id']}/orders", {"kind": "steer", "message": "Left"})
    told = [(await ada.got(task, "lease/heartbeat", lease))["order"] for _ in range(2)]
    after = await ada.got(task, "lease/heartbeat", lease | {"acknowledges": told[0]["id"]})

    assert (task["id"], "in_progress") == (ordered["id"], ordered["status"])
    assert told[0] == told[1]
    assert ("steer", "Left") == (told[0]["kind"], told[0]["message"])
    assert {"id": None, "kind": "continue", "message": None} == after["order"]


async def test_a_pause_lasts_until_work_is_resumed(boards, ada):
    task = await boards.task()
    lease = {"lease": (await ada.claim())["lease"]["lease"]}
    orders = f"{boards.tasks}/{task['id']}/orders"
    await boards.got("POST", orders, {"kind": "pause"})
    told = (await ada.got(task, "lease/heartbeat", lease))["order"]
    paused = (await ada.got(task, "lease/heartbeat", lease | {"acknowledges": told["id"]}))["order"]
    await boards.got("POST", orders, {"kind": "resume"})
    resumed = (await ada.got(task, "lease/heartbeat", lease))["order"]
    goes_on = (await ada.got(task, "lease/heartbeat", lease | {"acknowledges": resumed["id"]}))["order"]

    assert ["pause", "pause", "continue", "continue"] == [each["kind"] for each in (told, paused, resumed, goes_on)]
    assert (None, None) == (paused["id"], goes_on["id"])
    assert resumed["id"] is not None


async def test_a_cancelled_run_ends_when_it_is_acknowledged(boards, ada):
    task = await boards.task()
    lease = {"lease": (await ada.claim())["lease"]["lease"]}
    await boards.got("POST", f"{boards.tasks}/{task['id']}/orders", {"kind": "cancel"})
    told = (await ada.got(task, "lease/heartbeat", lease))["order"]
    ended = await ada.got(task, "lease/heartbeat", lease | {"acknowledges": told["id"]})
    late = await ada.call(task, "lease/heartbeat", lease)

    assert ("cancel", "cancel", "revoked") == (told["kind"], ended["order"]["kind"], ended["state"])
    assert 409 == refusal(late)[0]


@pytest.mark.every_store
async def test_stolen_work_is_lost_at_once_and_goes_to_whom_it_was_given(boards, ada):
    task = await boards.task()
    lease = {"lease": (await ada.claim())["lease"]["lease"]}
    stolen = await boards.got("POST", f"{boards.tasks}/{task['id']}/orders", {"kind": "steal", "to": "bob"})

    assert ("inbox", "assigned", "bob", 0) == (
        stolen["status"], stolen["core_status"], stolen["assignee"], stolen["attempts"],
    )  # fmt: skip
    assert 409 == refusal(await ada.call(task, "complete", lease))[0]


async def test_orders_need_somebody_to_order_and_words_to_steer_by(boards):
    task = await boards.task()
    path = f"{boards.tasks}/{task['id']}/orders"

    assert 409 == refusal(await boards.call("POST", path, {"kind": "pause"}))[0]
    assert ["body", "message"] == field_refusal(await boards.call("POST", path, {"kind": "steer"}))[1]
    assert ["body", "kind"] == field_refusal(await boards.call("POST", path, {"kind": "sing"}))[1]


async def test_a_worker_orders_itself_only_and_a_lead_orders_everybody(boards):
    ada, bob = [(await boards.agent(name))["agent_token"] for name in ("ada", "bob")]
    lead = await boards.lead()
    task = await boards.task()
    await boards.got("POST", f"{boards.agent_tasks}/claim", agent=ada)
    path = f"{boards.agent_tasks}/{task['id']}/orders"

    assert 403 == refusal(await boards.call("POST", path, {"kind": "pause"}, agent=bob))[0]
    assert 200 == (await boards.call("POST", path, {"kind": "pause"}, agent=ada)).status
    assert 200 == (await boards.call("POST", path, {"kind": "resume"}, agent=lead)).status


@pytest.mark.every_store
async def test_waiting_for_a_person_suspends_the_lease(boards, ada, clock):
    task = await boards.task()
    lease = {"lease": (await ada.claim(lease_seconds=60))["lease"]["lease"]}
    waits = await ada.got(task, "lease/heartbeat", lease | {"waiting_for": "a key", "wait_seconds": 3600})
    (shown,) = (await boards.got("GET", boards.tasks))["items"]
    explained = await ada.got(task, "explain")
    clock.advance(seconds=1800)
    done = await ada.got(task, "complete", lease)

    assert "suspended" == waits["state"]
    assert ("inbox", True, "awaiting_owner") == (shown["status"], shown["is_blocked"], shown["core_status"])
    assert "waiting" == explained["state"]
    assert "a key" in explained["why"]
    assert "done" == done["status"]


@pytest.mark.every_store
async def test_finished_work_is_handed_in_with_its_output(boards, ada, clock):
    task = await boards.task()
    lease = {"lease": (await ada.claim())["lease"]["lease"]}
    body = lease | {"outcome": "partial", "resolution": "half", "output": {"count": [1, {"two": None}]}}
    answer = await ada.call(task, "complete", body)
    done = answer.json
    (run,) = (await ada.got(task, "runs"))["items"]

    assert ("done", "partial", "half") == (done["status"], done["outcome"], done["resolution"])
    assert {"count": [1, {"two": None}]} == done["output"] == run["output"]
    assert clock.now().replace(tzinfo=None).isoformat() == done["completed_at"] == run["ended_at"]
    assert f'"{done["version"]}"' == answer.headers["etag"]
    assert done == await ada.got(task, "complete", body)
    assert 409 == refusal(await ada.call(task, "complete", lease | {"outcome": "success"}))[0]


async def test_finished_work_of_a_gated_board_goes_to_review(boards, ada):
    await boards.got("PATCH", f"/api/v1/boards/{boards.board}", {"require_approval_for_done": True})
    task = await boards.task()
    lease = {"lease": (await ada.claim())["lease"]["lease"]}

    assert "review" == (await ada.got(task, "complete", lease))["status"]


async def test_a_completion_of_another_version_is_refused(boards, ada):
    task = await boards.task()
    claimed = await ada.claim()
    lease = {"lease": claimed["lease"]["lease"]}
    version = claimed["task"]["version"]

    assert 412 == refusal(await ada.call(task, "complete", lease, **{"if-match": '"99"'}))[0]
    assert "done" == (await ada.got(task, "complete", lease, **{"if-match": f'"{version}"'}))["status"]


async def test_a_repeated_completion_is_answered_as_the_first(boards, ada):
    task = await boards.task()
    lease = {"lease": (await ada.claim())["lease"]["lease"]}
    first = await ada.got(task, "complete", lease, **{"idempotency-key": "k"})

    assert first == await ada.got(task, "complete", lease, **{"idempotency-key": "k"})
    other = await ada.call(task, "complete", lease | {"outcome": "failed"}, **{"idempotency-key": "k"})
    assert 422 == refusal(other)[0]


@pytest.mark.parametrize(
    ("reason", "core_status", "shown"),
    [
        ("transient", "inbox", "inbox"),
        ("unclear", "awaiting_owner", "inbox"),
        ("impossible", "failed", "review"),
    ],
)
async def test_the_reason_of_a_failure_decides_what_follows(boards, ada, reason, core_status, shown):
    task = await boards.task()
    lease = {"lease": (await ada.claim())["lease"]["lease"]}
    body = lease | {"reason": reason, "message": "no luck"}
    failed = await ada.got(task, "fail", body)
    (run,) = (await ada.got(task, "runs"))["items"]

    assert (core_status, shown, "no luck") == (failed["core_status"], failed["status"], failed["error_message"])
    assert ("failed", reason, "no luck") == (run["state"], run["reason"], run["message"])
    assert failed == await ada.got(task, "fail", body)


def test_every_reason_but_a_lapsed_lease_may_be_given():
    assert {*get_args(FailureReasonCode), "lease_expired"} == set(FAILURE_BY_CODE)


async def test_work_that_is_given_back_goes_on_with_a_note(boards, ada):
    task = await boards.task()
    lease = {"lease": (await ada.claim())["lease"]["lease"]}
    released = await ada.got(task, "release", lease | {"note": "half done"})
    again = await ada.claim()

    assert ("inbox", 0, "half done") == (released["status"], released["attempts"], released["hand_over"])
    assert (2, 1) == (again["lease"]["fence"], again["lease"]["attempt"])


@pytest.mark.parametrize("what", ["complete", "fail", "release", "lease/heartbeat"])
async def test_a_lease_that_is_not_the_tasks_is_refused(boards, ada, what):
    task, other = await boards.task(), await boards.task("other")
    lease = (await ada.claim(other))["lease"]["lease"]

    for secret in ("nonsense", "ä", lease):
        status, detail = refusal(await ada.call(task, what, {"lease": secret, "reason": "transient"}))
        assert (403, True) == (status, "lease" in detail), secret


@pytest.mark.parametrize(
    ("what", "body", "loc"),
    [
        ("complete", {}, ["body", "lease"]),
        ("complete", {"lease": "x", "outcome": "great"}, ["body", "outcome"]),
        ("complete", {"lease": "x", "output": [1]}, ["body", "output"]),
        ("complete", {"lease": "x", "output": {"a": "\ud800"}}, ["body", 0]),
        ("complete", {"lease": "x", "resolution": "r" * 5001}, ["body", "resolution"]),
        ("fail", {"lease": "x"}, ["body", "reason"]),
        ("fail", {"lease": "x", "reason": "lease_expired"}, ["body", "reason"]),
        ("release", {"lease": "x", "note": 5}, ["body", "note"]),
        ("lease/heartbeat", {"lease": "x", "acknowledges": "y"}, ["body", "acknowledges"]),
        ("lease/heartbeat", {"lease": "x", "waiting_for": ""}, ["body", "waiting_for"]),
        ("lease/heartbeat", {"lease": "x", "wait_seconds": 0}, ["body", "wait_seconds"]),
    ],
)
async def test_a_wrong_field_is_named(boards, ada, what, body, loc):
    found = field_refusal(await ada.call(await boards.task(), what, body))[1]

    assert loc == (found if isinstance(loc[1], str) else [found[0], 0])


async def test_a_lapsed_lease_is_lost_and_the_work_comes_back(boards, ada, clock):
    task = await boards.task()
    lease = {"lease": (await ada.claim(lease_seconds=10))["lease"]["lease"]}
    clock.advance(seconds=10)
    status, detail = refusal(await ada.call(task, "complete", lease))
    await expire_leases(boards.ports, boards.me)
    clock.advance(seconds=60)
    again = await ada.claim()
    runs = await ada.got(task, "runs")

    assert (409, True) == (status, "ended" in detail)
    assert (2, 2) == (again["lease"]["fence"], again["lease"]["attempt"])
    assert (2, 200, 0) == (runs["total"], runs["limit"], runs["offset"])
    assert [("leased", 2), ("expired", 1)] == [(each["state"], each["fence"]) for each in runs["items"]]
    assert names_of(RunRead) == runs["items"][0].keys()


@pytest.mark.every_store
async def test_runs_come_in_pages(boards, ada):
    task = await boards.task()
    for _ in range(3):
        await ada.got(task, "release", {"lease": (await ada.claim())["lease"]["lease"]})
    page = await ada.got(task, "runs?limit=1&offset=1")

    assert ([2], 3, 1, 1) == ([each["fence"] for each in page["items"]], page["total"], page["limit"], page["offset"])
    assert ["query", "limit"] == field_refusal(await ada.call(task, "runs?limit=0"))[1]


async def test_a_task_is_explained(boards, ada):
    first = await boards.task()
    second = await boards.task(depends_on_task_ids=[first["id"]])
    claimable, blocked = await ada.got(first, "explain"), await ada.got(second, "explain")
    await ada.claim(first)

    assert names_of(TaskExplanation) == claimable.keys()
    assert ("claimable", "blocked", "leased") == (
        claimable["state"], blocked["state"], (await ada.got(first, "explain"))["state"],
    )  # fmt: skip


async def test_what_one_half_claims_the_other_completes(boards):
    token = (await boards.agent())["agent_token"]
    task = await boards.task()
    lease = (await boards.got("POST", f"{boards.tasks}/claim", {"agent": "ada"}))["lease"]["lease"]
    done = await boards.got("POST", f"{boards.agent_tasks}/{task['id']}/complete", {"lease": lease}, agent=token)

    assert "done" == done["status"]


async def test_a_late_result_is_kept_and_shown(boards, ada, clock):
    """
    Refused with 409, and seen in the runs, the explanation, and by the next holder, as the words of another agent.
    """
    task = await boards.task()
    first = (await ada.claim(task))["lease"]
    clock.advance(minutes=6)
    late = {"lease": first["lease"], "reason": "timeout", "message": "too slow"}
    answer = await ada.call(task, "fail", late)
    claimed = await ada.claim(task)
    beat = await ada.got(task, "lease/heartbeat", {"lease": claimed["lease"]["lease"]})
    explained, runs = await ada.got(task, "explain"), (await ada.got(task, "runs"))["items"]
    (shown,) = claimed["late_results"]

    assert (409, True) == (answer.status, "stored with the run" in answer.json["detail"])
    assert names_of(LateResultRead) == shown.keys()
    assert [shown] == beat["late_results"] == explained["late_results"]
    assert [None, shown] == [run["late_result"] for run in runs]
    assert (first["run_id"], "ada", None, "timeout", "too slow") == tuple(
        shown[name] for name in ("run_id", "agent", "outcome", "reason", "message")
    )


@pytest.mark.every_store
async def test_a_late_result_is_adopted(boards, ada, clock):
    """
    By the lease of the present holder.
    """
    task = await boards.task()
    first = (await ada.claim(task))["lease"]
    clock.advance(minutes=6)
    await ada.call(task, "complete", {"lease": first["lease"], "resolution": "done after all"})
    lease = (await ada.claim(task))["lease"]["lease"]
    done = await ada.got(task, "adopt", {"run_id": first["run_id"], "lease": lease})

    assert ("done", "done after all") == (done["status"], done["resolution"])
