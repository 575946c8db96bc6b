"""
The read model of agent activity in memory.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from mission_core.accounts.model import SystemPrincipal, may_read_board
from mission_core.lazy_attrs import frozen
from mission_core.reports.agent_activity import (
    AGENT_CREATED_KIND,
    OWN_EVENT_KINDS,
    REGISTERED_PAYLOAD,
    ActivityEntry,
    AgentComment,
    AgentDoneTask,
    AgentTasks,
    HourlyEventCount,
    boards_of_visible_activity,
)
from mission_core.reports.hourly_counters import hour_of
from mission_core.reports.queries import StatusCount
from mission_core.tasks.comments import Comment
from mission_core.values import canonical, micros, name_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from uuid import UUID

    from mission_adapters.memory.agents import AgentTable
    from mission_adapters.memory.event_log import MemoryEventLog
    from mission_adapters.memory.kind_tables import KindTable
    from mission_adapters.memory.tasks import TaskTable
    from mission_core.accounts.model import Principal
    from mission_core.events.model import Entry
    from mission_core.ids import AgentId


@frozen
class MemoryAgentActivityReads:
    """
    Reads the activity of agents: log entries, task counts and comments.
    """

    log: MemoryEventLog
    agents: AgentTable
    task_table: TaskTable
    comment_table: KindTable[Comment]

    async def entries_by(
        self,
        principal: Principal,
        agent: AgentId,
        *,
        since: datetime,
        kinds: tuple[str, ...] | None = None,
        limit: int,
    ) -> list[ActivityEntry]:
        """
        The agent's latest log entries since *since*, optionally of some kinds only.
        """
        own = (each for each in self._entries_of(principal, agent, since) if _counts_as_own(each, agent))
        return [self._activity_entry(each) for each in own if kinds is None or each.kind in kinds][:limit]

    async def entries_about(
        self, principal: Principal, agent: AgentId, *, since: datetime, limit: int
    ) -> list[ActivityEntry]:
        """
        The latest log entries about agents that the agent wrote or that concern it.
        """
        found = (each for each in self._entries_of(principal, agent, since) if each.kind.startswith("agent."))
        return [self._activity_entry(each) for each in found][:limit]

    async def event_counts(
        self, principal: Principal, agent: AgentId, *, since: datetime, split: datetime
    ) -> list[HourlyEventCount]:
        """
        The number of the agent's log entries by kind and hour, before and after *split*.
        """
        own = (each for each in self._entries_of(principal, agent, since) if _counts_as_own(each, agent))
        counted = Counter((each.at >= split, hour_of(each.at), each.kind) for each in own)
        return [HourlyEventCount(*cell, amount) for cell, amount in counted.items()]

    async def work(
        self, principal: Principal, name: str, *, since: datetime, split: datetime, latest: int
    ) -> AgentTasks:
        """
        The tasks assigned to a name, counted by status and priority, and those that were done since *since*.
        """
        named = self.task_table.each(self.task_table.of_assignee.of((principal.organization, name_key(name))))
        tasks = [task for task in named if may_read_board(principal, task.board)]
        standing = Counter((task.status.value, task.priority) for task in tasks)
        done = [(task.done_at, task) for task in tasks if task.done_at is not None and task.done_at >= since]
        late = sorted((each for each in done if each[0] >= split), key=lambda each: each[0], reverse=True)
        return AgentTasks(
            [StatusCount(*cell, amount) for cell, amount in standing.items()],
            len(done) - len(late),
            len(late),
            [
                AgentDoneTask(task.number, task.title, task.priority, micros(task.updated_at))
                for _, task in late[:latest]
            ],
        )

    async def said(
        self, principal: Principal, agent: AgentId, *, since: datetime, limit: int
    ) -> tuple[list[AgentComment], int]:
        """
        The agent's latest comments since *since*, and the number of all its comments.
        """
        seen = boards_of_visible_activity(principal, agent)
        ever = self.comment_table.matching(SystemPrincipal(organization=principal.organization), {"author_id": agent})
        ever = [each for each in ever if seen is None or self.task_table.rows[each.task].board in seen]
        last = [self._said(each) for each in reversed(ever) if each.created_at >= since]
        return last[:limit], len(ever)

    def _said(self, comment: Comment) -> AgentComment:
        task = self.task_table.rows[comment.task]
        return AgentComment(
            comment.number, task.number, task.title, comment.content, canonical(comment.mentions),
            micros(comment.created_at),
        )  # fmt: skip

    def _entries_of(self, principal: Principal, agent: AgentId, since: datetime) -> Iterator[Entry]:
        """
        The log entries that the agent wrote or that concern it, the latest first.
        """
        entries = self.log.of_agents.get(agent, [])
        seen = boards_of_visible_activity(principal, agent)
        own = (
            each
            for each in entries
            if each.organization == principal.organization
            and each.at >= since
            and (seen is None or self._board_of(each) in seen)
        )
        return iter(sorted(own, key=lambda each: (each.at, each.position), reverse=True))

    def _board_of(self, entry: Entry) -> UUID | None:
        """
        The board that an entry concerns: the board of its task or agent, or its own subject.
        """
        about = self.task_table.rows.get(entry.subject) or self.agents.rows.get(entry.subject)
        return entry.subject if about is None else about.board

    def _activity_entry(self, entry: Entry) -> ActivityEntry:
        task, agent = self.task_table.rows.get(entry.subject), self.agents.rows.get(entry.subject)
        about = task or agent
        return ActivityEntry(
            entry.position, entry.kind, micros(entry.at), about.number if about else None,
            task.title if task else None, entry.payload,
        )  # fmt: skip


def _counts_as_own(entry: Entry, agent: AgentId) -> bool:
    if entry.actor.id == agent or entry.kind in OWN_EVENT_KINDS:
        return True
    return entry.kind == AGENT_CREATED_KIND and REGISTERED_PAYLOAD in (entry.payload or "")
