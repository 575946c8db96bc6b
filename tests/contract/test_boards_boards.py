"""
Boards in the Boards API.
"""

import pytest

from mission_core.accounts.organizations import built_in_gateway
from mission_core.tasks.use_cases import CreateTask, create_task
from mission_http.boards.payloads import BoardRead
from tests.contract.boards_driver import field_refusal, refusal
from tests.contract.boards_examples import NEW, OTHER, names_of


async def test_a_new_board_has_the_documented_defaults(boards, clock, world):
    made = await boards.got("POST", "/api/v1/boards", NEW)
    now = clock.now().replace(tzinfo=None).isoformat()
    expected = {
        "organization_id": str(world.me.organization),
        "name": "Launch",
        "slug": "launch",
        "description": "Ship the thing",
        "gateway_id": str(built_in_gateway(world.me.organization)),
        "board_group_id": None,
        "board_type": "goal",
        "objective": None,
        "success_metrics": None,
        "target_date": None,
        "goal_confirmed": False,
        "goal_source": None,
        "require_approval_for_done": True,
        "require_review_before_done": False,
        "comment_required_for_review": False,
        "block_status_changes_with_pending_approval": False,
        "only_lead_can_change_status": False,
        "max_agents": 1,
        "created_at": now,
        "updated_at": now,
        "ticket_prefix": "LAUNC",
        "version": 0,
    }

    assert names_of(BoardRead) == made.keys()
    assert expected == {name: made[name] for name in expected}


async def test_a_board_is_kept_as_it_was_made(boards, world):
    sent = NEW | {
        "gateway_id": str(built_in_gateway(world.me.organization)).upper(),
        "board_type": "goal",
        "objective": "Be first",
        "success_metrics": {"users": [1, {"deep": None}]},
        "target_date": "2027-01-02T03:04:05.678+02:00",
        "goal_confirmed": "yes",
        "goal_source": "me",
        "require_approval_for_done": 0,
        "require_review_before_done": True,
        "comment_required_for_review": "on",
        "block_status_changes_with_pending_approval": 1,
        "only_lead_can_change_status": "true",
        "max_agents": "7",
        "unknown": "ignored",
    }
    made = await boards.call("POST", "/api/v1/boards", sent)
    read = await boards.call("GET", f"/api/v1/boards/{made.json['id']}")

    assert made.json == read.json
    assert '"0"' == made.headers["etag"] == read.headers["etag"]
    assert {"users": [1, {"deep": None}]} == read.json["success_metrics"]
    assert "2027-01-02T01:04:05.678000" == read.json["target_date"]
    assert (True, False, True, 7) == tuple(
        read.json[name]
        for name in ("goal_confirmed", "require_approval_for_done", "comment_required_for_review", "max_agents")
    )


@pytest.mark.parametrize("moment", ["2027-05-05", 1809475200, 1809475200000, "2027-05-05T00:00:00"])
async def test_moments_are_read_in_their_usual_spellings(boards, moment):
    made = await boards.got("POST", "/api/v1/boards", NEW | {"target_date": moment})

    assert "2027-05-05T00:00:00" == made["target_date"]


@pytest.mark.parametrize(
    ("change", "kind", "loc", "said"),
    [
        ({"name": None}, "string_type", ["body", "name"], "Input should be a valid string"),
        ({"slug": 3}, "string_type", ["body", "slug"], "Input should be a valid string"),
        ({"description": " "}, "value_error", ["body"], "Value error, description is required"),
        (
            {"max_agents": -1},
            "greater_than_equal",
            ["body", "max_agents"],
            "Input should be greater than or equal to 0",
        ),
        ({"max_agents": 1.5}, "int_from_float", ["body", "max_agents"], None),
        ({"goal_confirmed": "maybe"}, "bool_parsing", ["body", "goal_confirmed"], None),
        ({"success_metrics": [1]}, "dict_type", ["body", "success_metrics"], "Input should be a valid dictionary"),
        ({"gateway_id": "x"}, "uuid_parsing", ["body", "gateway_id"], None),
        ({"target_date": "soon"}, None, ["body", "target_date"], None),
        ({"success_metrics": {"a": "\x00"}}, "value_error", ["body", "success_metrics"], None),
        ({"name": "n" * 201}, "value_error", ["body", "name"], None),
        (
            {"goal_confirmed": True},
            "value_error",
            ["body"],
            "Value error, Confirmed goal boards require objective and success_metrics",
        ),
        (
            {"goal_confirmed": True, "objective": "o", "success_metrics": {}},
            "value_error",
            ["body"],
            "Value error, Confirmed goal boards require objective and success_metrics",
        ),
    ],
)
async def test_a_wrong_field_is_named(boards, change, kind, loc, said):
    found = field_refusal(await boards.call("POST", "/api/v1/boards", NEW | change))

    assert (kind or found[0], loc, said or found[2]) == found


