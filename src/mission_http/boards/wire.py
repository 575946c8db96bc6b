"""
Conversion of values between the core and the wire of the Boards dialect: ids, times, statuses and rows.

The payload classes are rendered from rows with the conversions of this module.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final, Generic, TypeVar
from uuid import UUID

import msgspec

from mission_core.accounts.organizations import built_in_gateway
from mission_core.agents.model import Presence
from mission_core.agents.queries import AgentRow
from mission_core.boards.queries import BoardRow
from mission_core.boards.tags import Tag
from mission_core.errors import Invalid
from mission_core.ids import OrganizationId
from mission_core.tasks.comments import Comment
from mission_core.tasks.late_results import NOTICE, LateResult
from mission_core.tasks.model import Status
from mission_core.tasks.queries import RunRow
from mission_core.tasks.runs import Run
from mission_core.tasks.team_rules import SHOWN_AS_BLOCKED, TEAM_STATUSES
from mission_core.values import EPOCH, JsonText, json_text, moment
from mission_http.platform.converters import converter_of
from mission_http.platform.errors import single_value_error
from mission_http.platform.shapes import Conversions, Inline, RowPayload
from mission_http.platform.value_parsers import LAX

RowT = TypeVar("RowT")


class JsonObject(str):
    """
    A JSON object in a body, as its canonical text. In the OpenAPI document it is an object.
    """


def _object_read(value: object, _: object) -> JsonText:
    if not isinstance(value, dict):
        raise single_value_error("dict_type", "Input should be a valid dictionary", value)
    return json_text(value)


CONVERTER: Final = converter_of(LAX)
CONVERTER.register_structure_hook(JsonObject, _object_read)
RAW_VALUES: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
NAIVE_EPOCH: Final = EPOCH.replace(tzinfo=None)
"""Times are sent without a zone, and are UTC."""

FOLDED_STATUSES: Final = {status: place.value for status, place in TEAM_STATUSES.items()}
SHOWN_STATUSES: Final[dict[str, str]] = {status.value: shown for status, shown in FOLDED_STATUSES.items()}
CORE_STATUSES: Final = {
    shown: tuple(status for status in Status if FOLDED_STATUSES[status] == shown)
    for shown in dict.fromkeys(FOLDED_STATUSES.values())
}
"""The core statuses behind each of the four statuses of this dialect."""
BLOCKED_STATUSES: Final = frozenset(status.value for status in SHOWN_AS_BLOCKED)
"""Core statuses shown as a blocked task in the inbox: work on it cannot start."""


class StatusFilterUnknown(Invalid):
    """
    The filter of a task list names an unknown status.
    """

    says = "Unsupported task status filter."


def core_statuses_from(filtered: str | None) -> tuple[Status, ...] | None:
    """
    The core statuses of a comma-separated filter, or None if it is empty.

    Raises:
        StatusFilterUnknown: If it names an unknown status.
    """
    names = [name.strip() for name in (filtered or "").split(",") if name.strip()]
    if not names:
        return None
    if not CORE_STATUSES.keys() >= set(names):
        raise StatusFilterUnknown
    return tuple(status for name in dict.fromkeys(names) for status in CORE_STATUSES[name])


def uuid_from(raw: bytes) -> str:
    """
    Sixteen bytes as a lower-case hyphenated UUID.
    """
    digits = raw.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def maybe_uuid(raw: bytes | None) -> str | None:
    return None if raw is None else uuid_from(raw)


def time_from(value: int) -> datetime:
    """
    The naive UTC time of a number of microseconds. Its encoding has a fraction only if that is not zero.
    """
    return NAIVE_EPOCH + timedelta(microseconds=value)


def maybe_time(value: int | None) -> datetime | None:
    return None if value is None else NAIVE_EPOCH + timedelta(microseconds=value)


def naive(value: datetime | None) -> datetime | None:
    """
    An aware UTC time as the naive time that this dialect sends.
    """
    return None if value is None else value.replace(tzinfo=None)


def raw_json(text: JsonText | None) -> msgspec.Raw | None:
    """
    A JSON column, embedded in the response as it is.
    """
    return None if text is None else msgspec.Raw(text.encode())


def maybe_json(value: JsonObject | None) -> JsonText | None:
    return None if value is None else JsonText(value)


def uuids_from(raw: bytes) -> list[str]:
    """
    The ids in a concatenation of 16-byte values.
    """
    return [uuid_from(raw[i : i + 16]) for i in range(0, len(raw), 16)]


CONVERSIONS: Final[Conversions] = {
    (bytes, UUID): uuid_from,
    (bytes, list): Inline("(uuids_from({0}) if {0} else [])", uuids_from=uuids_from),
    (int, bool): Inline("{} != 0"),
    (int, datetime): Inline("naive_epoch + timedelta(0, 0, {})", naive_epoch=NAIVE_EPOCH, timedelta=timedelta),
    (datetime, datetime): Inline("{}.replace(tzinfo=None)"),
    (JsonText, Any): Inline("Raw({}.encode())", Raw=msgspec.Raw),
}


class BoardsPayload(RowPayload[RowT], Generic[RowT]):
    """
    A payload of the Boards API that is rendered from a row or an entity.
    """

    conversions: ClassVar[Conversions] = CONVERSIONS


def tag_ref(tag: Tag) -> dict[str, Any]:
    """
    A tag as `TagRef`.
    """
    return {"id": str(tag.id), "name": tag.name, "slug": tag.slug, "color": tag.color}


def board_from(row: BoardRow) -> dict[str, Any]:
    """
    A board as `BoardRead`.
    """
    gateway = row.gateway or built_in_gateway(OrganizationId(UUID(bytes=row.organization))).bytes
    return {
        "id": uuid_from(row.id),
        "organization_id": uuid_from(row.organization),
        "name": row.name,
        "slug": row.slug,
        "description": row.description or "",
        "gateway_id": uuid_from(gateway),
        "board_group_id": maybe_uuid(row.group),
        "board_type": row.board_type,
        "objective": row.objective,
        "success_metrics": raw_json(row.success_metrics),
        "target_date": maybe_time(row.target_date),
        "goal_confirmed": bool(row.goal_confirmed),
        "goal_source": row.goal_source,
        "require_approval_for_done": bool(row.require_approval_for_done),
        "require_review_before_done": bool(row.require_review_before_done),
        "comment_required_for_review": bool(row.comment_required_for_review),
        "block_status_changes_with_pending_approval": bool(row.block_status_changes_with_pending_approval),
        "only_lead_can_change_status": bool(row.only_lead_can_change_status),
        "max_agents": row.max_agents,
        "created_at": time_from(row.created_at),
        "updated_at": time_from(row.updated_at),
        "number": row.number,
        "ticket_prefix": row.ticket_prefix,
        "version": row.version,
    }


def agent_renderer(organization: OrganizationId, *, at: datetime) -> Callable[[AgentRow], dict[str, Any]]:
    """
    A function that renders agents of the organization as `AgentRead`, with their status at this time.
    """
    gateway = str(built_in_gateway(organization))
    return lambda row: agent_from(row, gateway, at=at)


def agent_from(row: AgentRow, gateway: str, *, at: datetime) -> dict[str, Any]:
    """
    An agent as `AgentRead`, with the status derived at this time.
    """
    seen = row.last_seen_at
    id, board = uuid_from(row.id), maybe_uuid(row.board)
    presence = Presence(reported=row.reported, last_seen_at=None if seen is None else moment(seen))
    return {
        "id": id,
        "board_id": board,
        "gateway_id": gateway,
        "name": row.name,
        "status": presence.status(at=at),
        "heartbeat_config": raw_json(row.heartbeat_config),
        "identity_profile": raw_json(row.identity_profile),
        "identity_template": row.identity_template,
        "soul_template": row.soul,
        "is_board_lead": bool(row.lead),
        "is_gateway_main": board is None,
        "openclaw_session_id": row.session_key or _session_of(id, board, gateway, lead=bool(row.lead)),
        "last_seen_at": maybe_time(seen),
        "created_at": time_from(row.created_at),
        "updated_at": time_from(row.updated_at),
        "number": row.number,
        "role": row.role,
        "version": row.version,
    }


def _session_of(agent: str, board: str | None, gateway: str, *, lead: bool) -> str:
    if board is None:
        return f"agent:mc-gateway-{gateway}:main"
    return f"agent:lead-{board}:main" if lead else f"agent:mc-{agent}:main"


def lease_from(run: Run, secret: str) -> dict[str, Any]:
    """
    A lease as `LeaseRead`.
    """
    return {
        "run_id": str(run.id),
        "lease": secret,
        "fence": run.fence,
        "attempt": run.attempt,
        "expires_at": naive(run.expires_at),
        "heartbeat_seconds": lease_heartbeat_seconds(run),
    }


def lease_heartbeat_seconds(run: Run) -> int:
    """
    The greatest interval between two heartbeats in seconds: a third of the lease's term, and at least one.
    """
    return max(1, int(run.term.total_seconds()) // 3)


def comment_from(comment: Comment) -> dict[str, Any]:
    """
    A comment as `TaskCommentRead`.
    """
    return {
        "id": str(comment.id),
        "message": comment.content,
        "agent_id": str(comment.author_id) if comment.author_kind == "agent" else None,
        "task_id": str(comment.task),
        "created_at": naive(comment.created_at),
        "number": comment.number,
        "author": comment.author,
        "parent_id": str(comment.parent) if comment.parent else None,
        "mentions": comment.mentions,
    }


def late_result_from(late: LateResult) -> dict[str, Any]:
    """
    A late result as `LateResultRead`, marked as text of another agent.
    """
    return {
        "run_id": str(late.run),
        "fence": late.fence,
        "agent": late.by,
        "notice": NOTICE,
        "outcome": late.result.value if late.result else None,
        "resolution": late.resolution,
        "output": raw_json(late.output),
        "reason": late.failure,
        "message": late.message,
        "received_at": naive(late.received_at),
        "adopted_at": naive(late.adopted_at) if late.adopted_at else None,
    }


def run_from(row: RunRow, late: LateResult | None) -> dict[str, Any]:
    """
    A run as `RunRead`.
    """
    return {
        "run_id": uuid_from(row.id),
        "task_id": uuid_from(row.task),
        "fence": row.fence,
        "attempt": row.attempt,
        "agent": row.by,
        "state": row.state,
        "claimed_at": time_from(row.claimed_at),
        "expires_at": time_from(row.expires_at),
        "heartbeat_at": time_from(row.heartbeat_at),
        "progress": raw_json(row.progress),
        "paused": bool(row.paused),
        "waiting_for": row.waiting_for,
        "resumes_at": maybe_time(row.resumes_at),
        "ended_at": maybe_time(row.ended_at),
        "outcome": row.result,
        "resolution": row.resolution,
        "output": raw_json(row.output),
        "reason": row.failure,
        "message": row.message,
        "note": row.note,
        "late_result": late_result_from(late) if late else None,
    }
