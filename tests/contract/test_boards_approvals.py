"""
Approvals in the Boards API, and what they do to tasks there.
"""

from typing import Any
from uuid import UUID, uuid4

import pytest

from mission_http.boards.approval_payloads import ApprovalRead
from mission_http.platform.json_schemas import declared_fields
from tests.contract.boards_driver import BoardsDriver, field_refusal, refusal
from tests.contract.boards_team import Team, set_rules, task_in_list
from tests.contract.conftest import World

ASK = {"action_type": "task.finish", "confidence": 87, "lead_reasoning": "it is ready"}


def path(boards: BoardsDriver, *, agent: bool = False) -> str:
    return f"/api/v1{'/agent' if agent else ''}/boards/{boards.board}/approvals"


async def asked(boards: BoardsDriver, *tasks: Any, agent: str | None = None, **fields: Any) -> Any:
    """
    A new approval for these tasks.
    """
    body = {**ASK, "task_ids": [task["id"] for task in tasks], **fields}
    return await boards.got("POST", path(boards), body, agent=agent)


async def decided(boards: BoardsDriver, approval: Any, status: str, **more: Any) -> Any:
    return await boards.got("PATCH", f"{path(boards)}/{approval['id']}", {"status": status, **more})


@pytest.mark.parametrize("half", ["agent", "mixed"])
async def test_an_agent_asks_and_a_person_decides(boards: BoardsDriver, half: str) -> None:
    """
    What it asks for is pending and its own, whatever it sends; what was decided tells by whom.
    """
    task, ada = await boards.task("Ship it"), await boards.agent()
    body = {**ASK, "task_id": task["id"], "status": "approved", "agent_id": str(uuid4()), "rubric_scores": {"tests": 9}}
    made = await boards.got("POST", path(boards, agent=half == "agent"), body, agent=ada["agent_token"])
    said = await decided(boards, made, "approved", reason=" go ahead ")

    assert {each.name for each in declared_fields(ApprovalRead)} == made.keys()
    assert {
        "action_type": "task.finish", "task_id": task["id"], "task_ids": [task["id"]], "task_titles": ["Ship it"],
        "agent_id": ada["id"], "payload": {"reason": "it is ready"}, "confidence": 87.0,
        "rubric_scores": {"tests": 9}, "status": "pending", "resolved_at": None, "requested_by": "ada",
        "board_id": str(boards.board), "used_task_ids": [], "resolved_by": None, "version": 0,
    }.items() <= made.items()  # fmt: skip
    assert ("approved", "Local User", "Boards API", "go ahead", made["digest"]) == tuple(
        said[name] for name in ("status", "resolved_by", "resolved_through", "resolution_reason", "digest")
    )
    assert made["created_at"] <= said["resolved_at"]


async def test_a_person_asks_for_an_agent_and_may_tell_the_decision(boards: BoardsDriver) -> None:
    """
    Both as sent.
    """
    ada = await boards.agent()
    made = await asked(boards, status="rejected", agent_id=ada["id"])

    assert ("rejected", ada["id"], "Local User", None, []) == tuple(
        made[name] for name in ("status", "agent_id", "resolved_by", "task_id", "task_titles")
    )
    assert made["resolved_at"] == made["created_at"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"payload": {"reason": "r"}}, {"reason": "r"}),
        ({"payload": {"decision": {"reason": "r"}}}, {"decision": {"reason": "r"}}),
        ({"payload": {"reason": "r"}, "lead_reasoning": "other"}, {"reason": "r"}),
        ({"payload": {"reason": " ", "x": 1}, "lead_reasoning": " r "}, {"reason": "r", "x": 1}),
        ({"lead_reasoning": "r"}, {"reason": "r"}),
    ],
)
async def test_a_reason_is_told_in_one_of_three_ways(boards: BoardsDriver, body: Any, reason: Any) -> None:
    """
    And kept with the payload.
    """
    plain = {"action_type": "", "confidence": "12.5"}
    made = await boards.got("POST", path(boards), {**plain, **body})

    assert (reason, 12.5, "") == (made["payload"], made["confidence"], made["action_type"])


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"lead_reasoning": " "},
        {"payload": {"reason": 7}},
        {"payload": {"decision": "r"}, "lead_reasoning": None},
    ],
)
async def test_without_a_reason_nothing_is_asked(boards: BoardsDriver, body: Any) -> None:
    """
    Nor with one that is blank or no text.
    """
    answer = await boards.call("POST", path(boards), {"action_type": "x", "confidence": 1, **body})

    assert ("value_error", ["body"], "Value error, lead reasoning is required") == field_refusal(answer)


