"""
The decision whether the gates of a board allow a write of a task.

Every write asks it: create, update, bulk update, move between boards, claim, queue poll, completion and adoption of a
late result. Writes that only take work back are not checked (a failure, a release, an expired lease, an operator's
order, a suspension), nor is the end of a suspension, which returns the task to the status it had before. Nor is a
change of assignee in the queue.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from mission_core.accounts.members import MEMBERS, OWNER, BoardPermission, Member, accessible_boards, principal_role
from mission_core.accounts.model import AgentPrincipal, MemberPrincipal, Principal, Role
from mission_core.accounts.users import USERS
from mission_core.boards.grants import GRANTS
from mission_core.boards.model import GateSet, require_gates_not_weakened
from mission_core.entity_changes import evolve
from mission_core.events.model import Event
from mission_core.lazy_attrs import frozen
from mission_core.tasks.authors import author_ids_of, author_of_actor, author_of_assignee
from mission_core.tasks.comment_creation import has_commented_since_start
from mission_core.tasks.events import TaskSelfReviewed
from mission_core.tasks.model import (
    IDLE_STATUSES,
    REVIEW_STATUSES,
    STATUS_RULES,
    CommentRequired,
    GateClosed,
    Status,
    Task,
)
from mission_core.tasks.ports import Candidate, GateContext
from mission_core.tasks.runs import Assignee
from mission_core.tasks.team_rules import BoardRole, OnlyLeadMovesTasks, board_role_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mission_core.ids import BoardId, TaskId
    from mission_core.ports import UnitOfWork

UNGATED_STATUSES: Final = IDLE_STATUSES | {Status.BACKLOG}
"""A task with one of these statuses may be created on, or moved to, any board."""
SUBMITTED_STATUSES: Final = REVIEW_STATUSES | {Status.DONE}


class OwnReviewRefused(GateClosed):
    """
    An author of a task may not close its review, and neither may an agent whose key an author made.
    """

    code = "own_review"

    def __init__(self, task: TaskId) -> None:
        super().__init__("require_review_before_done", task)

    says = (
        "Authors may not close the review of their own work, and neither may agents whose key an author made; "
        "another reviewer must close it."
    )


@frozen
class GateDecision:
    """
    A write that the gates allow. *reaches_done* says that the task becomes done, *self_reviewed* that an owner closes
    the review of their own work because no other member may review it.
    """

    reaches_done: bool = False
    self_reviewed: bool = False


def decide_move(was: Task | None, to: Task, passage: GateContext, *, asker: Principal) -> GateDecision:
    """
    Decide whether the asker may change a task from *was* (None if it is new) to *to*. *passage* describes the gates of
    the board of *to*.

    Raises:
        OnlyLeadMovesTasks: If a worker moves it, and the board lets only its lead move tasks.
        GateClosed: If a gate refuses the move.
    """
    arrives, moves = was is None or was.board != to.board, was is None or was.status is not to.status
    if not moves and (not arrives or (was is not None and to.board in was.passed)):
        return GateDecision()
    if was is not None and not arrives and {was.status, to.status} <= IDLE_STATUSES:
        return GateDecision()
    rules, move = passage.rules, STATUS_RULES[to.status]
    rests = arrives and to.status in UNGATED_STATUSES
    if rules.only_lead_can_change_status and board_role_of(asker) is BoardRole.WORKER and not rests:
        raise OnlyLeadMovesTasks
    if rules.block_status_changes_with_pending_approval and passage.pending:
        raise GateClosed("block_status_changes_with_pending_approval", to.id)
    if move.needs_review and rules.require_review_before_done and (was is None or was.status not in REVIEW_STATUSES):
        raise GateClosed("require_review_before_done", to.id)
    if move.needs_approval and rules.require_approval_for_done and not passage.approved:
        raise GateClosed("require_approval_for_done", to.id)
    if move.needs_comment and rules.comment_required_for_review and not passage.has_comment:
        raise CommentRequired("comment_required_for_review", to.id)
    own = was is not None and _closes_review(to, rules) and (passage.has_author_key or _is_author(asker, was))
    if own and (isinstance(asker, AgentPrincipal) or not passage.sole_reviewer):
        raise OwnReviewRefused(to.id)
    return GateDecision(reaches_done=to.status is Status.DONE, self_reviewed=own)


def decide_departure(was: Task, left: GateContext, arrival: GateSet, *, asker: Principal) -> None:
    """
    Decide whether the asker may move a task off its board, to one with the *arrival* gates.

    Raises:
        GateClosed: If an approval of the task is pending, and its board blocks status changes meanwhile.
        WeakerGates: If an agent below admin moves it to a board with weaker gates.
    """
    if left.rules.block_status_changes_with_pending_approval and left.pending:
        raise GateClosed("block_status_changes_with_pending_approval", was.id)
    require_gates_not_weakened(asker, arrival, left.rules)


def decide_claim(candidate: Candidate, *, asker: Principal) -> None:
    """
    Decide whether the asker may claim a candidate, which is locked.

    Raises:
        OnlyLeadMovesTasks: If a worker claims it, and the board lets only its lead move tasks.
        GateClosed: If an approval of the task is pending, and its board blocks status changes meanwhile.
    """
    rules = GateSet(
        only_lead_can_change_status=candidate.lead_only, block_status_changes_with_pending_approval=candidate.held
    )
    taken = evolve(candidate.task, status=Status.IN_PROGRESS)
    decide_move(candidate.task, taken, GateContext(rules=rules, pending=candidate.held), asker=asker)


def status_after_work(passage: GateContext) -> Status:
    """
    Return the status of completed work: done, or review if a gate requires a review or an approval first.
    """
    rules = passage.rules
    gated = rules.require_review_before_done or (rules.require_approval_for_done and not passage.approved)
    return Status.REVIEW if gated else Status.DONE


def with_authors(was: Task | None, to: Task, *, asker: Principal, workers: Iterable[Assignee | None] = ()) -> Task:
    """
    Return the task with its authors updated: the assignee of a task in progress is one. When the task is handed in, so
    are the asker, the former assignee, and *workers*.
    """
    assignees = [to.assignee if to.status is Status.IN_PROGRESS else None]
    acting: list[UUID] = []
    if to.status in SUBMITTED_STATUSES and (was is None or was.status not in SUBMITTED_STATUSES):
        assignees += [*workers, was.assignee if was else None]
        acting.append(author_of_actor(asker.actor))
    found = (*to.authors, *(author_of_assignee(each) for each in assignees if each is not None), *acting)
    authors = tuple(dict.fromkeys(found))
    return to if authors == to.authors else evolve(to, authors=authors)


async def pass_gates(
    unit: UnitOfWork,
    asker: Principal,
    was: Task | None,
    to: Task,
    *,
    says: bool = False,
    by: Assignee | None = None,
    at: datetime,
) -> tuple[Task, tuple[Event, ...]]:
    """
    Ask the gates of the task's old and new board, and use up the approval that allows the move.

    Args:
        says: Whether the write has a comment.
        by: The assignee whose comment counts instead, if it is newer than the start of the work.

    Returns:
        The task as the write keeps it, and the events to record.

    Raises:
        OnlyLeadMovesTasks: If a worker moves it, and the board lets only its lead move tasks.
        GateClosed: If a gate refuses the move.
        WeakerGates: If an agent below admin moves it to a board with weaker gates.
    """
    if was is None and to.status in UNGATED_STATUSES:
        return to, ()
    if (
        was is not None
        and was.board == to.board
        and (was.status is to.status or {was.status, to.status} <= IDLE_STATUSES)
    ):
        return to, ()
    cleared = []
    if was is not None and was.board != to.board:
        left, arrival = await unit.gates.context_of(was, to.status), await unit.gates.context_of(to, to.status)
        decide_departure(was, left, arrival.rules, asker=asker)
        if was.status is not to.status:
            cleared.append(await _ask_board(unit, asker, was, evolve(to, board=was.board), says, by, at=at))
        if to.status not in UNGATED_STATUSES:
            to = evolve(to, passed=tuple(dict.fromkeys((*to.passed, was.board))))
    cleared.append(await _ask_board(unit, asker, was, to, says, by, at=at))
    if any(each.self_reviewed for each in cleared):
        return to, (TaskSelfReviewed(task=to.id, board=to.board, title=to.title, at=at),)
    return to, ()


async def _ask_board(
    unit: UnitOfWork, asker: Principal, was: Task | None, to: Task, says: bool, by: Assignee | None, *, at: datetime
) -> GateDecision:
    passage = await unit.gates.context_of(to, to.status)
    rules = passage.rules
    if STATUS_RULES[to.status].needs_comment and rules.comment_required_for_review:
        says = says or (was is not None and await has_commented_since_start(unit, was, by))
        passage = evolve(passage, has_comment=says)
    if was is not None and _closes_review(to, rules):
        if _is_author(asker, was):
            passage = evolve(passage, sole_reviewer=await _is_sole_reviewer(unit, asker, to))
        elif isinstance(asker, AgentPrincipal):
            passage = evolve(passage, has_author_key=await _has_key_of_author(unit, asker, was))
    cleared = decide_move(was, to, passage, asker=asker)
    if cleared.reaches_done:
        unit.gates.use_approval(to, at=at)
    return cleared


def _closes_review(to: Task, rules: GateSet) -> bool:
    """
    Whether a write closes a review that the rules require.
    """
    return STATUS_RULES[to.status].needs_review and rules.require_review_before_done


def _is_author(asker: Principal, task: Task) -> bool:
    return not author_ids_of(asker).isdisjoint(task.authors)


async def _has_key_of_author(unit: UnitOfWork, asker: AgentPrincipal, task: Task) -> bool:
    """
    Whether an author of the task made a key of the asking agent, or a key of the agent that made that key, and so on.
    """
    # The maker of a key knows its secret. Revoked keys count too: the agent may have used one to make itself another.
    met, waiting = {asker.agent}, [asker.agent]
    while waiting:
        for key in await unit.without_grants.keys.list_of(waiting.pop()):
            maker = await unit.agents.find(key.created_by) if key.created_by else None
            if maker is None or maker.id in met:
                continue
            if maker.id in task.authors or author_of_assignee(Assignee(maker.name)) in task.authors:
                return True
            met.add(maker.id)
            waiting.append(maker.id)
    return False


async def _is_sole_reviewer(unit: UnitOfWork, asker: Principal, task: Task) -> bool:
    """
    Whether the asker is an owner, and no other member may review the task. The server's API key counts as an owner's.
    If only one member may review, the key counts as that member's.
    """
    if isinstance(asker, AgentPrincipal) or asker.role is not Role.ADMIN:
        return False
    every = await unit.without_grants.repository(MEMBERS).every()
    others = [each for each in every if not isinstance(asker, MemberPrincipal) or each.id != asker.member]
    if isinstance(asker, MemberPrincipal):
        own = next((each for each in every if each.id == asker.member), None)
        if own is None or own.role != OWNER:
            return False
        unit.rely_on(own)
    reviewers = [each.user for each in others if await _may_review(unit, each, task.board)]
    if not isinstance(asker, MemberPrincipal) and len(reviewers) == 1:
        return True
    return all(each in task.authors for each in reviewers)


async def _may_review(unit: UnitOfWork, member: Member, board: BoardId) -> bool:
    user = await unit.repository(USERS).get(member.user)
    grants = await unit.without_grants.repository(GRANTS).every(member=member.id)
    granted = [BoardPermission(each.on_board, each.can_read, each.can_write) for each in grants]
    _, writes = accessible_boards(member, granted)
    allowed = writes is None or board in writes
    return user.approved and allowed and principal_role(member, writes=writes) is not Role.VIEWER
