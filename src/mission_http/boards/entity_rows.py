"""
Conversion of entities to rows, so that the response to a write need not read what was just written.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from mission_core.agents.model import Agent
from mission_core.agents.queries import AgentRow
from mission_core.boards.custom_fields import CustomField
from mission_core.tasks.model import Task
from mission_core.tasks.queries import TaskRow
from mission_core.values import EMPTY_OBJECT, JsonText, micros

HIDDEN_COLUMNS: Final[dict[str, Any]] = {
    "board_number": 0, "board_name": "", "ticket_prefix": "", "estimated_hours": None, "actual_hours": None,
    "tags": JsonText("[]"), "metadata": EMPTY_OBJECT, "feedback_rating": None, "feedback_notes": None,
    "github_repo": None, "github_issue": None, "github_branch": None, "github_pull_request": None,
    "github_pull_request_state": None, "github_synced_at": None, "comment_count": 0,
}  # fmt: skip
"""Columns of a task that this dialect does not show, with placeholder values."""


def maybe_micros(moment: datetime | None) -> int | None:
    return None if moment is None else micros(moment)


def maybe_bytes(id: UUID | None) -> bytes | None:
    return None if id is None else id.bytes


def is_complete_without_read(task: Task) -> bool:
    """
    Whether a response can be rendered from the task alone: it has no dependencies, no tags, and no assignee whose name
    must be looked up.
    """
    return not task.depends_on and not task.tag_ids and (task.assignee is None or task.assignee.agent is not None)


def task_row(task: Task, fields: tuple[CustomField, ...]) -> TaskRow:
    """
    The row of a task that can be rendered alone, except for hidden columns. *fields* are the custom fields of its
    board.
    """
    assignee = task.assignee
    return TaskRow(
        **HIDDEN_COLUMNS,
        id=task.id.bytes,
        number=task.number,
        board=task.board.bytes,
        ticket=task.ticket,
        title=task.title,
        description=task.description,
        status=task.status.value,
        priority=task.priority,
        assignee=assignee.name if assignee else None,
        assignee_agent=maybe_bytes(assignee.agent) if assignee else None,
        creator_kind=task.creator.kind,
        creator_id=maybe_bytes(task.creator.id),
        creator_name=task.creator_name,
        due_at=maybe_micros(task.due_at),
        not_before=maybe_micros(task.not_before),
        depends_on=b"",
        result=task.result.value if task.result else None,
        error_message=task.error_message,
        resolution=task.resolution,
        output=task.output,
        retry_count=task.retry_count,
        recorded=task.recorded,
        fence=task.fence,
        attempts=task.attempts,
        max_attempts=task.max_attempts,
        hand_over=task.hand_over,
        created_at=micros(task.created_at),
        updated_at=micros(task.updated_at),
        moved_at=micros(task.moved_at),
        started_at=maybe_micros(task.started_at),
        completed_at=maybe_micros(task.completed_at),
        version=task.version,
        field_values=task.field_values,
        tag_ids=None,
        fields=fields,
    )


def agent_row(agent: Agent) -> AgentRow:
    """
    The row of an agent.
    """
    return AgentRow(
        id=agent.id.bytes,
        number=agent.number,
        board=agent.board.bytes if agent.board else None,
        name=agent.name,
        role=agent.role,
        lead=agent.lead,
        main=agent.main,
        config=agent.config,
        session_key=agent.session_key,
        soul=agent.soul,
        working_memory=agent.working_memory,
        runtime_type=agent.runtime_type,
        source=agent.source,
        workspace_path=agent.workspace_path,
        hidden=agent.hidden,
        heartbeat_config=agent.heartbeat_config,
        identity_profile=agent.identity_profile,
        identity_template=agent.identity_template,
        created_at=micros(agent.created_at),
        updated_at=micros(agent.updated_at),
        reported=agent.presence.reported,
        last_seen_at=maybe_micros(agent.presence.last_seen_at),
        activity=agent.presence.activity,
        version=agent.version,
    )