@pytest.mark.parametrize(
    ("body", "kind", "place"),
    [
        ({"confidence": 100.5}, "less_than_equal", ["body", "confidence"]),
        ({"confidence": -1}, "greater_than_equal", ["body", "confidence"]),
        ({"status": "maybe"}, "literal_error", ["body", "status"]),
        ({"task_ids": ["x"]}, "uuid_parsing", ["body", "task_ids", 0]),
        ({"payload": []}, "dict_type", ["body", "payload"]),
        ({"action_type": "x" * 501}, "value_error", ["body", "action_type"]),
    ],
)
async def test_what_cannot_be_asked_is_named(boards: BoardsDriver, body: Any, kind: str, place: list[Any]) -> None:
    """
    By its field.
    """
    assert (kind, place) == field_refusal(await boards.call("POST", path(boards), {**ASK, **body}))[:2]


async def test_tasks_are_named_in_many_places(boards: BoardsDriver) -> None:
    """
    First `task_id`, then `task_ids`, then those that the payload tells; each once, but for what can be no id.
    """
    a, b, c, d, e = [(await boards.task(title))["id"] for title in "abcde"]
    payload = {"reason": "r", "task_ids": [c, "T-1", 7, a], "taskId": d.upper(), "taskIDs": e, "task_id": None}
    made = await boards.got("POST", path(boards), {**ASK, "task_id": b, "task_ids": [a, b], "payload": payload})

    assert (b, [b, a, c, e, d], list("baced")) == (made["task_id"], made["task_ids"], made["task_titles"])


async def test_tasks_that_are_not_on_the_board_are_named(boards: BoardsDriver, world: World) -> None:
    """
    And nothing is asked.
    """
    task, nothing = await boards.task(), str(uuid4())
    other = await world.task(board=(await world.another_board()).id)
    body = {**ASK, "task_ids": [task["id"], nothing], "payload": {"reason": "r", "task_id": str(other.id)}}
    told = {
        "message": "One or more tasks were not found on this board.", "missing_task_ids": [nothing, str(other.id)]
    }  # fmt: skip

    assert (404, told) == refusal(await boards.call("POST", path(boards), body))
    assert 0 == (await boards.got("GET", path(boards)))["total"]


async def test_of_each_task_one_approval_is_pending(boards: BoardsDriver) -> None:
    """
    The conflict names tasks and approvals, by the tasks' ids.
    """
    a, b = await boards.task("a"), await boards.task("b")
    first, second = await asked(boards, a), await asked(boards, b)
    conflicts = sorted(
        [{"task_id": a["id"], "approval_id": first["id"]}, {"task_id": b["id"], "approval_id": second["id"]}],
        key=lambda each: UUID(each["task_id"]),
    )
    told = {"message": "Each task can have only one pending approval.", "conflicts": conflicts}
    body = {**ASK, "task_ids": [b["id"], a["id"]]}
    asking = refusal(await boards.call("POST", path(boards), body))
    await decided(boards, first, "approved")
    third = await asked(boards, a)
    again = refusal(await boards.call("PATCH", f"{path(boards)}/{first['id']}", {"status": "pending"}))

    assert (409, told) == asking
    assert (409, [{"task_id": a["id"], "approval_id": third["id"]}]) == (again[0], again[1]["conflicts"])


async def test_a_decision_stands_until_it_is_taken_back(boards: BoardsDriver) -> None:
    """
    The same one is answered as it stands, another one is told of the first.
    """
    approval = await asked(boards, await boards.task())
    first = await decided(boards, approval, "approved")
    again = await decided(boards, approval, "approved", reason="once more")
    unchanged = await boards.got("PATCH", f"{path(boards)}/{approval['id']}", {})
    conflict = refusal(await boards.call("PATCH", f"{path(boards)}/{approval['id']}", {"status": "rejected"}))
    pending = await decided(boards, approval, "pending")
    rejected = await decided(boards, approval, "rejected")

    assert first == again == unchanged
    assert (409, "approved", "Local User", first["resolved_at"]) == (
        conflict[0], *(conflict[1][name] for name in ("status", "resolved_by", "resolved_at"))
    )  # fmt: skip
    assert "approved this" in conflict[1]["message"]
    assert ("pending", first["resolved_at"], "rejected") == (
        pending["status"], pending["resolved_at"], rejected["status"]
    )  # fmt: skip


async def test_a_decision_names_its_status(boards: BoardsDriver) -> None:
    """
    Null is none, nor is another word.
    """
    approval = await asked(boards)
    one = f"{path(boards)}/{approval['id']}"

    assert ("value_error", ["body"], "Value error, status is required") == field_refusal(
        await boards.call("PATCH", one, {"status": None})
    )
    assert "literal_error" == field_refusal(await boards.call("PATCH", one, {"status": "done"}))[0]


