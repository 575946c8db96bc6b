"""
Tasks of the Fleet API: making, listing, reading, changing and deleting them.
"""

from typing import Any

import pytest
from attrs import evolve

from mission_core.tasks.comment_creation import AddComment, add_comment
from mission_core.tasks.github_links import GitHubLinks
from tests.contract.conftest import World
from tests.contract.fleet_driver import KEY, FleetDriver, fleet_over, refusal, without, wrong_fields

GIVEN = {
    "title": "Ship it",
    "description": "All of it",
    "status": "backlog",
    "priority": "high",
    "assigned_to": "bob",
    "due_date": 4_000_000_000,
    "estimated_hours": 1.5,
    "actual_hours": 2,
    "outcome": "partial",
    "error_message": "e",
    "resolution": "r",
    "feedback_rating": 4,
    "feedback_notes": "n",
    "retry_count": 2,
    "completed_at": 1_000_000_000,
    "tags": ["a", "b"],
    "metadata": {"implementation_repo": "x/y", "deep": [1, {"a": None}]},
    "not_before": 4_000_000_000,
    "max_attempts": 3,
}


async def test_a_made_task_reads_back_as_it_was_answered(fleet: FleetDriver) -> None:
    made = await fleet.task(assigned_to=" bob ", tags=["a"], metadata={"k": [1]}, due_date=5)
    answer = await fleet.call("GET", f"/tasks/{made['id']}")

    assert {"task": made} == answer.json
    assert f'"{made["version"]}"' == answer.headers["etag"]


async def test_a_task_keeps_all_that_it_was_made_with(fleet: FleetDriver) -> None:
    made = await fleet.task(**GIVEN)

    assert {name: made[name] for name in GIVEN} == GIVEN


async def test_a_task_has_defaults_for_all_that_is_not_said(fleet: FleetDriver) -> None:
    made = (await fleet.got("POST", "/tasks", {"title": "x"}, 201))["task"]

    moments = {name: made[name] for name in ("created_at", "updated_at")}
    assert all(isinstance(moment, int) for moment in moments.values())
    assert {
        "title": "x", "description": None, "status": "inbox", "priority": "medium", "assigned_to": None,
        "created_by": "API Access", "due_date": None, "estimated_hours": None, "actual_hours": None, "tags": [],
        "metadata": {}, "workspace_id": 1, "project_ticket_no": 1, "outcome": None, "error_message": None,
        "resolution": None, "feedback_rating": None, "feedback_notes": None, "retry_count": 0, "completed_at": None,
        "github_issue_number": None, "github_repo": None, "github_synced_at": None, "github_branch": None,
        "github_pr_number": None, "github_pr_state": None, "dispatch_attempts": 0, "project_name": "General",
        "project_prefix": "TASK", "ticket_ref": "TASK-001", "fence": 0, "attempts": 0,
        "max_attempts": 5, "depends_on": [], "blocked_by": [], "not_before": None, "output": None, "hand_over": None,
        "recorded": False,
    } == without(made, "id", "number", "project_id", "version", *moments)  # fmt: skip
    assert made["id"] == made["number"]


async def test_inbox_work_with_an_assignee_is_assigned(fleet: FleetDriver) -> None:
    assert "assigned" == (await fleet.task(assigned_to="bob"))["status"]
    assert "review" == (await fleet.task(assigned_to="bob", status="review"))["status"]


async def test_work_for_nobody_goes_to_the_coordinator(world: World) -> None:
    async with fleet_over(world.ports, world.me, world.board.number, coordinator="boss") as fleet:
        assert "boss" == (await fleet.task(assigned_to="  "))["assigned_to"]
        assert "bob" == (await fleet.task(assigned_to="bob"))["assigned_to"]


async def test_work_for_an_unknown_project_goes_to_the_general_one(fleet: FleetDriver) -> None:
    made = await fleet.task(project_id=999_999)

    assert ("General", "TASK-001") == (made["project_name"], made["ticket_ref"])


