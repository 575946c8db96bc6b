"""
The accounts of budgets in SQL: their read, the sums of the ledger with which a budget begins, and the rebuild.

The head row of an organization says whether it has budgets, so that a flush of any other reads nothing for them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Executable, and_, case, cast, func, literal_column, or_, select

from mission_adapters.sql.board_visibility import BOARD_FILTERS
from mission_adapters.sql.columns import INTEGER
from mission_adapters.sql.counters import COUNTER_TABLES, amount_statements
from mission_adapters.sql.kind_tables import MAPPINGS
from mission_adapters.sql.statement_batch import run_in_turn
from mission_adapters.sql.statements import IdArray, Statement, cached_statement, in_array, parameter
from mission_adapters.sql.tables import agents, alive, boards, runs, tasks
from mission_core.events.counters import NO_ID
from mission_core.ids import RunId
from mission_core.usage.budget_accounts import NOTHING, SECOND_MICROS, BudgetAccount, BudgetBook, reservation_of
from mission_core.usage.budgets import BUDGETS, Budget, BudgetAmounts, BudgetMeasure, BudgetScope, PeriodBounds
from mission_core.usage.counters import BUDGET_AMOUNTS
from mission_core.usage.model import USAGE
from mission_core.values import micros, moment

if TYPE_CHECKING:
    from mission_adapters.sql.database_session import Steps
    from mission_core.ids import OrganizationId

budgets: Final = MAPPINGS[BUDGETS].table
budget_rows: Final = MAPPINGS[BUDGETS].rows
amounts: Final = COUNTER_TABLES[BUDGET_AMOUNTS]
entries: Final = MAPPINGS[USAGE].table
SUMS: Final = [amounts.c[name] for name in BUDGET_AMOUNTS.summed]
_organization: Final = parameter("organization")
_at: Final = parameter("at", int)


def _in_present_period(table: Any) -> ColumnElement[bool]:
    found: ColumnElement[bool] = and_(
        table.c.organization == _organization,
        table.c.budget == budgets.c.id,
        table.c.ends_at > _at,
        table.c.starts_at <= _at,
    )
    return found


def _held() -> ColumnElement[int]:
    """
    Sum what live runs hold reserved, as `reservation_of` of the core has it.
    """
    held = amounts.alias("held")
    lasted = (_at - runs.c.claimed_at) // literal_column(str(SECOND_MICROS))
    left = held.c.reserved - held.c.used
    amount = case(
        (budgets.c.measure == literal_column(f"'{BudgetMeasure.TIME.value}'"), _larger(held.c.reserved, lasted)),
        else_=_larger(left, literal_column("0")),
    )
    of_run = select(amount).where(_in_present_period(held), held.c.run == runs.c.id)
    # A subquery for each live run: joined, all runs that the budget ever had might be read.
    every = select(cast(func.coalesce(func.sum(of_run.correlate(budgets, runs).scalar_subquery()), 0), INTEGER))
    return every.where(runs.c.organization == _organization, alive).correlate(budgets).scalar_subquery()


def _larger(one: ColumnElement[int], other: ColumnElement[int]) -> ColumnElement[int]:
    return case((one > other, one), else_=other)


@cached_statement
def _select_book(board_filters: tuple[str, ...]) -> Executable:
    """
    Select all budgets, each with the sums of its present period, and those of some runs in it.
    """
    wanted = or_(amounts.c.run == parameter("no_run"), in_array(amounts.c.run, "own", IdArray()))
    joined = budgets.outerjoin(agents, agents.c.id == budgets.c.agent)
    joined = joined.outerjoin(boards, boards.c.id == budgets.c.board).outerjoin(tasks, tasks.c.id == budgets.c.task)
    number = func.coalesce(boards.c.number, agents.c.number, tasks.c.number)
    joined = joined.outerjoin(amounts, and_(_in_present_period(amounts), wanted))
    joined = joined.outerjoin(runs, and_(runs.c.id == amounts.c.run, alive))
    found = select(
        *budgets.c, agents.c.name_key, number, _held(), amounts.c.run, amounts.c.starts_at, amounts.c.ends_at,
        runs.c.claimed_at, *SUMS,
    )  # fmt: skip
    found = found.select_from(joined).where(budgets.c.organization == _organization)
    return found.where(*(BOARD_FILTERS[name](budgets.c.board) for name in board_filters))


def read_book(
    dialect: str,
    organization: OrganizationId,
    *,
    at: datetime,
    own: Collection[UUID] = (),
    board_filter: dict[str, Any] | None = None,
) -> Steps[BudgetBook]:
    """
    Return the accounts of an organization.

    Args:
        own: The runs whose reservations are wanted.
        board_filter: The filter of the boards whose budgets are wanted; None for all budgets.
    """
    given = {"organization": organization.bytes, "at": micros(at), "no_run": NO_ID, "own": [each.bytes for each in own]}
    filters = board_filter or {}
    rows = yield _select_book(tuple(filters))(dialect, **given, **filters)
    return BudgetBook(_accounts(rows, at))


def _accounts(rows: list[Any], at: datetime) -> Iterator[BudgetAccount]:
    width, by_budget = len(budgets.c), dict[bytes, list[Any]]()
    for row in rows:
        by_budget.setdefault(row[0], []).append(row)
    for some in by_budget.values():
        budget: Budget = budget_rows.entity_from(some[0][:width])
        period, total, own = budget.period_at(at), NOTHING, {}
        agent_key, number, held = some[0][width : width + 3]
        for row in some:
            run, starts_at, ends_at, claimed_at, *sums = row[width + 3 :]
            if (starts_at, ends_at) != period:
                continue
            if run == NO_ID:
                total = BudgetAmounts(*sums)
            elif claimed_at is not None:
                made = reservation_of(budget, BudgetAmounts(*sums), moment(claimed_at), at=at)
                own[RunId(UUID(bytes=run))] = made
        yield BudgetAccount(
            budget=budget, agent_key=agent_key, target_number=number, period=period, total=total, reserved=held, own=own
        )


def _ledger_sums() -> list[ColumnElement[int]]:
    """
    Return the sums of entries of the ledger, as `amounts_of` of the core has them.
    """
    cost = case((entries.c.unconfirmed_subscription == literal_column("1"), entries.c.list_cost), else_=entries.c.cost)
    tokens = entries.c.input_tokens + entries.c.output_tokens
    summed = (cost, entries.c.list_cost, tokens, entries.c.unpriced_tokens, entries.c.unpriced_requests)
    return [cast(func.coalesce(func.sum(each), 0), INTEGER) for each in summed]


@cached_statement
def _select_ledger(scope: BudgetScope) -> Executable:
    found = select(*_ledger_sums()).where(
        entries.c.organization == _organization,
        entries.c.at >= parameter("starts_at", int),
        entries.c.at < parameter("ends_at", int),
    )
    if scope is not BudgetScope.ORGANIZATION:
        found = found.where(entries.c[scope.value] == parameter("target"))
    return found


def sum_ledger(dialect: str, budget: Budget, period: PeriodBounds) -> Steps[BudgetAmounts]:
    """
    Return the sums of the entries that a budget covers in one of its periods.
    """
    given: dict[str, Any] = {"organization": budget.organization.bytes, **period._asdict()}
    if budget.scope is not BudgetScope.ORGANIZATION:
        given["target"] = getattr(budget, budget.scope.value).bytes
    (sums,) = yield _select_ledger(budget.scope)(dialect, **given)
    return BudgetAmounts(*sums)


_is_total: Final = and_(amounts.c.organization == _organization, amounts.c.run == parameter("no_run"))
SELECT_BUDGETS: Final = Statement(select(*budgets.c).where(budgets.c.organization == _organization))
SELECT_TOTALS: Final = Statement(
    select(amounts.c.budget, amounts.c.starts_at, amounts.c.ends_at, *SUMS).where(_is_total)
)
SELECT_LATEST_USE: Final = Statement(select(func.max(entries.c.at)).where(entries.c.organization == _organization))


def rebuild_budgets(dialect: str, organization: OrganizationId) -> Steps[None]:
    """
    Compute what is spent of each budget from the entries of the ledger. The head row must be locked.
    """
    own = {"organization": organization.bytes}
    found = yield SELECT_BUDGETS(dialect, **own)
    ((latest,),) = yield SELECT_LATEST_USE(dialect, **own)
    kept = {tuple(row[:3]): BudgetAmounts(*row[3:]) for row in (yield SELECT_TOTALS(dialect, **own, no_run=NO_ID))}
    rows = []
    for budget in map(budget_rows.entity_from, found):
        for period in budget.periods_until(latest or 0):
            key = (budget.id.bytes, *period)
            sums = yield from sum_ledger(dialect, budget, period)
            missing = kept.get(key, NOTHING).until_ledger_is(sums)
            rows.append((organization.bytes, budget.id.bytes, NO_ID, period.ends_at, period.starts_at, *missing))
    yield from run_in_turn(dialect, amount_statements(dialect, BUDGET_AMOUNTS, rows))
