"""
One agent, its signs of life, and the roster that agents see, through the Boards API.
"""

from uuid import uuid4

import pytest

from tests.contract.boards_driver import refusal

AGENTS = "/api/v1/agents"


async def test_an_agent_is_read_by_its_id(boards):
    """
    As the list shows it; nobody's id is nobody.
    """
    made = await boards.agent()
    (listed,) = [each for each in (await boards.got("GET", AGENTS))["items"] if each["id"] == made["id"]]

    assert listed == await boards.got("GET", f"{AGENTS}/{made['id']}")
    assert 404 == (await boards.call("GET", f"{AGENTS}/{uuid4()}")).status


async def test_a_sign_of_life_is_taken_from_the_agent_or_an_admin(boards):
    """
    With the status it tells; another agent's is refused.
    """
    ada, bob = await boards.agent("ada"), await boards.agent("bob")
    path = f"{AGENTS}/{ada['id']}/heartbeat"
    own = await boards.got("POST", path, {"status": "busy"}, agent=ada["agent_token"])
    theirs = await boards.got("POST", path, {})

    assert ("busy", "busy") == (own["status"], theirs["status"])
    assert (403, "Forbidden") == refusal(await boards.call("POST", path, {}, agent=bob["agent_token"]))


async def test_an_agent_speaks_for_itself_whatever_the_name(boards):
    """
    The name in its body is none of an agent's.
    """
    ada = await boards.agent("ada")
    await boards.agent("bob")
    heard = await boards.got("POST", f"{AGENTS}/heartbeat", {"name": "bob"}, agent=ada["agent_token"])

    assert (ada["id"], "online") == (heard["id"], heard["status"])


async def test_a_person_makes_who_is_new(boards):
    """
    On the board that is named; the token is shown this once, and the second time it is a sign of life.
    """
    body = {"name": "eve", "board_id": str(boards.board), "status": "idle"}
    made = await boards.got("POST", f"{AGENTS}/heartbeat", body)
    again = await boards.got("POST", f"{AGENTS}/heartbeat", {"name": "EVE"})

    assert ("idle", str(boards.board), made["id"]) == (made["status"], made["board_id"], again["id"])
    assert made["agent_token"]
    assert 200 == (await boards.call("GET", "/api/v1/agent/healthz", agent=made["agent_token"])).status
    assert (422, "board_id is required") == refusal(await boards.call("POST", f"{AGENTS}/heartbeat", {"name": "new"}))


@pytest.mark.every_store
async def test_a_name_of_another_board_is_taken(boards, world):
    """
    Nobody is moved by a sign of life.
    """
    await boards.agent("ada")
    other = await world.another_board()
    answer = await boards.call("POST", f"{AGENTS}/heartbeat", {"name": "ada", "board_id": str(other.id)})

    assert (409, "An agent with this name already exists in this gateway workspace.") == refusal(answer)


async def test_a_boards_agent_sees_its_board(boards, world):
    """
    And one without a board everybody.
    """
    ada = await boards.agent("ada")
    other = await world.another_board()
    await world.agent("eve", board=other.id)
    near = await boards.got("GET", "/api/v1/agent/agents", agent=ada["agent_token"])
    far = await boards.got("GET", "/api/v1/agent/agents", agent=await boards.main())

    assert ["ada"] == [each["name"] for each in near["items"]]
    assert {"ada", "eve"} < {each["name"] for each in far["items"]}
    assert (403, "Forbidden") == refusal(
        await boards.call("GET", f"/api/v1/agent/agents?board_id={other.id}", agent=ada["agent_token"])
    )


async def test_a_lead_makes_workers_of_its_own_board(boards):
    """
    As many as the board allows; nobody else makes any.
    """
    lead = await boards.lead()
    made = await boards.got("POST", "/api/v1/agent/agents", {"name": "ada"}, agent=lead)

    assert (str(boards.board), False) == (made["board_id"], made["is_board_lead"])
    assert 409 == (await boards.call("POST", "/api/v1/agent/agents", {"name": "bob"}, agent=lead)).status
    assert (403, "Only board leads can create agents") == refusal(
        await boards.call("POST", "/api/v1/agent/agents", {"name": "bob"}, agent=made["agent_token"])
    )


