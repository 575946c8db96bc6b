"""
Who on a board's team may ask what of a task, and what a move does beside the status: people, workers and leads.

A team sees a task in one of four places: in the inbox, in progress, in review, done. It asks for places; one where the
task stands already is no wish.
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
"""Where a team sees a task of each status."""
HELD_BACK: Final = frozenset({Status.BACKLOG, Status.AWAITING_OWNER})
"""Seen in the inbox, and as blocked: only a person lets somebody begin."""


class Part(Enum):
    """
    The part somebody plays on a team. An agent without a board is a worker wherever it works.
    """

    PERSON = "person"
    WORKER = "worker"
    LEAD = "lead"


class Whose(Enum):
    """
    Whose a task is after a move that names nobody.
    """

    KEPT = "whose it was"
    NOBODY = "nobody's"
    MOVER = "whoever moved it"
    LEAD = "the lead's, if the board has one"
    SUBMITTER = "whoever brought it to review"


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
"""What each may move a task to, and whose it is then. A lead meets gates of its own before (`whose_after`)."""
FIELDS: Final = {
    Part.WORKER: frozenset({"status", "values"}),
    Part.LEAD: frozenset({"status", "assignee", "depends_on", "tag_ids", "values"}),
}
"""What an agent may name in an update, beside a worker's comment."""


class TaskBoardMismatch(Denied):
    """
    A worker reaches the tasks of its own board.
    """

    def __str__(self) -> str:
        return "Agent can only update tasks for their assigned board."


class TaskAssigneeMismatch(Denied):
    """
    A worker moves what is assigned to it or to nobody.
    """

    def __str__(self) -> str:
        return "Agents can only change status on tasks assigned to them."


class UpdateFieldForbidden(Denied):
    """
    A worker moves tasks and reports; what they are is not its to change.
    """

    def __str__(self) -> str:
        return "Agents may only update status, comment, and custom field values."


class OnlyLeadsMove(Denied):
    """
    A rule of the board leaves moving tasks to its lead.
    """

    def __str__(self) -> str:
        return "Only board leads can change task status."


class LeadCommentRefused(Denied):
    """
    A lead says what it has to say in a comment of its own.
    """

    def __str__(self) -> str:
        return "a lead's update takes no comment; make one beside it"


@define
class LeadFieldsRefused(Denied):
    """
    A lead directs work; what it is about is not its to change.
    """

    fields: tuple[str, ...]

    def __str__(self) -> str:
        return f"a lead may not change {', '.join(self.fields)}"


@define
class LeadCannotMove(Denied):
    """
    A lead decides about what is in review; *current* is where the task stands.
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
    What a lead decides about a review is that it is done, or goes back.
    """

    requested: Status

    def __str__(self) -> str:
        return (
            "Lead status target gate failed: review tasks can only move to `done` or `inbox` "
            f"(requested: `{self.requested.value}`)."
        )


class LeadsWorkForNobody(Denied):
    """
    A lead hands work to workers, not to leads.
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
    The part a principal plays.
    """
    if not isinstance(principal, AgentPrincipal):
        return Part.PERSON
    return Part.LEAD if principal.lead and principal.board is not None else Part.WORKER


def place_asked(part: Part, task: Task, status: Status | Absent) -> Status | None:
    """
    Where an update moves the task, or None where it does not. That a worker says it works on what is in progress but
    nobody's takes the task.
    """
    if isinstance(status, Absent):
        return None
    to = PLACES[status]
    takes = part is Part.WORKER and to is Status.IN_PROGRESS and task.assignee is None
    return to if takes or to is not PLACES[task.status] else None


def check_asked(principal: Principal, task: Task, *, to: Status | None, named: frozenset[str], commented: bool) -> None:
    """
    Refuse what an agent may not ask, before anything is looked up.

    Raises:
        TaskBoardMismatch: If it is a worker of another board.
        TaskAssigneeMismatch: If a worker moves another one's task.
        UpdateFieldForbidden: If a worker names more than it may.
        LeadCommentRefused: If a lead comments.
        LeadFieldsRefused: If a lead names more than it may.
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
    Whose a task is when this part moves it to that place, if it names nobody. *assigns* says that it names somebody.

    Raises:
        LeadCannotMove: If a lead moves what is not in review. Only what is in the inbox it may begin, for a worker.
        LeadCannotMoveTo: If a lead moves a review anywhere but to the inbox or to done.
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
    Who of the board's workers brought the task to review last, now that the principal moved it.
    """
    enters = PLACES[before.status] is not Status.REVIEW and PLACES[after.status] is Status.REVIEW
    if enters and isinstance(principal, AgentPrincipal) and not principal.lead and principal.board == after.board:
        return principal.agent
    return before.submitter
