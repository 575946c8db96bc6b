"""
Runs in memory, with the state of their leases.
"""

from __future__ import annotations

from typing import Any

from attrs import evolve

from mission_adapters.memory.tables import (
    GroupIndex,
    SortedIndex,
    SortEntry,
    Table,
    UndoLog,
    UniqueConstraint,
    require_visible,
)
from mission_core.accounts.model import Principal
from mission_core.agents.model import Agent
from mission_core.errors import Conflict
from mission_core.ids import OrganizationId, RunId, TaskId
from mission_core.tasks.runs import LIVE_STATES, ImplicitHolder, Run, RunNotFound

LEASE_FIELDS = ("expires_at", "heartbeat_at", "progress")


class RunTable(Table[Run]):
    """
    The runs of all organizations. *by_lease_end* orders the live ones by the end of their lease.
    """

    def __init__(self, journal: UndoLog) -> None:
        self.by_fence = UniqueConstraint[Run](lambda run: (run.task, run.fence), Conflict)
        self.of_task = GroupIndex[Run](lambda run: (run.task,))
        self.by_lease_end = SortedIndex[Run](_lease_end_of)
        super().__init__("run", journal, (self.by_fence,), (self.of_task, self.by_lease_end))

    def find(self, principal: Principal, run: RunId) -> Run:
        """
        A run that the principal may see, by id.

        Raises:
            RunNotFound: If the principal's organization has none.
            BoardDenied: If its board is not granted to the principal.
        """
        found = self.rows.get(run)
        return require_visible(principal, found, found.board if found else None, RunNotFound)

    def history(self, task: TaskId) -> list[Run]:
        """
        The runs of a task, latest first.
        """
        return sorted(self.each(self.of_task.of(task)), key=lambda run: run.fence, reverse=True)

    def save(self, before: Run, after: Run) -> None:
        """
        Store *after*. Fields of the lease that it did not change keep their stored values, so a heartbeat that came
        after *before* was read is not lost.
        """
        kept: dict[str, Any] = {
            name: getattr(self.rows[after.id], name)
            for name in LEASE_FIELDS
            if getattr(before, name) == getattr(after, name)
        }
        self.put(evolve(after, **kept))

    def rename(self, id: RunId, was: Agent, now: Agent) -> None:
        """
        Change the assignee's name, and the name of an implicit holder, after the agent was renamed.
        """
        run = self.rows[id]
        holder = run.holder
        if isinstance(holder, ImplicitHolder) and holder.name == was.name_key:
            holder = evolve(holder, name=now.name_key)
        by = evolve(run.by, name=now.name)
        self.put(evolve(run, by=by, holder=holder, version=run.version + 1))

    def lease_ends(self, organization: OrganizationId) -> list[tuple[Any, ...]]:
        """
        The ends of the organization's live leases with their run ids, the earliest first.
        """
        return self.by_lease_end.of(organization)


def _lease_end_of(run: Run) -> list[SortEntry]:
    return [(run.organization, (run.expires_at, run.id))] if run.state in LIVE_STATES else []