async def test_a_decision_can_name_the_version_it_was_made_from(boards: BoardsDriver) -> None:
    """
    And is refused if that is not the current one.
    """
    approval = await asked(boards)
    one = f"{path(boards)}/{approval['id']}"
    late = await boards.call("PATCH", one, {"status": "approved"}, **{"if-match": '"7"'})
    in_time = await boards.call("PATCH", one, {"status": "approved"}, **{"if-match": '"0"'})

    assert (412, 200, '"1"') == (late.status, in_time.status, in_time.headers["etag"])


async def test_a_request_is_made_once_under_a_key(boards: BoardsDriver) -> None:
    """
    A repeat is answered with the first.
    """
    task = await boards.task()
    body = {**ASK, "task_id": task["id"]}
    answers = [await boards.call("POST", path(boards), body, **{"idempotency-key": "k"}) for _ in range(2)]

    assert answers[0].json == answers[1].json
    assert 1 == (await boards.got("GET", path(boards)))["total"]


async def test_only_people_decide(boards: BoardsDriver, team: Team) -> None:
    """
    An agent is nobody there; and who asks or decides must see the board.
    """
    approval = await asked(boards, agent=team.ada.token)
    one = f"{path(boards)}/{approval['id']}"
    for agent in (team.ada, team.lea, team.max):
        assert 401 == (await boards.call("PATCH", one, {"status": "approved"}, agent=agent.token)).status

    assert "pending" == (await boards.got("PATCH", one, {}))["status"]


@pytest.mark.every_store
async def test_an_approval_is_found_on_its_board_only(boards: BoardsDriver, world: World) -> None:
    """
    Whatever else is wrong.
    """
    approval, other = await asked(boards), await world.another_board()
    far = (await boards.agent("far", board_id=str(other.id)))["agent_token"]
    for one, body in (
        (f"/api/v1/boards/{other.id}/approvals/{approval['id']}", {"status": "nonsense"}),
        (f"/api/v1/boards/{uuid4()}/approvals/{approval['id']}", {"status": "approved"}),
        (f"{path(boards)}/{uuid4()}", {"status": "approved"}),
    ):
        assert (404, "Not Found") == refusal(await boards.call("PATCH", one, body))
    for half in (True, False):
        for method, body in (("GET", None), ("POST", ASK)):
            answer = await boards.call(method, path(boards, agent=half), body, agent=far)
            assert (403, "Forbidden") == refusal(answer)


@pytest.mark.every_store
@pytest.mark.parametrize("half", [True, False])
async def test_lists_go_from_the_newest_by_status(boards: BoardsDriver, half: bool) -> None:
    """
    In pages, with how many there are.
    """
    ada = (await boards.agent())["agent_token"]
    made = [await asked(boards, await boards.task()) for _ in range(4)]
    await decided(boards, made[1], "approved")
    line = [each["id"] for each in reversed(made)]

    async def page(query: str) -> tuple[list[str], int]:
        told = await boards.got("GET", f"{path(boards, agent=half)}?{query}", agent=ada)
        return [each["id"] for each in told["items"]], told["total"]

    assert (line, 4) == await page("")
    assert (line[1:3], 4) == await page("limit=2&offset=1")
    assert (line[3:], 4) == await page(f"after={made[1]['number']}")
    assert ([line[2]], 1) == await page("status=approved")
    assert ([], 0) == await page("status=rejected")
    assert 3 == (await page("status=pending"))[1]
    answer = await boards.call("GET", f"{path(boards, agent=half)}?status=done", agent=ada)
    assert ("literal_error", ["query", "status"]) == field_refusal(answer)[:2]


@pytest.mark.every_store
async def test_a_board_that_asks_for_approval_lets_approved_tasks_be_done(boards: BoardsDriver, team: Team) -> None:
    """
    Each once; the approval tells for which it was used.
    """
    await set_rules(boards, require_approval_for_done=True)
    task = await boards.task()
    told = {
        "message": "Task can only be marked done when a linked approval has been approved.", "blocked_by_task_ids": []
    }  # fmt: skip
    before = await team.me.refused(task, status="done")
    approval = await asked(boards, task, agent=team.ada.token)
    pending = await team.ada.refused(task, status="done")
    await decided(boards, approval, "approved")
    done = await team.ada.does(task, status="done")
    (shown,) = (await boards.got("GET", path(boards)))["items"]
    await team.me.does(task, status="review")

    assert [(409, told)] * 3 == [before, pending, await team.me.refused(task, status="done")]
    assert ("done", [task["id"]]) == (done["status"], shown["used_task_ids"])