async def test_only_the_title_of_a_task_is_required(fleet: FleetDriver) -> None:
    for body in ({}, {"title": ""}):
        answer = await fleet.call("POST", "/tasks", body)

        assert {"error": "Validation failed", "details": ["title: Title is required"]} == answer.json
        assert 400 == answer.status


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", None), ("title", "x" * 501), ("title", 5), ("description", "x" * 5001), ("description", "\0"),
        ("status", "doing"), ("status", None), ("priority", "urgent"), ("priority", None), ("project_id", 0),
        ("project_id", "1"), ("project_id", None), ("assigned_to", "x" * 101), ("due_date", -1), ("due_date", "5"),
        ("due_date", "2200-01-01"), ("due_date", "0001-01-01T00:00:00+23:00"), ("due_date", True),
        ("due_date", 4_102_444_801), ("due_date", 1.5), ("estimated_hours", 10_001), ("actual_hours", "1"),
        ("outcome", "fine"), ("feedback_rating", 6), ("feedback_rating", True), ("retry_count", -1),
        ("retry_count", None), ("retry_count", 2**63), ("tags", None), ("tags", "a"), ("tags", ["x"] * 51),
        ("metadata", None), ("metadata", []), ("metadata", {"a": "\0"}), ("depends_on", None), ("depends_on", [2**70]),
        ("not_before", "soon"), ("max_attempts", 0), ("max_attempts", 1001), ("created_by", 5),
    ],
)  # fmt: skip
async def test_a_wrong_value_is_refused_by_the_name_of_its_field(fleet: FleetDriver, field: str, value: Any) -> None:
    made = await fleet.task()
    (said,) = wrong_fields(await fleet.call("PUT", f"/tasks/{made['id']}", {field: value}))
    (also,) = wrong_fields(await fleet.call("POST", "/tasks", {"title": "x", field: value}))

    assert field == said.partition(".")[0] == also.partition(".")[0]


@pytest.mark.parametrize(
    ("due", "seconds"),
    [
        ("2030-01-02", 1_893_542_400), ("2030-01-02T03:04:05Z", 1_893_553_445),
        ("2030-01-02T03:04:05.9+01:00", 1_893_549_845), (7, 7),
    ],
)  # fmt: skip
async def test_a_task_is_due_at_seconds_or_at_an_iso_time(fleet: FleetDriver, due: Any, seconds: int) -> None:
    made = await fleet.task(due_date=due)

    assert seconds == made["due_date"]


async def test_every_wrong_field_is_named(fleet: FleetDriver) -> None:
    body = {"tags": ["", 3], "metadata": {"implementation_repo": "", "code_location": 4}, "priority": "x"}
    answer = await fleet.call("POST", "/tasks", body)

    places = ["priority", "tags.0", "tags.1", "metadata.implementation_repo", "metadata.code_location", "title"]
    assert places == wrong_fields(answer)
    assert "metadata.implementation_repo: implementation_repo cannot be empty" in answer.json["details"]


async def test_a_body_that_is_no_json_is_refused(fleet: FleetDriver) -> None:
    """
    It is told where it stops being JSON.
    """
    wrong = {b"": "required", b'{"a" 1}': "(character 5)", b"\xff": "(character 0)", b"[" * 99 + b"]" * 99: "nested"}
    answers = {said: await fleet.call("POST", "/tasks", raw=raw) for raw, said in wrong.items()}

    assert {(400, "Invalid request body")} == {(each.status, each.json["error"]) for each in answers.values()}
    for said, answer in answers.items():
        (detail,) = answer.json["details"]
        assert said in detail


async def test_a_body_that_is_no_object_is_refused(fleet: FleetDriver) -> None:
    """
    Its place is empty, as no field is wrong, so a hint tells what is.
    """
    answer = await fleet.call("POST", "/tasks", [])

    assert [""] == wrong_fields(answer)
    assert "send a JSON object as the body" == answer.json["hint"]


async def test_unknown_fields_are_dropped(fleet: FleetDriver) -> None:
    assert "id" in await fleet.task(nonsense=1, created_by="somebody else")


async def test_only_an_admin_records_work_as_done(fleet: FleetDriver) -> None:
    _, token = await fleet.agent()
    answer = await fleet.call("POST", "/tasks", {"title": "x", "status": "done"}, key=token)
    recorded = await fleet.task(status="done")

    assert 403 == answer.status
    assert "only an admin" in answer.json["error"]
    assert recorded["recorded"] is True
    assert recorded["created_at"] == recorded["completed_at"]


async def test_a_repeat_with_the_same_idempotency_key_makes_one_task(fleet: FleetDriver) -> None:
    first, second = [await fleet.call("POST", "/tasks", {"title": "x"}, idempotency_key="k") for _ in range(2)]
    other = await fleet.call("POST", "/tasks", {"title": "y"}, idempotency_key="k")

    assert (201, first.json) == (second.status, second.json)
    assert 422 == other.status
    assert "idempotency key" in other.json["error"]
    assert 1 == (await fleet.got("GET", "/tasks"))["total"]


