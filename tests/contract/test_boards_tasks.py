"""
Making, listing and removing tasks in the Boards API.
"""

import pytest

from mission_core.tasks.model import Status
from mission_http.boards.payloads import TaskRead
from mission_http.boards.wire import CORE_STATUSES, FOLDED_STATUSES
from tests.contract.boards_driver import field_refusal, refusal
from tests.contract.boards_examples import names_of

NOWHERE = "0195a000-0000-7000-8000-000000000000"


async def test_a_new_task_has_the_documented_defaults(boards, clock):
    made = await boards.call("POST", boards.tasks, {"title": "Ship it"})
    now = clock.now().replace(tzinfo=None).isoformat()
    expected = {
        "board_id": str(boards.board),
        "title": "Ship it",
        "description": None,
        "status": "inbox",
        "priority": "medium",
        "due_at": None,
        "assigned_agent_id": None,
        "depends_on_task_ids": [],
        "tag_ids": [],
        "tags": [],
        "created_by_user_id": str(boards.me.user),
        "in_progress_at": None,
        "created_at": now,
        "updated_at": now,
        "blocked_by_task_ids": [],
        "is_blocked": False,
        "custom_field_values": {},
        "core_status": "inbox",
        "assignee": None,
        "depends_on": [],
        "blocked_by": [],
        "not_before": None,
        "fence": 0,
        "attempts": 0,
        "max_attempts": 5,
        "hand_over": None,
        "outcome": None,
        "resolution": None,
        "output": None,
        "error_message": None,
        "recorded": False,
        "completed_at": None,
        "version": 0,
    }

    assert names_of(TaskRead) == made.json.keys() == expected.keys() | {"id", "number"}
    assert expected == {name: made.json[name] for name in expected}
    assert '"0"' == made.headers["etag"]


async def test_a_task_is_kept_as_it_was_made(boards):
    agent = await boards.agent()
    first = await boards.task("", status="done")
    sent = {
        "title": "Second",
        "description": "d",
        "status": "in_progress",
        "priority": "whatever",
        "due_at": "2027-01-02T03:04:05+02:00",
        "assigned_agent_id": agent["id"].replace("-", "").upper(),
        "depends_on_task_ids": [first["id"], first["id"]],
        "tag_ids": [],
        "custom_field_values": {},
        "created_by_user_id": str(boards.me.user),
        "not_before": 1760000000,
        "max_attempts": "2",
    }
    made = await boards.got("POST", boards.tasks, sent)
    listed = await boards.got("GET", boards.tasks)

    assert made == listed["items"][0]
    assert ("d", "in_progress", "whatever") == (made["description"], made["status"], made["priority"])
    assert ("2027-01-02T01:04:05", "2025-10-09T08:53:20") == (made["due_at"], made["not_before"])
    assert (agent["id"], "ada") == (made["assigned_agent_id"], made["assignee"])
    assert [first["id"]] == made["depends_on_task_ids"] == made["depends_on"]
    assert ([], False, 2) == (made["blocked_by_task_ids"], made["is_blocked"], made["max_attempts"])


async def test_work_that_is_recorded_as_done_says_so(boards, clock):
    made = await boards.task(status="done")

    assert (True, "done") == (made["recorded"], made["status"])
    assert clock.now().replace(tzinfo=None).isoformat() == made["completed_at"]


@pytest.mark.parametrize(
    ("body", "kind", "loc"),
    [
        ({}, "missing", ["body", "title"]),
        ({"title": None}, "string_type", ["body", "title"]),
        ({"title": 5}, "string_type", ["body", "title"]),
        ({"title": "T", "status": "assigned"}, "literal_error", ["body", "status"]),
        ({"title": "T", "status": None}, "literal_error", ["body", "status"]),
        ({"title": "T", "priority": None}, "string_type", ["body", "priority"]),
        ({"title": "T", "priority": ""}, "value_error", ["body", "priority"]),
        ({"title": "T", "due_at": "soon"}, None, ["body", "due_at"]),
        ({"title": "T", "due_at": 10**20}, None, ["body", "due_at"]),
        ({"title": "T", "assigned_agent_id": "ada"}, "uuid_parsing", ["body", "assigned_agent_id"]),
        ({"title": "T", "depends_on_task_ids": ["x"]}, "uuid_parsing", ["body", "depends_on_task_ids", 0]),
        ({"title": "T", "depends_on_task_ids": None}, "list_type", ["body", "depends_on_task_ids"]),
        ({"title": "T", "custom_field_values": []}, "dict_type", ["body", "custom_field_values"]),
        ({"title": "T", "max_attempts": 0}, "greater_than_equal", ["body", "max_attempts"]),
        ({"title": "T" * 501}, "value_error", ["body", "title"]),
        ({"title": "T\x00"}, "value_error", ["body", "title"]),
    ],
)
async def test_a_wrong_field_is_named(boards, body, kind, loc):
    found = field_refusal(await boards.call("POST", boards.tasks, body))

    assert (kind or found[0], loc) == found[:2]


