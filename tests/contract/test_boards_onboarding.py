"""
Getting a board started through the Boards API, without a gateway.
"""

import asyncio
import json

import pytest

from mission_core.agents.onboarding import StartOnboarding, is_fully_autonomous, start_onboarding
from mission_core.agents.use_cases import CreateKey, create_key
from tests.contract.boards_driver import refusal

DRAFT = {
    "status": "complete", "board_type": "goal", "objective": "Ship it", "success_metrics": {"ships": 3},
    "user_profile": {"preferred_name": "Jo", "notes": " "},
    "lead_agent": {"name": "Mia", "identity_profile": {"style": "calm"}, "verbosity": "concise"},
}  # fmt: skip
QUESTION = {"question": "What for?", "options": [{"id": "1", "label": "Ships"}, {"id": "2", "label": "Other"}]}
GOAL = {"board_type": "goal", "objective": "Ship it", "success_metrics": {"ships": 3}}


@pytest.fixture
async def main(boards) -> str:
    """
    The token of the organization's own main agent.
    """
    async with boards.ports.unit(boards.me) as unit:
        agent = await unit.agents.main()
    _, secret = await create_key(boards.ports, boards.me, CreateKey(agent=agent.id, scopes=("operator",)))
    return secret


def talk(boards, what: str = "") -> str:
    return f"/api/v1/boards/{boards.board}/onboarding{what}"


def said(answer) -> list[tuple[str, object]]:
    return [(each["role"], each["content"]) for each in answer["messages"]]


@pytest.mark.every_store
async def test_a_board_is_talked_about_from_start_to_goal(boards, main):
    """
    Question, answer, draft and confirmation, all without a gateway; then the board has its goal and its lead.
    """
    begun = await boards.got("POST", talk(boards, "/start"), {})
    assert ("active", "user") == (begun["status"], begun["messages"][0]["role"])
    board = await boards.got("GET", f"/api/v1/boards/{boards.board}")
    assert f"agent:mc-gateway-{board['gateway_id']}:main" == begun["session_key"]
    for part in (str(boards.board), "/onboarding", "X-Agent-Token"):
        assert part in begun["messages"][0]["content"]

    await boards.got("POST", f"/api/v1/agent{talk(boards)[7:]}", QUESTION, agent=main)
    await boards.got("POST", talk(boards, "/answer"), {"answer": " 2 ", "other_text": "Boats"})
    read = await boards.got("GET", talk(boards), agent=main)
    assert [("assistant", QUESTION), ("user", "2: Boats")] == [
        (role, json.loads(content) if role == "assistant" else content) for role, content in said(read)[1:]
    ]

    drafted = await boards.got("POST", talk(boards, "/agent"), DRAFT, agent=main)
    assert ("completed", "Mia") == (drafted["status"], drafted["draft_goal"]["lead_agent"]["name"])
    assert "notes" not in drafted["draft_goal"]["user_profile"]

    board = await boards.got("POST", talk(boards, "/confirm"), GOAL)
    assert ("goal", "Ship it", True, "lead_agent_onboarding", True) == (
        board["board_type"], board["objective"], board["goal_confirmed"], board["goal_source"],
        board["require_approval_for_done"],
    )  # fmt: skip
    assert "confirmed" == (await boards.got("GET", talk(boards)))["status"]
    assert "Jo" == (await boards.got("GET", "/api/v1/users/me"))["preferred_name"]
    (lead,) = [each for each in (await boards.got("GET", "/api/v1/agents"))["items"] if each["is_board_lead"]]
    assert ("Mia", "Board Lead", "calm", "concise") == (
        lead["name"], lead["identity_profile"]["role"], lead["identity_profile"]["style"],
        lead["identity_profile"]["verbosity"],
    )  # fmt: skip


async def test_the_lead_that_was_made_gets_its_token_once(boards):
    """
    When an admin asks for it; also when two do at once.
    """
    await boards.got("POST", talk(boards, "/start"), {})
    await boards.got("POST", talk(boards, "/confirm"), {"board_type": "general"})
    (lead,) = [each for each in (await boards.got("GET", "/api/v1/agents"))["items"] if each["is_board_lead"]]
    path, member = f"/api/v1/agents/{lead['id']}/token", await boards.person("mel", role="member")
    assert 403 == (await boards.call("POST", path, user=member.token)).status

    answers = await asyncio.gather(*(boards.call("POST", path) for _ in range(2)))
    assert [200, 409] == sorted(answer.status for answer in answers)
    (token,) = [answer.json["agent_token"] for answer in answers if answer.status == 200]
    assert lead["id"] == (await boards.got("GET", "/api/v1/agent/healthz", agent=token))["agent_id"]