async def test_an_idempotency_key_is_checked(fleet: FleetDriver) -> None:
    assert ["Idempotency-Key"] == wrong_fields(await fleet.call("POST", "/tasks", {"title": "x"}, idempotency_key=" "))


@pytest.mark.every_store
async def test_tasks_are_listed_newest_first_in_pages(fleet: FleetDriver) -> None:
    ids = [(await fleet.task(str(n)))["id"] for n in range(5)]
    page = await fleet.got("GET", "/tasks?limit=2&offset=2")
    after = await fleet.got("GET", f"/tasks?limit=2&after={ids[2]}")

    assert (ids[2:0:-1], 5, 2, 2) == ([t["id"] for t in page["tasks"]], page["total"], page["page"], page["limit"])
    assert ids[1::-1] == [task["id"] for task in after["tasks"]]


async def test_a_list_tells_how_many_comments_each_task_has(fleet: FleetDriver, world: World) -> None:
    one, two, _ = [await world.task() for _ in range(3)]
    for task in (one, two, one):
        await add_comment(world.ports, world.me, AddComment(task=task.id, content="Hello"))
    page = await fleet.got("GET", "/tasks")

    assert [0, 1, 2] == [task["comment_count"] for task in page["tasks"]]


@pytest.mark.every_store
async def test_a_task_tells_where_it_stands_on_github(fleet: FleetDriver, world: World) -> None:
    task = await world.task()
    tracking = GitHubLinks(
        repo="x/y", issue=3, branch="feat/x", pull_request=4, pull_request_state="open", synced_at=world.clock.now()
    )
    async with world.ports.unit(world.me) as unit:
        unit.tasks.save(evolve(await unit.tasks.get(task.id), tracking=tracking))
        await unit.commit()
    shown = (await fleet.got("GET", f"/tasks/{task.number}"))["task"]

    assert {
        "github_repo": "x/y", "github_issue_number": 3, "github_branch": "feat/x", "github_pr_number": 4,
        "github_pr_state": "open", "github_synced_at": int(world.clock.now().timestamp()),
    } == {name: shown[name] for name in shown if name.startswith("github")}  # fmt: skip


async def test_limits_are_read_like_their_leading_digits_and_capped(fleet: FleetDriver) -> None:
    await fleet.task()
    shown = {query: await fleet.got("GET", f"/tasks?limit={query}") for query in ("12abc", "999", "9" * 30, "0")}

    assert [12, 200, 200, 0] == [page["limit"] for page in shown.values()]
    assert [] == shown["0"]["tasks"]
    assert shown["0"]["page"] is None
    assert 1 == shown["0"]["total"]
    assert [] == (await fleet.got("GET", f"/tasks?offset={'9' * 30}"))["tasks"]


@pytest.mark.parametrize("name", ["limit", "offset", "after", "project_id"])
@pytest.mark.parametrize("value", ["abc", "-1", ""])
async def test_a_number_that_is_none_is_refused_by_name(fleet: FleetDriver, name: str, value: str) -> None:
    assert [name] == wrong_fields(await fleet.call("GET", f"/tasks?{name}={value}"))


@pytest.mark.every_store
async def test_a_list_can_be_filtered(fleet: FleetDriver) -> None:
    one = await fleet.task("one", assigned_to="bob", priority="low")
    two = await fleet.task("two", project_id=999_999)

    for query, expected in {
        "status=assigned": [one], "status=inbox": [two], "status=nonsense": [], "status=": [two, one],
        "assigned_to=bob": [one], "priority=low": [one], "priority=nonsense": [], f"project_id={fleet.project}": [one],
        "project_id=123456": [], f"project_id={two['project_id']}&status=inbox": [two],
    }.items():  # fmt: skip
        page = await fleet.got("GET", f"/tasks?{query}")
        assert [task["id"] for task in expected] == [task["id"] for task in page["tasks"]], query
        assert len(expected) == page["total"], query


async def test_a_task_is_found_by_the_number_its_path_begins_with(fleet: FleetDriver) -> None:
    made = await fleet.task()

    assert made == (await fleet.got("GET", f"/tasks/{made['id']}abc"))["task"]


