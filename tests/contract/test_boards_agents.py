"""
Agents in the Boards API: as people make them, and as they see themselves.
"""

import pytest

from mission_core.accounts.organizations import built_in_gateway
from mission_http.boards.agent_payloads import AgentHealthStatusResponse, AgentRead
from tests.contract.boards_driver import field_refusal, refusal
from tests.contract.boards_examples import OTHER, names_of

NOWHERE = "0195a000-0000-7000-8000-000000000000"


async def test_a_new_agent_has_the_documented_shape(boards, world, clock):
    made = await boards.call("POST", "/api/v1/agents", {"name": "  Ada ", "board_id": str(boards.board)})
    now = clock.now().replace(tzinfo=None).isoformat()
    expected = {
        "board_id": str(boards.board),
        "gateway_id": str(built_in_gateway(world.me.organization)),
        "name": "Ada",
        "status": "provisioning",
        "heartbeat_config": None,
        "identity_profile": None,
        "identity_template": None,
        "soul_template": None,
        "is_board_lead": False,
        "is_gateway_main": False,
        "openclaw_session_id": f"agent:mc-{made.json['id']}:main",
        "last_seen_at": None,
        "created_at": now,
        "updated_at": now,
        "version": 0,
    }

    assert names_of(AgentRead) | {"agent_token"} == made.json.keys()
    assert expected == {name: made.json[name] for name in expected}
    assert (43, '"0"') == (len(made.json["agent_token"]), made.headers["etag"])


async def test_an_agent_is_kept_as_it_was_made(boards):
    sent = {
        "name": "Ada",
        "board_id": str(boards.board),
        "status": "online",
        "heartbeat_config": {"every": "10m", "deep": {"list": [1, None]}},
        "identity_profile": {" role ": " coder ", "tools": ["git", " ", 3], "age": 7, "none": None, "blank": " "},
        "identity_template": "  be kind ",
        "soul_template": "   ",
    }
    made = await boards.got("POST", "/api/v1/agents", sent)
    token = made.pop("agent_token")
    (shown, _) = (await boards.got("GET", "/api/v1/agents"))["items"]

    assert made == shown
    assert token is not None
    assert ("provisioning", "be kind", None) == (made["status"], made["identity_template"], made["soul_template"])
    assert {"every": "10m", "deep": {"list": [1, None]}} == made["heartbeat_config"]
    assert {"role": "coder", "tools": "git, 3", "age": "7"} == made["identity_profile"]


@pytest.mark.parametrize("profile", [None, [], "text", 5, {}, {"a": None, "b": [" "]}])
async def test_a_profile_that_says_nothing_is_none(boards, profile):
    assert (await boards.agent(identity_profile=profile))["identity_profile"] is None


@pytest.mark.parametrize(
    ("change", "kind", "loc"),
    [
        ({"name": " "}, "string_too_short", ["body", "name"]),
        ({"name": None}, "string_type", ["body", "name"]),
        ({"name": "n" * 101}, "string_too_long", ["body", "name"]),
        ({"board_id": "x"}, "uuid_parsing", ["body", "board_id"]),
        ({"heartbeat_config": "x"}, "dict_type", ["body", "heartbeat_config"]),
        ({"soul_template": 5}, "string_type", ["body", "soul_template"]),
        ({"status": None}, "string_type", ["body", "status"]),
    ],
)
async def test_a_wrong_field_is_named(boards, change, kind, loc):
    body = {"name": "Ada", "board_id": str(boards.board)} | change

    assert (kind, loc) == field_refusal(await boards.call("POST", "/api/v1/agents", body))[:2]


async def test_an_agent_needs_a_board_that_there_is(boards):
    without = await boards.call("POST", "/api/v1/agents", {"name": "Ada"})
    unknown = await boards.call("POST", "/api/v1/agents", {"name": "Ada", "board_id": NOWHERE})

    assert (422, "board_id is required") == refusal(without)
    assert (404, "Board not found") == refusal(unknown)


@pytest.mark.every_store
async def test_a_name_is_taken_whatever_its_case(boards, world):
    await boards.agent("Ada")
    other = await world.another_board()
    here = await boards.call("POST", "/api/v1/agents", {"name": "ADA", "board_id": str(boards.board)})
    there = await boards.call("POST", "/api/v1/agents", {"name": "ada", "board_id": str(other.id)})

    assert (409, "An agent with this name already exists on this board.") == refusal(here)
    assert (409, "An agent with this name already exists in this gateway workspace.") == refusal(there)


async def test_users_are_not_capped_and_leads_are(boards):
    lead = await boards.lead()
    first = await boards.got("POST", "/api/v1/agents", {"name": "one"}, agent=lead)
    over = await boards.call("POST", "/api/v1/agents", {"name": "two"}, agent=lead)
    said = (
        "Board worker-agent limit reached: max_agents=1 (excluding the lead); cannot create more than 1 agent."
    )  # fmt: skip

    assert str(boards.board) == first["board_id"]
    assert (409, said) == refusal(over)
    assert (await boards.agent("two"))["id"]


async def test_only_leads_make_agents_and_on_their_board_only(boards, world):
    other = await world.another_board()
    lead, worker, main = await boards.lead(), (await boards.agent())["agent_token"], await boards.main()
    elsewhere = {"name": "far", "board_id": str(other.id)}

    for agent in (worker, main):
        answer = await boards.call("POST", "/api/v1/agents", {"name": "new"}, agent=agent)
        assert (403, "Only board leads can create agents") == refusal(answer)
    assert (403, "Board leads can only create agents in their own board") == refusal(
        await boards.call("POST", "/api/v1/agents", elsewhere, agent=lead)
    )


