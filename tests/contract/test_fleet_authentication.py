"""
Who may call the Fleet API, and what every answer carries.
"""

import pytest

from tests.contract.conftest import World
from tests.contract.fleet_driver import KEY, FleetDriver, refusal

BEARER = 'Bearer realm="Mission Control"'
SHAPED = ("mc_" + "a" * 48, "MCA_" + "F" * 48, "x" * 43, "mca_" + "0" * 48)


@pytest.mark.parametrize("key", [None, "", "  ", "short", "mc_" + "g" * 48, "x" * 44, "x" * 600])
async def test_what_does_not_look_like_a_key_is_unauthorized(fleet: FleetDriver, key: str | None) -> None:
    for method, path in (("GET", "/tasks"), ("GET", "/nothing"), ("POST", "/agents"), ("GET", "/status")):
        answer = await fleet.call(method, path, key=key)
        assert (401, "Unauthorized") == refusal(answer), path
        assert BEARER == answer.headers["www-authenticate"]


@pytest.mark.parametrize("key", SHAPED)
async def test_a_key_that_nobody_has_needs_authentication(fleet: FleetDriver, key: str) -> None:
    answer = await fleet.call("GET", "/tasks", key=key)

    assert (401, "Authentication required") == refusal(answer)
    assert BEARER == answer.headers["www-authenticate"]


async def test_a_refused_sign_in_has_a_challenge_that_makes_no_browser_ask(fleet: FleetDriver) -> None:
    """
    It is none of the schemes for which a browser opens a window of its own.
    """
    answer = await fleet.call("POST", "/auth/login", {"username": "nobody", "password": "x"}, key=None)

    assert (401, BEARER) == (answer.status, answer.headers["www-authenticate"])


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "ApiKey", "TOKEN"])
async def test_a_key_may_come_as_authorization(fleet: FleetDriver, scheme: str) -> None:
    _, token = await fleet.agent()

    for secret in (KEY, token):
        answer = await fleet.call("GET", "/tasks", key=None, authorization=f"{scheme} {secret}")
        assert 200 == answer.status


async def test_x_api_key_wins(fleet: FleetDriver) -> None:
    answer = await fleet.call("GET", "/tasks", key="nonsense", authorization=f"Bearer {KEY}")

    assert (401, "Unauthorized") == refusal(answer)
    assert 401 == (await fleet.call("GET", "/tasks", key=None, authorization=f"Basic {KEY}")).status


async def test_an_agents_key_must_agree_with_the_name_beside_it(fleet: FleetDriver) -> None:
    _, token = await fleet.agent("Ada")
    _, foreign = await fleet.agent("Zoë")
    admin = await fleet.key("Ada", "admin")

    assert 200 == (await fleet.call("GET", "/tasks", key=token, x_agent_name="ADA")).status
    assert 200 == (await fleet.call("GET", "/tasks", key=admin, x_agent_name="bob")).status
    answer = await fleet.call("GET", "/tasks", key=token, x_agent_name="bob")
    assert (401, "Authentication required") == refusal(answer)
    name = "Zoë".encode().decode("latin-1")
    assert 200 == (await fleet.call("GET", "/tasks", key=foreign, x_agent_name=name)).status


async def test_a_name_beside_the_global_key_is_no_identity(fleet: FleetDriver) -> None:
    task = await fleet.task(assigned_to="bob")
    answer = await fleet.call("GET", f"/tasks/{task['id']}", x_agent_name="ada")

    assert 200 == answer.status


async def test_a_role_is_checked_before_the_body(fleet: FleetDriver) -> None:
    await fleet.agent("ada")
    viewer = await fleet.key("ada", "viewer")

    for method, path in (
        ("POST", "/tasks"), ("PUT", "/tasks/x"), ("DELETE", "/tasks/x"), ("POST", "/agents"), ("POST", "/projects"),
        ("PATCH", "/projects/x"), ("POST", "/agents/ada/heartbeat"), ("POST", "/tasks/1/complete"),
    ):  # fmt: skip
        answer = await fleet.call(method, path, raw=b"{", key=viewer)
        assert (403, "Requires operator role or higher") == refusal(answer), path


