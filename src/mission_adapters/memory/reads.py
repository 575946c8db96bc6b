"""
The read ports of the memory store.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from mission_adapters.memory.kind_tables import MemoryEntityReads

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from mission_adapters.memory.board_reads import MemoryBoardReads
    from mission_adapters.memory.store import MemoryStore
    from mission_adapters.memory.task_reads import MemoryTaskReads
    from mission_core.accounts.model import Principal
    from mission_core.accounts.organizations import Organization
    from mission_core.accounts.queries import MemberReads
    from mission_core.agents.queries import AgentReads
    from mission_core.approvals.queries import ApprovalReads
    from mission_core.boards.queries import BoardReads
    from mission_core.conversations.chat_queries import ChatReads
    from mission_core.conversations.notification_queries import NotificationReads
    from mission_core.kinds import EntityReads
    from mission_core.ports import IdempotencyKey
    from mission_core.reports.activity_feed import ActivityFeedReads
    from mission_core.reports.agent_activity import AgentActivityReads
    from mission_core.reports.queries import ReportReads
    from mission_core.reports.server_figures import ServerReads
    from mission_core.tasks.queries import TaskReads
    from mission_core.tasks.snapshots import SnapshotReads
    from mission_core.usage.queries import UsageReads
    from mission_core.usage.reported_run_queries import ReportedRunReads

T = TypeVar("T")


class MemoryReads:
    """
    The read ports of the memory store. The module of a read model is imported when it is first used, so that a program
    which reads little starts fast.
    """

    def __init__(self, store: MemoryStore) -> None:
        self.store = store

    @cached_property
    def tasks(self) -> TaskReads:
        return self._pausing(self._tasks)

    @cached_property
    def boards(self) -> BoardReads:
        return self._pausing(self._boards)

    @cached_property
    def agents(self) -> AgentReads:
        from mission_adapters.memory.agent_reads import MemoryAgentReads
        from mission_core.agents.tool_connections import CONNECTIONS

        store = self.store
        return self._pausing(MemoryAgentReads(store.agents, store.counters, store.keys, store.kind_tables[CONNECTIONS]))

    @cached_property
    def snapshots(self) -> SnapshotReads:
        from mission_adapters.memory.snapshots import MemorySnapshotReads
        from mission_core.approvals.model import APPROVAL_LINKS

        links = self.store.kind_tables[APPROVAL_LINKS]
        return self._pausing(MemorySnapshotReads(self._boards, self.store.agents, self._tasks, links))

    @cached_property
    def members(self) -> MemberReads:
        from mission_adapters.memory.member_reads import MemoryMemberReads

        return self._pausing(MemoryMemberReads(self.store.kind_tables))

    @cached_property
    def entities(self) -> EntityReads:
        return self._pausing(MemoryEntityReads(self.store.kind_tables))

    @cached_property
    def reports(self) -> ReportReads:
        from mission_adapters.memory.report_reads import MemoryReportReads

        store = self.store
        return self._pausing(
            MemoryReportReads(store.boards, store.agents, store.tasks, store.counters, store.kind_tables)
        )

    @cached_property
    def activity_feed(self) -> ActivityFeedReads:
        from mission_adapters.memory.activity_feed import MemoryActivityFeedReads

        return self._pausing(MemoryActivityFeedReads(self.store.log, self.store.agents, self.store.tasks))

    @cached_property
    def agent_activity(self) -> AgentActivityReads:
        from mission_adapters.memory.agent_activity_reads import MemoryAgentActivityReads
        from mission_core.tasks.comments import COMMENTS

        store = self.store
        return self._pausing(
            MemoryAgentActivityReads(store.log, store.agents, store.tasks, store.kind_tables[COMMENTS])
        )

    @cached_property
    def approvals(self) -> ApprovalReads:
        from mission_adapters.memory.approval_reads import MemoryApprovalReads
        from mission_core.approvals.model import APPROVAL_LINKS, APPROVALS

        tables = self.store.kind_tables
        return self._pausing(MemoryApprovalReads(self.store.tasks, tables[APPROVALS], tables[APPROVAL_LINKS]))

    @cached_property
    def usage(self) -> UsageReads:
        from mission_adapters.memory.usage_reads import MemoryUsageReads

        store = self.store
        return self._pausing(MemoryUsageReads(store, store.boards, store.tasks, store.kind_tables, store.counters))

    @cached_property
    def reported_runs(self) -> ReportedRunReads:
        from mission_adapters.memory.reported_run_reads import MemoryReportedRunReads
        from mission_core.usage.reported_runs import REPORTED_RUNS

        return self._pausing(MemoryReportedRunReads(self.store.kind_tables[REPORTED_RUNS]))

    @cached_property
    def chat(self) -> ChatReads:
        from mission_adapters.memory.chat_reads import MemoryChatReads
        from mission_core.conversations.chat_messages import CHAT_MESSAGES

        return self._pausing(MemoryChatReads(self.store.kind_tables[CHAT_MESSAGES]))

    @cached_property
    def notifications(self) -> NotificationReads:
        from mission_adapters.memory.notification_reads import MemoryNotificationReads
        from mission_core.conversations.notifications import NOTIFICATIONS

        return self._pausing(MemoryNotificationReads(self.store.kind_tables[NOTIFICATIONS]))

    @cached_property
    def server(self) -> ServerReads:
        from mission_adapters.memory.server_reads import MemoryServerReads

        return MemoryServerReads(self.store)

    async def organization(self, principal: Principal) -> Organization:
        return self.store.credentials.by_id(principal.organization)

    async def idempotent_result(self, principal: Principal, once: IdempotencyKey, *, since: datetime) -> UUID | None:
        return self.store.idempotency_keys.find(principal, once, since=since)

    async def ready(self) -> None:
        """
        Return at once: memory is always available.
        """

    @cached_property
    def _tasks(self) -> MemoryTaskReads:
        from mission_adapters.memory.task_reads import MemoryTaskReads

        store = self.store
        return MemoryTaskReads(store.boards, store.agents, store.tasks, store.runs, store.kind_tables, store.counters)

    @cached_property
    def _boards(self) -> MemoryBoardReads:
        from mission_adapters.memory.board_reads import MemoryBoardReads

        return MemoryBoardReads(self.store.boards, self.store.tasks, self.store.agents, self.store.numbers)

    def _pausing(self, reader: T) -> T:
        return self.store.interleaving.over(reader) if self.store.interleaving else reader
