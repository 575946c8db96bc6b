"""
Use cases of budgets: their creation, change and deletion, and the read of their accounts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mission_core.accounts.model import Principal
from mission_core.ids import (
    AgentId,
    AgentNumber,
    BoardId,
    BoardNumber,
    BudgetId,
    BudgetNumber,
    RunId,
    TaskId,
    TaskNumber,
)
from mission_core.lazy_attrs import frozen
from mission_core.records import Draft, Records
from mission_core.usage.budgets import (
    BUDGETS,
    Budget,
    BudgetCreated,
    BudgetDeleted,
    BudgetMeasure,
    BudgetNotFound,
    BudgetPeriod,
    BudgetScope,
    BudgetUpdated,
    UnknownPrices,
)
from mission_core.use_case import use_case
from mission_core.values import ABSENT, Absent

if TYPE_CHECKING:
    from uuid import UUID

    from mission_core.ports import Ports
    from mission_core.usage.budget_accounts import BudgetAccount


@frozen(kw_only=True)
class CreateBudget:
    """
    Create a budget. The fields are those of `Budget`.
    """

    name: str
    scope: BudgetScope = BudgetScope.ORGANIZATION
    board: BoardId | BoardNumber | None = None
    agent: AgentId | AgentNumber | str | None = None
    task: TaskId | TaskNumber | None = None
    run: RunId | None = None
    measure: BudgetMeasure = BudgetMeasure.MONEY
    limit: int
    per_run: int = 0
    hard: bool = True
    period: BudgetPeriod
    time_zone: str = "UTC"
    unknown_prices: UnknownPrices | None = None
    ceiling_price: int | None = None
    list_price: bool = False


@frozen(kw_only=True)
class UpdateBudget:
    """
    Change the named fields of a budget. What it limits, its measure and its periods stay.
    """

    budget: BudgetId | BudgetNumber
    expects: int | None = None
    name: str | Absent = ABSENT
    limit: int | Absent = ABSENT
    per_run: int | Absent = ABSENT
    hard: bool | Absent = ABSENT
    unknown_prices: UnknownPrices | Absent | None = ABSENT
    ceiling_price: int | Absent | None = ABSENT
    list_price: bool | Absent = ABSENT


@frozen(kw_only=True)
class DeleteBudget:
    """
    Delete a budget.
    """

    budget: BudgetId | BudgetNumber
    expects: int | None = None


async def _find_targets(draft: Draft[Budget]) -> None:
    """
    Replace the numbers and names of what a new budget limits by ids.
    """
    given, unit = draft.given, draft.unit
    for name, repository in (("board", unit.boards), ("agent", unit.agents), ("task", unit.tasks), ("run", unit.runs)):
        if given.get(name) is not None:
            found: Any = repository
            given[name] = (await found.get(given[name])).id


RECORDS: Final = Records(
    kind=BUDGETS, noun="budget", events=(BudgetCreated, BudgetUpdated, BudgetDeleted), prepare=_find_targets
)


@use_case
async def create_budget(ports: Ports, principal: Principal, cmd: CreateBudget) -> Budget:
    """
    Create a budget. What the ledger has in the present period counts; runs and time count from now on.

    Raises:
        RoleTooLow: If the principal is no admin of all boards.
        InvalidField: If a value is missing or out of its range.
        BoardNotFound, AgentNotFound, TaskNotFound, RunNotFound: If what it limits does not exist.
    """
    return await RECORDS.create(ports, principal, cmd)


@use_case
async def update_budget(ports: Ports, principal: Principal, cmd: UpdateBudget) -> Budget:
    """
    Change a budget. A raised limit lets runs go on, and its thresholds be announced again.

    Raises:
        RoleTooLow: If the principal is no admin of all boards.
        BudgetNotFound: If there is no such budget.
        VersionMismatch: If the caller expected another version.
        InvalidField: If a value is out of its range.
    """
    return await RECORDS.change(ports, principal, cmd.budget, cmd)


@use_case
async def delete_budget(ports: Ports, principal: Principal, cmd: DeleteBudget) -> Budget:
    """
    Delete a budget.

    Raises:
        RoleTooLow: If the principal is no admin of all boards.
        BudgetNotFound: If there is no such budget.
        VersionMismatch: If the caller expected another version.
    """
    return await RECORDS.remove(ports, principal, cmd.budget, cmd)


async def list_budgets(ports: Ports, principal: Principal) -> tuple[BudgetAccount, ...]:
    """
    Return the budgets that the principal may see, from the organization's to those of runs, each with what is spent and
    reserved in its present period. A principal limited to some boards sees the budgets of these boards.
    """
    return (await ports.reads.usage.budgets(principal, at=ports.clock.now())).accounts


async def get_budget(ports: Ports, principal: Principal, key: BudgetId | BudgetNumber) -> BudgetAccount:
    """
    Return a budget with what is spent and reserved in its present period.

    Raises:
        BudgetNotFound: If the principal may see no such budget.
    """
    for each in await list_budgets(ports, principal):
        if key in (each.budget.id, each.budget.number):
            return each
    raise BudgetNotFound


async def repeat_budget(ports: Ports, principal: Principal, budget: UUID) -> Budget:
    """
    Return the budget of a repeated request.
    """
    return await ports.reads.entities.get(principal, BUDGETS, budget)