async def test_every_missing_field_is_named(boards):
    answer = await boards.call("POST", "/api/v1/boards", {})

    assert [["body", "name"], ["body", "slug"], ["body", "description"]] == [
        each["loc"] for each in answer.json["detail"]
    ]
    assert {"missing"} == {each["type"] for each in answer.json["detail"]}


async def test_a_confirmed_board_of_another_type_needs_no_goal(boards):
    assert (await boards.got("POST", "/api/v1/boards", NEW | {"goal_confirmed": True, "board_type": "general"}))["id"]


@pytest.mark.parametrize(
    ("change", "said"),
    [({"gateway_id": OTHER}, "gateway_id is invalid"), ({"board_group_id": OTHER}, "board_group_id is invalid")],
)
async def test_what_the_organization_does_not_have_is_refused(boards, change, said):
    made = await boards.got("POST", "/api/v1/boards", NEW)

    assert (422, said) == refusal(await boards.call("POST", "/api/v1/boards", NEW | change))
    assert (422, said) == refusal(await boards.call("PATCH", f"/api/v1/boards/{made['id']}", change))


async def test_names_may_be_empty_and_slugs_may_repeat(boards):
    first = await boards.got("POST", "/api/v1/boards", NEW | {"name": "", "slug": ""})
    second = await boards.got("POST", "/api/v1/boards", NEW | {"name": "", "slug": ""})

    assert ("", "") == (first["slug"], second["slug"])
    assert first["id"] != second["id"]


@pytest.mark.every_store
async def test_boards_come_by_name_and_then_newest_first(boards):
    made = [await boards.got("POST", "/api/v1/boards", NEW | {"name": name}) for name in ("beta", "Alpha", "BETA")]
    listed = await boards.got("GET", "/api/v1/boards?limit=3&offset=0")

    assert {"items", "total", "limit", "offset"} == listed.keys()
    assert [4, 3, 0] == [listed["total"], listed["limit"], listed["offset"]]
    assert [made[1]["id"], made[2]["id"], made[0]["id"]] == [each["id"] for each in listed["items"]]
    assert [] == (await boards.got("GET", "/api/v1/boards?offset=50"))["items"]


@pytest.mark.every_store
async def test_boards_are_filtered_by_gateway_and_group(boards, world):
    own = built_in_gateway(world.me.organization)
    totals = [
        (await boards.got("GET", f"/api/v1/boards?{query}"))["total"]
        for query in (f"gateway_id={own}", f"gateway_id={OTHER}", f"board_group_id={OTHER}")
    ]

    assert [1, 0, 0] == totals


@pytest.mark.parametrize(
    ("query", "kind", "name"),
    [
        ("limit=0", "greater_than_equal", "limit"),
        ("limit=201", "less_than_equal", "limit"),
        ("limit=many", "int_parsing", "limit"),
        ("offset=-1", "greater_than_equal", "offset"),
        ("gateway_id=x", "uuid_parsing", "gateway_id"),
    ],
)
async def test_a_wrong_parameter_is_named(boards, query, kind, name):
    found = field_refusal(await boards.call("GET", f"/api/v1/boards?{query}"))

    assert (kind, ["query", name]) == found[:2]


@pytest.mark.every_store
async def test_an_update_changes_what_it_names(boards, clock):
    made = await boards.got("POST", "/api/v1/boards", NEW | {"objective": "o"})
    clock.advance(seconds=5)
    path = f"/api/v1/boards/{made['id']}"
    changed = await boards.got(
        "PATCH", path, {"name": "Landing", "objective": None, "require_approval_for_done": False}
    )
    now = clock.now().replace(tzinfo=None).isoformat()
    expected = {
        "name": "Landing", "objective": None, "require_approval_for_done": False, "updated_at": now, "version": 1,
    }  # fmt: skip

    assert made | expected == changed == await boards.got("GET", path)


