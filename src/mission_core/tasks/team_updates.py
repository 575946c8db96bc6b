"""
Updates under the team rules: the status and assignee of a task after a write by a person, a worker or a lead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mission_core.accounts.model import AgentPrincipal, Principal
from mission_core.agents.model import Agent, AgentNotFound
from mission_core.lazy_attrs import frozen
from mission_core.tasks.dependencies import open_dependencies
from mission_core.tasks.model import FINISHED_STATUSES, IDLE_STATUSES, BlockedByDependencies, Status, Task
from mission_core.tasks.runs import Assignee
from mission_core.tasks.team_rules import (
    SHOWN_AS_BLOCKED,
    AssigneeOnAnotherBoard,
    AssigneeRule,
    BoardRole,
    LeadNotAssignable,
    OnlyLeadMovesTasks,
    assignee_rule_for,
    board_role_of,
    requested_status,
)
from mission_core.values import Absent

if TYPE_CHECKING:
    from mission_core.ids import AgentId, BoardId
    from mission_core.ports import UnitOfWork


@frozen(kw_only=True)
class TargetState:
    """
    The status and assignee that a write leads to. *submitted_by* is the assignee it names, whose comment counts in a
    review. Without *starts_clock* the start time of the work does not change.
    """

    status: Status
    assignee: Assignee | None
    submitted_by: Assignee | None = None
    starts_clock: bool = True


async def resolve_team_update(
    unit: UnitOfWork,
    principal: Principal,
    before: Task,
    after: Task,
    *,
    status: Status | Absent,
    assignee: AgentId | str | Absent | None,
) -> TargetState:
    """
    Return the status and assignee that a write leads to under the team rules. *after* is the task with all its other
    changes.

    If the task has open dependencies, a person's write puts it in the inbox, and an agent's is refused.

    Raises:
        OnlyLeadMovesTasks: If a worker moves it, and the board lets only its lead move tasks.
        BlockedByDependencies: If an agent moves or assigns a blocked task.
        AgentNotFound: If there is no such assignee.
        AssigneeOnAnotherBoard: If the assignee belongs to another board.
        LeadNotAssignable: If a lead assigns it to a lead.
        LeadCannotMove: If a lead may not move the task from its present status.
        LeadCannotMoveTo: If a lead may not move the task to that status.
    """
    part = board_role_of(principal)
    to = requested_status(part, before, status)
    named = not isinstance(assignee, Absent)
    if part is not BoardRole.PERSON:
        await _check_agent(unit, principal, before, after, to=to, assigns=named)
    chosen = None if isinstance(assignee, Absent) else await resolve_assignee(unit, part, assignee, board=after.board)
    if chosen is not None and chosen.agent is not None and before.assignee and chosen.key == before.assignee.key:
        chosen = before.assignee  # the same agent: keep the name as it was written before
    owner = chosen if named else before.assignee
    if part is BoardRole.PERSON and await _returns_to_inbox(unit, before, after, moves=to is not None):
        return TargetState(status=Status.INBOX, assignee=None)
    if to is None:
        resting = owner != before.assignee and before.status in IDLE_STATUSES
        return TargetState(status=_idle_status(owner) if resting else before.status, assignee=owner)
    whose = assignee_rule_for(part, before.status, to, assigns=chosen is not None)
    if whose is AssigneeRule.LEAD:
        owner = await _lead_assignee(unit, after.board) or chosen
    elif not named:
        owner = await _assignee_by_rule(unit, principal, after, whose)
    status = _idle_status(owner) if to is Status.INBOX else to
    return TargetState(status=status, assignee=owner, submitted_by=chosen, starts_clock=part is not BoardRole.LEAD)


async def _check_agent(
    unit: UnitOfWork, principal: Principal, before: Task, after: Task, *, to: Status | None, assigns: bool
) -> None:
    """
    Check that an agent may move or assign the task.

    Raises:
        OnlyLeadMovesTasks: If a worker moves it, and the board lets only its lead move tasks.
        BlockedByDependencies: If the task is blocked, unless a worker only puts it back in the inbox.
    """
    if to is not None:
        await check_may_move(unit, principal, before)
    puts_down = to is Status.INBOX and board_role_of(principal) is BoardRole.WORKER
    if assigns or (to is not None and not puts_down):
        open_ones = await open_dependencies(unit, after)
        if open_ones or before.status in SHOWN_AS_BLOCKED:
            raise BlockedByDependencies(before.id, open_ones)


async def check_may_move(unit: UnitOfWork, principal: Principal, task: Task) -> None:
    """
    Check that the principal may move tasks on the task's board.

    Raises:
        OnlyLeadMovesTasks: If the board lets only its lead move tasks, and the principal is another agent.
    """
    if board_role_of(principal) is not BoardRole.WORKER:
        return
    passage = await unit.gates.context_of(task)
    if passage.rules.only_lead_can_change_status:
        raise OnlyLeadMovesTasks


async def resolve_assignee(
    unit: UnitOfWork, part: BoardRole, named: AgentId | str | None, *, board: BoardId
) -> Assignee | None:
    """
    Return the assignee for a name or an agent id. The unit relies on the agent's placement.

    Raises:
        AgentNotFound: If there is no agent with this id.
        AssigneeOnAnotherBoard: If the agent belongs to another board.
        LeadNotAssignable: If a lead names a lead.
    """
    if not named:
        return None
    if isinstance(named, str):
        return Assignee(named)
    agent = await unit.agents.get_unscoped(named)
    if part is BoardRole.LEAD and agent.lead:
        raise LeadNotAssignable
    if agent.board not in (None, board):
        raise AssigneeOnAnotherBoard
    return _assignee_relied_on(unit, agent)


def _assignee_relied_on(unit: UnitOfWork, agent: Agent) -> Assignee:
    unit.rely_on(agent.placement)
    return Assignee(agent.name, agent.id)


def _idle_status(owner: Assignee | None) -> Status:
    return Status.ASSIGNED if owner else Status.INBOX


async def _returns_to_inbox(unit: UnitOfWork, before: Task, after: Task, *, moves: bool) -> bool:
    """
    Whether a person's write puts the task back in the inbox because it has open dependencies.
    """
    stays = not moves and before.status in FINISHED_STATUSES | {Status.BACKLOG}
    return not stays and bool(await open_dependencies(unit, after))


async def _lead_assignee(unit: UnitOfWork, board: BoardId) -> Assignee | None:
    lead = await unit.agents.lead(board)
    return _assignee_relied_on(unit, lead) if lead else None


async def _assignee_by_rule(unit: UnitOfWork, principal: Principal, task: Task, whose: AssigneeRule) -> Assignee | None:
    """
    Return the assignee by a rule, for a move that names no assignee.
    """
    if whose is AssigneeRule.CALLER and isinstance(principal, AgentPrincipal):
        return Assignee(principal.name, principal.agent)
    if whose is AssigneeRule.SUBMITTER and task.submitter is not None:
        return await _submitter_assignee(unit, task.submitter, task.board)
    return task.assignee if whose is AssigneeRule.UNCHANGED else None


async def _submitter_assignee(unit: UnitOfWork, submitter: AgentId, board: BoardId) -> Assignee | None:
    """
    Return the agent that moved the task to review, if it still works on the board.
    """
    try:
        agent = await unit.agents.get_unscoped(submitter)
    except AgentNotFound:
        return None
    return _assignee_relied_on(unit, agent) if agent.board == board and not agent.lead else None
