"""
Agent activity reads in memory.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from attrs import frozen

from mission_core.accounts.model import System, sees
from mission_core.reports.conduct import (
    IF_REGISTERED,
    IN_ITS_NAME,
    REGISTERED,
    Amount,
    Deed,
    DoneTask,
    Said,
    Work,
    deeds_seen,
)
from mission_core.reports.pulse import hour_of
from mission_core.reports.queries import Standing
from mission_core.tasks.comments import Comment
from mission_core.values import canonical, micros, name_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from uuid import UUID

    from mission_adapters.memory.agents import AgentTable
    from mission_adapters.memory.events import MemoryLog
    from mission_adapters.memory.plain import PlainTable
    from mission_adapters.memory.tasks import TaskTable
    from mission_core.accounts.model import Principal
    from mission_core.events.model import Entry
    from mission_core.ids import AgentId


@frozen
class MemoryConductReads:
    """
    Reads the activity of agents: log entries, task counts and comments.
    """

    log: MemoryLog
    agents: AgentTable
    tasks: TaskTable
    comments: PlainTable[Comment]

    async def deeds(
        self,
        principal: Principal,
        agent: AgentId,
        *,
        since: datetime,
        kinds: tuple[str, ...] | None = None,
        limit: int,
    ) -> list[Deed]:
        """
        The agent's latest log entries since *since*, optionally of some kinds only.
        """
        own = (each for each in self._of(principal, agent, since) if _is_own(each, agent))
        return [self._deed(each) for each in own if kinds is None or each.kind in kinds][:limit]

    async def told(self, principal: Principal, agent: AgentId, *, since: datetime, limit: int) -> list[Deed]:
        """
        The latest log entries about agents that the agent wrote or that concern it.
        """
        found = (each for each in self._of(principal, agent, since) if each.kind.startswith("agent."))
        return [self._deed(each) for each in found][:limit]

    async def amounts(self, principal: Principal, agent: AgentId, *, since: datetime, split: datetime) -> list[Amount]:
        """
        The number of the agent's log entries by kind and hour, before and after *split*.
        """
        own = (each for each in self._of(principal, agent, since) if _is_own(each, agent))
        counted = Counter((each.at >= split, hour_of(each.at), each.kind) for each in own)
        return [Amount(*cell, amount) for cell, amount in counted.items()]

    async def work(self, principal: Principal, name: str, *, since: datetime, split: datetime, latest: int) -> Work:
        """
        The tasks assigned to a name, counted by status and priority, and those that were done since *since*.
        """
        named = self.tasks.each(self.tasks.of_name.of((principal.organization, name_key(name))))
        tasks = [task for task in named if sees(principal, task.board)]
        standing = Counter((task.status.value, task.priority) for task in tasks)
        done = [(task.done_at, task) for task in tasks if task.done_at is not None and task.done_at >= since]
        late = sorted((each for each in done if each[0] >= split), key=lambda each: each[0], reverse=True)
        return Work(
            [Standing(*cell, amount) for cell, amount in standing.items()],
            len(done) - len(late),
            len(late),
            [DoneTask(task.number, task.title, task.priority, micros(task.updated_at)) for _, task in late[:latest]],
        )

    async def said(
        self, principal: Principal, agent: AgentId, *, since: datetime, limit: int
    ) -> tuple[list[Said], int]:
        """
        The agent's latest comments since *since*, and the number of all its comments.
        """
        seen = deeds_seen(principal, agent)
        ever = self.comments.matching(System(organization=principal.organization), {"author_id": agent})
        ever = [each for each in ever if seen is None or self.tasks.rows[each.task].board in seen]
        last = [self._said(each) for each in reversed(ever) if each.created_at >= since]
        return last[:limit], len(ever)

    def _said(self, comment: Comment) -> Said:
        task = self.tasks.rows[comment.task]
        return Said(
            comment.number, task.number, task.title, comment.content, canonical(comment.mentions),
            micros(comment.created_at),
        )  # fmt: skip

    def _of(self, principal: Principal, agent: AgentId, since: datetime) -> Iterator[Entry]:
        """
        The log entries that the agent wrote or that concern it, the latest first.
        """
        entries = self.log.of_agents.get(agent, [])
        seen = deeds_seen(principal, agent)
        own = (
            each
            for each in entries
            if each.organization == principal.organization
            and each.at >= since
            and (seen is None or self._place_of(each) in seen)
        )
        return iter(sorted(own, key=lambda each: (each.at, each.position), reverse=True))

    def _place_of(self, entry: Entry) -> UUID | None:
        """
        The board that an entry concerns: the board of its task or agent, or its own subject.
        """
        about = self.tasks.rows.get(entry.subject) or self.agents.rows.get(entry.subject)
        return entry.subject if about is None else about.board

    def _deed(self, entry: Entry) -> Deed:
        task, agent = self.tasks.rows.get(entry.subject), self.agents.rows.get(entry.subject)
        about = task or agent
        return Deed(
            entry.position, entry.kind, micros(entry.at), about.number if about else None,
            task.title if task else None, entry.payload,
        )  # fmt: skip


def _is_own(entry: Entry, agent: AgentId) -> bool:
    if entry.actor.id == agent or entry.kind in IN_ITS_NAME:
        return True
    return entry.kind == IF_REGISTERED and REGISTERED in (entry.payload or "")
