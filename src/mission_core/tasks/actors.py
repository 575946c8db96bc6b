"""
Team rules: the task updates that people, workers and leads of a board may make, and the assignee after a move.

A team sees each task in one of four statuses: inbox, in progress, review, done. A request for the status that the task
already shows is ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

from attrs import define

from mission_core.accounts.model import AgentPrincipal, Principal
from mission_core.errors import Conflict, Denied
from mission_core.ids import AgentId
from mission_core.tasks.model import Status, Task
from mission_core.values import Absent, name_key

PLACES: Final = {
    Status.BACKLOG: Status.INBOX,
    Status.INBOX: Status.INBOX,
    Status.ASSIGNED: Status.INBOX,
    Status.AWAITING_OWNER: Status.INBOX,
    Status.IN_PROGRESS: Status.IN_PROGRESS,
    Status.REVIEW: Status.REVIEW,
    Status.QUALITY_REVIEW: Status.REVIEW,
    Status.DONE: Status.DONE,
    Status.FAILED: Status.REVIEW,
}
"""The status that a team sees, by the status of the task."""
HELD_BACK: Final = frozenset({Status.BACKLOG, Status.AWAITING_OWNER})
"""Shown in the inbox, as blocked: only a person can release such a task."""


class Part(Enum):
    """
    The role of a caller on a board's team. An agent without a board is a worker on every board.
    """

    PERSON = "person"
    WORKER = "worker"
    LEAD = "lead"


class Whose(Enum):
    """
    The rule that gives the assignee after a move which names none.
    """

    KEPT = "unchanged"
    NOBODY = "nobody"
    MOVER = "mover"
    LEAD = "lead"
    SUBMITTER = "submitter"


MOVES: Final[Mapping[Part, Mapping[Status, Whose]]] = {
    Part.PERSON: {
        Status.INBOX: Whose.NOBODY,
        Status.IN_PROGRESS: Whose.KEPT,
        Status.REVIEW: Whose.LEAD,
        Status.DONE: Whose.KEPT,
    },
    Part.WORKER: {
        Status.INBOX: Whose.NOBODY,
        Status.IN_PROGRESS: Whose.MOVER,
        Status.REVIEW: Whose.LEAD,
        Status.DONE: Whose.MOVER,
    },
    Part.LEAD: {
        Status.INBOX: Whose.SUBMITTER,
        Status.IN_PROGRESS: Whose.KEPT,
        Status.DONE: Whose.KEPT,
    },
}
"""The statuses that each role may move a task to, and the assignee afterwards. A lead has further rules
(`whose_after`)."""
FIELDS: Final = {
    Part.WORKER: frozenset({"status", "values"}),
    Part.LEAD: frozenset({"status", "assignee", "depends_on", "tag_ids", "values"}),
}
"""The fields that an agent may name in an update, besides a worker's comment."""


class TaskBoardMismatch(Denied):
    """
    A worker may only update tasks of its own board.
    """

    def __str__(self) -> str:
        return "Agent can only update tasks for their assigned board."


class TaskAssigneeMismatch(Denied):
    """
    A worker may only move its own and unassigned tasks.
    """

    def __str__(self) -> str:
        return "Agents can only change status on tasks assigned to them."


class UpdateFieldForbidden(Denied):
    """
    A worker may only change the status and custom field values, and comment.
    """

    def __str__(self) -> str:
        return "Agents may only update status, comment, and custom field values."


class OnlyLeadsMove(Denied):
    """
    The board lets only its lead change the status of tasks.
    """

    def __str__(self) -> str:
        return "Only board leads can change task status."


class LeadCommentRefused(Denied):
    """
    A lead cannot comment in an update; it posts a comment instead.
    """

    def __str__(self) -> str:
        return "a lead's update takes no comment; post a comment instead"


@define
class LeadFieldsRefused(Denied):
    """
    A lead may not change these fields of a task.
    """

    fields: tuple[str, ...]

    def __str__(self) -> str:
        return f"a lead may not change {', '.join(self.fields)}"


