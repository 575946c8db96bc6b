"""
The `Reads` port in SQL: the read models of all areas, and the readiness check.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import field, frozen
from sqlalchemy import literal_column, select

from mission_adapters.sql.agent_activity_reads import SqlAgentActivityReads
from mission_adapters.sql.agent_reads import SqlAgentReads
from mission_adapters.sql.approval_reads import SqlApprovalReads
from mission_adapters.sql.board_reads import SqlBoardReads
from mission_adapters.sql.credential_store import read_organization
from mission_adapters.sql.database_session import DatabaseSession
from mission_adapters.sql.entity_reads import SqlEntityReads
from mission_adapters.sql.idempotency_keys import read_result
from mission_adapters.sql.member_reads import SqlMemberReads
from mission_adapters.sql.report_reads import SqlReportReads
from mission_adapters.sql.snapshots import SqlSnapshotReads
from mission_adapters.sql.statements import Statement
from mission_adapters.sql.task_reads import SqlTaskReads

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from mission_core.accounts.model import Principal
    from mission_core.accounts.organizations import Organization
    from mission_core.ports import IdempotencyKey

ONE: Final = Statement(select(literal_column("1")))


@frozen
class SqlReads:
    """
    The read models of all areas, over one database session.
    """

    session: DatabaseSession
    tasks: SqlTaskReads = field(init=False)
    agents: SqlAgentReads = field(init=False)
    boards: SqlBoardReads = field(init=False)
    members: SqlMemberReads = field(init=False)
    entities: SqlEntityReads = field(init=False)
    reports: SqlReportReads = field(init=False)
    agent_activity: SqlAgentActivityReads = field(init=False)
    snapshots: SqlSnapshotReads = field(init=False)
    approvals: SqlApprovalReads = field(init=False)

    @tasks.default
    def _tasks(self) -> SqlTaskReads:
        return SqlTaskReads(self.session)

    @agents.default
    def _agents(self) -> SqlAgentReads:
        return SqlAgentReads(self.session)

    @boards.default
    def _boards(self) -> SqlBoardReads:
        return SqlBoardReads(self.session)

    @members.default
    def _members(self) -> SqlMemberReads:
        return SqlMemberReads(self.session)

    @entities.default
    def _rows(self) -> SqlEntityReads:
        return SqlEntityReads(self.session)

    @reports.default
    def _reports(self) -> SqlReportReads:
        return SqlReportReads(self.session)

    @agent_activity.default
    def _conduct(self) -> SqlAgentActivityReads:
        return SqlAgentActivityReads(self.session)

    @snapshots.default
    def _overviews(self) -> SqlSnapshotReads:
        return SqlSnapshotReads(self.session)

    @approvals.default
    def _approvals(self) -> SqlApprovalReads:
        return SqlApprovalReads(self.session)

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