@pytest.mark.every_store
async def test_an_agent_changes_in_what_is_named(boards):
    """
    And in nothing else; its token stays good, and its tasks go by its new name.
    """
    ada = await boards.agent("ada", identity_profile={"role": "Coder"})
    task = await boards.task(assigned_agent_id=ada["id"])
    path = f"{AGENTS}/{ada['id']}"
    after = await boards.got("PATCH", path, {"name": " Ada L. ", "soul_template": "Be kind.", "heartbeat_config": None})

    assert ("Ada L.", "Be kind.", {"role": "Coder"}, "10m") == (
        after["name"], after["soul_template"], after["identity_profile"], after["heartbeat_config"]["every"],
    )  # fmt: skip
    assert 200 == (await boards.call("GET", "/api/v1/agent/healthz", agent=ada["agent_token"])).status
    (listed,) = (await boards.got("GET", boards.tasks))["items"]
    assert (task["id"], ada["id"]) == (listed["id"], listed["assigned_agent_id"])
    assert 412 == (await boards.call("PATCH", path, {"name": "x"}, if_match='"0"')).status


async def test_an_agents_status_is_its_own_to_tell(boards):
    """
    By heartbeats; other refusals name what is wrong.
    """
    ada = await boards.agent("ada")
    await boards.agent("bob")
    path = f"{AGENTS}/{ada['id']}"

    assert (403, "status is controlled by agent heartbeat") == refusal(
        await boards.call("PATCH", path, {"status": "online"})
    )
    assert (409, "An agent with this name already exists on this board.") == refusal(
        await boards.call("PATCH", path, {"name": "BOB"})
    )
    assert (404, "Board not found") == refusal(await boards.call("PATCH", path, {"board_id": str(uuid4())}))
    assert 422 == (await boards.call("PATCH", path, {"name": None})).status
    assert ada["updated_at"] == (await boards.got("PATCH", path, {}))["updated_at"]


async def test_an_agent_moves_between_a_board_and_all(boards, world):
    """
    One that serves the organization keeps doing so until it is told to stand on a board.
    """
    ada, other = await boards.agent("ada"), await world.another_board()
    path = f"{AGENTS}/{ada['id']}"
    moved = await boards.got("PATCH", path, {"board_id": str(other.id)})
    main = await boards.got("PATCH", path, {"is_gateway_main": True})
    still = await boards.got("PATCH", path, {"board_id": str(other.id)})
    back = await boards.got("PATCH", path, {"is_gateway_main": False, "board_id": str(boards.board)})

    assert [str(other.id), None, None, str(boards.board)] == [each["board_id"] for each in (moved, main, still, back)]
    assert [False, True, True, False] == [each["is_gateway_main"] for each in (moved, main, still, back)]


@pytest.mark.every_store
async def test_a_removed_agent_leaves_its_work_behind(boards):
    """
    What it had in hand is nobody's; removing it again is fine.
    """
    ada = await boards.agent("ada")
    task = await boards.task()
    await boards.got("POST", f"{boards.agent_tasks}/{task['id']}/claim", {}, agent=ada["agent_token"])
    for _ in range(2):
        assert {"ok": True} == await boards.got("DELETE", f"{AGENTS}/{ada['id']}")
    (listed,) = (await boards.got("GET", boards.tasks))["items"]

    assert ("inbox", None) == (listed["status"], listed["assigned_agent_id"])
    assert 401 == (await boards.call("GET", "/api/v1/agent/healthz", agent=ada["agent_token"])).status


async def test_a_lead_removes_workers_of_its_own_board(boards, world):
    """
    And nobody else.
    """
    lead, ada = await boards.lead(), await boards.agent("ada")
    main, far = await world.agent("max"), await world.agent("eve", board=(await world.another_board()).id)
    below = f"/api/v1/agent/boards/{boards.board}/agents"
    (own,) = [each for each in (await boards.got("GET", AGENTS))["items"] if each["is_board_lead"]]

    assert (403, "Board leads cannot delete lead agents") == refusal(
        await boards.call("DELETE", f"{below}/{own['id']}", agent=lead)
    )
    assert (403, "Board leads cannot delete gateway main agents") == refusal(
        await boards.call("DELETE", f"{below}/{main.id}", agent=lead)
    )
    assert 404 == (await boards.call("DELETE", f"{below}/{far.id}", agent=lead)).status
    assert 403 == (await boards.call("DELETE", f"{below}/{ada['id']}", agent=ada["agent_token"])).status
    for id in (ada["id"], uuid4()):
        assert {"ok": True} == await boards.got("DELETE", f"{below}/{id}", agent=lead)


async def test_the_built_in_agent_stays(boards):
    """
    It stands for the organization's own gateway.
    """
    async with boards.ports.unit(boards.me) as unit:
        main = await unit.agents.main()
    path = f"{AGENTS}/{main.id}"

    assert 409 == (await boards.call("DELETE", path)).status
    away = {"is_gateway_main": False, "board_id": str(boards.board)}
    assert 409 == (await boards.call("PATCH", path, away)).status
