"""
The housekeeping of a SQL store: it deletes expired rows and adds tasks to the search index, in small transactions.

Each job looks first, in a read, whether there is anything to do, so that an idle round writes nothing.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Executable, delete, exists, select

from mission_adapters.sql.database_session import DatabaseSession, Steps
from mission_adapters.sql.idempotency_keys import DELETE_EXPIRED, HAS_EXPIRED
from mission_adapters.sql.search_index import index_tasks, lacks_tasks
from mission_adapters.sql.statements import cached_statement, parameter
from mission_adapters.sql.tables import MAPPINGS
from mission_core.accounts.sessions import SESSIONS
from mission_core.lazy_attrs import frozen
from mission_core.ports import IDEMPOTENCY_KEY_LIFETIME
from mission_core.values import micros

if TYPE_CHECKING:
    from mission_core.ids import OrganizationId
    from mission_core.usage.queries import UsageRebuild


@cached_statement
def _has_expired_session() -> Executable:
    return select(exists().where(MAPPINGS[SESSIONS].table.c.expires_at <= parameter("over", int)))


@cached_statement
def _delete_expired_sessions() -> Executable:
    sessions = MAPPINGS[SESSIONS].table
    expired = select(sessions.c.id).where(sessions.c.expires_at <= parameter("over", int))
    some = expired.order_by(sessions.c.expires_at).limit(parameter("most", int)).with_for_update(skip_locked=True)
    return delete(sessions).where(sessions.c.id.in_(some))


@frozen(eq=False, repr=False)
class SqlHousekeeping:
    """
    Deletes expired rows, adds tasks to the search index, and rebuilds the rollups of the token ledger.
    """

    session: DatabaseSession

    async def delete_expired(self, *, at: datetime, limit: int) -> bool:
        dialect, full = self.session.dialect, False
        expiries = (micros(at - IDEMPOTENCY_KEY_LIFETIME), micros(at))
        deletions = (HAS_EXPIRED, DELETE_EXPIRED), (_has_expired_session(), _delete_expired_sessions())
        for (look, removal), over in zip(deletions, expiries, strict=True):
            if await self._value_of(look(dialect, over=over)):
                deleted = await self._count_of(removal.count(dialect, over=over, most=limit))
                full = full or deleted >= limit
        await self._delete_amounts_and_budgets_of_runs()
        return full

    async def _delete_amounts_and_budgets_of_runs(self) -> None:
        from mission_adapters.sql.budget_housekeeping import DELETIONS  # few organizations have budgets

        dialect = self.session.dialect
        for look, removal, given in DELETIONS:
            if await self._value_of(look(dialect, **given)):
                await self._count_of(removal.count(dialect, **given))

    async def index_tasks(self, organization: OrganizationId, *, limit: int) -> bool:
        dialect = self.session.dialect
        if not await self.session.read(lambda: lacks_tasks(dialect, organization, limit)):
            return False
        return await self.session.write(lambda: index_tasks(dialect, organization, limit), durable=False)

    async def fold_usage(
        self, organization: OrganizationId, *, since: datetime | None, before: datetime, at: datetime
    ) -> datetime | None:
        from mission_adapters.sql.usage_retention import first_foldable, fold_span
        from mission_core.usage.carry_overs import span_of
        from mission_core.values import moment

        dialect = self.session.dialect
        first = await self.session.read(lambda: first_foldable(dialect, organization, since=since, before=before))
        if first is None:
            return None
        await self.session.write(lambda: fold_span(dialect, organization, first, before=before, recorded_at=at))
        return moment(span_of(first)[1])

    async def rebuild_usage(self, organization: OrganizationId) -> UsageRebuild:
        from mission_adapters.sql.usage_rebuild import rebuild_usage

        return await rebuild_usage(self.session, organization)

    async def _value_of(self, ask: Any) -> Any:
        def steps() -> Steps[Any]:
            ((value,),) = yield ask
            return value

        return await self.session.read(steps)

    async def _count_of(self, ask: Any) -> int:
        def steps() -> Steps[int]:
            count: int = yield ask
            return count

        return await self.session.write(steps, durable=False)
