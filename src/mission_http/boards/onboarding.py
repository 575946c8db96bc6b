"""
Operations on the onboarding of a board: a conversation of the main agent with a person about the board's goal.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import attrs
import msgspec
from starlette.requests import Request
from starlette.responses import Response

from mission_core.agents.onboarding import (
    ONBOARDINGS,
    AnswerOnboarding,
    ConfirmOnboarding,
    Onboarding,
    OnboardingNotFound,
    StartOnboarding,
    SubmitOnboardingMessage,
    answer_onboarding,
    confirm_onboarding,
    latest_onboarding,
    start_onboarding,
    submit_onboarding_message,
)
from mission_core.agents.onboarding_refusals import NotTheMainAgent, OnboardingConfirmed
from mission_core.boards.model import Board, BoardDenied, BoardNotFound
from mission_core.values import canonical
from mission_http.boards.access import AGENT, MIXED, USER, board_in_path
from mission_http.boards.agent_hints import BOARD_AGENT_TAGS, agent_hints
from mission_http.boards.boards import board_again
from mission_http.boards.payloads import BoardRead, none_if_blank, require_complete_goal, stripped
from mission_http.boards.responses import versioned_response
from mission_http.boards.wire import BoardsPayload, JsonObject, maybe_json
from mission_http.platform.bodies import body_of, body_of_any
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.exchange import base_url_of, ports_of, principal_of
from mission_http.platform.field_annotations import Body, CustomCheck, Length
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, perform_once, read_row_again
from mission_http.platform.shapes import Of

FreeText = Annotated[str | None, Length(0, 5000), CustomCheck(none_if_blank)]
Label = Annotated[str, CustomCheck(stripped), Length(1, 2000)]


class BoardOnboardingStart(Body):
    pass


class BoardOnboardingAnswer(Body):
    answer: Annotated[str, CustomCheck(stripped), Length(1, 9000)]
    other_text: Annotated[str | None, Length(0, 9000), CustomCheck(none_if_blank)] = None


class BoardOnboardingUserProfile(Body):
    preferred_name: FreeText = None
    pronouns: FreeText = None
    timezone: FreeText = None
    notes: FreeText = None
    context: FreeText = None


class BoardOnboardingLeadAgentDraft(Body):
    name: Annotated[str | None, Length(0, 100), CustomCheck(none_if_blank)] = None
    identity_profile: dict[str, str] | None = None
    autonomy_level: Literal["ask_first", "balanced", "autonomous"] | None = None
    verbosity: Literal["concise", "balanced", "detailed"] | None = None
    output_format: Literal["bullets", "mixed", "narrative"] | None = None
    update_cadence: Literal["asap", "hourly", "daily", "weekly"] | None = None
    custom_instructions: FreeText = None


class BoardOnboardingConfirm(Body):
    board_type: Annotated[str, Length(0, 100)]
    objective: Annotated[str | None, Length(0, 20_000)] = None
    success_metrics: JsonObject | None = None
    target_date: datetime | None = None

    def __attrs_post_init__(self) -> None:
        require_complete_goal(self.board_type, self.objective, self.success_metrics)


class BoardOnboardingAgentComplete(BoardOnboardingConfirm):
    status: Literal["complete"]
    user_profile: BoardOnboardingUserProfile | None = None
    lead_agent: BoardOnboardingLeadAgentDraft | None = None


class BoardOnboardingQuestionOption(Body):
    id: Label
    label: Label


class BoardOnboardingAgentQuestion(Body):
    question: Label
    options: Annotated[list[BoardOnboardingQuestionOption], Length(1, 50)]


class BoardOnboardingRead(BoardsPayload[Onboarding]):
    id: UUID
    board_id: Annotated[UUID, Of("board")]
    session_key: str
    status: Annotated[str, Of("stage")]
    messages: list[JsonObject] | None = None
    draft_goal: Annotated[BoardOnboardingAgentComplete | None, Of("draft")] = None
    created_at: datetime
    updated_at: datetime
    version: int


MESSAGE_BODIES: dict[str, type] = {
    "function-after[validate_goal_fields(), BoardOnboardingAgentComplete]": BoardOnboardingAgentComplete,
    "BoardOnboardingAgentQuestion": BoardOnboardingAgentQuestion,
}
"""The bodies that the main agent may send, by their names in validation errors."""


def main_agent_instruction(base: str, board: Board) -> str:
    """
    The main agent's instructions for an onboarding: what to ask the person, and how to send questions and the result.
    """
    path = f"{base}/api/v1/agent/boards/{board.id}/onboarding"
    return (
        "BOARD ONBOARDING REQUEST\n\n"
        f"Board: {board.name}\n"
        f"Description: {board.description or ''}\n\n"
        "Find out from the person behind this board what it is for, in six to ten questions, one at a time: the goal "
        "and how its success shows, a name for the board's lead (a first name is best), how they like to work "
        "together, and at the end one open question with room for anything else (an option whose answer is free "
        "text).\n"
        f"Speak over HTTP only: POST {path} with your X-Agent-Token. GET {base}/api/v1/boards/{board.id}/onboarding "
        "shows the answers.\n"
        'A question: {"question": "...", "options": [{"id": "1", "label": "..."}]}\n'
        'When you know enough: {"status": "complete", "board_type": "goal" or "general", "objective": "...", '
        '"success_metrics": {...}, "target_date": null or an ISO date, "user_profile": {"preferred_name", '
        '"pronouns", "timezone", "notes", "context"}, "lead_agent": {"name", "identity_profile": {...}, '
        '"autonomy_level": "ask_first" | "balanced" | "autonomous", "verbosity": "concise" | "balanced" | '
        '"detailed", "output_format": "bullets" | "mixed" | "narrative", "update_cadence": "asap" | "hourly" | '
        '"daily" | "weekly", "custom_instructions"}}\n'
        "A goal board needs an objective and success metrics."
    )


async def get_onboarding(request: Request) -> Response:
    """
    Read the onboarding of a board.

    The organization's main agent may read it too.
    """
    board = await board_in_path(request)
    return versioned_response(
        BoardOnboardingRead.of(await latest_onboarding(ports_of(request), principal_of(request), board))
    )


async def start(request: Request) -> Response:
    """
    Start the onboarding of a board, unless one is active already.

    The first message contains the main agent's instructions.
    """
    board = await board_in_path(request)
    await body_of(request, BoardOnboardingStart)
    base = base_url_of(request)
    command = StartOnboarding(board=board, instruction_for=lambda found: main_agent_instruction(base, found))
    return versioned_response(
        BoardOnboardingRead.of(await perform_once(request, start_onboarding, command, _onboarding_again))
    )


async def answer(request: Request) -> Response:
    """
    Answer the main agent's question.
    """
    board = await board_in_path(request)
    body = await body_of(request, BoardOnboardingAnswer)
    said = f"{body.answer}: {body.other_text}" if body.other_text else body.answer
    command = AnswerOnboarding(board=board, answer=said)
    return versioned_response(
        BoardOnboardingRead.of(await perform_once(request, answer_onboarding, command, _onboarding_again))
    )


async def report(request: Request) -> Response:
    """
    Ask the person the next question about a board, or hand in the result, as the main agent.
    """
    board = await board_in_path(request)
    body = await body_of_any(request, MESSAGE_BODIES)
    complete = isinstance(body, BoardOnboardingAgentComplete)
    plain = _without_nulls(attrs.asdict(body))
    if complete and body.success_metrics is not None:
        plain["success_metrics"] = msgspec.json.decode(body.success_metrics)
    said = canonical(plain)
    command = SubmitOnboardingMessage(board=board, content=said, complete=complete)
    return versioned_response(
        BoardOnboardingRead.of(await perform_once(request, submit_onboarding_message, command, _onboarding_again))
    )


async def confirm(request: Request) -> Response:
    """
    Apply the agreed goal to the board, and create the board's lead if it has none.

    If the drafted lead is fully autonomous, tasks need no approval to be done.
    """
    board = await board_in_path(request)
    body = await body_of(request, BoardOnboardingConfirm)
    command = ConfirmOnboarding(
        board=board, board_type=body.board_type, objective=body.objective,
        success_metrics=maybe_json(body.success_metrics), target_date=body.target_date,
    )  # fmt: skip
    await perform_once(request, confirm_onboarding, command, board_again)
    return versioned_response(BoardRead.of(await ports_of(request).reads.boards.get(principal_of(request), board)))


def _without_nulls(value: Any) -> Any:
    """
    The value without keys that are null.
    """
    if isinstance(value, dict):
        return {name: _without_nulls(each) for name, each in value.items() if each is not None}
    if isinstance(value, list | tuple):
        return [_without_nulls(each) for each in value]
    return value.isoformat() if isinstance(value, datetime) else value


_onboarding_again = read_row_again(ONBOARDINGS)
ONBOARDING_PATH = "/boards/{board_id}/onboarding"
TAGS = ("board-onboarding",)
REFUSES = (BoardNotFound, BoardDenied, OnboardingNotFound)
OnboardingMessageBody = BoardOnboardingAgentComplete | BoardOnboardingAgentQuestion
ENDPOINTS = [
    Endpoint(
        "GET", ONBOARDING_PATH, get_onboarding, gives=BoardOnboardingRead, who=MIXED, tags=TAGS, refuses=REFUSES,
        operation_id="get_onboarding_api_v1_boards__board_id__onboarding_get",
    ),
    Endpoint(
        "POST", ONBOARDING_PATH + "/start", start, takes=BoardOnboardingStart, gives=BoardOnboardingRead, who=USER,
        tags=TAGS, headers=(IDEMPOTENCY_KEY,), refuses=REFUSES,
        operation_id="start_onboarding_api_v1_boards__board_id__onboarding_start_post",
    ),
    Endpoint(
        "POST", ONBOARDING_PATH + "/answer", answer, takes=BoardOnboardingAnswer, gives=BoardOnboardingRead, who=USER,
        tags=TAGS, headers=(IDEMPOTENCY_KEY,), refuses=(*REFUSES, OnboardingConfirmed),
        operation_id="answer_onboarding_api_v1_boards__board_id__onboarding_answer_post",
    ),
    Endpoint(
        "POST", ONBOARDING_PATH + "/agent", report, takes=OnboardingMessageBody, gives=BoardOnboardingRead, who=AGENT,
        tags=TAGS, headers=(IDEMPOTENCY_KEY,), refuses=(*REFUSES, OnboardingConfirmed, NotTheMainAgent),
        operation_id="agent_onboarding_update_api_v1_boards__board_id__onboarding_agent_post",
    ),
    Endpoint(
        "POST", ONBOARDING_PATH + "/confirm", confirm, takes=BoardOnboardingConfirm, gives=BoardRead, who=USER,
        tags=TAGS, headers=(IDEMPOTENCY_KEY,), refuses=(*REFUSES, OnboardingConfirmed),
        operation_id="confirm_onboarding_api_v1_boards__board_id__onboarding_confirm_post",
    ),
    Endpoint(
        "POST", "/agent" + ONBOARDING_PATH, report, takes=OnboardingMessageBody, gives=BoardOnboardingRead, who=AGENT,
        tags=BOARD_AGENT_TAGS, headers=(IDEMPOTENCY_KEY,),
        extra=agent_hints(
            "agent_board_onboarding_update",
            ["You are the main agent, and ask a person about the purpose of a board."],
            unless=["You belong to a board: the main agent drafts its goal."],
            effects=["The question or the draft is shown to the person."],
        ),
        refuses=(*REFUSES, OnboardingConfirmed, NotTheMainAgent),
        operation_id="update_onboarding_api_v1_agent_boards__board_id__onboarding_post",
    ),
]  # fmt: skip
