"""
Queries, bodies and responses of the operations on agents.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar
from uuid import UUID

from attrs import frozen
from msgspec import UNSET, UnsetType

from mission_core.values import UNSTORABLE
from mission_http.boards.payloads import MaybeObject, NumberedPageQuery, none_if_blank, stripped
from mission_http.boards.wire import JsonObject
from mission_http.platform.field_annotations import CustomCheck, Length, SchemaOverride


@frozen(kw_only=True)
class AgentListQuery(NumberedPageQuery):
    board_id: UUID | None = None
    gateway_id: UUID | None = None


@frozen(kw_only=True)
class AgentRead:
    schema_extra: ClassVar[dict[str, Any]] = {"x-llm-intent": "agent_profile_lookup"}

    id: UUID
    board_id: UUID | None
    gateway_id: UUID
    name: Annotated[str, Length(1)]
    status: str
    heartbeat_config: MaybeObject
    identity_profile: MaybeObject
    identity_template: str | None
    soul_template: str | None
    is_board_lead: bool
    is_gateway_main: bool
    openclaw_session_id: str | None
    last_seen_at: datetime | None
    created_at: datetime
    updated_at: datetime
    number: int
    role: str
    version: int
    agent_token: str | UnsetType | None = UNSET
    """Present only in the response that creates the agent."""


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


@frozen(kw_only=True)
class AgentCreate:
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


@frozen(kw_only=True)
class AgentHealthStatusResponse:
    ok: bool
    agent_id: UUID
    board_id: UUID | None
    gateway_id: UUID
    status: str
    is_board_lead: bool
