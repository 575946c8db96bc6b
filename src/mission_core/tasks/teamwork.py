"""
Updates under the team rules: the status and assignee of a task after a write by a person, a worker or a lead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from mission_core.accounts.model import AgentPrincipal, Principal
from mission_core.agents.model import Agent, AgentNotFound
from mission_core.tasks.actors import (
    HELD_BACK,
    AssigneeElsewhere,
    LeadsWorkForNobody,
    OnlyLeadsMove,
    Part,
    Whose,
    part_of,
    place_asked,
    whose_after,
)
from mission_core.tasks.dependencies import open_dependencies
from mission_core.tasks.model import FINISHED, IDLE, Blocked, Status, Task
from mission_core.tasks.runs import Assignee
from mission_core.values import Absent

if TYPE_CHECKING:
    from mission_core.ids import AgentId, BoardId
    from mission_core.ports import UnitOfWork


@frozen(kw_only=True)
class Meant:
    """
    The status and assignee that a write leads to. *brought_by* is the assignee it names, whose comment counts in a
    review. Without *starts* the start time of the work does not change.
    """

    status: Status
    assignee: Assignee | None
    brought_by: Assignee | None = None
    starts: bool = True


async def as_team(
    unit: UnitOfWork,
    principal: Principal,
    before: Task,
    after: Task,
    *,
    status: Status | Absent,
    assignee: AgentId | str | Absent | None,
) -> Meant:
    """
    Return the status and assignee that a write leads to under the team rules. *after* is the task with all its other
    changes.

    If the task has open dependencies, a person's write puts it in the inbox, and an agent's is refused.

    Raises:
        OnlyLeadsMove: If a worker moves it, and the board lets only its lead move tasks.
        Blocked: If an agent moves or assigns a blocked task.
        AgentNotFound: If there is no such assignee.
        AssigneeElsewhere: If the assignee belongs to another board.
        LeadsWorkForNobody: If a lead assigns it to a lead.
        LeadCannotMove: If a lead may not move the task from its present status.
        LeadCannotMoveTo: If a lead may not move the task to that status.
    """
    part = part_of(principal)
    to = place_asked(part, before, status)
    named = not isinstance(assignee, Absent)
    if part is not Part.PERSON:
        await _check_agent(unit, principal, before, after, to=to, assigns=named)
    chosen = None if isinstance(assignee, Absent) else await assignee_for(unit, part, assignee, board=after.board)
    if chosen is not None and chosen.agent is not None and before.assignee and chosen.key == before.assignee.key:
        chosen = before.assignee  # the same agent: keep the name as it was written before
    owner = chosen if named else before.assignee
    if part is Part.PERSON and await _settles(unit, before, after, moves=to is not None):
        return Meant(status=Status.INBOX, assignee=None)
    if to is None:
        resting = owner != before.assignee and before.status in IDLE
        return Meant(status=_at_rest(owner) if resting else before.status, assignee=owner)
    whose = whose_after(part, before.status, to, assigns=chosen is not None)
    if whose is Whose.LEAD:
        owner = await _lead(unit, after.board) or chosen
    elif not named:
        owner = await _owner(unit, principal, after, whose)
    status = _at_rest(owner) if to is Status.INBOX else to
    return Meant(status=status, assignee=owner, brought_by=chosen, starts=part is not Part.LEAD)


async def _check_agent(
    unit: UnitOfWork, principal: Principal, before: Task, after: Task, *, to: Status | None, assigns: bool
) -> None:
    """
    Check that an agent may move or assign the task.

    Raises:
        OnlyLeadsMove: If a worker moves it, and the board lets only its lead move tasks.
        Blocked: If the task is blocked, unless a worker only puts it back in the inbox.
    """
    if to is not None:
        await check_mover(unit, principal, before)
    puts_down = to is Status.INBOX and part_of(principal) is Part.WORKER
    if assigns or (to is not None and not puts_down):
        open_ones = await open_dependencies(unit, after)
        if open_ones or before.status in HELD_BACK:
            raise Blocked(before.id, open_ones)


async def check_mover(unit: UnitOfWork, principal: Principal, task: Task) -> None:
    """
    Check that the principal may move tasks on the task's board.

    Raises:
        OnlyLeadsMove: If the board lets only its lead move tasks, and the principal is another agent.
    """
    if part_of(principal) is not Part.WORKER:
        return
    passage = await unit.gates.of(task)
    if passage.rules.only_lead_can_change_status:
        raise OnlyLeadsMove


async def assignee_for(unit: UnitOfWork, part: Part, named: AgentId | str | None, *, board: BoardId) -> Assignee | None:
    """
    Return the assignee for a name or an agent id. The unit relies on the agent.

    Raises:
        AgentNotFound: If there is no agent with this id.
        AssigneeElsewhere: If the agent belongs to another board.
        LeadsWorkForNobody: If a lead names a lead.
    """
    if not named:
        return None
    if isinstance(named, str):
        return Assignee(named)
    agent = await unit.agents.anywhere(named)
    if part is Part.LEAD and agent.lead:
        raise LeadsWorkForNobody
    if agent.board not in (None, board):
        raise AssigneeElsewhere
    return _relied_on(unit, agent)


def _relied_on(unit: UnitOfWork, agent: Agent) -> Assignee:
    unit.rely_on(agent)
    return Assignee(agent.name, agent.id)


def _at_rest(owner: Assignee | None) -> Status:
    return Status.ASSIGNED if owner else Status.INBOX


async def _settles(unit: UnitOfWork, before: Task, after: Task, *, moves: bool) -> bool:
    """
    Whether a person's write puts the task back in the inbox because it has open dependencies.
    """
    stays = not moves and before.status in FINISHED | {Status.BACKLOG}
    return not stays and bool(await open_dependencies(unit, after))


async def _lead(unit: UnitOfWork, board: BoardId) -> Assignee | None:
    lead = await unit.agents.lead(board)
    return _relied_on(unit, lead) if lead else None


async def _owner(unit: UnitOfWork, principal: Principal, task: Task, whose: Whose) -> Assignee | None:
    """
    Return the assignee by a rule, for a move that names no assignee.
    """
    if whose is Whose.MOVER and isinstance(principal, AgentPrincipal):
        return Assignee(principal.name, principal.agent)
    if whose is Whose.SUBMITTER and task.submitter is not None:
        return await _submitter(unit, task.submitter, task.board)
    return task.assignee if whose is Whose.KEPT else None


async def _submitter(unit: UnitOfWork, submitter: AgentId, board: BoardId) -> Assignee | None:
    """
    Return the agent that moved the task to review, if it still works on the board.
    """
    try:
        agent = await unit.agents.anywhere(submitter)
    except AgentNotFound:
        return None
    return _relied_on(unit, agent) if agent.board == board and not agent.lead else None