@pytest.mark.every_store
async def test_a_board_goes_with_its_tasks_and_agents(boards):
    made = await boards.got("POST", "/api/v1/boards", NEW)
    path = f"/api/v1/boards/{made['id']}"
    task = await boards.got("POST", f"{path}/tasks", {"title": "t"})
    agent = await boards.agent("bob", board_id=made["id"])
    stale = await boards.call("DELETE", path, **{"if-match": '"7"'})

    assert 412 == refusal(stale)[0]
    assert {"ok": True} == await boards.got("DELETE", path)
    assert 404 == (await boards.call("GET", path)).status
    assert 404 == (await boards.call("PATCH", f"{path}/tasks/{task['id']}", {})).status
    assert 404 == (await boards.call("GET", f"/api/v1/agents/{agent['id']}")).status
    assert 401 == (await boards.call("GET", "/api/v1/agent/healthz", agent=agent["agent_token"])).status
    assert (404, "Not Found") == refusal(await boards.call("DELETE", path))


async def test_the_general_board_cannot_be_removed(boards):
    """
    It is listed once there is work on it.
    """
    shown = [each["slug"] for each in (await boards.got("GET", "/api/v1/boards"))["items"]]
    await create_task(boards.ports, boards.me, CreateTask(title="Unsorted"))
    listed = await boards.got("GET", "/api/v1/boards")
    (general,) = [each for each in listed["items"] if each["slug"] == "general"]
    status, why = refusal(await boards.call("DELETE", f"/api/v1/boards/{general['id']}"))

    assert "general" not in shown

    assert (422, "the general board cannot be deleted: it takes the tasks that name no board") == (status, why)


async def test_boards_are_not_removed_by_who_may_not_write_them(boards):
    path = f"/api/v1/boards/{boards.board}"
    agent = await boards.agent("bob")

    assert 401 == refusal(await boards.call("DELETE", path, agent=agent["agent_token"], user=None))[0]
    assert 401 == refusal(await boards.call("DELETE", path, user=None))[0]
    assert "uuid_parsing" == field_refusal(await boards.call("DELETE", "/api/v1/boards/x"))[0]


async def test_an_update_that_changes_nothing_leaves_the_board_as_it_was(boards, clock):
    made = await boards.got("POST", "/api/v1/boards", NEW)
    clock.advance(seconds=5)

    for body in ({}, {"name": made["name"], "description": made["description"]}):
        assert made == await boards.got("PATCH", f"/api/v1/boards/{made['id']}", body)


@pytest.mark.parametrize(
    ("change", "loc", "said"),
    [
        ({"gateway_id": None}, ["body"], "Value error, gateway_id is required"),
        ({"description": None}, ["body"], "Value error, description is required"),
        ({"description": "  "}, ["body"], "Value error, description is required"),
        ({"name": None}, ["body", "name"], "Input should be a valid string"),
        ({"require_approval_for_done": None}, ["body", "require_approval_for_done"], None),
        ({"max_agents": None}, ["body", "max_agents"], None),
        ({"board_type": None}, ["body", "board_type"], None),
        ({"max_agents": -1}, ["body", "max_agents"], "Input should be greater than or equal to 0"),
    ],
)
async def test_null_is_refused_where_it_means_nothing(boards, change, loc, said):
    found = field_refusal(await boards.call("PATCH", f"/api/v1/boards/{boards.board}", change))

    assert (loc, said or found[2]) == found[1:]


@pytest.mark.every_store
async def test_a_board_becomes_a_goal_board_with_a_goal_only(boards):
    path = f"/api/v1/boards/{boards.board}"
    without = await boards.call("PATCH", path, {"board_type": "goal"})
    goal = {"board_type": "goal", "objective": "o", "success_metrics": {"m": 1}}

    assert (422, "Goal boards require objective and success_metrics") == refusal(without)
    assert "o" == (await boards.got("PATCH", path, goal))["objective"]


async def test_an_update_of_another_version_is_refused(boards):
    path = f"/api/v1/boards/{boards.board}"
    stale = await boards.call("PATCH", path, {"name": "N"}, **{"if-match": '"7"'})
    fresh = await boards.call("PATCH", path, {"name": "N"}, **{"if-match": '"0"'})

    assert 412 == refusal(stale)[0]
    assert (200, '"1"') == (fresh.status, fresh.headers["etag"])


async def test_a_repeated_creation_makes_one_board(boards):
    first = await boards.got("POST", "/api/v1/boards", NEW, **{"idempotency-key": "k"})
    again = await boards.got("POST", "/api/v1/boards", NEW, **{"idempotency-key": "k"})
    other = await boards.call("POST", "/api/v1/boards", NEW | {"name": "Else"}, **{"idempotency-key": "k"})

    assert first == again
    assert 422 == refusal(other)[0]
