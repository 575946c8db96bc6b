"""
The figures of a whole server in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mission_adapters.memory.approval_holds import is_held_by_approval
from mission_core.accounts.model import SystemPrincipal
from mission_core.accounts.organizations import ORGANIZATIONS
from mission_core.approvals.model import APPROVALS, ApprovalStatus
from mission_core.lazy_attrs import frozen
from mission_core.reports.hourly_counters import HOURLY_COUNTS, RING_MINUTES, minute_of
from mission_core.reports.server_figures import LOST_LEASES_SPAN, ConnectionPoolState, ServerFigures
from mission_core.tasks.events import RunExpired
from mission_core.tasks.model import IDLE_STATUSES
from mission_core.usage.counters import ALL_TIME, USAGE_TOTALS
from mission_core.usage.queries import UsageSum, UsageTotals

if TYPE_CHECKING:
    from datetime import datetime

    from mission_adapters.memory.store import MemoryStore
    from mission_core.tasks.model import Task


@frozen
class MemoryServerReads:
    """
    Reads the figures of all organizations together.
    """

    store: MemoryStore

    async def figures(self, *, at: datetime) -> ServerFigures:
        """
        The figures at this time.
        """
        organizations = self.store.kind_tables[ORGANIZATIONS].rows.values()
        ready = (each.created_at for each in self.store.tasks.rows.values() if self._is_ready(each, at))
        pending = (each for each in self.store.kind_tables[APPROVALS].rows.values())
        return ServerFigures(
            [each for own in organizations for each in self._usage(SystemPrincipal(organization=own.id), own.slug)],
            min(ready, default=None),
            sum(self._lost_leases(SystemPrincipal(organization=own.id), at) for own in organizations),
            sum(each.status is ApprovalStatus.PENDING for each in pending),
        )

    def connection_pools(self) -> dict[str, ConnectionPoolState]:
        """
        Nothing: memory has no connections.
        """
        return {}

    def _usage(self, everybody: SystemPrincipal, slug: str) -> list[UsageSum]:
        found = self.store.counters.totals(USAGE_TOTALS, everybody, "agent_name", "model", hours={ALL_TIME})
        return [UsageSum((slug, *key), UsageTotals(*amounts)) for key, amounts in found.items()]

    def _lost_leases(self, everybody: SystemPrincipal, at: datetime) -> int:
        minutes = range(minute_of(at - LOST_LEASES_SPAN) + 1, minute_of(at) + 1)
        found = self.store.counters.totals(
            HOURLY_COUNTS, everybody, "what", what={RunExpired.kind}, slot=range(-RING_MINUTES, 0), minute=minutes
        )
        return int(sum(found.values()))

    def _is_ready(self, task: Task, at: datetime) -> bool:
        store = self.store
        return (
            task.status in IDLE_STATUSES
            and (task.not_before is None or task.not_before <= at)
            and not store.tasks.open_dependencies(task)
            and not is_held_by_approval(store.boards, store.kind_tables, task)
        )
