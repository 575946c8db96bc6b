"""
Deletion of an agent. Its unfinished tasks are freed first.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from mission_core.accounts.model import AgentPrincipal, Principal, Role, require_role
from mission_core.agents.model import Agent, AgentDeleted, MainAgentProtected
from mission_core.entity_changes import evolve, require_version
from mission_core.events.model import Event
from mission_core.ids import AgentId, AgentNumber
from mission_core.lazy_attrs import frozen
from mission_core.tasks.leases import expiry_decision
from mission_core.tasks.model import Status
from mission_core.tasks.ports import Candidate, Decide, TaskChange, TooManyUnfinishedTasks
from mission_core.use_case import use_case

if TYPE_CHECKING:
    from mission_core.ports import Ports, UnitOfWork

BATCH_SIZE: Final = 64
"""The number of tasks freed in one unit."""


@frozen(kw_only=True)
class DeleteAgent:
    """
    Delete an agent.
    """

    agent: AgentId | AgentNumber | str
    expects: int | None = None


async def delete_agent(ports: Ports, principal: Principal, cmd: DeleteAgent) -> Agent:
    """
    Delete an agent and its keys. Its leases end, and its unfinished tasks lose their assignee. Finished tasks keep its
    name.

    This is one commit for up to `BATCH_SIZE` unfinished tasks. An agent with more has them freed in batches first;
    after an interruption the agent still exists, without the freed tasks.

    Raises:
        AgentNotFound: If there is no such agent for this principal.
        MainAgentProtected: If it is the built-in one.
        RoleTooLow: If the principal is neither an admin nor the lead of the worker's board.
        VersionMismatch: If the caller expected another version.
    """
    while True:
        try:
            return await _delete(ports, principal, cmd)
        except TooManyUnfinishedTasks:
            await _free_tasks(ports, principal, cmd)


@use_case
async def _delete(ports: Ports, principal: Principal, cmd: DeleteAgent) -> Agent:
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        agent = await _deletable_agent(unit, principal, cmd)
        unit.tasks.free_assigned(agent, freeing_decision(agent, at=now), limit=BATCH_SIZE, last=True)
        unit.agents.remove(agent)
        unit.record(AgentDeleted(agent=agent.id, number=agent.number, name=agent.name, board=agent.board, at=now))
        await unit.commit()
    return agent


@use_case
async def _free_tasks(ports: Ports, principal: Principal, cmd: DeleteAgent) -> None:
    async with ports.unit(principal) as unit:
        agent = await _deletable_agent(unit, principal, cmd)
        unit.tasks.free_assigned(agent, freeing_decision(agent, at=ports.clock.now()), limit=BATCH_SIZE)
        await unit.commit()


async def _deletable_agent(unit: UnitOfWork, principal: Principal, cmd: DeleteAgent) -> Agent:
    agent = await unit.agents.get(cmd.agent)
    if not _is_lead_of(principal, agent):
        require_role(principal, Role.ADMIN)
    if agent.main:
        raise MainAgentProtected
    return require_version(agent, cmd.expects)


def _is_lead_of(principal: Principal, agent: Agent) -> bool:
    """
    Whether the principal is the lead of the board on which the agent is a worker.
    """
    if not isinstance(principal, AgentPrincipal) or not principal.lead or principal.board is None:
        return False
    return agent.board == principal.board and not agent.lead


def freeing_decision(agent: Agent, *, at: datetime) -> Decide:
    """
    Return the decision that frees a task of the agent.
    """

    def decide(candidate: Candidate) -> TaskChange | None:
        assignee = candidate.task.assignee
        return freed_change(candidate, at=at) if assignee and assignee.key == agent.name_key else None

    return decide


def freed_change(candidate: Candidate, *, at: datetime) -> TaskChange | None:
    """
    Return the change that frees an unfinished task of its assignee, who is being deleted.

    A task in progress goes back to the queue with its attempt returned, unless its lease expired before. Any other task
    only loses its assignee.
    """
    task, run = candidate.task, candidate.run
    change = expiry_decision(at)(candidate) or TaskChange()
    if change.task is None and (run is not None or task.status is Status.IN_PROGRESS):
        facts: tuple[Event, ...] = ()
        if run is not None:
            run, revoked = run.revoke("its agent was deleted", at=at)
            facts = (revoked,)
        task, moved = task.after_revocation(run, at=at)
        return TaskChange(task=task, run=run, events=(*facts, moved))
    left = change.task or task
    if left.finished or left.assignee is None:
        return change if change.task else None
    freed, told = left.without_assignee(at=at)
    return evolve(change, task=freed, events=(*change.events, *told))
