"""
Wire format of the Fleet API: numbers as ids, Unix seconds, and payloads of rows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from attrs import evolve, fields

from mission_core.agents.model import LIFECYCLE_STATUSES, OFFLINE, OFFLINE_AFTER, PROVISIONING
from mission_core.agents.queries import AgentRow, ApiKeyRow, ToolConnectionRow
from mission_core.boards.queries import BoardRow
from mission_core.tasks.late_results import NOTICE, LateResult
from mission_core.tasks.leases import ClaimResult
from mission_core.tasks.queries import RunRow, TaskRow
from mission_core.values import ABSENT, EPOCH, MAX_INTEGER, JsonText, micros, name_key
from mission_http.platform.converters import converter_of
from mission_http.platform.errors import single_value_error
from mission_http.platform.value_parsers import LAX, STRICT

WORKSPACE_NUMBER: Final = 1
"""The `workspace_id` that every payload shows."""
MAX_UNIX_SECONDS: Final = 4_102_444_800
MICROSECONDS_PER_SECOND: Final = 1_000_000

_leading: Final = re.compile(r"\s*(\d+)", re.ASCII)


def leading_integer(value: object) -> int:
    """
    Parse the whole number that a text begins with, and ignore the rest.
    """
    found = _leading.match(value) if isinstance(value, str) else None
    if found is None:
        raise single_value_error("int_parsing", "must be a whole number, 0 or more", value)
    return clamped_number(found[1])


def clamped_number(digits: str) -> int:
    """
    Convert digits to a number, at most the greatest that a store can hold, which no row has.
    """
    return min(int(digits[:20]), MAX_INTEGER) if len(digits) < 21 else MAX_INTEGER


CONVERTER: Final = converter_of(STRICT)
QUERY_CONVERTER: Final = converter_of(evolve(LAX, integer=leading_integer))


def moment_of(seconds: int) -> datetime:
    """
    Convert Unix seconds to a datetime.
    """
    return EPOCH + timedelta(seconds=seconds)


def seconds_of(moment: datetime) -> int:
    """
    Convert a datetime to whole Unix seconds.
    """
    return micros(moment) // MICROSECONDS_PER_SECOND


def iso_of(moment: datetime) -> str:
    """
    Format a datetime as ISO 8601 in UTC, with milliseconds.
    """
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds_or_none(micros: int | None) -> int | None:
    """
    Convert a row's microseconds to whole seconds.
    """
    return None if micros is None else micros // MICROSECONDS_PER_SECOND


def command_arguments(body: Any, names: Mapping[str, str], moments: frozenset[str]) -> dict[str, Any]:
    """
    Convert the fields that a body has to arguments of a command.

    Args:
        names: The argument's name for a field, where they differ; an empty one leaves the field out.
        moments: Fields with Unix seconds, which become datetimes.
    """
    found: dict[str, Any] = {}
    for one in fields(type(body)):
        value = getattr(body, one.name)
        name = names.get(one.name, one.name)
        if value is ABSENT or not name:
            continue
        if value is not None and one.name in moments:
            value = moment_of(value)
        found[name] = tuple(value) if isinstance(value, list) else value
    return found


def raw_json(text: JsonText | None) -> msgspec.Raw | None:
    """
    Pass a JSON column through without decoding it.
    """
    return None if text is None else msgspec.Raw(text.encode())


def page_number(offset: int, limit: int) -> int | None:
    """
    Compute the number of the page at an offset, counted from 1.
    """
    return offset // limit + 1 if limit else None


def ticket_ref(prefix: str, ticket: int) -> str:
    """
    Format a ticket reference: the project's prefix and the ticket number, with at least three digits.
    """
    return f"{prefix}-{ticket:03}"


def task_of(row: TaskRow) -> dict[str, Any]:
    """
    Return a task's payload.
    """
    ticket = row.ticket
    shown: dict[str, Any] = {
        "id": row.number,
        "title": row.title,
        "description": row.description,
        "status": row.status,
        "priority": row.priority,
        "assigned_to": row.assignee,
        "created_by": row.creator_name,
        "created_at": row.created_at // MICROSECONDS_PER_SECOND,
        "updated_at": row.updated_at // MICROSECONDS_PER_SECOND,
        "due_date": seconds_or_none(row.due_at),
        "estimated_hours": row.estimated_hours,
        "actual_hours": row.actual_hours,
        "tags": tag_names_of(row) if row.tagged else msgspec.Raw(row.tags.encode()),
        "metadata": msgspec.Raw(row.metadata.encode()),
        "workspace_id": WORKSPACE_NUMBER,
        "project_id": row.board_number,
        "project_ticket_no": ticket,
        "outcome": row.result,
        "error_message": row.error_message,
        "resolution": row.resolution,
        "feedback_rating": row.feedback_rating,
        "feedback_notes": row.feedback_notes,
        "retry_count": row.retry_count,
        "completed_at": seconds_or_none(row.completed_at),
        "github_issue_number": row.github_issue,
        "github_repo": row.github_repo,
        "github_synced_at": seconds_or_none(row.github_synced_at),
        "github_branch": row.github_branch,
        "github_pr_number": row.github_pull_request,
        "github_pr_state": row.github_pull_request_state,
        "dispatch_attempts": 0,
        "project_name": row.board_name,
        "project_prefix": row.ticket_prefix,
    }
    if ticket is not None:
        shown["ticket_ref"] = ticket_ref(row.ticket_prefix, ticket)
    return shown | _additional_fields(row)


def tag_names_of(row: TaskRow) -> list[str]:
    """
    Return the names of a task's tags, then its tag words that belong to no defined tag.
    """
    names = [tag.name for tag in row.tagged]
    known = {tag.name_key for tag in row.tagged}
    return [*names, *(word for word in msgspec.json.decode(row.tags) if name_key(word) not in known)]


def bare_task_of(row: TaskRow) -> dict[str, Any]:
    """
    Return a task's payload without its project's name and ticket prefix.
    """
    shown = task_of(row)
    for name in ("project_name", "project_prefix", "ticket_ref"):
        shown.pop(name, None)
    return shown


def _additional_fields(row: TaskRow) -> dict[str, Any]:
    """
    Return the fields of a task's payload that the original Fleet API does not have.
    """
    return {
        "number": row.number,
        "version": row.version,
        "fence": row.fence,
        "attempts": row.attempts,
        "max_attempts": row.max_attempts,
        "depends_on": [each.number for each in row.dependencies],
        "blocked_by": [each.number for each in row.dependencies if not each.done],
        "not_before": seconds_or_none(row.not_before),
        "output": raw_json(row.output),
        "hand_over": row.hand_over,
        "recorded": bool(row.recorded),
    }


def run_of(row: RunRow, late: LateResult | None, *, task: int) -> dict[str, Any]:
    """
    Return a run's payload. *task* is the number of its task.
    """
    return {
        "run_id": str(UUID(bytes=row.id)),
        "task_id": task,
        "fence": row.fence,
        "attempt": row.attempt,
        "agent": row.by,
        "state": row.state,
        "claimed_at": row.claimed_at // MICROSECONDS_PER_SECOND,
        "expires_at": row.expires_at // MICROSECONDS_PER_SECOND,
        "heartbeat_at": row.heartbeat_at // MICROSECONDS_PER_SECOND,
        "progress": raw_json(row.progress),
        "paused": bool(row.paused),
        "waiting_for": row.waiting_for,
        "resumes_at": seconds_or_none(row.resumes_at),
        "ended_at": seconds_or_none(row.ended_at),
        "outcome": row.result,
        "resolution": row.resolution,
        "output": raw_json(row.output),
        "reason": row.failure,
        "message": row.message,
        "note": row.note,
        "late_result": late_result_of(late) if late else None,
    }


def late_result_of(late: LateResult) -> dict[str, Any]:
    """
    Return a late result's payload, with a notice that another agent wrote it.
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
        "received_at": seconds_of(late.received_at),
        "adopted_at": seconds_of(late.adopted_at) if late.adopted_at else None,
    }


