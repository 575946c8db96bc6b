"""
The figures of a whole server in SQL, with one statement for each over all organizations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import cast, func, literal_column, select

from mission_adapters.sql.approval_holds import pending_hold
from mission_adapters.sql.columns import INTEGER
from mission_adapters.sql.counters import COUNTER_TABLES
from mission_adapters.sql.database_session import DatabaseSession, Steps
from mission_adapters.sql.kind_tables import MAPPINGS
from mission_adapters.sql.statements import Statement, parameter
from mission_adapters.sql.tables import boards, organizations, pulses, queue, tasks, unblocked
from mission_core.approvals.model import APPROVALS, ApprovalStatus
from mission_core.lazy_attrs import frozen
from mission_core.reports.hourly_counters import RING_MINUTES, minute_of
from mission_core.reports.server_figures import LOST_LEASES_SPAN, ConnectionPoolState, ServerFigures
from mission_core.tasks.events import RunExpired
from mission_core.tasks.model import Status
from mission_core.usage.counters import ALL_TIME, SUMMED, USAGE_TOTALS
from mission_core.usage.queries import UsageSum, UsageTotals
from mission_core.values import micros, moment

if TYPE_CHECKING:
    from datetime import datetime

approvals: Final = MAPPINGS[APPROVALS].table
totals: Final = COUNTER_TABLES[USAGE_TOTALS]
USAGE_KEYS: Final = (organizations.c.slug, totals.c.agent_name, totals.c.model)


def _oldest_ready(status: Status) -> Any:
    """
    Select when the first ready task of an organization with this status was created. The oldest has the lowest number.
    """
    # No join: without statistics PostgreSQL would read the whole queue for each task.
    ready = select(queue.c.task).where(
        queue.c.task == tasks.c.id,
        unblocked,
        queue.c.not_before <= parameter("at", int),
        pending_hold(queue.c.organization, queue.c.board, queue.c.task).is_(None),
    )
    found = select(tasks.c.created_at).where(
        tasks.c.organization == organizations.c.id,
        tasks.c.status == literal_column(f"'{status.value}'"),
        ready.limit(1).correlate(tasks).scalar_subquery().is_not(None),
    )
    return found.order_by(tasks.c.number).limit(1).correlate(organizations).scalar_subquery()


def _each(column: Any) -> Any:
    # No plain column: without statistics SQLite would begin with the larger table and look up its organizations.
    return func.coalesce(column, column)


SELECT_USAGE: Final = Statement(
    select(*USAGE_KEYS, *(cast(func.sum(totals.c[name]), INTEGER) for name in SUMMED))
    .select_from(organizations)
    .join(totals, totals.c.organization == _each(organizations.c.id))
    .where(totals.c.hours == literal_column(str(ALL_TIME)))
    .group_by(*USAGE_KEYS)
)
SELECT_OLDEST_READY: Final = Statement(
    select(*map(_oldest_ready, (Status.INBOX, Status.ASSIGNED))).select_from(organizations)
)
COUNT_LOST_LEASES: Final = Statement(
    select(cast(func.coalesce(func.sum(pulses.c.amount), 0), INTEGER))
    .select_from(boards)
    .join(pulses, (pulses.c.organization == _each(boards.c.organization)) & (pulses.c.place == _each(boards.c.id)))
    .where(
        pulses.c.slot >= literal_column(str(-RING_MINUTES)),
        pulses.c.slot < literal_column("0"),
        pulses.c.what == literal_column(f"'{RunExpired.kind}'"),
        pulses.c.minute > parameter("before", int),
        pulses.c.minute <= parameter("minute", int),
    )
)
COUNT_PENDING: Final = Statement(
    select(func.count())
    .select_from(organizations)
    .join(approvals, approvals.c.organization == _each(organizations.c.id))
    .where(approvals.c.status == literal_column(f"'{ApprovalStatus.PENDING.value}'"))
)


@frozen(eq=False, repr=False)
class SqlServerReads:
    """
    Reads the figures of all organizations together.
    """

    session: DatabaseSession

    async def figures(self, *, at: datetime) -> ServerFigures:
        """
        Return the figures at this time.
        """
        dialect = self.session.dialect
        minutes = {"before": minute_of(at - LOST_LEASES_SPAN), "minute": minute_of(at)}

        def steps() -> Steps[ServerFigures]:
            usage = yield SELECT_USAGE(dialect)
            oldest = yield SELECT_OLDEST_READY(dialect, at=micros(at))
            ((lost,),) = yield COUNT_LOST_LEASES(dialect, **minutes)
            ((pending,),) = yield COUNT_PENDING(dialect)
            ready = min((created for row in oldest for created in row if created is not None), default=None)
            return ServerFigures(
                [UsageSum(tuple(row[:3]), UsageTotals(*row[3:])) for row in usage],
                None if ready is None else moment(ready),
                lost,
                pending,
            )

        return await self.session.read(steps)

    def connection_pools(self) -> dict[str, ConnectionPoolState]:
        """
        Return the pools of connections, by name.
        """
        return self.session.connection_pools()
