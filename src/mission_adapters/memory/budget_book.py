"""
The accounts of budgets in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mission_core.events.counters import NO_ID
from mission_core.ids import RunId
from mission_core.usage.budget_accounts import NOTHING, BudgetAccount, BudgetBook, reservation_of
from mission_core.usage.budgets import BUDGETS, Budget, BudgetAmounts, PeriodBounds, amounts_of
from mission_core.usage.counters import BUDGET_AMOUNTS
from mission_core.usage.model import USAGE
from mission_core.values import micros

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from mission_adapters.memory.store import MemoryStore
    from mission_core.accounts.model import Principal
    from mission_core.ids import OrganizationId
    from mission_core.tasks.runs import Run
    from mission_core.usage.model import UsageEntry


def read_book(store: MemoryStore, principal: Principal, *, at: datetime) -> BudgetBook:
    """
    Return the accounts of the budgets that a principal may see.
    """
    live = [store.runs.rows[id] for _, id in store.runs.lease_ends(principal.organization)]
    return BudgetBook(_account(store, each, live, at=at) for each in store.kind_tables[BUDGETS].matching(principal, {}))


def _account(store: MemoryStore, budget: Budget, live: Iterable[Run], *, at: datetime) -> BudgetAccount:
    cells, period = store.counters.cells.get((budget.organization, BUDGET_AMOUNTS), {}), budget.period_at(at)

    def amounts(run: bytes) -> BudgetAmounts | None:
        cell = cells.get((budget.id.bytes, run, period.ends_at, period.starts_at))
        return None if cell is None else BudgetAmounts(*cell[1])

    sums = ((run, amounts(run.id.bytes)) for run in live)
    own = {RunId(run.id): reservation_of(budget, each, run.claimed_at, at=at) for run, each in sums if each is not None}
    agent = store.agents.rows.get(budget.agent) if budget.agent else None
    target: Any = agent
    if budget.board is not None:
        target = store.boards.rows.get(budget.board)
    elif budget.task is not None:
        target = store.tasks.rows.get(budget.task)
    return BudgetAccount(
        budget=budget, agent_key=agent.name_key if agent else None,
        target_number=target.number if target else None, period=period, total=amounts(NO_ID) or NOTHING,
        reserved=sum(each.held for each in own.values()), own=own,
    )  # fmt: skip


def sum_ledger(store: MemoryStore, budget: Budget, period: PeriodBounds) -> BudgetAmounts:
    """
    Return the sums of the entries that a budget covers in one of its periods.
    """
    total = NOTHING
    for entry in store.kind_tables[USAGE].rows.values():
        if entry.organization == budget.organization and budget.covers(entry) and budget.period_at(entry.at) == period:
            total = total.plus(amounts_of(entry))
    return total


def rebuild_budgets(store: MemoryStore, organization: OrganizationId, entries: Sequence[UsageEntry]) -> None:
    """
    Compute what is spent of each budget from the entries of the ledger.
    """
    latest = max((micros(each.at) for each in entries), default=0)
    cells = store.counters.cells.get((organization, BUDGET_AMOUNTS), {})
    for budget in store.kind_tables[BUDGETS].rows.values():
        for period in budget.periods_until(latest) if budget.organization == organization else ():
            key = (budget.id.bytes, NO_ID, period.ends_at, period.starts_at)
            kept = BudgetAmounts(*cells[key][1]) if key in cells else NOTHING
            missing = kept.until_ledger_is(sum_ledger(store, budget, period))
            store.counters.add(organization, BUDGET_AMOUNTS, {key: missing})