async def test_an_unknown_assignee_or_creator_is_not_found(boards):
    for name in ("assigned_agent_id", "created_by_user_id"):
        answer = await boards.call("POST", boards.tasks, {"title": "T", name: NOWHERE})
        assert (404, "Not Found") == refusal(answer), name


async def test_unknown_dependencies_are_listed(boards, world):
    elsewhere = await world.task(board=(await world.another_board()).id)
    missing = [NOWHERE, str(elsewhere.id)]
    answer = await boards.call("POST", boards.tasks, {"title": "T", "depends_on_task_ids": missing})
    said = "One or more dependency tasks were not found on this board."

    assert (404, {"message": said, "missing_task_ids": missing}) == refusal(answer)


async def test_tags_and_custom_fields_there_are_not_are_listed(boards):
    tags = await boards.call("POST", boards.tasks, {"title": "T", "tag_ids": [NOWHERE, NOWHERE]})
    values = await boards.call("POST", boards.tasks, {"title": "T", "custom_field_values": {"b": 1, "a": None}})
    no_tags = {"message": "One or more tags do not exist in this organization.", "missing_tag_ids": [NOWHERE]}
    no_keys = {"message": "Unknown custom field keys for this board.", "unknown_field_keys": ["a", "b"]}

    assert (404, no_tags) == refusal(tags)
    assert (422, no_keys) == refusal(values)


async def test_what_is_blocked_begins_in_the_inbox_with_nobody(boards):
    first = await boards.task("First")
    agent = await boards.agent()
    waits = await boards.task("Second", depends_on_task_ids=[first["id"]])
    blocked = {
        "message": "Task is blocked by incomplete dependencies.",
        "code": "task_blocked_cannot_transition",
        "blocked_by_task_ids": [first["id"]],
    }

    assert ([first["id"]], [first["id"]], True) == (
        waits["blocked_by_task_ids"], waits["blocked_by"], waits["is_blocked"],
    )  # fmt: skip
    for more in ({"status": "in_progress"}, {"assigned_agent_id": agent["id"]}):
        body = {"title": "T", "depends_on_task_ids": [first["id"]]} | more
        assert (409, blocked) == refusal(await boards.call("POST", boards.tasks, body))


async def test_a_repeated_creation_makes_one_task(boards):
    first = await boards.got("POST", boards.tasks, {"title": "T"}, **{"idempotency-key": "k"})
    again = await boards.got("POST", boards.tasks, {"title": "T"}, **{"idempotency-key": "k"})
    other = await boards.call("POST", boards.tasks, {"title": "U"}, **{"idempotency-key": "k"})

    assert first == again
    assert 1 == (await boards.got("GET", boards.tasks))["total"]
    assert 422 == refusal(other)[0]


async def test_an_unfit_idempotency_key_is_named(boards):
    answer = await boards.call("POST", boards.tasks, {"title": "T"}, **{"idempotency-key": " "})

    assert ["header", "Idempotency-Key"] == field_refusal(answer)[1]


@pytest.mark.every_store
async def test_tasks_come_newest_first_in_pages(boards):
    made = [(await boards.task(f"{n}"))["id"] for n in range(5)]
    page = await boards.got("GET", f"{boards.tasks}?limit=2&offset=1")

    assert [5, 2, 1] == [page["total"], page["limit"], page["offset"]]
    assert [made[3], made[2]] == [each["id"] for each in page["items"]]
    assert 200 == (await boards.got("GET", boards.tasks))["limit"]


@pytest.mark.every_store
async def test_a_list_goes_on_after_the_last_one_seen(boards):
    """
    By its number; the total is that of all.
    """
    made = [await boards.task(f"Task {n}") for n in range(4)]
    page = await boards.got("GET", f"{boards.tasks}?limit=2&after={made[3]['number']}")

    assert ([made[2]["id"], made[1]["id"]], 4) == ([each["id"] for each in page["items"]], page["total"])


async def test_a_list_shows_the_tasks_of_its_board_only(boards, world):
    await world.task(board=(await world.another_board()).id)

    assert 0 == (await boards.got("GET", boards.tasks))["total"]


@pytest.mark.every_store
@pytest.mark.parametrize("status", Status)
async def test_every_core_status_shows_as_one_of_four_and_is_found_by_it(boards, world, status):
    """
    What the other dialect calls otherwise is folded, and filters find it.
    """
    made = await world.task(status=status)
    for shown, behind in CORE_STATUSES.items():
        found = await boards.got("GET", f"{boards.tasks}?status={shown}")
        assert [str(made.id)] * (status in behind) == [each["id"] for each in found["items"]]
    (shown,) = (await boards.got("GET", boards.tasks))["items"]

    assert (FOLDED_STATUSES[status], status.value) == (shown["status"], shown["core_status"])
    assert (status in (Status.BACKLOG, Status.AWAITING_OWNER)) is shown["is_blocked"]
    assert [] == shown["blocked_by_task_ids"]


async def test_several_statuses_may_be_asked_for(boards):
    for status in ("inbox", "in_progress", "done"):
        await boards.task(status=status)

    assert 2 == (await boards.got("GET", f"{boards.tasks}?status=inbox,%20done,inbox"))["total"]
    assert 3 == (await boards.got("GET", f"{boards.tasks}?status="))["total"]