async def test_a_made_lead_has_a_name_that_a_path_can_have(boards):
    """
    Also where its board's name, which is put into it if another agent has the usual one, has none.
    """
    await boards.got("PATCH", f"/api/v1/boards/{boards.board}", {"name": "sea/ships"})
    await boards.agent("Lead Agent")
    await boards.got("POST", talk(boards, "/start"), {})
    await boards.got("POST", talk(boards, "/confirm"), {"board_type": "general"})
    (lead,) = [each for each in (await boards.got("GET", "/api/v1/agents"))["items"] if each["is_board_lead"]]

    assert lead["name"].startswith("Lead Agent (sea-ships, ")


async def test_what_nobody_started_is_not_found(boards, main):
    """
    To read, to answer, to report or to confirm.
    """
    for method, path, body, agent in (
        ("GET", talk(boards), None, None), ("POST", talk(boards, "/answer"), {"answer": "x"}, None),
        ("POST", talk(boards, "/agent"), QUESTION, main), ("POST", talk(boards, "/confirm"), GOAL, None),
    ):  # fmt: skip
        assert 404 == (await boards.call(method, path, body, agent=agent)).status


async def test_starting_again_goes_on_with_what_is_there(boards):
    """
    Also when two do it at once.
    """
    start = StartOnboarding(board=boards.board, instruction_for=lambda board: "Go")
    both = await asyncio.gather(*(start_onboarding(boards.ports, boards.me, start) for _ in range(2)))
    third = await boards.got("POST", talk(boards, "/start"), {})

    assert {str(both[0].id)} == {str(each.id) for each in both} | {third["id"]}


async def test_only_the_main_agent_leads_the_talk(boards, main):
    """
    Neither a board's agent, nor another one without a board, nor a person.
    """
    await boards.got("POST", talk(boards, "/start"), {})
    path = talk(boards, "/agent")

    assert (403, "Forbidden") == refusal(await boards.call("POST", path, QUESTION, agent=await boards.lead()))
    assert (403, "Only the dedicated gateway agent may call this endpoint.") == refusal(
        await boards.call("POST", path, QUESTION, agent=await boards.main())
    )
    assert 401 == (await boards.call("POST", path, QUESTION)).status


async def test_what_fits_neither_form_is_wrong_in_both(boards, main):
    """
    And each mistake is told below the form that it is one in.
    """
    await boards.got("POST", talk(boards, "/start"), {})
    status, detail = refusal(await boards.call("POST", talk(boards, "/agent"), {"options": []}, agent=main))

    assert 422 == status
    assert {
        ("body", "function-after[validate_goal_fields(), BoardOnboardingAgentComplete]", "status"),
        ("body", "BoardOnboardingAgentQuestion", "question"),
        ("body", "BoardOnboardingAgentQuestion", "options"),
    } <= {tuple(each["loc"]) for each in detail}


async def test_a_confirmed_talk_is_over(boards, main):
    """
    Whoever speaks; another one can be started.
    """
    first = await boards.got("POST", talk(boards, "/start"), {})
    await boards.got("POST", talk(boards, "/confirm"), {"board_type": "general"})

    assert 409 == (await boards.call("POST", talk(boards, "/agent"), QUESTION, agent=main)).status
    assert 409 == (await boards.call("POST", talk(boards, "/answer"), {"answer": "x"})).status
    assert 409 == (await boards.call("POST", talk(boards, "/confirm"), GOAL)).status
    assert first["id"] != (await boards.got("POST", talk(boards, "/start"), {}))["id"]


async def test_a_goal_without_its_parts_is_refused_and_nothing_is_confirmed(boards):
    """
    The board stays as it was.
    """
    await boards.got("POST", talk(boards, "/start"), {})
    answer = await boards.call("POST", talk(boards, "/confirm"), {"board_type": "goal"})

    assert 422 == answer.status
    assert "active" == (await boards.got("GET", talk(boards)))["status"]
    assert not (await boards.got("GET", f"/api/v1/boards/{boards.board}"))["goal_confirmed"]


@pytest.mark.every_store
async def test_a_lead_that_needs_no_leave_opens_the_gate(boards, main):
    """
    Only one that is fully autonomous.
    """
    await boards.got("POST", talk(boards, "/start"), {})
    await boards.got(
        "POST", talk(boards, "/agent"), DRAFT | {"lead_agent": {"autonomy_level": "autonomous"}}, agent=main
    )
    board = await boards.got("POST", talk(boards, "/confirm"), GOAL)

    assert not board["require_approval_for_done"]


@pytest.mark.parametrize(
    ("lead", "free"),
    [
        ({}, False),
        ({"autonomy_level": "balanced"}, False),
        ({"autonomy_level": "autonomous"}, True),
        ({"identity_profile": {"mode": "Fully_Autonomous"}}, True),
        ({"identity_profile": {"autonomy": "act fully in autonomy"}}, True),
        ({"identity_profile": {"autonomy": "autonomous where safe"}}, False),
    ],
)
def test_which_words_mean_full_autonomy(lead, free):
    """
    In the draft's own field or in the profile.
    """
    assert free is is_fully_autonomous(lead)
