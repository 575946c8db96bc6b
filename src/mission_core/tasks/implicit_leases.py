"""
Implicit leases: the leases of callers that send no lease.

A caller that polls the queue, or moves a task to in progress as an agent, gets an implicit lease. Its holder is the
principal, the agent name it works under, and the instance, if it sends one. There is no secret. Every request of the
holder renews the lease.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from mission_core.accounts.model import AgentPrincipal, KeyOfAnotherAgent, Principal, Role, identity_of
from mission_core.lazy_attrs import frozen
from mission_core.tasks.ports import BudgetReached, Candidate, Decide, TaskChange
from mission_core.tasks.runs import IMPLICIT_LEASE_TERM, Assignee, ImplicitHolder, LeaseTerms, Run
from mission_core.values import name_key

if TYPE_CHECKING:
    from mission_core.ids import RunId
    from mission_core.tasks.events import TaskClaimed
    from mission_core.tasks.model import Status, Task

IMPLICIT_LEASE_TERMS: Final = LeaseTerms(term=IMPLICIT_LEASE_TERM)


@frozen(kw_only=True)
class LeaseCaller:
    """
    A principal that works under an agent name, and its instance, if it sends one. With *is_agent* the principal is that
    agent, and does not act on its behalf.
    """

    principal: Principal
    by: Assignee
    instance: str | None = None
    is_agent: bool = False

    @property
    def holder(self) -> ImplicitHolder:
        """
        The caller as the holder of implicit leases.
        """
        return ImplicitHolder(identity_of(self.principal), self.by.key, self.instance)

    def holds(self, run: Run) -> bool:
        """
        Whether the run is an implicit lease of this worker, or one that an operator took in the name of the agent
        itself.
        """
        holder = run.holder
        if not isinstance(holder, ImplicitHolder):
            return False
        in_its_name = (holder.name, holder.instance) == (self.by.key, self.instance)
        return run.is_held_by(self.holder) or (
            self.is_agent and in_its_name and run.actor.kind != self.principal.actor.kind
        )

    def differs_from(self, assignee: Assignee | None) -> bool:
        """
        Whether the assignee is somebody else. False if there is no assignee.
        """
        return assignee is not None and assignee.key != self.by.key

    def begin_run(self, task: Task, *, id: RunId, was: Status, at: datetime) -> tuple[Task, Run, TaskClaimed]:
        """
        Return the task, which is already in progress, under an implicit lease of this worker.
        """
        actor = self.principal.actor
        return task.begin_run(
            id=id, was=was, by=self.by, actor=actor, holder=self.holder, terms=IMPLICIT_LEASE_TERMS, at=at
        )


def lease_caller_of(principal: Principal, agent: str | None = None, instance: str | None = None) -> LeaseCaller | None:
    """
    Return the worker for a principal and the agent name it sends. An agent works under its own name, an admin's key
    under any, and other principals under the name they send; None without a name.

    Raises:
        KeyOfAnotherAgent: If an agent below admin names another agent.
        InvalidField: If the name or the instance is invalid.
    """
    if not isinstance(principal, AgentPrincipal):
        return LeaseCaller(principal=principal, by=Assignee(agent), instance=instance) if agent else None
    if not agent or name_key(agent) == name_key(principal.name):
        own = Assignee(principal.name, principal.agent)
        return LeaseCaller(principal=principal, by=own, instance=instance, is_agent=True)
    if principal.role is not Role.ADMIN:
        raise KeyOfAnotherAgent
    return LeaseCaller(principal=principal, by=Assignee(agent), instance=instance)


def renewal_decision(at: datetime, budgets_reached: list[BudgetReached] | None = None) -> Decide:
    """
    Return the decision that renews an implicit lease, if it is due for renewal. If a hard budget has no room for the
    run to go on, the lease is not renewed, and the refusal is added to *budgets_reached*.
    """
    refusals = [] if budgets_reached is None else budgets_reached

    def decide(candidate: Candidate) -> TaskChange | None:
        run = candidate.run
        if run is None or not run.is_live(at=at):
            return None
        if candidate.budgets is not None and (refusal := candidate.budgets.refusal_of_renewal(run, at=at)):
            refusals.append(refusal)
            return None
        kept = run.renew(at=at)
        return TaskChange(heartbeat=kept) if kept else None

    return decide