@pytest.mark.every_store
async def test_a_task_is_found_by_its_uuid_too(fleet: FleetDriver, world: World) -> None:
    task = await world.task()

    assert task.number == (await fleet.got("GET", f"/tasks/{task.id}"))["task"]["id"]


async def test_a_task_that_is_not_there_is_not_found(fleet: FleetDriver) -> None:
    for path in ("999999", "9" * 30, "-1", "0195a000-0000-7000-8000-000000000000"):
        for method, body in (("GET", None), ("PUT", {"title": "x"}), ("DELETE", None)):
            assert (404, "Task not found") == refusal(await fleet.call(method, f"/tasks/{path}", body))


async def test_a_malformed_task_id_is_refused(fleet: FleetDriver) -> None:
    for method, body in (("GET", None), ("PUT", {"title": "x"}), ("DELETE", None)):
        assert (400, "Invalid task ID") == refusal(await fleet.call(method, "/tasks/abc", body))


async def test_a_body_is_checked_before_the_task_is_looked_for(fleet: FleetDriver) -> None:
    assert ["title"] == wrong_fields(await fleet.call("PUT", "/tasks/abc", {"title": ""}))


@pytest.mark.every_store
async def test_a_change_touches_what_it_names(fleet: FleetDriver) -> None:
    made = await fleet.task(**GIVEN)
    answer = await fleet.call("PUT", f"/tasks/{made['id']}", {"title": "New", "due_date": 7})
    changed = answer.json["task"]

    assert {**made, "title": "New", "due_date": 7, "version": made["version"] + 1} == {
        **changed, "updated_at": made["updated_at"],
    }  # fmt: skip
    assert f'"{changed["version"]}"' == answer.headers["etag"]


@pytest.mark.every_store
async def test_null_clears_what_can_be_empty(fleet: FleetDriver) -> None:
    cleared = dict.fromkeys(
        (
            "description", "due_date", "assigned_to", "estimated_hours", "actual_hours", "outcome", "error_message",
            "resolution", "feedback_rating", "feedback_notes", "completed_at", "not_before",
        )
    )  # fmt: skip
    made = await fleet.task(**GIVEN)
    changed = (await fleet.got("PUT", f"/tasks/{made['id']}", cleared))["task"]

    assert cleared == {name: changed[name] for name in cleared}


async def test_an_empty_change_says_that_nothing_changed(fleet: FleetDriver) -> None:
    made = await fleet.task()
    answer = await fleet.got("PUT", f"/tasks/{made['id']}", {})

    assert {
        "task": without(made, "project_name", "project_prefix", "ticket_ref"),
        "unchanged": True,
    } == answer


async def test_assigning_moves_between_inbox_and_assigned(fleet: FleetDriver) -> None:
    place = f"/tasks/{(await fleet.task())['id']}"
    for body, status in (
        ({"assigned_to": "bob"}, "assigned"), ({"assigned_to": ""}, "inbox"),
        ({"assigned_to": "bob", "status": "inbox"}, "inbox"), ({"status": "review"}, "review"),
        ({"assigned_to": None}, "review"),
    ):  # fmt: skip
        assert status == (await fleet.got("PUT", place, body))["task"]["status"], body


async def test_done_sets_when_unless_it_is_known(fleet: FleetDriver) -> None:
    place = f"/tasks/{(await fleet.task())['id']}"
    done = (await fleet.got("PUT", place, {"status": "done"}))["task"]
    reopened = (await fleet.got("PUT", place, {"status": "inbox"}))["task"]

    assert done["completed_at"] == done["updated_at"] == reopened["completed_at"]


async def test_a_gated_project_keeps_tasks_from_done(fleet: FleetDriver) -> None:
    gated = (await fleet.got("POST", "/projects", {"name": "Gated"}, 201))["project"]["id"]
    place = f"/tasks/{(await fleet.task(project_id=gated))['id']}"
    answer = await fleet.call("PUT", place, {"status": "done", "title": "x"})

    assert (403, "Aegis approval is required to move task to done.") == refusal(answer)
    assert "Ship it" == (await fleet.got("GET", place))["task"]["title"]


async def test_other_rules_say_what_they_want(fleet: FleetDriver) -> None:
    rules = {"require_approval_for_done": False, "require_review_before_done": True}
    ruled = (await fleet.got("POST", "/projects", {"name": "Ruled", "gates": rules}, 201))["project"]["id"]
    place = f"/tasks/{(await fleet.task(project_id=ruled))['id']}"
    status, said = refusal(await fleet.call("PUT", place, {"status": "done"}))
    await fleet.got("PUT", place, {"status": "quality_review"})

    assert 403 == status
    assert "from review" in said
    assert "done" == (await fleet.got("PUT", place, {"status": "done"}))["task"]["status"]