@pytest.mark.parametrize("status", ["assigned", "inbox,nope", "DONE", "null"])
async def test_an_unknown_status_is_refused(boards, status):
    answer = await boards.call("GET", f"{boards.tasks}?status={status}")

    assert (422, "Unsupported task status filter.") == refusal(answer)


@pytest.mark.every_store
async def test_tasks_are_filtered_by_assignee(boards):
    agent, other = await boards.agent(), await boards.agent("bob")
    mine = await boards.task(assigned_agent_id=agent["id"])
    free = await boards.task()

    for query, expected in (
        (f"assigned_agent_id={agent['id']}", [mine]),
        (f"assigned_agent_id={other['id']}", []),
        (f"assigned_agent_id={NOWHERE}", []),
        ("unassigned=true", [free]),
        ("unassigned=false", [free, mine]),
    ):
        assert expected == (await boards.got("GET", f"{boards.tasks}?{query}"))["items"], query


@pytest.mark.every_store
async def test_an_agent_sees_its_tasks_in_both_halves(boards):
    token = (await boards.agent())["agent_token"]
    await boards.task()
    path = f"/api/v1/agent/boards/{boards.board}/tasks?status=inbox&limit=10"

    listed = await boards.got("GET", path, agent=token)
    assert (1, 10) == (listed["total"], listed["limit"])
    assert listed["items"] == (await boards.got("GET", boards.tasks, agent=token))["items"]


async def test_a_name_that_nobody_registered_is_shown_beside_the_id(boards, world):
    await world.task(assignee="ghost")
    (shown,) = (await boards.got("GET", boards.tasks))["items"]

    assert (None, "ghost", "assigned") == (shown["assigned_agent_id"], shown["assignee"], shown["core_status"])


async def test_what_was_made_elsewhere_names_no_user(boards, world):
    await world.task()
    (shown,) = (await boards.got("GET", boards.tasks))["items"]

    assert shown["created_by_user_id"] is None


@pytest.mark.every_store
async def test_a_task_is_removed(boards):
    first = await boards.task("First")
    second = await boards.task("Second", depends_on_task_ids=[first["id"]])
    assert {"ok": True} == await boards.got("DELETE", f"{boards.tasks}/{first['id']}")
    listed = (await boards.got("GET", boards.tasks))["items"]

    assert [(second["id"], [], False)] == [
        (each["id"], each["depends_on_task_ids"], each["is_blocked"]) for each in listed
    ]
    assert (404, "Not Found") == refusal(await boards.call("DELETE", f"{boards.tasks}/{first['id']}"))


async def test_a_task_at_another_version_is_not_removed(boards):
    task = await boards.task()
    path = f"{boards.tasks}/{task['id']}"

    assert 412 == refusal(await boards.call("DELETE", path, **{"if-match": '"3"'}))[0]
    assert {"ok": True} == await boards.got("DELETE", path, **{"if-match": '"0"'})


async def test_agents_do_not_remove_or_make_tasks_through_the_users_paths(boards):
    token = (await boards.agent())["agent_token"]
    task = await boards.task()

    assert 401 == (await boards.call("DELETE", f"{boards.tasks}/{task['id']}", agent=token, user=None)).status
    assert 401 == (await boards.call("POST", boards.tasks, {"title": "T"}, agent=token, user=None)).status


def test_the_fold_covers_every_status():
    """
    Every core status shows as something, and every shown status has its namesake behind it.
    """
    assert set(Status) == set(FOLDED_STATUSES)
    assert all(Status(shown) in behind for shown, behind in CORE_STATUSES.items())


@pytest.mark.every_store
async def test_an_answer_to_a_write_shows_what_a_list_shows(boards, world):
    """
    Answers are made of what was written; whoever reads it back sees no difference.
    """
    agent = await boards.agent()
    path = f"{boards.tasks}/{(await boards.task(description='d', due_at='2031-01-01T00:00:00.5'))['id']}"
    steps = [
        ("PATCH", path, {"assigned_agent_id": agent["id"], "not_before": "2029-01-01"}),
        ("PATCH", path, {"title": "New"}),
        ("POST", f"{path}/claim", {"agent": "ada"}),
        ("POST", f"{path}/orders", {"kind": "steal", "to": "ada"}),
        ("POST", f"{path}/claim", {"agent": "ada"}),
        ("POST", f"{path}/fail", {"reason": "impossible"}),
        ("PATCH", path, {"status": "inbox"}),
        ("POST", f"{path}/claim", {"agent": "ada"}),
        ("POST", f"{path}/release", {"note": "n"}),
        ("POST", f"{path}/claim", {"agent": "ada"}),
        ("POST", f"{path}/complete", {"output": {"a": [1.5]}, "resolution": "r"}),
        ("PATCH", path, {"description": None}),
    ]
    lease = ""
    for method, place, body in steps:
        answer = await boards.got(method, place, body | {"lease": lease})
        lease = (answer.get("lease") or {}).get("lease", lease)
        (shown,) = (await boards.got("GET", boards.tasks))["items"]
        assert shown == answer.get("task", answer), (method, place, body)
