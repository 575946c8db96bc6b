"""
The postings of a flush to the accounts of budgets: their events and statements. They are made while the head row of the
organization is locked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from mission_adapters.budgeted_rows import budgeted_rows
from mission_adapters.counter_registry import budget_amounts
from mission_adapters.sql.counters import amount_statements
from mission_adapters.sql.event_log import HeadMarks, KnownHeads, lock_head
from mission_adapters.sql.statement_batch import BatchedStatement
from mission_core.errors import StaleWrite

if TYPE_CHECKING:
    from datetime import datetime

    from mission_adapters.budgeted_rows import BudgetedRows
    from mission_adapters.sql.database_session import Steps
    from mission_adapters.sql.event_log import LockedHead
    from mission_adapters.sql.task_decisions import FlushResults
    from mission_adapters.write_buffer import WriteBuffer
    from mission_core.events.model import Event
    from mission_core.tasks.runs import Run
    from mission_core.usage.budget_accounts import BudgetBook


class FlushPostings(NamedTuple):
    """
    The events and statements of a flush that post to the accounts of budgets, and the marks of the head row that they
    depend on or change.
    """

    events: tuple[Event, ...] = ()
    statements: tuple[BatchedStatement, ...] = ()
    head: HeadMarks = HeadMarks()


def budget_postings(
    dialect: str, buffer: WriteBuffer, results: FlushResults, heads: KnownHeads
) -> Steps[FlushPostings]:
    """
    Return the postings of the flush to the accounts of budgets. All rows of entities must be written before. The head
    row is locked if that may matter.

    Raises:
        BudgetReached: If a new run has no room in a hard budget.
        StaleWrite: If a budget was made since a claim found that there is none.
        StaleWrite: If the prices of new entries of the ledger have changed.
    """
    rows = budgeted_rows(buffer.writes.values(), results.changes, results.deleted_runs)
    taken = buffer.price_changes if rows.entries else None
    marks = HeadMarks(price_changes=taken, changes_prices=rows.changes_prices)
    if not rows:
        return FlushPostings(head=marks)
    asks_for_budgets = results.book is None and not rows.budgets
    if asks_for_budgets or marks.price_changes is not None:
        head = yield from _head(dialect, buffer, results, heads, marks)
        if asks_for_budgets and not head.has_budgets:
            return FlushPostings(head=marks._replace(without_budgets=True))
        if asks_for_budgets and results.claimed:
            raise StaleWrite("task", results.claimed[0].id)
    return (yield from _post(dialect, buffer, results, rows, marks))


def _head(
    dialect: str, buffer: WriteBuffer, results: FlushResults, heads: KnownHeads, marks: HeadMarks
) -> Steps[LockedHead]:
    """
    Return the head row with the prices of new entries as they are: the locked one, or the known one if the flush has
    events, because its update then compares the known head with the stored one.
    """
    owner = buffer.principal.organization
    if dialect == "sqlite" and results.head is None and (results.facts or buffer.events):
        known = heads.get(owner)
        if known is not None and marks.price_changes in (None, known.price_changes):
            return known
    head = results.head = results.head or (yield from lock_head(dialect, owner))
    if dialect == "sqlite":
        heads.put(owner, head)
    marks.check(owner, head)
    return head


def postings_of_claim(book: BudgetBook, run: Run, *, at: datetime) -> tuple[tuple[Event, ...], list[tuple[Any, ...]]]:
    """
    Return the events of a claim, and the rows that it adds to the amounts of budgets: their values after the
    organization.
    """
    from mission_core.usage.budget_accounts import BudgetedChanges, post  # few organizations have budgets

    postings = post(book, BudgetedChanges(started=(run,)), at=at)
    return postings.events, sorted((*key, *each) for key, each in postings.amounts.items())


def _post(
    dialect: str, buffer: WriteBuffer, results: FlushResults, rows: BudgetedRows, marks: HeadMarks
) -> Steps[FlushPostings]:
    from mission_adapters.sql.budget_book import read_book, sum_ledger  # few organizations have budgets
    from mission_core.usage.budget_accounts import BudgetedChanges, post

    owner = buffer.principal.organization
    if results.head is None and dialect == "postgresql":
        results.head = yield from lock_head(dialect, owner)
    results.has_budgets = True
    book = results.book or (yield from read_book(dialect, owner, at=results.at, own=rows.runs))
    created = {}
    for budget in rows.created:
        created[budget.id] = yield from sum_ledger(dialect, budget, budget.period_at(results.at))
    changes = BudgetedChanges(
        entries=rows.entries, started=rows.started, ended=rows.ended, created=created, updated=rows.updated
    )
    postings = post(book, changes, at=results.at)
    amounts = sorted((owner.bytes, *key, *each) for key, each in postings.amounts.items())
    statements = amount_statements(dialect, budget_amounts(), amounts)
    after = bool(book.accounts) if rows.budgets else None
    return FlushPostings(postings.events, tuple(statements), marks._replace(budgets_after=after))
