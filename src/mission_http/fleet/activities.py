"""
Activities of the Fleet API: the type, entity and description of each kind of event in the log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

if TYPE_CHECKING:
    from mission_core.events.model import Entry
    from mission_core.values import JsonText

Data = Mapping[str, Any]


class Wording(NamedTuple):
    """
    The type, entity and description of events of one kind. The description is formatted from the event's payload.
    """

    type: str
    entity: str
    description: Callable[[Data], str]


class Activity(NamedTuple):
    """
    An event as an activity. Its *data* is the event's payload, or None if that was erased.
    """

    type: str
    entity: str
    description: str
    data: Data | None


def _says(text: str) -> Callable[[Data], str]:
    """
    Return a function that formats a template with the event's payload.
    """
    return lambda data: text.format_map(_Known(data))


class _Known(dict[str, Any]):
    """
    A payload for templates: lists are joined with commas, and missing values become three dots.
    """

    def __getitem__(self, name: str) -> Any:
        value = self.get(name)
        if isinstance(value, list):
            return ", ".join(map(str, value))
        return "..." if value is None else value


def _commented(data: Data) -> str:
    said = "Replied to comment on task" if data.get("parent") else "Added comment to task"
    return f"{said}: {data['title']}" if data.get("title") else said


def _assigned(data: Data) -> str:
    return f"Task assigned to {data['assignee']}" if data.get("assignee") else "Task unassigned"


WORDINGS: Final = {
    "task.created": Wording("task_created", "task", _says("Created task: {title}")),
    "task.updated": Wording("task_updated", "task", _says("Task updated: {changed}")),
    "task.moved": Wording("task_updated", "task", _says("Task moved from {was} to {status}")),
    "task.assigned": Wording("task_assigned", "task", _assigned),
    "task.commented": Wording("comment_added", "comment", _commented),
    "task.broadcast": Wording("task_broadcast", "task", _says("Broadcast sent to {sent}")),
    "task.claimed": Wording("task_dispatched", "task", _says("Task dispatched to {by}")),
    "task.deleted": Wording("task_deleted", "task", _says("Deleted task: {title}")),
    "run.completed": Wording("task_agent_completed", "task", _says("Work completed under lease {fence}")),
    "run.failed": Wording("task_dispatch_failed", "task", _says("Work failed under lease {fence}: {reason}")),
    "run.expired": Wording("task_dispatch_failed", "task", _says("Lease {fence} expired")),
    "run.released": Wording("task_updated", "task", _says("Work released under lease {fence}")),
    "run.revoked": Wording("task_updated", "task", _says("Lease {fence} revoked: {why}")),
    "run.result_late": Wording("task_updated", "task", _says("{by} handed in a result after lease {fence} was lost")),
    "run.result_adopted": Wording("task_updated", "task", _says("The late result of {by} (lease {fence}) was adopted")),
    "run.suspended": Wording("task_updated", "task", _says("Work waits for {waiting_for}")),
    "run.resumed": Wording("task_updated", "task", _says("Work resumed")),
    "run.ordered": Wording("task_updated", "task", _says("Order given to lease {fence}: {order_kind}")),
    "run.acknowledged": Wording("task_updated", "task", _says("Order acknowledged by lease {fence}: {order_kind}")),
    "agent.created": Wording("agent_created", "agent", _says("Created agent: {name}")),
    "agent.updated": Wording("agent_config_updated", "agent", _says("Agent updated: {changed}")),
    "agent.status_changed": Wording("agent_status_change", "agent", _says("{name} went from {was} to {status}")),
    "agent.renamed": Wording("agent_config_updated", "agent", _says("Agent {was} renamed to {name}")),
    "agent.deleted": Wording("agent_deleted", "agent", _says("Deleted agent: {name}")),
    "agent.soul_written": Wording("agent_soul_updated", "agent", _says("Soul updated")),
    "agent.memory_written": Wording("agent_memory_updated", "agent", _says("Working memory updated for {name}")),
    "agent.memory_cleared": Wording("agent_memory_cleared", "agent", _says("Working memory cleared for {name}")),
    "board.created": Wording("project_created", "project", _says("Created project: {name}")),
    "board.updated": Wording("project_updated", "project", _says("Project updated: {changed}")),
    "approval.requested": Wording("approval_requested", "approval", _says("Approval requested: {action}")),
    "approval.decided": Wording("approval_decided", "approval", _says("Approval {status}: {action}")),
    "approval.reopened": Wording("approval_reopened", "approval", _says("Approval pending again: {action}")),
    "approval.used": Wording("approval_used", "approval", _says("Approval used to complete a task")),
    "key.made": Wording("agent_key_created", "agent_key", _says("Created agent key: {name}")),
    "user.created": Wording("user_created", "user", _says("Created user: {username}")),
    "user.updated": Wording("user_updated", "user", _says("User updated: {changed}")),
    "user.deleted": Wording("user_deleted", "user", _says("Deleted user: {username}")),
    "user.password_changed": Wording("password_change", "user", _says("Password changed")),
    "user.signed_in": Wording("login", "user", _says("Signed in")),
    "user.signed_out": Wording("logout", "user", _says("Signed out")),
    "key.revoked": Wording("agent_key_revoked", "agent_key", _says("Revoked agent key")),
}


def activity_of(entry: Entry, *, title: str | None = None) -> Activity:
    """
    Convert a log entry to an activity. *title* is its task's title, for events without one in their payload.
    """
    return told(entry.kind, entry.payload, title=title)


def told(kind: str, payload: JsonText | None, *, title: str | None = None) -> Activity:
    """
    Convert an event's kind and payload to an activity. A kind that is not listed is described by its name.
    """
    data: Data | None = None if payload is None else msgspec.json.decode(payload)
    worded = WORDINGS.get(kind)
    if worded is None:
        subject, _, what = kind.partition(".")
        return Activity(type_of(kind), subject, f"{subject} {what}".replace("_", " "), data)
    return Activity(worded.type, worded.entity, worded.description({"title": title, **(data or {})}), data)


def type_of(kind: str) -> str:
    """
    Return the activity type of an event kind.
    """
    worded = WORDINGS.get(kind)
    return kind.replace(".", "_") if worded is None else worded.type
