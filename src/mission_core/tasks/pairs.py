"""
Implicit leases: the leases of callers that send no lease.

A caller that polls the queue, or moves a task to in progress as an agent, gets an implicit lease. Its holder is the
principal, the agent name it works under, and the instance, if it sends one. There is no secret. Every request of the
holder renews the lease.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from attrs import frozen

from mission_core.accounts.model import AgentPrincipal, NotYourAgent, Principal, Role, identity_of
from mission_core.tasks.ports import Candidate, Change, Decide
from mission_core.tasks.runs import PAIR_TERM, Assignee, Pair, Run, Terms
from mission_core.values import name_key

if TYPE_CHECKING:
    from mission_core.ids import RunId
    from mission_core.tasks.facts import TaskClaimed
    from mission_core.tasks.model import Status, Task

PAIR_TERMS: Final = Terms(term=PAIR_TERM)


@frozen(kw_only=True)
class Worker:
    """
    A principal that works under an agent name, and its instance, if it sends one. With *itself* the principal is that
    agent, and does not act on its behalf.
    """

    principal: Principal
    by: Assignee
    instance: str | None = None
    itself: bool = False

    @property
    def pair(self) -> Pair:
        """
        The holder of its implicit leases.
        """
        return Pair(identity_of(self.principal), self.by.key, self.instance)

    def holds(self, run: Run) -> bool:
        """
        Whether the run is an implicit lease of this worker, or one that an operator took in the name of the agent
        itself.
        """
        holder = run.holder
        if not isinstance(holder, Pair):
            return False
        in_its_name = (holder.name, holder.instance) == (self.by.key, self.instance)
        return run.held_by(self.pair) or (self.itself and in_its_name and run.actor.kind != self.principal.actor.kind)

    def is_other_than(self, assignee: Assignee | None) -> bool:
        """
        Whether the assignee is somebody else. False if there is no assignee.
        """
        return assignee is not None and assignee.key != self.by.key

    def begin(self, task: Task, *, id: RunId, was: Status, at: datetime) -> tuple[Task, Run, TaskClaimed]:
        """
        Return the task, which is already in progress, under an implicit lease of this worker.
        """
        actor = self.principal.actor
        return task.leased(id=id, was=was, by=self.by, actor=actor, holder=self.pair, terms=PAIR_TERMS, at=at)


def worker_of(principal: Principal, agent: str | None = None, instance: str | None = None) -> Worker | None:
    """
    Return the worker for a principal and the agent name it sends. An agent works under its own name, an admin's key
    under any, and other principals under the name they send; None without a name.

    Raises:
        NotYourAgent: If an agent below admin names another agent.
        InvalidField: If the name or the instance is invalid.
    """
    if not isinstance(principal, AgentPrincipal):
        return Worker(principal=principal, by=Assignee(agent), instance=instance) if agent else None
    if not agent or name_key(agent) == name_key(principal.name):
        own = Assignee(principal.name, principal.agent)
        return Worker(principal=principal, by=own, instance=instance, itself=True)
    if principal.role is not Role.ADMIN:
        raise NotYourAgent
    return Worker(principal=principal, by=Assignee(agent), instance=instance)


def renewing(at: datetime) -> Decide:
    """
    Return the decision that renews an implicit lease, if it is due for renewal.
    """

    def decide(candidate: Candidate) -> Change | None:
        run = candidate.run
        kept = run.renew(at=at) if run is not None and run.lives(at=at) else None
        return Change(beat=kept) if kept else None

    return decide
