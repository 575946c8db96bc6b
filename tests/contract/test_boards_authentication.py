"""
Who may call the Boards API, and how it refuses.
"""

import pytest
from attrs import evolve

from mission_core.accounts.model import Role
from mission_core.boards.use_cases import CreateBoard, create_board
from mission_core.errors import StoreFailed
from tests.contract.boards_driver import TOKEN, boards_over, field_refusal, refusal

NOWHERE = "0195a000-0000-7000-8000-000000000000"


@pytest.mark.parametrize("path", ["/health", "/healthz", "/readyz"])
async def test_health_needs_no_credentials(boards, path):
    assert {"ok": True} == await boards.got("GET", path, user=None)


async def test_readiness_asks_the_store(boards, caplog):
    """
    What keeps it from working is told to whoever asks, and to the log.
    """

    class Gone:
        async def ready(self):
            raise StoreFailed("the disk is full")

    app = boards.app
    app._ports = evolve(app.ports, reads=Gone())
    status, detail = refusal(await boards.call("GET", "/readyz"))

    assert 503 == status
    assert "the disk is full" in detail
    assert [("ERROR", True)] == [(each.levelname, "the disk is full" in each.message) for each in caplog.records]
    assert 200 == (await boards.call("GET", "/healthz")).status


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN, "Bearer tökén", "Bearer " + "x" * 5000],
)
async def test_a_wrong_token_is_refused(boards, authorization):
    answer = await boards.call("GET", "/api/v1/boards", authorization=authorization)

    assert (401, "Unauthorized") == refusal(answer)


async def test_no_token_is_refused(boards):
    """
    The challenge names an error only where a credential came.
    """
    for path, agent, wrong in (("boards", None, False), ("agent/boards", None, False), ("agent/boards", "x", True)):
        answer = await boards.call("GET", f"/api/v1/{path}", user=None, agent=agent)

        assert (401, "Unauthorized") == refusal(answer)
        assert answer.headers["www-authenticate"].startswith('Bearer realm="Mission Control"')
        assert wrong is ('error="invalid_token"' in answer.headers["www-authenticate"])


@pytest.mark.parametrize(
    ("path", "header"), [("/api/v1/boards", "Authorization: Bearer"), ("/api/v1/agent/boards", "X-Agent-Token")]
)
async def test_who_is_refused_is_told_what_is_read(boards, path, header):
    """
    And whether it was that which came.
    """
    missing = await boards.call("GET", path, user=None, **{"x-api-key": TOKEN})
    wrong = await boards.call("GET", path, user=None, authorization="Bearer wrong")

    assert header in missing.json["hint"]
    assert header in wrong.json["hint"]
    assert missing.json["hint"].startswith("the request has no credential")
    assert wrong.json["hint"].startswith("the credential is unknown")


@pytest.mark.parametrize("authorization", [f"bearer {TOKEN}", f"  BEARER   {TOKEN}  "])
async def test_the_scheme_may_be_spelled_and_spaced_at_will(boards, authorization):
    assert 200 == (await boards.call("GET", "/api/v1/boards", authorization=authorization)).status


async def test_an_agent_may_not_use_what_is_for_users(boards):
    token = (await boards.agent())["agent_token"]

    for headers in ({"x-agent-token": token}, {"authorization": f"Bearer {token}"}):
        answer = await boards.call("GET", "/api/v1/boards", user=None, **headers)
        assert (401, "Unauthorized") == refusal(answer)


async def test_a_user_may_not_use_what_is_for_agents(boards):
    assert (401, "Unauthorized") == refusal(await boards.call("GET", "/api/v1/agent/boards"))


async def test_an_agents_token_may_come_as_a_bearer_token(boards):
    token = (await boards.agent())["agent_token"]

    for path in ("/api/v1/agent/healthz", boards.tasks):
        assert 200 == (await boards.call("GET", path, authorization=f"Bearer {token}")).status


async def test_an_agent_token_that_is_there_is_the_only_one_looked_at(boards):
    answer = await boards.call("GET", boards.tasks, authorization=f"Bearer {TOKEN}", agent="wrong")

    assert (401, "Unauthorized") == refusal(answer)


async def test_a_blank_agent_token_is_none(boards):
    assert 200 == (await boards.call("GET", boards.tasks, authorization=f"Bearer {TOKEN}", agent=" ")).status


async def test_an_agent_token_beside_a_users_counts_for_nothing_where_only_users_call(boards):
    assert 200 == (await boards.call("GET", "/api/v1/boards", authorization=f"Bearer {TOKEN}", agent="wrong")).status


async def test_malformed_json_is_refused_before_the_caller_is_looked_at(boards):
    answer = await boards.call("POST", boards.tasks, raw=b'{"title": ', user=None)
    kind, loc, said = field_refusal(answer)

    assert ("json_invalid", "body", "JSON decode error") == (kind, loc[0], said)
    assert {} == answer.json["detail"][0]["input"]


