"""
The `Reads` port in SQL: the read models of all areas, and the readiness check.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import field, frozen
from sqlalchemy import literal_column, select

from mission_adapters.sql.accounts import organization_of
from mission_adapters.sql.agent_reads import SqlAgentReads
from mission_adapters.sql.approval_reads import SqlApprovalReads
from mission_adapters.sql.board_reads import SqlBoardReads
from mission_adapters.sql.conduct_reads import SqlConductReads
from mission_adapters.sql.members import SqlMemberReads
from mission_adapters.sql.once import used_key
from mission_adapters.sql.overviews import SqlOverviews
from mission_adapters.sql.plain_reads import SqlRowReads
from mission_adapters.sql.report_reads import SqlReportReads
from mission_adapters.sql.session import Session
from mission_adapters.sql.statements import Statement
from mission_adapters.sql.task_reads import SqlTaskReads

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from mission_core.accounts.model import Principal
    from mission_core.accounts.organizations import Organization
    from mission_core.ports import Once

ONE: Final = Statement(select(literal_column("1")))


@frozen
class SqlReads:
    """
    The read models of all areas, over one database session.
    """

    session: Session
    tasks: SqlTaskReads = field(init=False)
    agents: SqlAgentReads = field(init=False)
    boards: SqlBoardReads = field(init=False)
    members: SqlMemberReads = field(init=False)
    rows: SqlRowReads = field(init=False)
    reports: SqlReportReads = field(init=False)
    conduct: SqlConductReads = field(init=False)
    overviews: SqlOverviews = field(init=False)
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

    @rows.default
    def _rows(self) -> SqlRowReads:
        return SqlRowReads(self.session)

    @reports.default
    def _reports(self) -> SqlReportReads:
        return SqlReportReads(self.session)

    @conduct.default
    def _conduct(self) -> SqlConductReads:
        return SqlConductReads(self.session)

    @overviews.default
    def _overviews(self) -> SqlOverviews:
        return SqlOverviews(self.session)

    @approvals.default
    def _approvals(self) -> SqlApprovalReads:
        return SqlApprovalReads(self.session)

    async def organization(self, principal: Principal) -> Organization:
        """
        Return the principal's organization.
        """
        return await self.session.read(lambda: organization_of(self.session.dialect, principal))

    async def once(self, principal: Principal, once: Once, *, since: datetime) -> UUID | None:
        """
        Return the result of this idempotency key of the principal if it was used after *since*, else None.
        """
        return await self.session.read(lambda: used_key(self.session.dialect, principal, once, since=since))

    async def ready(self) -> None:
        """
        Check that the database answers and accepts writes.
        """
        await self.session.ready()
