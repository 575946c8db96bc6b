"""
Team rules: the task updates that people, workers and leads of a board may make, and the assignee after a move.

A team sees each task in one of four statuses: inbox, in progress, review, done. A request for the status that the task
already shows is ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

from mission_core.accounts.model import AgentPrincipal, Principal
from mission_core.errors import Conflict, Denied
from mission_core.ids import AgentId
from mission_core.lazy_attrs import define
from mission_core.tasks.model import Status, Task
from mission_core.values import Absent, name_key

TEAM_STATUSES: Final = {
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
SHOWN_AS_BLOCKED: Final = frozenset({Status.BACKLOG, Status.AWAITING_OWNER})
"""Shown in the inbox, as blocked: only a person can release such a task."""


class BoardRole(Enum):
    """
    The role of a caller on a board's team. An agent without a board is a worker on every board.
    """

    PERSON = "person"
    WORKER = "worker"
    LEAD = "lead"


class AssigneeRule(Enum):
    """
    The rule that gives the assignee after a move which names none.
    """

    UNCHANGED = "unchanged"
    NOBODY = "nobody"
    CALLER = "mover"
    LEAD = "lead"
    SUBMITTER = "submitter"


ASSIGNEE_RULES: Final[Mapping[BoardRole, Mapping[Status, AssigneeRule]]] = {
    BoardRole.PERSON: {
        Status.INBOX: AssigneeRule.NOBODY,
        Status.IN_PROGRESS: AssigneeRule.UNCHANGED,
        Status.REVIEW: AssigneeRule.LEAD,
        Status.DONE: AssigneeRule.UNCHANGED,
    },
    BoardRole.WORKER: {
        Status.INBOX: AssigneeRule.NOBODY,
        Status.IN_PROGRESS: AssigneeRule.CALLER,
        Status.REVIEW: AssigneeRule.LEAD,
        Status.DONE: AssigneeRule.CALLER,
    },
    BoardRole.LEAD: {
        Status.INBOX: AssigneeRule.SUBMITTER,
        Status.IN_PROGRESS: AssigneeRule.UNCHANGED,
        Status.DONE: AssigneeRule.UNCHANGED,
    },
}
"""The statuses that each role may move a task to, and the assignee afterwards. A lead has further rules
(`assignee_rule_for`)."""
UPDATABLE_FIELDS: Final = {
    BoardRole.WORKER: frozenset({"status", "values"}),
    BoardRole.LEAD: frozenset({"status", "assignee", "depends_on", "tag_ids", "values"}),
}
"""The fields that an agent may name in an update, besides a worker's comment."""


class TaskBoardMismatch(Denied):
    """
    A worker may only update tasks of its own board.
    """

    says = "Agent can only update tasks for their assigned board."


class TaskAssigneeMismatch(Denied):
    """
    A worker may only move its own and unassigned tasks.
    """

    says = "Agents can only change status on tasks assigned to them."


class UpdateFieldForbidden(Denied):
    """
    A worker may only change the status and custom field values, and comment.
    """

    says = "Agents may only update status, comment, and custom field values."


class OnlyLeadMovesTasks(Denied):
    """
    The board lets only its lead change the status of tasks.
    """

    code = "only_leads_move"
    says = "Only board leads can change task status."


class LeadCommentRefused(Denied):
    """
    A lead cannot comment in an update; it posts a comment instead.
    """

    says = "a lead's update takes no comment; post a comment instead"


@define(repr=False)
class LeadFieldsRefused(Denied):
    """
    A lead may not change these fields of a task.
    """

    fields: tuple[str, ...]

    def __str__(self) -> str:
        return f"a lead may not change {', '.join(self.fields)}"


@define(repr=False)
class LeadCannotMove(Denied):
    """
    A lead may only move tasks that are in review.

    Args:
        current: The status of the task.
    """

    current: Status

    says = (
        "Lead status gate failed: board leads can only change status when the current task status is `review` "
        "(current: `{self.current.value}`)."
    )


@define(repr=False)
class LeadCannotMoveTo(Denied):
    """
    A lead may move a task from review only to done or inbox.
    """

    requested: Status

    says = (
        "Lead status target gate failed: review tasks can only move to `done` or `inbox` "
        "(requested: `{self.requested.value}`)."
    )


class LeadNotAssignable(Denied):
    """
    A lead may not assign tasks to a lead.
    """

    code = "leads_work_for_nobody"
    says = "Board leads cannot assign tasks to themselves."


class AssigneeOnAnotherBoard(Conflict):
    """
    The assignee belongs to another board.
    """

    code = "assignee_elsewhere"
    says = "the assignee belongs to another board"


def board_role_of(principal: Principal) -> BoardRole:
    """
    Return the role of a principal.
    """
    if not isinstance(principal, AgentPrincipal):
        return BoardRole.PERSON
    return BoardRole.LEAD if principal.lead and principal.board is not None else BoardRole.WORKER


def requested_status(part: BoardRole, task: Task, status: Status | Absent) -> Status | None:
    """
    Return the team status that an update moves the task to, or None if it does not move. A worker that requests in
    progress for an unassigned task in progress takes it.
    """
    if isinstance(status, Absent):
        return None
    to = TEAM_STATUSES[status]
    takes = part is BoardRole.WORKER and to is Status.IN_PROGRESS and task.assignee is None
    return to if takes or to is not TEAM_STATUSES[task.status] else None


def check_agent_update(
    principal: Principal, task: Task, *, to: Status | None, named: frozenset[str], commented: bool
) -> None:
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
    if board_role_of(principal) is BoardRole.LEAD:
        if commented:
            raise LeadCommentRefused
        if more := named - UPDATABLE_FIELDS[BoardRole.LEAD]:
            raise LeadFieldsRefused(tuple(sorted(more)))
        return
    if principal.board not in (None, task.board):
        raise TaskBoardMismatch
    if to is not None and task.assignee is not None and task.assignee.key != name_key(principal.name):
        raise TaskAssigneeMismatch
    if named - UPDATABLE_FIELDS[BoardRole.WORKER]:
        raise UpdateFieldForbidden


def assignee_rule_for(part: BoardRole, was: Status, to: Status, *, assigns: bool) -> AssigneeRule:
    """
    Return the assignee rule of a move from one status to another. *assigns* says whether the update names an assignee.

    Raises:
        LeadCannotMove: If a lead moves a task that is not in review. It may begin a task from the inbox for a worker it
            names.
        LeadCannotMoveTo: If a lead moves a task from review to another status than inbox or done.
    """
    if part is BoardRole.LEAD:
        stands = TEAM_STATUSES[was]
        begins = assigns and (stands, to) == (Status.INBOX, Status.IN_PROGRESS)
        if stands is not Status.REVIEW and not begins:
            raise LeadCannotMove(stands)
        if stands is Status.REVIEW and to not in (Status.INBOX, Status.DONE):
            raise LeadCannotMoveTo(to)
    return ASSIGNEE_RULES[part][to]


def submitter_after(principal: Principal, before: Task, after: Task) -> AgentId | None:
    """
    Return the worker of the board that last moved the task to review, after this move.
    """
    enters = TEAM_STATUSES[before.status] is not Status.REVIEW and TEAM_STATUSES[after.status] is Status.REVIEW
    if enters and isinstance(principal, AgentPrincipal) and not principal.lead and principal.board == after.board:
        return principal.agent
    return before.submitter
