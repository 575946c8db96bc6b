"""
The activity feed in memory.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from mission_core.ids import AgentId, TaskId
from mission_core.lazy_attrs import frozen
from mission_core.reports.activity_feed import (
    AUDITED_KINDS,
    KINDS_FOR_ADMINS,
    FeedCount,
    FeedFilter,
    FeedRow,
    FeedScope,
    feed_scope_of,
)
from mission_core.reports.hourly_counters import hour_of
from mission_core.values import PageOfRows, PageRequest, micros

if TYPE_CHECKING:
    from mission_adapters.memory.agents import AgentTable
    from mission_adapters.memory.event_log import MemoryEventLog
    from mission_adapters.memory.tasks import TaskTable
    from mission_core.accounts.model import Principal
    from mission_core.agents.model import Agent
    from mission_core.events.model import Entry
    from mission_core.tasks.model import Task


@frozen
class MemoryActivityFeedReads:
    """
    Reads the activity feed.
    """

    log: MemoryEventLog
    agents: AgentTable
    tasks: TaskTable

    async def page(self, principal: Principal, wanted: FeedFilter, page: PageRequest) -> PageOfRows:
        """
        A page of the entries, newest first.
        """
        found = await self._entries(principal, wanted)
        rest = [each for each in found if page.after is None or each.position < page.after]
        rows = [self._row(each) for each in rest[page.offset :][: page.limit]]
        return PageOfRows(rows, len(found))

    async def entries(self, principal: Principal, wanted: FeedFilter, *, limit: int) -> list[FeedRow]:
        """
        The newest of the entries.
        """
        return [self._row(each) for each in (await self._entries(principal, wanted))[:limit]]

    async def counts(self, principal: Principal, wanted: FeedFilter) -> list[FeedCount]:
        """
        The numbers of the entries by kind, actor and hour.
        """
        entries = await self._entries(principal, wanted)
        found = Counter((each.kind, each.actor.name, hour_of(each.at)) for each in entries)
        return [FeedCount(*key, amount) for key, amount in found.items()]

    async def _entries(self, principal: Principal, wanted: FeedFilter) -> list[Entry]:
        scope = feed_scope_of(principal)
        head = await self.log.head(principal.organization)
        entries = await self.log.read(principal.organization, limit=head.position)
        found = [each for each in reversed(entries) if _is_wanted(each, wanted) and self._is_seen(each, scope)]
        if wanted.board is None:
            return found
        return [each for each in found if (task := self._task(each)) is not None and task.board == wanted.board]

    def _is_seen(self, entry: Entry, scope: FeedScope) -> bool:
        if scope.own is not None:
            return entry.actor.kind == "agent" and entry.actor.id == scope.own
        if not scope.for_admins and entry.kind.startswith(KINDS_FOR_ADMINS):
            return False
        if scope.boards is None or entry.subject in scope.boards:
            return True
        about = self._task(entry) or self._agent(entry)
        return about is not None and about.board in scope.boards

    def _task(self, entry: Entry) -> Task | None:
        return self.tasks.rows.get(TaskId(entry.subject))

    def _agent(self, entry: Entry) -> Agent | None:
        return self.agents.rows.get(AgentId(entry.subject))

    def _row(self, entry: Entry) -> FeedRow:
        task, agent = self._task(entry), self._agent(entry)
        return FeedRow(
            position=entry.position, kind=entry.kind, at=micros(entry.at), actor_kind=entry.actor.kind,
            actor_id=entry.actor.id.bytes if entry.actor.id else None, actor_name=entry.actor.name,
            subject=entry.subject.bytes, payload=entry.payload, digest=entry.digest,
            task_number=task.number if task else None, task_title=task.title if task else None,
            task_status=task.status.value if task else None, task_board=task.board.bytes if task else None,
            agent_number=agent.number if agent else None, agent_name=agent.name if agent else None,
            agent_role=agent.role if agent else None,
            agent_board=agent.board.bytes if agent and agent.board else None,
        )  # fmt: skip


def _is_wanted(entry: Entry, wanted: FeedFilter) -> bool:
    return (
        (wanted.kinds is None or entry.kind in wanted.kinds)
        and (wanted.by is None or (entry.actor.kind == "agent" and entry.actor.id == wanted.by))
        and (wanted.actor is None or entry.actor.name == wanted.actor)
        and (wanted.beyond is None or entry.position > wanted.beyond)
        and (wanted.through is None or entry.position <= wanted.through)
        and (not wanted.audited or entry.kind in AUDITED_KINDS)
    )
