"""
One agent, its signs of life, and the roster that agents see, through the Boards API.
"""

from uuid import uuid4

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
