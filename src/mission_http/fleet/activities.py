"""
Activities of the Fleet API: the type, entity and description of each kind of event in the log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

if TYPE_CHECKING:
    from mission_core.values import JsonText

EventData = Mapping[str, Any]


class ActivityWording(NamedTuple):
    """
    The type, entity and description of events of one kind. The description is a template that is formatted with the
    event's payload, or a function of the payload.
    """

    type: str
    entity: str
    description: str | Callable[[EventData], str]


class _TemplateData(dict[str, Any]):
    """
    A payload for templates: lists are joined with commas, and missing values become three dots.
    """

    def __getitem__(self, name: str) -> Any:
        value = self.get(name)
        if isinstance(value, list):
            return ", ".join(map(str, value))
        return "..." if value is None else value


def _comment_description(data: EventData) -> str:
    said = "Replied to comment on task" if data.get("parent") else "Added comment to task"
    return f"{said}: {data['title']}" if data.get("title") else said


def _assignment_description(data: EventData) -> str:
    return f"Task assigned to {data['assignee']}" if data.get("assignee") else "Task unassigned"


ACTIVITY_WORDINGS: Final = {
    "task.created": ActivityWording("task_created", "task", "Created task: {title}"),
    "task.updated": ActivityWording("task_updated", "task", "Task updated: {changed}"),
    "task.moved": ActivityWording("task_updated", "task", "Task moved from {was} to {status}"),
    "task.assigned": ActivityWording("task_assigned", "task", _assignment_description),
    "task.commented": ActivityWording("comment_added", "comment", _comment_description),
    "task.broadcast": ActivityWording("task_broadcast", "task", "Broadcast sent to {sent}"),
    "task.claimed": ActivityWording("task_dispatched", "task", "Task dispatched to {by}"),
    "task.deleted": ActivityWording("task_deleted", "task", "Deleted task: {title}"),
    "run.completed": ActivityWording("task_agent_completed", "task", "Work completed under lease {fence}"),
    "run.failed": ActivityWording("task_dispatch_failed", "task", "Work failed under lease {fence}: {reason}"),
    "run.expired": ActivityWording("task_dispatch_failed", "task", "Lease {fence} expired"),
    "run.released": ActivityWording("task_updated", "task", "Work released under lease {fence}"),
    "run.revoked": ActivityWording("task_updated", "task", "Lease {fence} revoked: {why}"),
    "run.result_late": ActivityWording("task_updated", "task", "{by} handed in a result after lease {fence} was lost"),
    "run.result_adopted": ActivityWording(
        "task_updated", "task", "The late result of {by} (lease {fence}) was adopted"
    ),
    "run.suspended": ActivityWording("task_updated", "task", "Work waits for {waiting_for}"),
    "run.resumed": ActivityWording("task_updated", "task", "Work resumed"),
    "run.ordered": ActivityWording("task_updated", "task", "Order given to lease {fence}: {order_kind}"),
    "run.acknowledged": ActivityWording("task_updated", "task", "Order acknowledged by lease {fence}: {order_kind}"),
    "agent.created": ActivityWording("agent_created", "agent", "Created agent: {name}"),
    "agent.updated": ActivityWording("agent_config_updated", "agent", "Agent updated: {changed}"),
    "agent.status_changed": ActivityWording("agent_status_change", "agent", "{name} went from {was} to {status}"),
    "agent.renamed": ActivityWording("agent_config_updated", "agent", "Agent {was} renamed to {name}"),
    "agent.deleted": ActivityWording("agent_deleted", "agent", "Deleted agent: {name}"),
    "agent.soul_written": ActivityWording("agent_soul_updated", "agent", "Soul updated"),
    "agent.memory_written": ActivityWording("agent_memory_updated", "agent", "Working memory updated for {name}"),
    "agent.memory_cleared": ActivityWording("agent_memory_cleared", "agent", "Working memory cleared for {name}"),
    "board.created": ActivityWording("project_created", "project", "Created project: {name}"),
    "board.updated": ActivityWording("project_updated", "project", "Project updated: {changed}"),
    "approval.requested": ActivityWording("approval_requested", "approval", "Approval requested: {action}"),
    "approval.decided": ActivityWording("approval_decided", "approval", "Approval {status}: {action}"),
    "approval.reopened": ActivityWording("approval_reopened", "approval", "Approval pending again: {action}"),
    "approval.used": ActivityWording("approval_used", "approval", "Approval used to complete a task"),
    "key.made": ActivityWording("agent_key_created", "agent_key", "Created agent key: {name}"),
    "user.created": ActivityWording("user_created", "user", "Created user: {username}"),
    "user.updated": ActivityWording("user_updated", "user", "User updated: {changed}"),
    "user.deleted": ActivityWording("user_deleted", "user", "Deleted user: {username}"),
    "user.password_changed": ActivityWording("password_change", "user", "Password changed"),
    "user.signed_in": ActivityWording("login", "user", "Signed in"),
    "user.signed_out": ActivityWording("logout", "user", "Signed out"),
    "data.exported": ActivityWording("data_export", "export", "Exported {what} as {format}"),
    "key.revoked": ActivityWording("agent_key_revoked", "agent_key", "Revoked agent key"),
}


def wording_of(kind: str) -> ActivityWording:
    """
    Return the wording of an event kind. A kind that is not listed is described by its name.
    """
    if (listed := ACTIVITY_WORDINGS.get(kind)) is not None:
        return listed
    subject, _, what = kind.partition(".")
    return ActivityWording(kind.replace(".", "_"), subject, f"{subject} {what}".replace("_", " "))


def description_of(kind: str, payload: JsonText | None, *, title: str | None = None) -> str:
    """
    Describe an event. *title* is its task's title, for events without one in their payload.
    """
    text = wording_of(kind).description
    data = {"title": title} | ({} if payload is None else msgspec.json.decode(payload))
    return text.format_map(_TemplateData(data)) if isinstance(text, str) else text(data)
