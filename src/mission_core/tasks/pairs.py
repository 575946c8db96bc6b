"""
Pairs: callers who know no leases.

Who polls the queue, or moves a task to in progress as an agent, holds an implicit lease: its holder is the pair of
the principal and the agent's name it works under, and of the instance where it tells one. There is no secret; every
request of the pair renews it.
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
    A principal at work under a name, and which of several it is, if it tells. With *itself* it is the agent of that
    name, not somebody who speaks for one.
    """

    principal: Principal
    by: Assignee
    instance: str | None = None
    itself: bool = False

    @property
    def pair(self) -> Pair:
        """
        Whom its implicit leases belong to.
        """
        return Pair(identity_of(self.principal), self.by.key, self.instance)

    def holds(self, run: Run) -> bool:
        """
        Whether the implicit lease is its pair's, or one that an operator took in the name of the agent itself.
        """
        holder = run.holder
        if not isinstance(holder, Pair):
            return False
        in_its_name = (holder.name, holder.instance) == (self.by.key, self.instance)
        return run.held_by(self.pair) or (self.itself and in_its_name and run.actor.kind != self.principal.actor.kind)

    def is_other_than(self, assignee: Assignee | None) -> bool:
        """
        Whether what is assigned so is somebody else's.
        """
        return assignee is not None and assignee.key != self.by.key

    def begin(self, task: Task, *, id: RunId, was: Status, at: datetime) -> tuple[Task, Run, TaskClaimed]:
        """
        The task, in progress already, under an implicit lease of its pair.
        """
        actor = self.principal.actor
        return task.leased(id=id, was=was, by=self.by, actor=actor, holder=self.pair, terms=PAIR_TERMS, at=at)


def worker_of(principal: Principal, agent: str | None = None, instance: str | None = None) -> Worker | None:
    """
    Under which name the principal works: an agent under its own, an admin's key under any, everybody else under the
    one they give; None for who gives none.

    Raises:
        NotYourAgent: If an agent below admin names another.
        InvalidField: If name or instance are none that can be kept.
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
    The decision to renew an implicit lease, where that must be written by now.
    """

    def decide(candidate: Candidate) -> Change | None:
        run = candidate.run
        kept = run.renew(at=at) if run is not None and run.lives(at=at) else None
        return Change(beat=kept) if kept else None

    return decide
