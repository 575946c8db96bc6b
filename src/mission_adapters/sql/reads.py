"""
The `Reads` port in SQL: the read models of all areas, and the readiness check.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final

from sqlalchemy import literal_column, select

from mission_adapters.sql.credential_store import read_organization
from mission_adapters.sql.database_session import DatabaseSession
from mission_adapters.sql.idempotency_keys import read_result
from mission_adapters.sql.statements import Statement
from mission_core.lazy_attrs import frozen

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from mission_adapters.sql.activity_feed import SqlActivityFeedReads
    from mission_adapters.sql.agent_activity_reads import SqlAgentActivityReads
    from mission_adapters.sql.agent_reads import SqlAgentReads
    from mission_adapters.sql.approval_reads import SqlApprovalReads
    from mission_adapters.sql.board_reads import SqlBoardReads
    from mission_adapters.sql.chat_reads import SqlChatReads
    from mission_adapters.sql.entity_reads import SqlEntityReads
    from mission_adapters.sql.member_reads import SqlMemberReads
    from mission_adapters.sql.notification_reads import SqlNotificationReads
    from mission_adapters.sql.report_reads import SqlReportReads
    from mission_adapters.sql.reported_run_reads import SqlReportedRunReads
    from mission_adapters.sql.server_reads import SqlServerReads
    from mission_adapters.sql.snapshots import SqlSnapshotReads
    from mission_adapters.sql.task_reads import SqlTaskReads
    from mission_adapters.sql.usage_reads import SqlUsageReads
    from mission_core.accounts.model import Principal
    from mission_core.accounts.organizations import Organization
    from mission_core.ports import IdempotencyKey

ONE: Final = Statement(select(literal_column("1")))


@frozen(eq=False, repr=False)
class SqlReads:
    """
    The read models of all areas, over one database session. The statements of each are made when it is first used.
    """

    session: DatabaseSession

    @cached_property
    def tasks(self) -> SqlTaskReads:
        from mission_adapters.sql.task_reads import SqlTaskReads

        return SqlTaskReads(self.session)

    @cached_property
    def agents(self) -> SqlAgentReads:
        from mission_adapters.sql.agent_reads import SqlAgentReads

        return SqlAgentReads(self.session)

    @cached_property
    def boards(self) -> SqlBoardReads:
        from mission_adapters.sql.board_reads import SqlBoardReads

        return SqlBoardReads(self.session)

    @cached_property
    def members(self) -> SqlMemberReads:
        from mission_adapters.sql.member_reads import SqlMemberReads

        return SqlMemberReads(self.session)

    @cached_property
    def entities(self) -> SqlEntityReads:
        from mission_adapters.sql.entity_reads import SqlEntityReads

        return SqlEntityReads(self.session)

    @cached_property
    def reports(self) -> SqlReportReads:
        from mission_adapters.sql.report_reads import SqlReportReads

        return SqlReportReads(self.session)

    @cached_property
    def activity_feed(self) -> SqlActivityFeedReads:
        from mission_adapters.sql.activity_feed import SqlActivityFeedReads

        return SqlActivityFeedReads(self.session)

    @cached_property
    def agent_activity(self) -> SqlAgentActivityReads:
        from mission_adapters.sql.agent_activity_reads import SqlAgentActivityReads

        return SqlAgentActivityReads(self.session)

    @cached_property
    def snapshots(self) -> SqlSnapshotReads:
        from mission_adapters.sql.snapshots import SqlSnapshotReads

        return SqlSnapshotReads(self.session)

    @cached_property
    def approvals(self) -> SqlApprovalReads:
        from mission_adapters.sql.approval_reads import SqlApprovalReads

        return SqlApprovalReads(self.session)

    @cached_property
    def usage(self) -> SqlUsageReads:
        from mission_adapters.sql.usage_reads import SqlUsageReads

        return SqlUsageReads(self.session)

    @cached_property
    def reported_runs(self) -> SqlReportedRunReads:
        from mission_adapters.sql.reported_run_reads import SqlReportedRunReads

        return SqlReportedRunReads(self.session)

    @cached_property
    def chat(self) -> SqlChatReads:
        from mission_adapters.sql.chat_reads import SqlChatReads

        return SqlChatReads(self.session)

    @cached_property
    def notifications(self) -> SqlNotificationReads:
        from mission_adapters.sql.notification_reads import SqlNotificationReads

        return SqlNotificationReads(self.session)

    @cached_property
    def server(self) -> SqlServerReads:
        from mission_adapters.sql.server_reads import SqlServerReads

        return SqlServerReads(self.session)

    async def organization(self, principal: Principal) -> Organization:
        """
        Return the principal's organization.
        """
        return await self.session.read(lambda: read_organization(self.session.dialect, principal))

    async def idempotent_result(self, principal: Principal, once: IdempotencyKey, *, since: datetime) -> UUID | None:
        """
        Return the result of this idempotency key of the principal if it was used after *since*, else None.
        """
        return await self.session.read(lambda: read_result(self.session.dialect, principal, once, since=since))

    async def ready(self) -> None:
        """
        Check that the database answers and accepts writes.
        """
        await self.session.ready()
