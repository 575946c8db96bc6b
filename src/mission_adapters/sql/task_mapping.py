"""
The mapping of tasks to rows of the tasks table. A row holds the assignee's name; the agent with that name is looked up
when the row is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final
from uuid import UUID

from mission_adapters.sql.conversions import (
    ColumnValues,
    members_by_value,
    optional_bytes,
    optional_micros,
    optional_moment,
    optional_uuid,
    trusted_constructor,
    uuid_of_bytes,
)
from mission_core.events.model import Actor
from mission_core.tasks.github_links import NO_GITHUB_LINKS, GitHubLinks
from mission_core.tasks.model import Status, Task
from mission_core.tasks.ports import DependencyNode
from mission_core.tasks.runs import Assignee, TaskResult
from mission_core.values import canonical, micros, moment

STATUSES: Final = members_by_value(Status)
EMPTY_LIST: Final = canonical([])
RESULTS: Final = members_by_value(TaskResult) | {None: None}
make_task = trusted_constructor(Task)
make_assignee = trusted_constructor(Assignee)
make_github_links = trusted_constructor(GitHubLinks)


def task_row(task: Task) -> ColumnValues:
    """
    Return the column values of a task.
    """
    assignee, creator = task.assignee, task.creator
    return {
        "id": task.id.bytes,
        "number": task.number,
        "organization": task.organization.bytes,
        "board": task.board.bytes,
        "ticket": task.ticket,
        "title": task.title,
        "description": task.description,
        "status": task.status.value,
        "priority": task.priority,
        "rank": task.priority_rank,
        "assignee": assignee.name if assignee else None,
        "assignee_key": assignee.key if assignee else None,
        "creator_kind": creator.kind,
        "creator_id": optional_bytes(creator.id),
        "creator_actor": creator.name,
        "creator_name": task.creator_name,
        "due_at": optional_micros(task.due_at),
        "not_before": optional_micros(task.not_before),
        "estimated_hours": task.estimated_hours,
        "actual_hours": task.actual_hours,
        "tags": canonical(task.tags) if task.tags else EMPTY_LIST,
        "metadata": task.metadata,
        "depends_on": join_ids(task.depends_on),
        "result": task.result.value if task.result else None,
        "error_message": task.error_message,
        "resolution": task.resolution,
        "output": task.output,
        "feedback_rating": task.feedback_rating,
        "feedback_notes": task.feedback_notes,
        "retry_count": task.retry_count,
        "recorded": int(task.recorded),
        "fence": task.fence,
        "attempts": task.attempts,
        "max_attempts": task.max_attempts,
        "run": optional_bytes(task.run),
        "hand_over": task.hand_over,
        **_time_columns(task),
        "version": task.version,
        "tag_ids": join_ids(task.tag_ids) if task.tag_ids else None,
        "field_values": task.field_values,
        "begun_at": optional_micros(task.begun_at),
        "done_at": optional_micros(task.done_at),
        "submitter": optional_bytes(task.submitter),
        **(NO_GITHUB_COLUMNS if task.tracking == NO_GITHUB_LINKS else _github_columns(task.tracking)),
        "edits": task.edits,
        "authors": join_ids(task.authors) if task.authors else None,
        "passed": join_ids(task.passed) if task.passed else None,
        "late_results": task.late_results,
    }


def _github_columns(tracking: GitHubLinks) -> ColumnValues:
    return {
        "github_repo": tracking.repo,
        "github_issue": tracking.issue,
        "github_branch": tracking.branch,
        "github_pull_request": tracking.pull_request,
        "github_pull_request_state": tracking.pull_request_state,
        "github_synced_at": optional_micros(tracking.synced_at),
    }


NO_GITHUB_COLUMNS: Final = _github_columns(NO_GITHUB_LINKS)


def _time_columns(task: Task) -> ColumnValues:
    return {
        "created_at": micros(task.created_at),
        "updated_at": micros(task.updated_at),
        "moved_at": micros(task.moved_at),
        "started_at": optional_micros(task.started_at),
        "completed_at": optional_micros(task.completed_at),
    }


def task_of_row(row: Mapping[str, Any]) -> Task:
    """
    Return the task that a row holds. The optional column `assignee_agent` has the id of the agent with the assignee's
    name.
    """
    name = row["assignee"]
    return make_task(
        id=uuid_of_bytes(row["id"]),
        number=row["number"],
        organization=uuid_of_bytes(row["organization"]),
        board=uuid_of_bytes(row["board"]),
        ticket=row["ticket"],
        title=row["title"],
        description=row["description"],
        status=STATUSES[row["status"]],
        priority=row["priority"],
        assignee=None if name is None else make_assignee(name=name, agent=optional_uuid(row.get("assignee_agent"))),
        creator=Actor(row["creator_kind"], optional_uuid(row["creator_id"]), row["creator_actor"]),
        creator_name=row["creator_name"],
        due_at=optional_moment(row["due_at"]),
        not_before=optional_moment(row["not_before"]),
        estimated_hours=row["estimated_hours"],
        actual_hours=row["actual_hours"],
        tags=() if row["tags"] == EMPTY_LIST else tuple(json.loads(row["tags"])),
        metadata=row["metadata"],
        depends_on=split_ids(row["depends_on"]),
        result=RESULTS[row["result"]],
        error_message=row["error_message"],
        resolution=row["resolution"],
        output=row["output"],
        feedback_rating=row["feedback_rating"],
        feedback_notes=row["feedback_notes"],
        retry_count=row["retry_count"],
        recorded=bool(row["recorded"]),
        fence=row["fence"],
        attempts=row["attempts"],
        max_attempts=row["max_attempts"],
        run=optional_uuid(row["run"]),
        hand_over=row["hand_over"],
        created_at=moment(row["created_at"]),
        updated_at=moment(row["updated_at"]),
        moved_at=moment(row["moved_at"]),
        started_at=optional_moment(row["started_at"]),
        completed_at=optional_moment(row["completed_at"]),
        begun_at=optional_moment(row["begun_at"]),
        submitter=optional_uuid(row["submitter"]),
        authors=split_ids(row["authors"]) if row["authors"] else (),
        passed=split_ids(row["passed"]) if row["passed"] else (),
        tracking=_github_links_of_row(row),
        late_results=row["late_results"],
        version=row["version"],
        edits=row["edits"],
        tag_ids=split_ids(row["tag_ids"]) if row["tag_ids"] else (),
        field_values=row["field_values"],
    )


def _github_links_of_row(row: Mapping[str, Any]) -> GitHubLinks:
    """
    Return the GitHub links of a task. Most tasks have none.
    """
    if all(row[name] is None for name in NO_GITHUB_COLUMNS):
        return NO_GITHUB_LINKS
    return make_github_links(
        repo=row["github_repo"],
        issue=row["github_issue"],
        branch=row["github_branch"],
        pull_request=row["github_pull_request"],
        pull_request_state=row["github_pull_request_state"],
        synced_at=optional_moment(row["github_synced_at"]),
    )


def dependency_node_of_row(row: Mapping[str, Any]) -> DependencyNode:
    """
    Return the part of a task that dependency checks need.
    """
    return DependencyNode(
        id=uuid_of_bytes(row["id"]),
        board=uuid_of_bytes(row["board"]),
        status=STATUSES[row["status"]],
        depends_on=split_ids(row["depends_on"]),
        version=row["version"],
    )


def join_ids(ids: Iterable[UUID]) -> bytes:
    """
    Concatenate ids, 16 bytes each.
    """
    return b"".join(each.bytes for each in ids)


def split_ids(ids: bytes) -> tuple[Any, ...]:
    """
    Return the ids in a concatenation of ids.
    """
    return tuple(uuid_of_bytes(ids[at : at + 16]) for at in range(0, len(ids), 16)) if ids else ()