async def test_a_token_is_shown_once(boards):
    body = {"name": "Ada", "board_id": str(boards.board)}
    first = await boards.got("POST", "/api/v1/agents", body, **{"idempotency-key": "k"})
    again = await boards.got("POST", "/api/v1/agents", body, **{"idempotency-key": "k"})

    assert first | {"agent_token": None} == again
    assert 2 == (await boards.got("GET", "/api/v1/agents"))["total"]


@pytest.mark.every_store
async def test_agents_come_newest_first_and_are_filtered(boards, world):
    other = await world.another_board()
    ada = await boards.agent()
    far = await boards.agent("far", board_id=str(other.id))
    own = built_in_gateway(world.me.organization)

    for query, expected in (
        ("", ["far", "ada", "Gateway Agent"]),
        (f"board_id={boards.board}", ["ada"]),
        (f"board_id={other.id}", ["far"]),
        (f"gateway_id={own}", ["far", "ada", "Gateway Agent"]),
        ("limit=1&offset=1", ["ada"]),
    ):
        listed = await boards.got("GET", f"/api/v1/agents?{query}")
        assert expected == [each["name"] for each in listed["items"]], query
    assert ada["id"] != far["id"]


async def test_a_board_or_gateway_there_is_not_is_not_found(boards, elsewhere):
    for query in (f"gateway_id={OTHER}", f"board_id={elsewhere.board.id}", f"board_id={OTHER}"):
        assert (404, "Not Found") == refusal(await boards.call("GET", f"/api/v1/agents?{query}")), query


async def test_sessions_are_named_after_the_kind_of_agent(boards, world):
    await boards.lead()
    worker = await boards.agent()
    sessions = {
        each["name"]: (each["openclaw_session_id"], each["is_board_lead"], each["is_gateway_main"])
        for each in (await boards.got("GET", "/api/v1/agents"))["items"]
    }
    gateway = built_in_gateway(world.me.organization)

    assert {
        "Gateway Agent": (f"agent:mc-gateway-{gateway}:main", False, True),
        "lea": (f"agent:lead-{boards.board}:main", True, False),
        "ada": (f"agent:mc-{worker['id']}:main", False, False),
    } == sessions


BODIES = [b"", b"{}", b"{nope", b"[1]", b'{"name": "Ada", "board_id": null, "status": "offline"}', b"\xff\xfe"]


@pytest.mark.parametrize("body", BODIES)
async def test_a_heartbeat_takes_any_body_and_reads_none(boards, clock, body):
    made = await boards.agent()
    beat = await boards.got(
        "POST", "/api/v1/agent/heartbeat", raw=body, agent=made["agent_token"], **{"content-type": "application/json"}
    )
    now = clock.now().replace(tzinfo=None).isoformat()
    del made["agent_token"]

    assert made | {"status": "online", "last_seen_at": now} == beat


async def test_an_agent_that_falls_silent_is_offline_until_it_is_heard_again(boards, clock):
    made = await boards.agent()

    async def status():
        return (await boards.got("GET", "/api/v1/agents?limit=1"))["items"][0]["status"]

    assert "provisioning" == await status()
    await boards.got("POST", "/api/v1/agent/heartbeat", agent=made["agent_token"])
    assert "online" == await status()
    clock.advance(minutes=10)
    assert "online" == await status()
    clock.advance(seconds=1)
    assert "offline" == await status()
    await boards.got("POST", "/api/v1/agent/heartbeat", agent=made["agent_token"])
    assert "online" == await status()


async def test_a_heartbeat_is_one_write(boards, world):
    made = await boards.agent()
    await boards.got("POST", "/api/v1/agent/heartbeat", agent=made["agent_token"])

    assert 1 == (await world.event_kinds()).count("agent.status_changed")


@pytest.mark.every_store
async def test_a_repeated_heartbeat_counts_once(boards, clock):
    token, key = (await boards.agent())["agent_token"], {"idempotency-key": "k"}
    first = await boards.got("POST", "/api/v1/agent/heartbeat", agent=token, **key)
    clock.advance(seconds=1)

    assert first == await boards.got("POST", "/api/v1/agent/heartbeat", agent=token, **key)


async def test_an_agent_asks_who_it_is(boards, world):
    made = await boards.agent()
    told = await boards.got("GET", "/api/v1/agent/healthz", agent=made["agent_token"])
    expected = {
        "ok": True,
        "agent_id": made["id"],
        "board_id": str(boards.board),
        "gateway_id": str(built_in_gateway(world.me.organization)),
        "status": "online",
        "is_board_lead": False,
    }

    assert names_of(AgentHealthStatusResponse) == told.keys()
    assert expected == told
    assert (await boards.got("GET", "/api/v1/agent/healthz", agent=await boards.main()))["board_id"] is None


@pytest.mark.every_store
async def test_an_agent_of_a_board_sees_that_board(boards, world):
    await world.another_board()
    token = (await boards.agent())["agent_token"]
    listed = await boards.got("GET", "/api/v1/agent/boards", agent=token)
    read = await boards.got("GET", f"/api/v1/agent/boards/{boards.board}", agent=token)

    assert (1, [read]) == (listed["total"], listed["items"])
    assert read == await boards.got("GET", f"/api/v1/boards/{boards.board}")


async def test_an_agents_unknown_board_is_not_found(boards):
    token = (await boards.agent())["agent_token"]

    assert (404, "Not Found") == refusal(await boards.call("GET", f"/api/v1/agent/boards/{NOWHERE}", agent=token))
