"""
Agents of the Fleet API: making, registering, listing, reading and hearing them.
"""

from typing import Any

import pytest

from mission_adapters.testing import ManualClock
from mission_core.agents.use_cases import CreateAgent, create_agent, secret_digest
from tests.contract.conftest import World
from tests.contract.fleet_driver import KEY, FleetDriver, refusal, without, wrong_fields

OWN_AGENT = "Access denied: agent key may only access its own agent."
NOTHING = {"total": 0, "assigned": 0, "in_progress": 0, "quality_review": 0, "done": 0, "completed": 0}


async def test_a_made_agent_reads_back_as_it_was_answered(fleet: FleetDriver) -> None:
    made, _ = await fleet.agent(config={"a": [1]}, session_key="s", soul_content="soul", runtime_type="claude")
    answer = await fleet.call("GET", f"/agents/{made['id']}")

    assert NOTHING == made["taskStats"]
    assert {"agent": without(made, "taskStats")} == answer.json
    assert f'"{made["version"]}"' == answer.headers["etag"]


async def test_an_agent_has_defaults_for_all_that_is_not_said(fleet: FleetDriver) -> None:
    made, _ = await fleet.agent("Ada")

    assert {
        "name": "Ada", "role": "coder", "session_key": None, "soul_content": None, "status": "offline",
        "last_seen": None, "last_activity": None, "config": {}, "workspace_id": 1, "source": "manual",
        "content_hash": None, "workspace_path": None, "hidden": 0, "working_memory": "", "runtime_type": None,
        "claude_base_session_id": None, "claude_base_session_created_at": None,
    } == without(made, "id", "created_at", "updated_at", "version", "taskStats")  # fmt: skip


async def test_the_token_of_a_new_agent_is_its_key(fleet: FleetDriver) -> None:
    made, token = await fleet.agent()
    task = await fleet.task(assigned_to="ada")

    assert [task["id"]] == [each["id"] for each in (await fleet.got("GET", "/tasks", key=token))["tasks"]]
    assert 43 == len(token)
    assert "agent_token" not in made


async def test_an_agents_token_is_shown_once(fleet: FleetDriver) -> None:
    body = {"name": "ada", "role": "coder"}
    first, second = [await fleet.call("POST", "/agents", body, idempotency_key="k") for _ in range(2)]

    assert 201 == second.status
    assert without(first.json, "agent_token") == second.json
    assert first.json["agent_token"]


async def test_names_of_agents_are_unique_whatever_their_case(fleet: FleetDriver) -> None:
    await fleet.agent("ada")
    answer = await fleet.call("POST", "/agents", {"name": "ADA", "role": "x"})

    assert (409, "Agent name already exists") == refusal(answer)


async def test_session_keys_are_unique(fleet: FleetDriver) -> None:
    await fleet.agent("ada", session_key="s")

    assert 409 == (await fleet.call("POST", "/agents", {"name": "bob", "role": "x", "session_key": "s"})).status


async def test_an_agent_needs_a_role_unless_a_template_has_one(fleet: FleetDriver) -> None:
    said = (400, "Name and role are required")

    assert said == refusal(await fleet.call("POST", "/agents", {"name": "ada"}))
    assert said == refusal(await fleet.call("POST", "/agents", {"name": "ada", "template": "nonsense"}))


async def test_a_template_gives_an_agent_its_configuration(fleet: FleetDriver) -> None:
    body = {
        "name": "Ada L", "template": "reviewer", "config": {"extra": 1, "memorySearch": {}},
        "gateway_config": {"model": {"primary": "own"}, "sandbox": {"mode": "off"}, "ignored": True},
    }  # fmt: skip
    made = (await fleet.got("POST", "/agents", body, 201))["agent"]
    config = made["config"]

    assert "quality reviewer" == made["role"]
    assert ("ada-l", "own", "off", "ro", 1, {}) == (
        config["id"], config["model"]["primary"], config["sandbox"]["mode"], config["sandbox"]["workspaceAccess"],
        config["extra"], config["memorySearch"],
    )  # fmt: skip
    assert ["read", "memory_search", "memory_get", "agents_list", "thinking"] == config["tools"]["allow"]
    assert "ignored" not in config