def lease_of(claimed: ClaimResult) -> dict[str, Any]:
    """
    Return the payload of a claimed lease.
    """
    run = claimed.run
    return {
        "run_id": str(run.id),
        "lease": claimed.lease,
        "fence": run.fence,
        "attempt": run.attempt,
        "expires_at": seconds_of(run.expires_at),
        "heartbeat_seconds": heartbeat_seconds(run.term),
    }


def heartbeat_seconds(term: timedelta) -> int:
    """
    Compute the interval between heartbeats of a lease: a third of its term, at least one second.
    """
    return max(1, int(term.total_seconds()) // 3)


def agent_of(row: AgentRow, *, at: datetime) -> dict[str, Any]:
    """
    Return an agent's payload, with its status at a moment.
    """
    return {
        "id": row.number,
        "name": row.name,
        "role": row.role,
        "session_key": row.session_key,
        "soul_content": row.soul,
        "status": shown_status(row, at=at),
        "last_seen": seconds_or_none(row.last_seen_at),
        "last_activity": row.activity,
        "created_at": row.created_at // MICROSECONDS_PER_SECOND,
        "updated_at": row.updated_at // MICROSECONDS_PER_SECOND,
        "config": msgspec.Raw(row.config.encode()),
        "workspace_id": WORKSPACE_NUMBER,
        "source": row.source,
        "content_hash": None,
        "workspace_path": row.workspace_path,
        "hidden": row.hidden,
        "working_memory": row.working_memory,
        "runtime_type": row.runtime_type,
        "claude_base_session_id": None,
        "claude_base_session_created_at": None,
        "version": row.version,
    }


def shown_status(row: AgentRow | ToolConnectionRow, *, at: datetime) -> str:
    """
    Compute an agent's status: the created one until its first heartbeat, and offline after a silence.
    """
    if row.reported in LIFECYCLE_STATUSES:
        return row.reported
    if row.last_seen_at is None:
        return OFFLINE if row.reported == PROVISIONING else row.reported
    return OFFLINE if micros(at) - row.last_seen_at > OFFLINE_AFTER // timedelta(microseconds=1) else row.reported


def api_key_of(row: ApiKeyRow) -> dict[str, Any]:
    """
    Return an API key's payload, without its secret.
    """
    return {
        "id": row.number,
        "name": row.name,
        "key_prefix": row.prefix,
        "scopes": msgspec.Raw(row.scopes.encode()),
        "created_by": row.created_by,
        "expires_at": seconds_or_none(row.expires_at),
        "revoked_at": seconds_or_none(row.revoked_at),
        "last_used_at": seconds_or_none(row.last_used_at),
        "created_at": row.created_at // MICROSECONDS_PER_SECOND,
        "updated_at": row.updated_at // MICROSECONDS_PER_SECOND,
    }


def project_of(row: BoardRow) -> dict[str, Any]:
    """
    Return a board's payload as a project.
    """
    return {
        "id": row.number,
        "workspace_id": WORKSPACE_NUMBER,
        "name": row.name,
        "slug": row.handle,
        "description": row.description,
        "ticket_prefix": row.ticket_prefix,
        "ticket_counter": row.ticket_counter,
        "status": row.status,
        "github_repo": row.github_repo,
        "deadline": seconds_or_none(row.deadline),
        "color": row.color,
        "github_sync_enabled": row.github_sync_enabled,
        "github_labels_initialized": row.github_labels_initialized,
        "github_default_branch": row.github_default_branch,
        "created_at": row.created_at // MICROSECONDS_PER_SECOND,
        "updated_at": row.updated_at // MICROSECONDS_PER_SECOND,
        "gates": {
            "require_approval_for_done": bool(row.require_approval_for_done),
            "require_review_before_done": bool(row.require_review_before_done),
            "comment_required_for_review": bool(row.comment_required_for_review),
            "block_status_changes_with_pending_approval": bool(row.block_status_changes_with_pending_approval),
            "only_lead_can_change_status": bool(row.only_lead_can_change_status),
        },
        "version": row.version,
    }