async def test_a_board_may_let_nothing_move_while_an_approval_is_pending(boards: BoardsDriver, team: Team) -> None:
    """
    A status that is sent again is no move.
    """
    await set_rules(boards, block_status_changes_with_pending_approval=True)
    task = await boards.task()
    approval = await asked(boards, task)
    told = {
        "message": "Task status cannot be changed while a linked approval is pending.", "blocked_by_task_ids": []
    }  # fmt: skip
    refused = [await member.refused(task, status="in_progress") for member in (team.me, team.ada)]
    await team.me.does(task, status="inbox", title="Another")
    claim = f"{team.ada.tasks}/{task['id']}/claim"
    claimed = await boards.call("POST", claim, {}, agent=team.ada.token)
    await decided(boards, approval, "rejected")

    assert [(409, told)] * 2 == refused
    assert 409 == claimed.status
    assert "in_progress" == (await team.ada.does(task, status="in_progress"))["status"]


@pytest.mark.every_store
async def test_a_lead_accepts_what_was_approved(boards: BoardsDriver, team: Team) -> None:
    """
    Out of review.
    """
    await set_rules(boards, require_approval_for_done=True, require_review_before_done=True)
    task = await team.ada.does(await boards.task(), status="review")
    refused = await team.lea.refused(task, status="done")
    await decided(boards, await asked(boards, task, agent=team.lea.token), "approved")
    done = await team.lea.does(task, status="done")

    assert (409, "done", "done") == (refused[0], done["status"], (await task_in_list(boards, task))["status"])


@pytest.mark.every_store
async def test_a_removed_task_leaves_its_approvals_to_others(boards: BoardsDriver) -> None:
    """
    The next one is the first then; an approval of that task alone goes with it.
    """
    a, b = await boards.task("a"), await boards.task("b")
    both = await asked(boards, a, b)
    await decided(boards, both, "rejected")
    await asked(boards, a)
    await boards.got("DELETE", f"{boards.tasks}/{a['id']}")
    (left,) = (await boards.got("GET", path(boards)))["items"]

    assert (both["id"], b["id"], [b["id"]], ["b"]) == (
        left["id"], left["task_id"], left["task_ids"], left["task_titles"]
    )  # fmt: skip


@pytest.mark.every_store
async def test_a_snapshot_shows_approvals_and_counts_them(boards: BoardsDriver) -> None:
    """
    On the board and on every task, also when they were shown before.
    """
    snapshot = f"/api/v1/boards/{boards.board}/snapshot"
    a, b = await boards.task("a"), await boards.task("b")

    async def shown() -> tuple[list[Any], dict[str, tuple[int, int]], int]:
        told = await boards.got("GET", snapshot)
        counts = {each["title"]: (each["approvals_count"], each["approvals_pending_count"]) for each in told["tasks"]}
        return told["approvals"], counts, told["pending_approvals_count"]

    assert ([], {"a": (0, 0), "b": (0, 0)}, 0) == await shown()
    first = await asked(boards, a)
    assert ([first], {"a": (1, 1), "b": (0, 0)}, 1) == await shown()
    first = await decided(boards, first, "rejected")
    second = await asked(boards, a, b)
    assert ([second, first], {"a": (2, 1), "b": (1, 1)}, 1) == await shown()
    assert 2 == (await boards.got("GET", path(boards)))["total"]


@pytest.mark.every_store
async def test_a_snapshot_counts_what_it_does_not_show(boards: BoardsDriver) -> None:
    """
    It shows the newest two hundred.
    """
    for _ in range(3):
        await asked(boards)
    for _ in range(199):
        await asked(boards, status="approved")
    told = await boards.got("GET", f"/api/v1/boards/{boards.board}/snapshot")

    assert (200, 3) == (len(told["approvals"]), told["pending_approvals_count"])


async def test_the_dashboard_tells_what_waits(boards: BoardsDriver) -> None:
    """
    The ten newest, and how many there are.
    """
    for _ in range(11):
        newest = await asked(boards, await boards.task("Ship it"))
    told = (await boards.got("GET", "/api/v1/metrics/dashboard"))["pending_approvals"]

    assert (11, 10) == (told["total"], len(told["items"]))
    assert {
        "approval_id": newest["id"], "board_id": str(boards.board), "board_name": "Work",
        "action_type": "task.finish", "confidence": 87.0, "created_at": newest["created_at"],
        "task_title": "Ship it",
    } == told["items"][0]  # fmt: skip