async def test_a_gateway_configuration_lies_over_the_configuration(fleet: FleetDriver) -> None:
    made, _ = await fleet.agent(config={"a": 1, "b": 1}, gateway_config={"b": 2})

    assert {"a": 1, "b": 2} == made["config"]


async def test_what_needs_a_host_says_that_there_is_none(fleet: FleetDriver) -> None:
    body = {"name": "ada", "role": "x", "provision_openclaw_workspace": True}
    made = await fleet.got("POST", "/agents", {"name": "bob", "role": "x", "write_to_gateway": True}, 201)

    assert "OPENCLAW_STATE_DIR" in refusal(await fleet.call("POST", "/agents", body))[1]
    assert "no gateway" in made["warning"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""), ("name", "x" * 101), ("name", None), ("role", ""), ("role", 5), ("openclaw_id", "No Kebab"),
        ("session_key", "x" * 201), ("soul_content", "x" * 50_001), ("status", "sleeping"), ("config", []),
        ("config", {"a": "\0"}), ("template", "x" * 101), ("gateway_config", 1), ("write_to_gateway", "yes"),
        ("openclaw_workspace_path", ""), ("runtime_type", "other"),
    ],
)  # fmt: skip
async def test_a_wrong_value_of_an_agent_is_refused_by_the_name_of_its_field(
    fleet: FleetDriver, field: str, value: Any
) -> None:
    assert [field] == wrong_fields(await fleet.call("POST", "/agents", {"name": "ada", "role": "x", field: value}))


@pytest.mark.every_store
async def test_agents_are_listed_newest_first_with_their_work(fleet: FleetDriver) -> None:
    await fleet.agent("ada")
    await fleet.agent("Bob")
    for status in ("assigned", "assigned", "done", "review"):
        await fleet.task(assigned_to="BOB", status=status)
    page = await fleet.got("GET", "/agents")

    assert ["Bob", "ada"] == [agent["name"] for agent in page["agents"]]
    assert (2, 1, 50) == (page["total"], page["page"], page["limit"])
    assert [NOTHING | {"total": 4, "assigned": 2, "done": 1, "completed": 1}, NOTHING] == [
        agent["taskStats"] for agent in page["agents"]
    ]


@pytest.mark.every_store
async def test_agents_can_be_filtered_by_what_they_show(fleet: FleetDriver, clock: ManualClock) -> None:
    await fleet.agent("made", status="busy")
    await fleet.agent("unseen")
    await fleet.agent("silent", role="tester")
    await fleet.got("GET", "/agents/silent/heartbeat")
    clock.advance(minutes=11)
    await fleet.agent("heard")
    await fleet.got("GET", "/agents/heard/heartbeat")

    for query, names in {
        "status=busy": ["made"], "status=offline": ["silent", "unseen"], "status=idle": ["heard"], "role=tester":
        ["silent"], "status=provisioning": [], "limit=1&offset=1": ["silent"], "status=": ["heard", "silent", "unseen",
        "made"],
    }.items():  # fmt: skip
        page = await fleet.got("GET", f"/agents?{query}")
        assert names == [agent["name"] for agent in page["agents"]], query
    statuses = {agent["name"]: agent["status"] for agent in (await fleet.got("GET", "/agents"))["agents"]}
    assert {"made": "busy", "unseen": "offline", "silent": "offline", "heard": "idle"} == statuses


async def test_the_built_in_agent_is_hidden(fleet: FleetDriver) -> None:
    shown = await fleet.got("GET", "/agents?show_hidden=true")

    assert 0 == (await fleet.got("GET", "/agents"))["total"]
    assert [1] == [agent["hidden"] for agent in shown["agents"]]


@pytest.mark.every_store
async def test_an_agent_is_found_by_number_or_name(fleet: FleetDriver) -> None:
    made, _ = await fleet.agent("Ada")
    paths = ("Ada", "ada", str(made["id"]), f"{made['id']}e0", hex(made["id"]), f"{made['id']}.0")

    for path in paths:
        assert "Ada" == (await fleet.got("GET", f"/agents/{path}"))["agent"]["name"], path
    for path in ("nobody", "999999", "1e400", "0x" + "f" * 30, f"{made['id']}.5", "a\0"):
        assert (404, "Agent not found") == refusal(await fleet.call("GET", f"/agents/{path}")), path


