"""
The mapping of tasks to rows of the tasks table. A row holds the assignee's name; the agent with that name is looked up
when the row is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final
from uuid import UUID

from mission_adapters.sql.mapping import (
    Row,
    by_value,
    id_from,
    maybe_bytes,
    maybe_id,
    maybe_micros,
    maybe_moment,
    trusted,
)
from mission_core.events.model import Actor
from mission_core.tasks.model import Status, Task
from mission_core.tasks.ports import Link
from mission_core.tasks.runs import Assignee, Result
from mission_core.tasks.tracking import UNTRACKED, Tracking
from mission_core.values import canonical, micros, moment

STATUS: Final = by_value(Status)
EMPTY_LIST: Final = canonical([])
RESULT: Final = by_value(Result) | {None: None}
make_task = trusted(Task)
make_assignee = trusted(Assignee)
make_tracking = trusted(Tracking)


def row_from(task: Task) -> Row:
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
        "rank": task.rank,
        "assignee": assignee.name if assignee else None,
        "assignee_key": assignee.key if assignee else None,
        "creator_kind": creator.kind,
        "creator_id": maybe_bytes(creator.id),
        "creator_actor": creator.name,
        "creator_name": task.creator_name,
        "due_at": maybe_micros(task.due_at),
        "not_before": maybe_micros(task.not_before),
        "estimated_hours": task.estimated_hours,
        "actual_hours": task.actual_hours,
        "tags": canonical(task.tags) if task.tags else EMPTY_LIST,
        "metadata": task.metadata,
        "depends_on": joined(task.depends_on),
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
        "run": maybe_bytes(task.run),
        "hand_over": task.hand_over,
        **_clocks_from(task),
        "version": task.version,
        "tag_ids": joined(task.tag_ids) if task.tag_ids else None,
        "field_values": task.field_values,
        "begun_at": maybe_micros(task.begun_at),
        "done_at": maybe_micros(task.done_at),
        "submitter": maybe_bytes(task.submitter),
        **(NOT_TRACKED if task.tracking == UNTRACKED else _tracking_from(task.tracking)),
        "edits": task.edits,
        "authors": joined(task.authors) if task.authors else None,
        "passed": joined(task.passed) if task.passed else None,
        "late_results": task.late_results,
    }


def _tracking_from(tracking: Tracking) -> Row:
    return {
        "github_repo": tracking.repo,
        "github_issue": tracking.issue,
        "github_branch": tracking.branch,
        "github_pull_request": tracking.pull_request,
        "github_pull_request_state": tracking.pull_request_state,
        "github_synced_at": maybe_micros(tracking.synced_at),
    }


NOT_TRACKED: Final = _tracking_from(UNTRACKED)


def _clocks_from(task: Task) -> Row:
    return {
        "created_at": micros(task.created_at),
        "updated_at": micros(task.updated_at),
        "moved_at": micros(task.moved_at),
        "started_at": maybe_micros(task.started_at),
        "completed_at": maybe_micros(task.completed_at),
    }


def task_from(row: Mapping[str, Any]) -> Task:
    """
    Return the task that a row holds. The optional column `assignee_agent` has the id of the agent with the assignee's
    name.
    """
    name = row["assignee"]
    return make_task(
        id=id_from(row["id"]),
        number=row["number"],
        organization=id_from(row["organization"]),
        board=id_from(row["board"]),
        ticket=row["ticket"],
        title=row["title"],
        description=row["description"],
        status=STATUS[row["status"]],
        priority=row["priority"],
        assignee=None if name is None else make_assignee(name=name, agent=maybe_id(row.get("assignee_agent"))),
        creator=Actor(row["creator_kind"], maybe_id(row["creator_id"]), row["creator_actor"]),
        creator_name=row["creator_name"],
        due_at=maybe_moment(row["due_at"]),
        not_before=maybe_moment(row["not_before"]),
        estimated_hours=row["estimated_hours"],
        actual_hours=row["actual_hours"],
        tags=() if row["tags"] == EMPTY_LIST else tuple(json.loads(row["tags"])),
        metadata=row["metadata"],
        depends_on=split(row["depends_on"]),
        result=RESULT[row["result"]],
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
        run=maybe_id(row["run"]),
        hand_over=row["hand_over"],
        created_at=moment(row["created_at"]),
        updated_at=moment(row["updated_at"]),
        moved_at=moment(row["moved_at"]),
        started_at=maybe_moment(row["started_at"]),
        completed_at=maybe_moment(row["completed_at"]),
        begun_at=maybe_moment(row["begun_at"]),
        submitter=maybe_id(row["submitter"]),
        authors=split(row["authors"]) if row["authors"] else (),
        passed=split(row["passed"]) if row["passed"] else (),
        tracking=_tracked(row),
        late_results=row["late_results"],
        version=row["version"],
        edits=row["edits"],
        tag_ids=split(row["tag_ids"]) if row["tag_ids"] else (),
        field_values=row["field_values"],
    )


def _tracked(row: Mapping[str, Any]) -> Tracking:
    """
    Return the GitHub links of a task. Most tasks have none.
    """
    if all(row[name] is None for name in NOT_TRACKED):
        return UNTRACKED
    return make_tracking(
        repo=row["github_repo"],
        issue=row["github_issue"],
        branch=row["github_branch"],
        pull_request=row["github_pull_request"],
        pull_request_state=row["github_pull_request_state"],
        synced_at=maybe_moment(row["github_synced_at"]),
    )


def link_from(row: Mapping[str, Any]) -> Link:
    """
    Return the part of a task that dependency checks need.
    """
    return Link(
        id=id_from(row["id"]),
        board=id_from(row["board"]),
        status=STATUS[row["status"]],
        depends_on=split(row["depends_on"]),
        version=row["version"],
    )


def joined(ids: Iterable[UUID]) -> bytes:
    """
    Concatenate ids, 16 bytes each.
    """
    return b"".join(each.bytes for each in ids)


def split(ids: bytes) -> tuple[Any, ...]:
    """
    Return the ids in a concatenation of ids.
    """
    return tuple(id_from(ids[at : at + 16]) for at in range(0, len(ids), 16)) if ids else ()
