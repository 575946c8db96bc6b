"""
The read model of the token ledger in memory.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any
from uuid import UUID

from mission_adapters.memory.counters import as_columns
from mission_core.accounts.model import SystemPrincipal, may_read_board
from mission_core.events.counters import NO_ID
from mission_core.lazy_attrs import frozen
from mission_core.usage.model import USAGE, UsageEntry
from mission_core.usage.queries import EVERYTHING, UsageFilter, UsageSum, UsageTask, UsageTotals, cells_of_sum
from mission_core.values import PageOfRows

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from mission_adapters.memory.boards import BoardTable
    from mission_adapters.memory.counters import MemoryCounters
    from mission_adapters.memory.kind_tables import KindTables
    from mission_adapters.memory.store import MemoryStore
    from mission_adapters.memory.tasks import TaskTable
    from mission_core.accounts.model import Principal
    from mission_core.usage.budget_accounts import BudgetBook
    from mission_core.usage.queries import UsageWindow
    from mission_core.values import PageRequest


@frozen
class MemoryUsageReads:
    """
    Reads the token ledger and its rollups.
    """

    store: MemoryStore
    boards: BoardTable
    tables_of_tasks: TaskTable
    tables: KindTables
    counters: MemoryCounters

    async def sums(
        self,
        principal: Principal,
        window: UsageWindow,
        by: Sequence[str],
        wanted: UsageFilter = EVERYTHING,
        *,
        most: int | None = None,
    ) -> list[UsageSum]:
        """
        The sums by these values, from the rollups.
        """
        counters, hours = cells_of_sum(principal, window, by, wanted)
        having: dict[str, Any] = {} if hours is None else {"hours": {hours}, "slot": _Slots(window)}
        for name in ("board", "task", "agent"):
            if (id := getattr(wanted, name)) is not None:
                having[name] = {id.bytes}
        if wanted.board is not None and not may_read_board(principal, wanted.board):
            return []
        if wanted.model is not None:
            having["model"] = {wanted.model}
        if wanted.sessions is not None:
            having["session"] = set(wanted.sessions)
        if wanted.tasks is not None:
            having["task"] = having.get("task", as_columns(wanted.tasks)) & as_columns(wanted.tasks)
        found = self.counters.totals(counters, principal, *by, **having)
        kept = [(key, totals) for key, amounts in found.items() if any(totals := UsageTotals(*amounts))]
        if most is not None:
            kept = sorted(kept, key=lambda each: (-each[1].tokens, each[0]))[:most]
        return [UsageSum(tuple(map(_shown, key)), totals) for key, totals in kept]

    async def session_counts(self, principal: Principal, window: UsageWindow) -> dict[str, int]:
        """
        The number of sessions with entries in the window under each agent name.
        """
        return dict(Counter(each.key[0] for each in await self.sums(principal, window, ("agent_name", "session"))))

    async def entries(
        self, principal: Principal, window: UsageWindow, page: PageRequest, wanted: UsageFilter = EVERYTHING
    ) -> PageOfRows:
        """
        A page of the entries, newest use first.
        """
        told = {name: getattr(wanted, name) for name in ("board", "task", "agent", "model")}
        equal = {name: value for name, value in told.items() if value is not None}
        found = [
            each
            for each in self.tables[USAGE].matching(principal, equal)
            if (window.begins_at is None or each.at >= window.begins_at)
            and (window.ends_at is None or each.at < window.ends_at)
            and (wanted.tasks is None or each.task in wanted.tasks)
            and (wanted.sessions is None or each.session in wanted.sessions)
        ]
        found.sort(key=lambda each: (each.at, each.id), reverse=True)
        return PageOfRows(found[page.offset : page.offset + page.limit], len(found))

    async def reported(self, principal: Principal, reporter: str, ids: Collection[str]) -> dict[str, UsageEntry]:
        """
        The entries of this reporter with these report ids.
        """
        everybody = SystemPrincipal(organization=principal.organization)
        found = (self.tables[USAGE].matching(everybody, {"reporter": reporter, "report_id": id}) for id in ids)
        return {str(each.report_id): each for rows in found for each in rows}

    async def reported_below(self, principal: Principal, reporter: str, prefix: str) -> list[tuple[UsageEntry, bool]]:
        """
        The entries of this reporter whose report ids begin with *prefix*, each with whether another one reverses it.
        """
        every = self.tables[USAGE].matching(SystemPrincipal(organization=principal.organization), {})
        reversed_ids = {each.reverses for each in every if each.reverses is not None}
        own = (each for each in every if each.reporter == reporter and (each.report_id or "").startswith(prefix))
        return [(each, each.id in reversed_ids) for each in own]

    async def budgets(self, principal: Principal, *, at: datetime) -> BudgetBook:
        """
        The accounts of the budgets that a principal may see.
        """
        from mission_adapters.memory.budget_book import read_book

        return read_book(self.store, principal, at=at)

    async def last_used(self, principal: Principal, names: Collection[str]) -> dict[str, datetime]:
        """
        The time of the latest use under each of these agent names.
        """
        found: dict[str, datetime] = {}
        for each in self.tables[USAGE].matching(principal, {}):
            if each.agent_name in names:
                found[each.agent_name] = max(each.at, found.get(each.agent_name, each.at))
        return found

    async def tasks(self, principal: Principal, ids: Collection[UUID]) -> list[UsageTask]:
        """
        The tasks with these ids that still exist.
        """
        found = []
        known = (id for id in sorted(ids) if id in self.tables_of_tasks.rows)
        for task in self.tables_of_tasks.each(known):
            board = self.boards.rows[task.board]
            if task.organization == principal.organization and may_read_board(principal, task.board):
                found.append(
                    UsageTask(
                        task.id, task.number, task.title, task.status.value, task.priority,
                        task.assignee.name if task.assignee else None, board.id, board.number, board.name,
                        board.handle, board.ticket_prefix, task.ticket,
                    )
                )  # fmt: skip
        return found


@frozen
class _Slots:
    """
    The slots within a window.
    """

    window: UsageWindow

    def __contains__(self, slot: object) -> bool:
        since, until = self.window.since, self.window.until
        return isinstance(slot, int) and (since is None or slot >= since) and (until is None or slot < until)


def _shown(value: Any) -> Any:
    if not isinstance(value, bytes):
        return value
    return None if value == NO_ID else UUID(bytes=value)