async def test_an_agent_registers_itself_once(fleet: FleetDriver) -> None:
    body = {"name": " ada ", "role": "tester", "capabilities": ["a", 5], "framework": "f"}
    first = await fleet.call("POST", "/agents/register", body)
    again = await fleet.call("POST", "/agents/register", body | {"role": "coder"})
    stored = (await fleet.got("GET", "/agents/ada"))["agent"]

    agent = {name: stored[name] for name in ("id", "name", "role", "created_at", "version")} | {"status": "idle"}
    assert (201, True, "Agent registered successfully", agent) == (
        first.status, first.json["registered"], first.json["message"], first.json["agent"],
    )  # fmt: skip
    assert {
        "agent": agent, "registered": False, "message": "Agent already registered, status updated",
    } == again.json  # fmt: skip
    assert 200 == again.status
    assert ({"capabilities": ["a"], "framework": "f"}, "idle") == (stored["config"], stored["status"])
    assert stored["last_seen"] >= stored["created_at"]


async def test_a_repeated_registration_does_not_show_the_token_again(fleet: FleetDriver) -> None:
    first, second = [
        await fleet.call("POST", "/agents/register", {"name": "ada"}, idempotency_key="k") for _ in range(2)
    ]

    assert (201, without(first.json, "agent_token")) == (second.status, second.json)
    assert first.json["agent_token"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (None, "Request body required"), ([], "Request body required"), ({}, "Invalid agent name. Use 1-63"),
        ({"name": 5}, "Invalid agent name. Use 1-63"), ({"name": "-a"}, "Invalid agent name. Use 1-63"),
        ({"name": "x" * 64}, "Invalid agent name. Use 1-63"), ({"name": "a", "role": "boss"}, "Invalid role. Use: co"),
        ({"name": "a", "role": ["coder"]}, "Invalid role. Use: co"),
    ],
)  # fmt: skip
async def test_a_registration_that_cannot_be_meant_is_refused(fleet: FleetDriver, body: Any, said: str) -> None:
    status, text = refusal(await fleet.call("POST", "/agents/register", body))

    assert 400 == status
    assert text.startswith(said)


async def test_a_viewer_may_register_and_gives_no_more_than_it_has(fleet: FleetDriver) -> None:
    await fleet.agent("ada")
    viewer = await fleet.key("ada", "viewer")
    made = await fleet.got("POST", "/agents/register", {"name": "bob"}, 201, key=viewer)
    answer = await fleet.call("POST", "/tasks", {"title": "x"}, key=made["agent_token"])

    assert (403, "Requires operator role or higher") == refusal(answer)


async def test_a_heartbeat_without_work_says_so(fleet: FleetDriver, clock: ManualClock) -> None:
    await fleet.agent("Ada", status="busy")
    answer = await fleet.got("GET", "/agents/ada/heartbeat")
    agent = (await fleet.got("GET", "/agents/ada"))["agent"]

    assert {
        "status": "HEARTBEAT_OK", "agent": "Ada", "checked_at": int(clock.now().timestamp()),
        "message": "No work items found",
    } == answer  # fmt: skip
    assert ("idle", "Heartbeat check", answer["checked_at"]) == (
        agent["status"], agent["last_activity"], agent["last_seen"],
    )  # fmt: skip


async def test_a_heartbeat_tells_what_waits(fleet: FleetDriver) -> None:
    await fleet.agent("ada")
    low = await fleet.task("low", assigned_to="ada", priority="low", metadata={"path": "src", "github_repo": " "})
    critical = await fleet.task(
        "critical", assigned_to="ADA", priority="critical", due_date=9, status="in_progress",
        metadata={"implementationRepo": "x/y"},
    )  # fmt: skip
    await fleet.task("done", assigned_to="ada", status="done")
    await fleet.task("other", assigned_to="bob")
    answer = await fleet.got("GET", "/agents/ada/heartbeat")

    shown = ("id", "title", "status", "priority", "due_date")
    items = [
        {name: critical[name] for name in shown} | {"implementation_repo": "x/y"},
        {name: low[name] for name in shown} | {"code_location": "src"},
    ]
    assert ("WORK_ITEMS_FOUND", 2) == (answer["status"], answer["total_items"])
    assert [{"type": "assigned_tasks", "count": 2, "items": items}] == answer["work_items"]