@pytest.mark.every_store
async def test_many_tasks_move_at_once(fleet: FleetDriver) -> None:
    one, two = [(await fleet.task())["id"] for _ in range(2)]
    moves = [{"id": one, "status": "done"}, {"id": 999_999, "status": "done"}, {"id": two, "status": "inbox"}]
    answer = await fleet.got("PUT", "/tasks", {"tasks": moves})

    assert {"success": True, "updated": 3, "changed": 1, "missing": [999_999]} == answer
    assert "done" == (await fleet.got("GET", f"/tasks/{one}"))["task"]["status"]


@pytest.mark.parametrize(
    ("gates", "said"),
    [
        ({}, "Aegis approval required for task {}"),
        (
            {"require_approval_for_done": False, "require_review_before_done": True},
            "Task {}: Task can only be marked done from review when the board rule is enabled.",
        ),
    ],
)
async def test_a_gate_that_is_closed_for_one_of_many_tasks_refuses_all(
    fleet: FleetDriver, gates: dict[str, bool], said: str
) -> None:
    gated = (await fleet.got("POST", "/projects", {"name": "Gated", "gates": gates}, 201))["project"]["id"]
    free, kept = (await fleet.task())["id"], (await fleet.task(project_id=gated))["id"]
    answer = await fleet.call("PUT", "/tasks", {"tasks": [{"id": each, "status": "done"} for each in (free, kept)]})

    assert (403, said.format(kept)) == refusal(answer)
    assert "inbox" == (await fleet.got("GET", f"/tasks/{free}"))["task"]["status"]


@pytest.mark.parametrize(
    ("tasks", "place"),
    [
        ([], "tasks"), ([{"id": 1, "status": "done"}] * 101, "tasks"), ([{"id": 0, "status": "done"}], "tasks.0.id"),
        ([{"id": 1, "status": "doing"}], "tasks.0.status"), ([{"id": 2**70, "status": "done"}], "tasks.0.id"),
    ],
)  # fmt: skip
async def test_many_moves_that_cannot_be_meant_are_refused(fleet: FleetDriver, tasks: Any, place: str) -> None:
    assert [place] == wrong_fields(await fleet.call("PUT", "/tasks", {"tasks": tasks}))


async def test_an_agents_key_moves_many_tasks_only_if_all_are_its_own(fleet: FleetDriver) -> None:
    _, token = await fleet.agent("ada")
    own, other = await fleet.task(assigned_to="ada"), await fleet.task(assigned_to="bob")
    moves = [{"id": each["id"], "status": "review"} for each in (own, other)]

    assert 403 == (await fleet.call("PUT", "/tasks", {"tasks": moves}, key=token)).status
    assert 1 == (await fleet.got("PUT", "/tasks", {"tasks": moves[:1]}, key=token))["changed"]


async def test_a_task_moves_to_another_project_under_a_new_ticket(fleet: FleetDriver) -> None:
    made = await fleet.task()
    other = (await fleet.got("POST", "/projects", {"name": "Other"}, 201))["project"]
    moved = (await fleet.got("PUT", f"/tasks/{made['id']}", {"project_id": other["id"]}))["task"]

    assert (other["id"], "OTHER-001") == (moved["project_id"], moved["ticket_ref"])


async def test_a_task_does_not_move_to_a_project_that_is_archived_or_unknown(fleet: FleetDriver) -> None:
    made = await fleet.task()
    other = (await fleet.got("POST", "/projects", {"name": "Other"}, 201))["project"]["id"]
    await fleet.got("PATCH", f"/projects/{other}", {"status": "archived"})

    for project in (other, 999_999):
        answer = await fleet.call("PUT", f"/tasks/{made['id']}", {"project_id": project})
        assert (400, "Project not found or archived") == refusal(answer)


