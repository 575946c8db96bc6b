"""
What agents say through a gateway while none is connected, and the souls that need none.
"""

from uuid import uuid4

import pytest

from mission_core.agents.update import UpdateAgent, update_agent
from mission_core.agents.use_cases import CreateKey, create_key
from tests.contract.boards_driver import field_refusal, refusal


@pytest.fixture
async def team(boards):
    """
    A board's lead and worker, with their tokens.
    """
    worker = await boards.agent("ada")
    return {"lead": await boards.lead(), "worker": worker["agent_token"], "id": worker["id"]}


async def main_token(boards) -> str:
    """
    The token of the organization's own main agent.
    """
    async with boards.ports.unit(boards.me) as unit:
        main = await unit.agents.main()
    _, secret = await create_key(boards.ports, boards.me, CreateKey(agent=main.id, scopes=("operator",)))
    return secret


def of(boards, agent: str, what: str) -> str:
    return f"/api/v1/agent/boards/{boards.board}/agents/{agent}/{what}"


async def test_a_nudge_needs_a_session_and_then_a_gateway(boards, team):
    """
    The contract's order: an agent without a session cannot be nudged, one with it cannot be reached.
    """
    path = of(boards, team["id"], "nudge")
    without = await boards.call("POST", path, {"message": "Up!"}, agent=team["lead"])
    await update_agent(boards.ports, boards.me, UpdateAgent(agent="ada", session_key="agent:ada"))
    status, said = refusal(await boards.call("POST", path, {"message": "Up!"}, agent=team["lead"]))

    assert (422, "Target agent has no session key") == refusal(without)
    assert 502 == status
    assert said.startswith("Gateway nudge failed: ")


async def test_only_the_lead_of_the_board_speaks_for_it(boards, team):
    """
    A worker is told why; a person's token is none.
    """
    path = of(boards, team["id"], "nudge")

    assert (403, "Only board leads can perform this action") == refusal(
        await boards.call("POST", path, {"message": "Up!"}, agent=team["worker"])
    )
    assert 401 == (await boards.call("POST", path, {"message": "Up!"})).status


async def test_a_soul_is_written_and_read(boards, team):
    """
    By the lead; the agent reads its own, and others do not.
    """
    path = of(boards, team["id"], "soul")
    await boards.got("PUT", path, {"content": "Be kind.", "reason": "We are"}, agent=team["lead"])
    other = await boards.agent("bob")

    assert (
        "Be kind."
        == await boards.got("GET", path, agent=team["worker"])
        == await boards.got("GET", path, agent=team["lead"])
    )
    assert 403 == (await boards.call("GET", path, agent=other["agent_token"])).status
    *_, entry = await boards.ports.log.read(boards.me.organization)
    kinds = [each.kind for each in await boards.ports.log.read(boards.me.organization)]
    assert "agent.soul_written" in kinds
    assert entry.payload is None or "Be kind." not in entry.payload


async def test_a_soul_that_nobody_wrote_cannot_be_read(boards, team):
    """
    Nor an empty one written.
    """
    path = of(boards, team["id"], "soul")

    assert (502, "Gateway SOUL read failed") == refusal(await boards.call("GET", path, agent=team["worker"]))
    assert (422, "content is required") == refusal(await boards.call("PUT", path, {"content": " "}, agent=team["lead"]))


async def test_an_agent_of_another_board_is_not_found(boards, team, world):
    """
    Whoever asks.
    """
    elsewhere = await world.agent("eve", board=(await world.another_board()).id)
    for agent in (str(elsewhere.id), str(uuid4())):
        answer = await boards.call("PUT", of(boards, agent, "soul"), {"content": "x"}, agent=team["lead"])

        assert 404 == answer.status


async def test_a_question_to_people_says_that_nobody_hears(boards, team):
    """
    And what is blank is no question.
    """
    path = f"/api/v1/agent/boards/{boards.board}/gateway/main/ask-user"
    status, said = refusal(await boards.call("POST", path, {"content": "May we?"}, agent=team["lead"]))

    assert (502, True) == (status, said.startswith("Gateway ask-user dispatch failed: "))
    assert ["body", "content"] == field_refusal(await boards.call("POST", path, {"content": "  "}, agent=team["lead"]))[
        1
    ]


async def test_the_main_agent_speaks_to_leads(boards, team):
    """
    It is told board by board that nobody was reached, and no lead is made on the way.
    """
    main = await main_token(boards)
    message = f"/api/v1/agent/gateway/boards/{boards.board}/lead/message"
    told = await boards.got("POST", "/api/v1/agent/gateway/leads/broadcast", {"content": "All!"}, agent=main)
    stranger = str(uuid4())
    some = {"content": "Some!", "board_ids": [str(boards.board), stranger]}
    few = await boards.got("POST", "/api/v1/agent/gateway/leads/broadcast", some, agent=main)

    assert 502 == (await boards.call("POST", message, {"content": "You!"}, agent=main)).status
    assert (0, len(told["results"])) == (told["sent"], told["failed"])
    assert {str(boards.board)} < {each["board_id"] for each in told["results"]}
    assert {str(boards.board), stranger} == {each["board_id"] for each in few["results"]}
    assert (404, "Board not found") == refusal(
        await boards.call("POST", message.replace(str(boards.board), stranger), {"content": "x"}, agent=main)
    )


async def test_nobody_else_speaks_as_the_main_agent(boards, team):
    """
    Neither a board's agent nor another one without a board.
    """
    path = "/api/v1/agent/gateway/leads/broadcast"

    assert (403, "Forbidden") == refusal(await boards.call("POST", path, {"content": "x"}, agent=team["lead"]))
    assert (403, "Only the dedicated gateway agent may call this endpoint.") == refusal(
        await boards.call("POST", path, {"content": "x"}, agent=await boards.main())
    )