async def test_the_caller_goes_before_wrong_fields(boards):
    assert 401 == (await boards.call("POST", boards.tasks, {"title": 1}, user=None)).status


async def test_the_board_goes_before_wrong_fields(boards):
    path = f"/api/v1/boards/{NOWHERE}/tasks"

    assert (404, "Not Found") == refusal(await boards.call("POST", path, {"title": 1}))


async def test_the_task_goes_before_wrong_fields(boards):
    answer = await boards.call("PATCH", f"{boards.tasks}/{NOWHERE}", {"title": 1})

    assert (404, "Not Found") == refusal(answer)


async def test_a_body_must_be_there(boards):
    assert ("missing", ["body"], "Field required") == field_refusal(await boards.call("POST", boards.tasks))


async def test_a_body_must_be_an_object(boards):
    kind, loc, _ = field_refusal(await boards.call("POST", boards.tasks, [1]))

    assert ("model_attributes_type", ["body"]) == (kind, loc)


async def test_another_content_type_is_taken_for_text(boards):
    answer = await boards.call("POST", boards.tasks, {"title": "T"}, **{"content-type": "text/plain"})

    assert "model_attributes_type" == field_refusal(answer)[0]
    assert "Content-Type: application/json" in answer.json["hint"]


async def test_what_is_wrong_with_a_field_needs_no_hint(boards):
    """
    The detail tells it.
    """
    assert {"detail", "request_id"} == (await boards.call("POST", boards.tasks, {"title": 1})).json.keys()


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", "application/x+json", ""])
async def test_json_may_come_under_its_usual_types(boards, kind):
    assert 200 == (await boards.call("POST", boards.tasks, {"title": "T"}, **{"content-type": kind})).status


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("GET", "/api/v1/boards/nope", "board_id"),
        ("PATCH", "/api/v1/boards/nope", "board_id"),
        ("GET", "/api/v1/boards/nope/tasks", "board_id"),
        ("POST", "/api/v1/boards/nope/tasks", "board_id"),
        ("DELETE", "/api/v1/boards/{board}/tasks/nope", "task_id"),
        ("PATCH", "/api/v1/boards/{board}/tasks/nope", "task_id"),
        ("GET", "/api/v1/boards/{board}/tasks/nope/runs", "task_id"),
    ],
)
async def test_a_malformed_id_in_the_path_is_named(boards, method, path, name):
    kind, loc, said = field_refusal(await boards.call(method, path.format(board=boards.board), {}))

    assert ("uuid_parsing", ["path", name]) == (kind, loc)
    assert said.startswith("Input should be a valid UUID, ")


@pytest.mark.parametrize("spelling", ["{}", "urn:uuid:{}", "{{{}}}"])
async def test_ids_may_be_spelled_in_any_usual_way(boards, spelling):
    path = f"/api/v1/boards/{spelling.format(str(boards.board).upper())}"

    assert str(boards.board) == (await boards.got("GET", path))["id"]


async def test_what_there_is_not_is_not_found(boards):
    assert (404, "Not Found") == refusal(await boards.call("GET", "/api/v1/nothing"))


@pytest.mark.parametrize("method", ["OPTIONS", "PUT"])
async def test_another_method_is_refused_with_the_ones_there_are(boards, method):
    answer = await boards.call(method, "/api/v1/boards")

    assert (405, "GET, HEAD, POST") == (answer.status, answer.headers["allow"])


async def test_a_single_task_cannot_be_read(boards):
    task = await boards.task()

    assert (405, "Method Not Allowed") == refusal(await boards.call("GET", f"{boards.tasks}/{task['id']}"))


async def test_a_trailing_slash_leads_to_the_path_without(boards):
    answer = await boards.call("GET", "/api/v1/boards/")

    assert (308, "/api/v1/boards") == (answer.status, answer.headers["location"])


async def test_a_sent_request_id_comes_back(boards):
    answer = await boards.call("GET", "/api/v1/boards", user=None, **{"x-request-id": "mine"})

    assert ("mine", "mine") == (answer.headers["x-request-id"], answer.json["request_id"])


async def test_another_organizations_rows_are_not_there(boards, elsewhere):
    theirs = elsewhere.board.id
    task = await elsewhere.task()

    for method, path in (
        ("GET", f"/api/v1/boards/{theirs}"),
        ("GET", f"/api/v1/boards/{theirs}/tasks"),
        ("PATCH", f"/api/v1/boards/{theirs}"),
        ("POST", f"/api/v1/boards/{theirs}/tasks"),
        ("PATCH", f"/api/v1/boards/{theirs}/tasks/{task.id}"),
        ("DELETE", f"/api/v1/boards/{theirs}/tasks/{task.id}"),
        ("DELETE", f"{boards.tasks}/{task.id}"),
        ("POST", f"{boards.tasks}/{task.id}/claim"),
        ("GET", f"{boards.tasks}/{task.id}/explain"),
        ("GET", f"{boards.tasks}/{task.id}/runs"),
    ):
        body = None if method == "GET" else {"title": "T", "agent": "ada"}
        assert (404, "Not Found") == refusal(await boards.call(method, path, body)), path


