"""
Onboarding of a board: the organization's main agent asks a person about the board's purpose, and drafts a goal and a
lead.

The conversation is stored with the board, and both sides read it there. No live gateway is needed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, field
from attrs.validators import optional

from mission_core.accounts.model import AgentPrincipal, Principal, Role, require_no_agent_below_admin, require_role
from mission_core.accounts.organizations import built_in_gateway
from mission_core.accounts.profiles import save_profile_answers
from mission_core.agents.model import RESERVED_AGENT_NAMES, Agent, AgentCreated
from mission_core.agents.onboarding_refusals import NotTheMainAgent, OnboardingConfirmed
from mission_core.boards.model import Board
from mission_core.errors import InvalidField, NotFound
from mission_core.events.model import Event
from mission_core.field_types import with_type_validators
from mission_core.ids import AgentId, AgentNumber, BoardId, OnboardingId, OrganizationId
from mission_core.kinds import Kind
from mission_core.lazy_attrs import frozen
from mission_core.use_case import use_case
from mission_core.values import JsonText, canonical, checked_text, name_key, storable_json, text, utc_moment

if TYPE_CHECKING:
    from uuid import UUID

    from mission_core.ports import Ports, UnitOfWork

MAX_MESSAGE_LENGTH: Final = 20_000
MAX_MESSAGES: Final = 500
GOAL_SOURCE: Final = "lead_agent_onboarding"
DEFAULT_LEAD_NAME: Final = "Lead Agent"
DEFAULT_LEAD_PROFILE: Final = {
    "role": "Board Lead",
    "communication_style": "direct, concise, practical",
    "emoji": ":gear:",
}
LEAD_PREFERENCES: Final = ("autonomy_level", "verbosity", "output_format", "update_cadence", "custom_instructions")


class OnboardingStage(StrEnum):
    """
    The stage of an onboarding.
    """

    ACTIVE = "active"
    COMPLETED = "completed"
    CONFIRMED = "confirmed"


class OnboardingNotFound(NotFound):
    """
    The board has no onboarding.
    """

    code = "no_onboarding"
    says = "this board has no onboarding; start one"


@frozen(kw_only=True, field_transformer=with_type_validators)
class Onboarding:
    """
    An onboarding of a board: its messages (a JSON list of role, content and timestamp), and the draft once the agent
    has handed it in.
    """

    id: OnboardingId
    organization: OrganizationId
    board: BoardId
    session_key: str = field(validator=text(least=1, most=300))
    stage: OnboardingStage = OnboardingStage.ACTIVE
    messages: JsonText = field(validator=storable_json)
    draft: JsonText | None = field(default=None, validator=optional(storable_json))
    created_at: datetime = field(validator=utc_moment)
    updated_at: datetime = field(validator=utc_moment)
    version: int = 0

    def add_message(self, role: str, content: str, *, at: datetime, draft: JsonText | None = None) -> Onboarding:
        """
        The onboarding with another message. A *draft* completes it.

        Raises:
            OnboardingConfirmed: If it is confirmed already.
            InvalidField: If it has the maximum number of messages.
        """
        if self.stage is OnboardingStage.CONFIRMED:
            raise OnboardingConfirmed
        said = json.loads(self.messages)
        if len(said) >= MAX_MESSAGES:
            raise InvalidField("messages", f"must have at most {MAX_MESSAGES} entries", len(said))
        said.append(_message(role, content, at))
        return evolve(
            self,
            messages=canonical(said),
            stage=self.stage if draft is None else OnboardingStage.COMPLETED,
            draft=draft or self.draft,
            updated_at=at,
        )

    @property
    def draft_object(self) -> dict[str, Any]:
        """
        The draft as a dictionary.
        """
        found: dict[str, Any] = json.loads(self.draft) if self.draft else {}
        return found


ONBOARDINGS: Final = Kind(
    entity=Onboarding,
    name="onboardings",
    missing=OnboardingNotFound,
    indexed_by=(("board",),),
    cascades_from={"board": Board},
)


@frozen(kw_only=True, eq=False, repr=False)
class OnboardingStageChanged(Event):
    """
    An onboarding was started, completed with a draft, or confirmed.
    """

    kind = "board.onboarding"

    board: BoardId
    onboarding: OnboardingId
    stage: OnboardingStage


@frozen(kw_only=True)
class StartOnboarding:
    """
    Start the onboarding of a board. *instruction_for* writes the main agent's instructions for the board.
    """

    board: BoardId
    instruction_for: Callable[[Board], str]


@frozen(kw_only=True)
class AnswerOnboarding:
    """
    Add a person's answer to an onboarding.
    """

    board: BoardId
    answer: str


@frozen(kw_only=True)
class SubmitOnboardingMessage:
    """
    Ask the next question, or hand in the draft, as the main agent. *content* is its message as JSON.
    """

    board: BoardId
    content: JsonText
    complete: bool


@frozen(kw_only=True)
class ConfirmOnboarding:
    """
    Apply the agreed goal to the board.
    """

    board: BoardId
    board_type: str
    objective: str | None = None
    success_metrics: JsonText | None = None
    target_date: datetime | None = None


async def latest_onboarding(ports: Ports, principal: Principal, board: BoardId) -> Onboarding:
    """
    Read the board's onboarding that was updated last.

    Raises:
        BoardNotFound: If there is no such board for this principal.
        OnboardingNotFound: If the board has no onboarding.
    """
    await ports.reads.boards.check(principal, board)
    return _latest(await ports.reads.entities.every(principal, ONBOARDINGS, board=board))


@use_case
async def start_onboarding(ports: Ports, principal: Principal, cmd: StartOnboarding) -> Onboarding:
    """
    Start the onboarding of a board, unless one is active already.

    Raises:
        BoardNotFound: If there is no such board for this principal.
    """
    require_role(principal, Role.OPERATOR)
    require_no_agent_below_admin(principal)
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        board = await unit.boards.get(cmd.board)
        known = await unit.repository(ONBOARDINGS).every(board=board.id)
        active = next((each for each in known if each.stage is OnboardingStage.ACTIVE), None)
        if active is not None:
            return active
        made = Onboarding(
            id=OnboardingId(ports.ids.new()),
            organization=principal.organization,
            board=board.id,
            session_key=gateway_session_key(board.gateway or built_in_gateway(principal.organization)),
            messages=canonical([_message("user", cmd.instruction_for(board), now)]),
            created_at=now,
            updated_at=now,
        )
        unit.repository(ONBOARDINGS).add(made)
        unit.rely_on(board, bump=True)  # of two concurrent starts, one fails and then finds the other's
        unit.record(OnboardingStageChanged(board=board.id, onboarding=made.id, stage=made.stage, at=now))
        unit.result(made.id)
        await unit.commit()
    return made


@use_case
async def answer_onboarding(ports: Ports, principal: Principal, cmd: AnswerOnboarding) -> Onboarding:
    """
    Store a person's answer.

    Raises:
        OnboardingNotFound: If the board has no onboarding.
        OnboardingConfirmed: If it is confirmed already.
    """
    require_role(principal, Role.OPERATOR)
    require_no_agent_below_admin(principal)
    checked_text("answer", cmd.answer, least=1, most=MAX_MESSAGE_LENGTH)
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        talk = await _of_board(unit, cmd.board)
        talk = unit.repository(ONBOARDINGS).save(talk.add_message("user", cmd.answer, at=now))
        unit.result(talk.id)
        await unit.commit()
    return talk


@use_case
async def submit_onboarding_message(ports: Ports, principal: Principal, cmd: SubmitOnboardingMessage) -> Onboarding:
    """
    Store the main agent's question or draft.

    Raises:
        NotTheMainAgent: If the caller is not the main agent.
        OnboardingNotFound: If the board has no onboarding.
        OnboardingConfirmed: If it is confirmed already.
    """
    checked_text("content", cmd.content, most=MAX_MESSAGE_LENGTH)
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        await _require_main_agent(unit, principal)
        talk = await _of_board(unit, cmd.board)
        after = talk.add_message("assistant", cmd.content, at=now, draft=cmd.content if cmd.complete else None)
        after = unit.repository(ONBOARDINGS).save(after)
        if cmd.complete:
            unit.record(OnboardingStageChanged(board=talk.board, onboarding=talk.id, stage=after.stage, at=now))
        unit.result(after.id)
        await unit.commit()
    return after


@use_case
async def confirm_onboarding(ports: Ports, principal: Principal, cmd: ConfirmOnboarding) -> Board:
    """
    Apply the goal to the board, store what the draft says about the person, and create the board's lead if it has none.
    All of it is one change.

    Raises:
        OnboardingNotFound: If the board has no onboarding.
        OnboardingConfirmed: If it is confirmed already.
        GoalIncomplete: If a goal board lacks objective or metrics.
    """
    require_role(principal, Role.OPERATOR)
    require_no_agent_below_admin(principal)
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        board = await unit.boards.get(cmd.board)
        talk = await _of_board(unit, cmd.board)
        if talk.stage is OnboardingStage.CONFIRMED:
            raise OnboardingConfirmed
        lead = talk.draft_object.get("lead_agent") or {}
        known_lead = await unit.agents.lead(board.id)
        new_lead = None if known_lead else await _drafted_lead(ports, unit, board, lead, at=now)
        told = await save_profile_answers(unit, principal, talk.draft_object.get("user_profile") or {}, at=now)
        board, updated = board.edit(
            {
                "board_type": cmd.board_type,
                "objective": cmd.objective,
                "success_metrics": cmd.success_metrics,
                "target_date": cmd.target_date,
                "goal_confirmed": True,
                "goal_source": GOAL_SOURCE,
                "gates": evolve(board.gates, require_approval_for_done=not is_fully_autonomous(lead)),
            },
            at=now,
        )
        board.check_goal()
        board = unit.boards.save(board)
        unit.repository(ONBOARDINGS).save(evolve(talk, stage=OnboardingStage.CONFIRMED, updated_at=now))
        if new_lead is not None:
            unit.agents.add(new_lead)
            unit.record(AgentCreated.of(new_lead, at=now))
        unit.record(
            updated,
            *told,
            OnboardingStageChanged(board=board.id, onboarding=talk.id, stage=OnboardingStage.CONFIRMED, at=now),
        )
        unit.result(board.id)
        await unit.commit()
    return board


def gateway_session_key(gateway: UUID) -> str:
    """
    The session key of a gateway's main agent, which conducts the onboarding.
    """
    return f"agent:mc-gateway-{gateway}:main"


def is_fully_autonomous(lead: Mapping[str, Any]) -> bool:
    """
    Whether the drafted lead acts without asking for approval, in any spelling that the drafts use.
    """
    profile = lead.get("identity_profile") or {}
    words = [lead.get("autonomy_level"), *(profile.get(name) for name in ("autonomy_level", "autonomy", "mode"))]
    for word in filter(None, words):
        plain = str(word).strip().lower().replace("_", "-")
        if plain in ("autonomous", "fully-autonomous", "full-autonomy") or ("autonom" in plain and "fully" in plain):
            return True
    return False


async def _drafted_lead(
    ports: Ports, unit: UnitOfWork, board: Board, draft: Mapping[str, Any], *, at: datetime
) -> Agent:
    """
    The lead agent of the draft, under a name that is free in the organization.
    """
    wanted = str(draft.get("name") or DEFAULT_LEAD_NAME).replace("/", "-").strip()[:100] or DEFAULT_LEAD_NAME
    (number,) = await ports.numbers.next((board.organization, "agent"))
    name = wanted
    if name_key(name) in RESERVED_AGENT_NAMES or await unit.agents.find(name) is not None:
        name = f"{wanted[:60]} ({board.name[:25]}, {number})".replace("/", "-")
    profile = DEFAULT_LEAD_PROFILE | dict(draft.get("identity_profile") or {})
    profile |= {key: draft[key] for key in LEAD_PREFERENCES if draft.get(key)}
    return Agent(
        id=AgentId(ports.ids.new()),
        number=AgentNumber(number),
        organization=board.organization,
        name=name,
        role="lead",
        board=board.id,
        lead=True,
        session_key=f"agent:lead-{board.id}:main",
        identity_profile=canonical(profile),
        created_at=at,
        updated_at=at,
    )


async def _of_board(unit: UnitOfWork, board: BoardId) -> Onboarding:
    await unit.boards.get(board)
    return _latest(await unit.repository(ONBOARDINGS).every(board=board))


def _latest(known: list[Onboarding]) -> Onboarding:
    if not known:
        raise OnboardingNotFound
    return max(known, key=lambda each: (each.updated_at, each.id))


async def _require_main_agent(unit: UnitOfWork, principal: Principal) -> None:
    if not isinstance(principal, AgentPrincipal) or principal.board is not None:
        raise NotTheMainAgent(of_a_board=True)
    agent = await unit.agents.get(principal.agent)
    if not agent.main:
        raise NotTheMainAgent(of_a_board=False)


def _message(role: str, content: str, at: datetime) -> dict[str, str]:
    return {"role": role, "content": content, "timestamp": at.isoformat()}