async def test_a_viewer_may_look(fleet: FleetDriver) -> None:
    await fleet.agent("ada")
    viewer = await fleet.key("ada", "viewer")
    task = await fleet.task(assigned_to="ada")

    for path in (
        "/tasks", f"/tasks/{task['id']}", f"/tasks/{task['id']}/runs", "/agents", "/agents/ada", "/projects",
        f"/projects/{fleet.project}", "/agents/ada/heartbeat", "/status",
    ):  # fmt: skip
        assert 200 == (await fleet.call("GET", path, key=viewer)).status, path


async def test_an_agent_of_a_board_sees_that_board_alone(fleet: FleetDriver, world: World) -> None:
    token = await _board_agent(world)
    here, there = await fleet.task(assigned_to="lea"), await fleet.task(assigned_to="lea", project_id=999_999)

    assert [here["id"]] == [task["id"] for task in (await fleet.got("GET", "/tasks", key=token))["tasks"]]
    answer = await fleet.call("GET", f"/tasks/{there['id']}", key=token)
    assert (403, "Project access denied") == refusal(answer)


async def _board_agent(world: World) -> str:
    from mission_core.agents.use_cases import CreateAgent, create_agent

    made = await create_agent(world.ports, world.me, CreateAgent(name="lea", board=world.board.id))
    assert made.token is not None
    return made.token


async def test_an_unknown_path_is_not_found(fleet: FleetDriver) -> None:
    for path in ("/nothing", "/tasks/1/nothing", "/nothing/"):
        assert (404, "Not found") == refusal(await fleet.call("GET", path)), path


async def test_a_method_that_is_not_there_is_refused_with_an_empty_body(fleet: FleetDriver) -> None:
    answer = await fleet.call("PATCH", "/tasks")

    assert (405, b"", "GET, HEAD, OPTIONS, POST, PUT") == (answer.status, answer.body, answer.headers["allow"])


async def test_options_tell_the_methods(fleet: FleetDriver) -> None:
    answer = await fleet.call("OPTIONS", "/tasks")

    assert (204, "GET, HEAD, OPTIONS, POST, PUT") == (answer.status, answer.headers["allow"])
    assert 204 == (await fleet.call("OPTIONS", "/health", key=None)).status


async def test_head_follows_get(fleet: FleetDriver) -> None:
    got, head = await fleet.call("GET", "/tasks"), await fleet.call("HEAD", "/tasks")

    assert (200, b"") == (head.status, head.body)
    assert got.headers["content-length"] == head.headers["content-length"]


async def test_every_answer_carries_an_id_and_security_headers(fleet: FleetDriver) -> None:
    for answer in (
        await fleet.call("GET", "/tasks", x_request_id="mine"),
        await fleet.call("GET", "/nothing", key=None, x_request_id="mine"),
    ):
        expected = {
            "x-request-id": "mine", "x-content-type-options": "nosniff", "x-frame-options": "DENY",
            "referrer-policy": "strict-origin-when-cross-origin",
            "permissions-policy": "camera=(), microphone=(), geolocation=()",
        }  # fmt: skip
        assert expected == {name: answer.headers[name] for name in expected}
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


async def test_a_body_that_is_too_long_is_refused(fleet: FleetDriver) -> None:
    assert 413 == (await fleet.call("POST", "/tasks", raw=b'"' + b"x" * 2_000_000 + b'"')).status


async def test_a_sign_of_life_is_any_request_of_an_agent(fleet: FleetDriver) -> None:
    _, token = await fleet.agent("ada")
    await fleet.got("GET", "/tasks", key=token)

    assert "online" == (await fleet.got("GET", "/agents/ada"))["agent"]["status"]