async def test_an_agent_is_confined_to_its_board(boards, world):
    other = await world.another_board()
    theirs = await world.task(board=other.id)
    token = (await boards.agent())["agent_token"]

    for method, path in (
        ("GET", f"/api/v1/agent/boards/{other.id}"),
        ("GET", f"/api/v1/agent/boards/{other.id}/tasks"),
        ("GET", f"/api/v1/boards/{other.id}/tasks"),
        ("POST", f"/api/v1/agent/boards/{other.id}/tasks/claim"),
        ("POST", f"/api/v1/boards/{other.id}/tasks/{theirs.id}/claim"),
        ("GET", f"/api/v1/agent/boards/{other.id}/tasks/{theirs.id}/explain"),
        ("GET", f"/api/v1/agent/boards/{other.id}/tasks/{theirs.id}/runs"),
        ("POST", f"/api/v1/agent/boards/{other.id}/tasks/{theirs.id}/complete"),
    ):
        body = None if method == "GET" else {"lease": "x"}
        assert (403, "Forbidden") == refusal(await boards.call(method, path, body, agent=token)), path

    mine = f"{boards.agent_tasks}/{theirs.id}"
    assert (404, "Not Found") == refusal(await boards.call("POST", f"{mine}/claim", {}, agent=token))
    assert (404, "Not Found") == refusal(await boards.call("GET", f"{mine}/explain", agent=token))


async def test_a_task_of_another_board_is_not_on_this_one(boards, world):
    other = await world.another_board()
    theirs = await world.task(board=other.id)

    for method, path, body in (
        ("PATCH", "", {"title": "T"}),
        ("DELETE", "", None),
        ("POST", "/claim", {"agent": "ada"}),
        ("GET", "/explain", None),
        ("GET", "/runs", None),
    ):
        answer = await boards.call(method, f"{boards.tasks}/{theirs.id}{path}", body)
        assert (404, "Not Found") == refusal(answer), path


@pytest.mark.every_store
async def test_an_agent_without_a_board_sees_every_board(boards, world):
    other = await world.another_board()
    token = await boards.main()

    assert [] == (await boards.got("GET", f"/api/v1/agent/boards/{other.id}/tasks", agent=token))["items"]
    names = [each["name"] for each in (await boards.got("GET", "/api/v1/agent/boards", agent=token))["items"]]
    assert ["Other", "Work"] == names  # the general board is empty


async def test_a_user_that_may_only_look_cannot_write(world):
    lower = evolve(world.me, role=Role.VIEWER)

    async with boards_over(world.ports, lower, world.board.id) as boards:
        board = {"name": "N", "slug": "n", "description": "d"}
        assert (403, "Forbidden") == refusal(await boards.call("POST", "/api/v1/boards", board))
        assert (403, "Forbidden") == refusal(await boards.call("GET", "/api/v1/agents"))
        for method, path, body in (
            ("POST", boards.tasks, {"title": "T"}),
            ("PATCH", f"/api/v1/boards/{boards.board}", {"name": "N"}),
            ("POST", f"{boards.tasks}/claim", {"agent": "ada"}),
        ):
            assert (403, "Board access denied") == refusal(await boards.call(method, path, body)), path
        assert 200 == (await boards.call("GET", boards.tasks)).status


async def test_only_an_admin_records_finished_work(world):
    lower = evolve(world.me, role=Role.OPERATOR)

    async with boards_over(world.ports, lower, world.board.id) as boards:
        status, detail = refusal(await boards.call("POST", boards.tasks, {"title": "T", "status": "done"}))

    assert 403 == status
    assert "admin" in detail


async def test_a_request_of_an_agent_is_a_sign_of_life(boards, clock):
    made = await boards.agent()
    await boards.got("GET", "/api/v1/agent/boards", agent=made["agent_token"])
    (shown,) = [each for each in (await boards.got("GET", "/api/v1/agents"))["items"] if each["id"] == made["id"]]

    assert ("online", clock.now().replace(tzinfo=None).isoformat()) == (shown["status"], shown["last_seen_at"])


async def test_secrets_of_other_organizations_show_nothing_here(boards, elsewhere):
    made = await create_board(elsewhere.ports, elsewhere.me, CreateBoard(name="Theirs"))
    names = [each["id"] for each in (await boards.got("GET", "/api/v1/boards"))["items"]]

    assert str(made.id) not in names