async def test_a_heartbeat_tells_ten_tasks_at_most(fleet: FleetDriver) -> None:
    await fleet.agent("ada")
    for number in range(11):
        await fleet.task(str(number), assigned_to="ada")

    assert 10 == (await fleet.got("GET", "/agents/ada/heartbeat"))["total_items"]


async def test_a_posted_heartbeat_may_have_any_body(fleet: FleetDriver) -> None:
    await fleet.agent("ada")
    usage = b'{"token_usage": {"model": "m", "inputTokens": 1, "outputTokens": 2}}'
    answers = [await fleet.got("POST", "/agents/ada/heartbeat", raw=raw) for raw in (b"", b"{", b"[]", usage)]

    assert ["HEARTBEAT_OK"] * 4 == [answer["status"] for answer in answers]
    assert [False, False, False, True] == [answer["token_recorded"] for answer in answers]


async def test_a_posted_heartbeat_of_nobody_is_answered_all_the_same(fleet: FleetDriver) -> None:
    answer = await fleet.got("POST", "/agents/nobody/heartbeat")
    unnamable = await fleet.got("POST", "/agents/a\0/heartbeat")

    assert answer == unnamable
    assert {"error": "Agent not found", "token_recorded": False} == answer
    assert (404, "Agent not found") == refusal(await fleet.call("GET", "/agents/nobody/heartbeat"))


async def test_looking_at_a_heartbeat_changes_nothing(fleet: FleetDriver) -> None:
    _, token = await fleet.agent("ada")
    await fleet.agent("bob")
    before = await fleet.got("GET", "/agents/ada")
    heads = [await fleet.call("HEAD", f"/agents/{name}/heartbeat", key=token) for name in ("ada", "bob", "nobody")]

    assert [200, 403, 403] == [head.status for head in heads]
    assert b"" == heads[0].body
    assert before == await fleet.got("GET", "/agents/ada")


async def test_an_agents_key_speaks_for_its_own_agent_only(fleet: FleetDriver) -> None:
    ada, token = await fleet.agent("Ada")
    bob, _ = await fleet.agent("Bob")

    for method in ("GET", "POST"):
        for path in ("bob", str(bob["id"]), "nobody", "999999"):
            assert (403, OWN_AGENT) == refusal(await fleet.call(method, f"/agents/{path}/heartbeat", key=token)), path
        for path in ("ada", str(ada["id"])):
            assert 200 == (await fleet.call(method, f"/agents/{path}/heartbeat", key=token)).status


async def test_an_admin_agent_speaks_for_others(fleet: FleetDriver) -> None:
    await fleet.agent("ada")
    await fleet.agent("bob")

    assert 200 == (await fleet.call("GET", "/agents/bob/heartbeat", key=await fleet.key("ada", "admin"))).status


async def test_an_agent_of_a_board_that_was_never_seen_is_offline(fleet: FleetDriver, world: World) -> None:
    await create_agent(world.ports, world.me, CreateAgent(name="lea", board=world.board.id))

    assert "offline" == (await fleet.got("GET", "/agents/lea"))["agent"]["status"]


async def test_agents_of_another_organization_are_not_there(fleet: FleetDriver, elsewhere: World) -> None:
    foreign = await elsewhere.agent("foreign")

    assert 404 == (await fleet.call("GET", "/agents/foreign")).status
    assert "foreign" == foreign.name


async def test_an_agent_is_named_by_either_of_its_ids(fleet):
    """
    By its number, by the UUID that the Boards API knows it by, or by its name.
    """
    made, _ = await fleet.agent("ada")
    async with fleet.ports.unit(await _me(fleet)) as unit:
        id = (await unit.agents.find("ada")).id
    by_number, by_id, by_name = [await fleet.got("GET", f"/agents/{each}") for each in (made["id"], id, "ADA")]

    assert by_number == by_id == by_name
    assert 404 == (await fleet.call("GET", "/agents/0195a000-0000-7000-8000-00000000dead")).status
    assert [] != (await fleet.got("GET", f"/agents/{id}/keys"))["keys"]


async def _me(fleet):
    return await fleet.ports.credentials.principal_of(secret_digest(KEY), at=fleet.ports.clock.now())