@define
class LeadCannotMove(Denied):
    """
    A lead may only move tasks that are in review. *current* is the status of the task.
    """

    current: Status

    def __str__(self) -> str:
        return (
            "Lead status gate failed: board leads can only change status when the current task status is `review` "
            f"(current: `{self.current.value}`)."
        )


@define
class LeadCannotMoveTo(Denied):
    """
    A lead may move a task from review only to done or inbox.
    """

    requested: Status

    def __str__(self) -> str:
        return (
            "Lead status target gate failed: review tasks can only move to `done` or `inbox` "
            f"(requested: `{self.requested.value}`)."
        )


class LeadsWorkForNobody(Denied):
    """
    A lead may not assign tasks to a lead.
    """

    def __str__(self) -> str:
        return "Board leads cannot assign tasks to themselves."


class AssigneeElsewhere(Conflict):
    """
    The assignee belongs to another board.
    """

    def __str__(self) -> str:
        return "the assignee belongs to another board"


def part_of(principal: Principal) -> Part:
    """
    Return the role of a principal.
    """
    if not isinstance(principal, AgentPrincipal):
        return Part.PERSON
    return Part.LEAD if principal.lead and principal.board is not None else Part.WORKER


def place_asked(part: Part, task: Task, status: Status | Absent) -> Status | None:
    """
    Return the team status that an update moves the task to, or None if it does not move. A worker that requests in
    progress for an unassigned task in progress takes it.
    """
    if isinstance(status, Absent):
        return None
    to = PLACES[status]
    takes = part is Part.WORKER and to is Status.IN_PROGRESS and task.assignee is None
    return to if takes or to is not PLACES[task.status] else None


def check_asked(principal: Principal, task: Task, *, to: Status | None, named: frozenset[str], commented: bool) -> None:
    """
    Refuse an agent's update that its role does not allow.

    Raises:
        TaskBoardMismatch: If a worker updates a task of another board.
        TaskAssigneeMismatch: If a worker moves a task of another assignee.
        UpdateFieldForbidden: If a worker names other fields than it may change.
        LeadCommentRefused: If a lead comments.
        LeadFieldsRefused: If a lead names other fields than it may change.
    """
    if not isinstance(principal, AgentPrincipal):
        return
    if part_of(principal) is Part.LEAD:
        if commented:
            raise LeadCommentRefused
        if more := named - FIELDS[Part.LEAD]:
            raise LeadFieldsRefused(tuple(sorted(more)))
        return
    if principal.board not in (None, task.board):
        raise TaskBoardMismatch
    if to is not None and task.assignee is not None and task.assignee.key != name_key(principal.name):
        raise TaskAssigneeMismatch
    if named - FIELDS[Part.WORKER]:
        raise UpdateFieldForbidden


def whose_after(part: Part, was: Status, to: Status, *, assigns: bool) -> Whose:
    """
    Return the assignee rule of a move from one status to another. *assigns* says whether the update names an assignee.

    Raises:
        LeadCannotMove: If a lead moves a task that is not in review. It may begin a task from the inbox for a worker it
            names.
        LeadCannotMoveTo: If a lead moves a task from review to another status than inbox or done.
    """
    if part is Part.LEAD:
        stands = PLACES[was]
        begins = assigns and (stands, to) == (Status.INBOX, Status.IN_PROGRESS)
        if stands is not Status.REVIEW and not begins:
            raise LeadCannotMove(stands)
        if stands is Status.REVIEW and to not in (Status.INBOX, Status.DONE):
            raise LeadCannotMoveTo(to)
    return MOVES[part][to]


def submitter_after(principal: Principal, before: Task, after: Task) -> AgentId | None:
    """
    Return the worker of the board that last moved the task to review, after this move.
    """
    enters = PLACES[before.status] is not Status.REVIEW and PLACES[after.status] is Status.REVIEW
    if enters and isinstance(principal, AgentPrincipal) and not principal.lead and principal.board == after.board:
        return principal.agent
    return before.submitter
