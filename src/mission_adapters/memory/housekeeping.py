"""
The housekeeping of the memory store: it deletes expired sessions and idempotency keys.
"""

from __future__ import annotations

from heapq import nsmallest
from operator import attrgetter
from typing import TYPE_CHECKING

from mission_core.accounts.sessions import SESSIONS
from mission_core.lazy_attrs import frozen
from mission_core.ports import IDEMPOTENCY_KEY_LIFETIME

if TYPE_CHECKING:
    from datetime import datetime

    from mission_adapters.memory.store import MemoryStore
    from mission_core.ids import OrganizationId
    from mission_core.usage.queries import UsageRebuild


@frozen
class MemoryHousekeeping:
    """
    Deletes expired sessions and idempotency keys, and folds entries and rebuilds rollups of the token ledger.
    """

    store: MemoryStore

    async def delete_expired(self, *, at: datetime, limit: int) -> bool:
        keys = self.store.idempotency_keys.delete_expired(before=at - IDEMPOTENCY_KEY_LIFETIME, limit=limit)
        sessions = self.store.kind_tables[SESSIONS]
        ended = nsmallest(
            limit, (each for each in sessions.rows.values() if each.expires_at <= at), key=attrgetter("expires_at")
        )
        for each in ended:
            sessions.drop(each.id)
        self._delete_budgets_of_deleted_runs()
        self.store.journal.clear()
        return limit in (keys, len(ended))

    def _delete_budgets_of_deleted_runs(self) -> None:
        from mission_core.usage.budgets import BUDGETS  # few organizations have budgets

        budgets = self.store.kind_tables[BUDGETS]
        runs = self.store.runs.rows
        for id in [each.id for each in budgets.rows.values() if each.run is not None and each.run not in runs]:
            budgets.drop(id)

    async def index_tasks(self, organization: OrganizationId, *, limit: int) -> bool:
        """
        Return that nothing is left to do: memory has no search index.
        """
        return False

    async def fold_usage(
        self, organization: OrganizationId, *, since: datetime | None, before: datetime, at: datetime
    ) -> datetime | None:
        from mission_adapters.ids import TimeOrderedIds
        from mission_core.usage.carry_overs import CARRIER, carry_overs, is_foldable, span_of
        from mission_core.usage.model import USAGE
        from mission_core.values import micros, moment

        table, (end, _) = self.store.kind_tables[USAGE], span_of(before)
        least = None if since is None else micros(since)
        own = [
            each
            for each in table.rows.values()
            if each.organization == organization
            and micros(each.at) < end
            and (least is None or micros(each.at) >= least)
            and is_foldable(each, table.rows.get(each.reverses) if each.reverses else None, before=before)
        ]
        first = min((each.at for each in own if each.reporter != CARRIER), default=None)
        if first is None:
            return None
        span = span_of(first)
        folded = [each for each in own if span_of(each.at) == span]
        for each in folded:
            table.drop(each.id)
        for each in carry_overs(folded, TimeOrderedIds().new, recorded_at=at):
            table.add(each)
        self.store.journal.clear()
        return moment(span[1])

    async def rebuild_usage(self, organization: OrganizationId) -> UsageRebuild:
        from mission_adapters.memory.budget_book import rebuild_budgets
        from mission_core.events.counters import CountedChanges
        from mission_core.usage.counters import USAGE_ROLLUPS
        from mission_core.usage.model import USAGE
        from mission_core.usage.queries import UsageRebuild

        entries = [each for each in self.store.kind_tables[USAGE].rows.values() if each.organization == organization]
        changes = CountedChanges(organization, (), (), {}, 0, {USAGE.name: [(None, each) for each in entries]})
        counters = self.store.counters
        corrected = sum(counters.replace(organization, each, each.sums(changes)) for each in USAGE_ROLLUPS)
        rebuild_budgets(self.store, organization, entries)
        self.store.journal.clear()
        return UsageRebuild(len(entries), corrected)