async def test_a_change_that_expects_another_version_is_refused(fleet: FleetDriver) -> None:
    made = await fleet.task()
    place, stale = f"/tasks/{made['id']}", f'"{made["version"] + 1}"'

    assert 412 == (await fleet.call("PUT", place, {"title": "x"}, if_match=stale)).status
    assert 412 == (await fleet.call("PUT", place, {}, if_match=stale)).status
    assert 412 == (await fleet.call("DELETE", place, if_match=stale)).status
    assert ["If-Match"] == wrong_fields(await fleet.call("PUT", place, {"title": "x"}, if_match="7"))
    assert 200 == (await fleet.call("PUT", place, {"title": "x"}, if_match=f'"{made["version"]}"')).status


@pytest.mark.every_store
async def test_a_deleted_task_is_gone(fleet: FleetDriver) -> None:
    place = f"/tasks/{(await fleet.task())['id']}"

    assert {"success": True} == await fleet.got("DELETE", place)
    assert (404, "Task not found") == refusal(await fleet.call("DELETE", place))


async def test_tasks_depend_on_others_by_number(fleet: FleetDriver) -> None:
    first = await fleet.task("first")
    second = await fleet.task("second", depends_on=[first["id"]])
    await fleet.got("PUT", f"/tasks/{first['id']}", {"status": "done"})
    freed = (await fleet.got("GET", f"/tasks/{second['id']}"))["task"]

    assert ([first["id"]], [first["id"]]) == (second["depends_on"], second["blocked_by"])
    assert ([first["id"]], []) == (freed["depends_on"], freed["blocked_by"])


async def test_impossible_dependencies_are_refused(fleet: FleetDriver) -> None:
    first, elsewhere = await fleet.task(), await fleet.task(project_id=999_999)
    second = await fleet.task(depends_on=[first["id"]])
    place = f"/tasks/{first['id']}"

    for numbers in ([999_999], [elsewhere["id"]], [first["id"]]):
        assert ["depends_on"] == wrong_fields(await fleet.call("PUT", place, {"depends_on": numbers})), numbers
    assert 409 == (await fleet.call("PUT", place, {"depends_on": [second["id"]]})).status


async def test_an_agents_key_reaches_its_own_tasks_only(fleet: FleetDriver) -> None:
    _, token = await fleet.agent("ada")
    own, other = await fleet.task(assigned_to="ADA"), await fleet.task(assigned_to="bob")
    said = "Access denied: agent key may only access its own tasks."

    for method, body in (("GET", None), ("PUT", {"title": "x"}), ("PUT", {}), ("DELETE", None)):
        assert (403, said) == refusal(await fleet.call(method, f"/tasks/{other['id']}", body, key=token))
        assert 200 == (await fleet.call(method, f"/tasks/{own['id']}", body, key=token)).status
    assert (404, "Task not found") == refusal(await fleet.call("GET", "/tasks/999999", key=token))


async def test_an_agents_list_is_its_own(fleet: FleetDriver) -> None:
    _, token = await fleet.agent("ada")
    own = await fleet.task(assigned_to="ada")
    await fleet.task(assigned_to="bob")
    page = await fleet.got("GET", "/tasks?assigned_to=bob", key=token)

    assert ([own["id"]], 1) == ([task["id"] for task in page["tasks"]], page["total"])


async def test_an_admin_agent_is_not_confined_to_its_own(fleet: FleetDriver) -> None:
    await fleet.agent("ada")
    other = await fleet.task(assigned_to="bob")
    key = await fleet.key("ada", "admin")

    assert 200 == (await fleet.call("GET", f"/tasks/{other['id']}", key=key)).status
    assert 1 == (await fleet.got("GET", "/tasks", key=key))["total"]


async def test_tasks_of_another_organization_are_not_there(fleet: FleetDriver, elsewhere: World) -> None:
    made = await fleet.task()
    async with fleet_over(elsewhere.ports, elsewhere.me, elsewhere.board.number) as other:
        foreign = await other.task("foreign")
        page = await other.got("GET", "/tasks", key=KEY)

    assert [foreign["id"]] == [task["id"] for task in page["tasks"]]
    assert ["Ship it"] == [task["title"] for task in (await fleet.got("GET", "/tasks"))["tasks"]]
    assert "Ship it" == made["title"]


async def test_an_etag_of_something_else_is_refused_without_inventing_a_version(fleet: FleetDriver) -> None:
    """
    A weak tag, or one of another server, names no version that could be told back.
    """
    place = f"/tasks/{(await fleet.task())['id']}"
    said = {refusal(await fleet.call("PUT", place, {"title": "x"}, if_match=tag)) for tag in ('W/"0"', '"other"')}

    assert {(412, "the current version is 0, which is not the expected one; read it again")} == said
