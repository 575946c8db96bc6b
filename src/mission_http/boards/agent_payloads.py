"""
Queries, bodies and responses of the operations on agents.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Annotated, Any, ClassVar
from uuid import UUID

from msgspec import UNSET, UnsetType

from mission_core.accounts.organizations import built_in_gateway
from mission_core.agents.queries import AgentRow, status_of_row
from mission_core.ids import OrganizationId
from mission_core.values import UNSTORABLE
from mission_http.boards.payloads import MaybeObject, NumberedPageQuery, none_if_blank, stripped
from mission_http.boards.wire import BoardsPayload, JsonObject
from mission_http.platform.field_annotations import Body, CustomCheck, Length, SchemaOverride
from mission_http.platform.shapes import Computed, Fixed, Given, Of


class AgentListQuery(NumberedPageQuery):
    board_id: UUID | None = None
    gateway_id: UUID | None = None


def status_of_agent(row: AgentRow, at: datetime) -> str:
    return status_of_row(row, at=at, as_made=False)


def has_no_board(row: AgentRow) -> bool:
    return row.board is None


def session_of_agent(row: AgentRow, id: str, board_id: str | None, gateway_id: UUID) -> str:
    if row.session_key:
        return row.session_key
    if board_id is None:
        return f"agent:mc-gateway-{gateway_id}:main"
    return f"agent:lead-{board_id}:main" if row.lead else f"agent:mc-{id}:main"


class AgentRead(BoardsPayload[AgentRow]):
    schema_extra: ClassVar[dict[str, Any]] = {"x-llm-intent": "agent_profile_lookup"}

    id: UUID
    board_id: Annotated[UUID | None, Of("board")]
    gateway_id: Annotated[UUID, Given()]
    name: Annotated[str, Length(1)]
    status: Annotated[str, Computed(status_of_agent)]
    heartbeat_config: MaybeObject
    identity_profile: MaybeObject
    identity_template: str | None
    soul_template: Annotated[str | None, Of("soul")]
    is_board_lead: Annotated[bool, Of("lead")]
    is_gateway_main: Annotated[bool, Computed(has_no_board)]
    openclaw_session_id: Annotated[str | None, Computed(session_of_agent)]
    last_seen_at: datetime | None
    created_at: datetime
    updated_at: datetime
    number: int
    role: str
    version: int
    agent_token: Annotated[str | UnsetType | None, Given()] = UNSET
    """Present only in the response that creates the agent."""


def agent_renderer(organization: OrganizationId, *, at: datetime) -> Callable[..., AgentRead]:
    """
    A function that renders agents of the organization, with their status at this time.
    """
    return partial(AgentRead.of, gateway_id=built_in_gateway(organization), at=at)


def identity_profile_from(value: object) -> dict[str, str] | None:
    """
    Convert the values of an identity profile to trimmed text. Lists are joined, blank values are left out, and an empty
    profile is None.

    Raises:
        ValueError: If it contains characters that cannot be stored.
    """
    if not isinstance(value, dict):
        return None
    texts = {str(key).strip(): _as_text(each) for key, each in value.items()}
    if any(UNSTORABLE.search(key + text) for key, text in texts.items()):
        raise ValueError("must not hold NUL or lone surrogates")
    return {key: text for key, text in texts.items() if key and text} or None


def _as_text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(filter(None, map(_as_text, value)))
    return "" if value is None else str(value).strip()


class AgentCreate(Body):
    schema_extra: ClassVar[dict[str, Any]] = {"x-llm-intent": "agent_profile"}

    name: Annotated[str, CustomCheck(stripped), Length(1, 100)]
    board_id: UUID | None = None
    status: str = "provisioning"
    heartbeat_config: JsonObject | None = None
    identity_profile: Annotated[
        Any, CustomCheck(identity_profile_from), SchemaOverride({"anyOf": [{"type": "object"}, {"type": "null"}]})
    ] = None
    identity_template: Annotated[str | None, CustomCheck(none_if_blank)] = None
    soul_template: Annotated[str | None, CustomCheck(none_if_blank)] = None


class AgentHealthStatusResponse(BoardsPayload[AgentRow]):
    ok: Annotated[bool, Fixed(True)]
    agent_id: Annotated[UUID, Of("id")]
    board_id: Annotated[UUID | None, Of("board")]
    gateway_id: Annotated[UUID, Given()]
    status: Annotated[str, Of("reported")]
    is_board_lead: Annotated[bool, Of("lead")]
