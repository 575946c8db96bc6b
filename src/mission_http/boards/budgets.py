"""
Operations on budgets: limits of what the organization, a board, an agent, a task or a run may spend.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from mission_core.agents.model import AgentNotFound
from mission_core.boards.model import BoardDenied, BoardNotFound
from mission_core.entity_changes import field_values
from mission_core.errors import KeyReused, RoleTooLow, VersionMismatch
from mission_core.ids import AgentId, BoardId, BudgetId, RunId, TaskId
from mission_core.tasks.model import TaskNotFound
from mission_core.tasks.runs import RunNotFound
from mission_core.usage.budget_accounts import BudgetAccount
from mission_core.usage.budget_use_cases import (
    CreateBudget,
    DeleteBudget,
    UpdateBudget,
    create_budget,
    delete_budget,
    get_budget,
    list_budgets,
    repeat_budget,
    update_budget,
)
from mission_core.usage.budgets import (
    BUDGETS,
    LONGEST_BUDGET_NAME,
    LONGEST_ZONE,
    BudgetMeasure,
    BudgetNotFound,
    BudgetPeriod,
    BudgetScope,
    UnknownPrices,
)
from mission_core.values import ABSENT, Absent
from mission_http.boards.access import USER, path_id, require_admin, row_not_found_first
from mission_http.boards.payloads import LimitOffsetPage, OkResponse, PageQuery, sent_fields
from mission_http.boards.responses import page_response, versioned_response
from mission_http.boards.wire import naive
from mission_http.platform.bodies import body_of, fields_named
from mission_http.platform.budget_amounts import LARGEST_AMOUNT, LARGEST_CEILING, budget_values, told_amounts
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.etags import IF_MATCH, expected_version_of
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.field_annotations import Body, Length, NumberRange
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, perform_once
from mission_http.platform.json_responses import json_response
from mission_http.platform.query_strings import query_of
from mission_http.platform.shapes import Payload

Name = Annotated[str, Length(1, LONGEST_BUDGET_NAME)]
Amount = Annotated[float, NumberRange(0, LARGEST_AMOUNT)]
CeilingPrice = Annotated[float | None, NumberRange(0, LARGEST_CEILING)]
TARGETS: Final = {"board": "board_id", "agent": "agent_id", "task": "task_id", "run": "run_id"}
"""The fields of a request that name what a budget limits, by the names of the core."""


class BudgetCreate(Body):
    name: Name
    scope: BudgetScope = BudgetScope.ORGANIZATION
    board_id: UUID | None = None
    agent_id: UUID | None = None
    task_id: UUID | None = None
    run_id: UUID | None = None
    measure: BudgetMeasure = BudgetMeasure.MONEY
    limit: Amount
    per_run: Amount = 0
    hard: bool = True
    period: BudgetPeriod
    time_zone: Annotated[str, Length(1, LONGEST_ZONE)] = "UTC"
    unknown_prices: UnknownPrices | None = None
    ceiling_price: CeilingPrice = None
    list_price: bool = False

    def command(self) -> CreateBudget:
        """
        The command.

        Raises:
            InvalidField: If an amount cannot be that of a budget.
        """
        given = {name: value for name, value in field_values(self) if name not in TARGETS.values()}
        return CreateBudget(
            board=None if self.board_id is None else BoardId(self.board_id),
            agent=None if self.agent_id is None else AgentId(self.agent_id),
            task=None if self.task_id is None else TaskId(self.task_id),
            run=None if self.run_id is None else RunId(self.run_id),
            **told_amounts(self.measure, given),
        )  # fmt: skip


class BudgetUpdate(Body):
    name: Name | Absent = ABSENT
    limit: Amount | Absent = ABSENT
    per_run: Amount | Absent = ABSENT
    hard: bool | Absent = ABSENT
    unknown_prices: UnknownPrices | Absent | None = ABSENT
    ceiling_price: CeilingPrice | Absent = ABSENT
    list_price: bool | Absent = ABSENT


class BudgetRead(Payload):
    id: UUID
    organization_id: UUID
    number: int
    name: str
    scope: BudgetScope
    board_id: UUID | None
    agent_id: UUID | None
    task_id: UUID | None
    run_id: UUID | None
    measure: BudgetMeasure
    limit: float
    per_run: float
    hard: bool
    period: BudgetPeriod
    time_zone: str
    unknown_prices: UnknownPrices | None
    ceiling_price: float | None
    list_price: bool
    spent: float
    reserved: float
    available: float
    spent_nano: int | None
    reserved_nano: int | None
    unpriced_tokens: int
    period_starts_at: datetime | None
    resets_at: datetime | None
    created_at: datetime | None
    updated_at: datetime | None
    version: int


def _budget_read(account: BudgetAccount) -> BudgetRead:
    budget = account.budget
    return BudgetRead(
        id=budget.id, organization_id=budget.organization, number=budget.number,
        board_id=budget.board, agent_id=budget.agent, task_id=budget.task, run_id=budget.run,
        period_starts_at=naive(account.starts_at), resets_at=naive(account.resets_at),
        created_at=naive(budget.created_at), updated_at=naive(budget.updated_at), **budget_values(account),
    )  # fmt: skip


async def _response(request: Request, budget: BudgetId) -> Response:
    account = await get_budget(ports_of(request), principal_of(request), budget)
    return versioned_response(_budget_read(account))


async def list_all_budgets(request: Request) -> Response:
    """
    List the budgets, each with what is spent and reserved in its present period.

    First come the budgets of the organization, then those of boards, agents, tasks and runs. A member with grants sees
    the budgets of those boards. Amounts are dollars if the budget measures money, otherwise tokens, runs or seconds.
    """
    query = query_of(request, PageQuery)
    found = await list_budgets(ports_of(request), principal_of(request))
    some = found[query.offset : query.offset + query.limit]
    return page_response([_budget_read(each) for each in some], len(found), query)


async def create_a_budget(request: Request) -> Response:
    """
    Create a budget for the organization, a board, an agent, a task or a run.

    A hard budget starts no run that has no room in it: each claim reserves `per_run` until its lease ends, and what the
    run spends uses that up first. Another budget only announces 50, 80 and 100 % of its limit as events. What the token
    ledger already has in the present period counts; runs and time count from now on.
    """
    require_admin(request)
    with fields_named(TARGETS):
        command = (await body_of(request, BudgetCreate)).command()
        budget = await perform_once(request, create_budget, command, repeat_budget)
    return await _response(request, budget.id)


async def read_budget(request: Request) -> Response:
    """
    Read a budget, with what is spent and reserved in its present period.
    """
    return await _response(request, BudgetId(path_id(request, "budget_id")))


async def change_budget(request: Request) -> Response:
    """
    Change the named fields of a budget.

    A raised limit lets runs go on, and its thresholds be announced again. What the budget limits, its measure and its
    period stay.
    """
    principal, ports = require_admin(request), ports_of(request)
    id = BudgetId(path_id(request, "budget_id"))
    async with row_not_found_first(request, BUDGETS, id):
        given = sent_fields(await body_of(request, BudgetUpdate))
        budget = await ports.reads.entities.get(principal, BUDGETS, id)
        told = told_amounts(budget.measure, given)
        await update_budget(ports, principal, UpdateBudget(budget=id, expects=expected_version_of(request), **told))
    return await _response(request, id)


async def delete_a_budget(request: Request) -> Response:
    """
    Delete a budget. What it held back may start.
    """
    principal, id = require_admin(request), BudgetId(path_id(request, "budget_id"))
    async with row_not_found_first(request, BUDGETS, id):
        command = DeleteBudget(budget=id, expects=expected_version_of(request))
        await delete_budget(ports_of(request), principal, command)
    return json_response(OkResponse())


ENDPOINTS = [
    Endpoint(
        "GET", "/budgets", list_all_budgets, query=PageQuery, gives=LimitOffsetPage[BudgetRead], who=USER,
        tags=("usage",),
    ),
    Endpoint(
        "POST", "/budgets", create_a_budget, takes=BudgetCreate, gives=BudgetRead, who=USER,
        headers=(IDEMPOTENCY_KEY,),
        refuses=(AgentNotFound, BoardDenied, BoardNotFound, KeyReused, RoleTooLow, RunNotFound, TaskNotFound),
        tags=("usage",),
    ),
    Endpoint(
        "GET", "/budgets/{budget_id}", read_budget, gives=BudgetRead, who=USER, refuses=(BudgetNotFound,),
        tags=("usage",),
    ),
    Endpoint(
        "PATCH", "/budgets/{budget_id}", change_budget, takes=BudgetUpdate, gives=BudgetRead, who=USER,
        headers=(IF_MATCH,), refuses=(BoardDenied, BudgetNotFound, RoleTooLow, VersionMismatch), tags=("usage",),
    ),
    Endpoint(
        "DELETE", "/budgets/{budget_id}", delete_a_budget, gives=OkResponse, who=USER, headers=(IF_MATCH,),
        refuses=(BoardDenied, BudgetNotFound, RoleTooLow, VersionMismatch), tags=("usage",),
    ),
]  # fmt: skip
