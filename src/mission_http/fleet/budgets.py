"""
Operations on budgets: limits of what the workspace, a project, an agent, a task or a run may spend.
"""

from __future__ import annotations

from typing import Annotated, Final
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from mission_core.agents.model import AgentNotFound
from mission_core.boards.model import BoardDenied, BoardNotFound
from mission_core.entity_changes import field_values
from mission_core.errors import KeyReused, VersionMismatch
from mission_core.ids import AgentNumber, BoardNumber, BudgetId, BudgetNumber, RunId, TaskNumber
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
    LONGEST_BUDGET_NAME,
    LONGEST_ZONE,
    BudgetMeasure,
    BudgetNotFound,
    BudgetPeriod,
    BudgetScope,
    UnknownPrices,
)
from mission_core.values import ABSENT, Absent
from mission_http.fleet.access import ADMIN, VIEWER
from mission_http.fleet.path_parameters import budget_in
from mission_http.fleet.payloads import SuccessPayload
from mission_http.fleet.wire import UnixSeconds, seconds_of
from mission_http.platform.bodies import body_of, fields_named
from mission_http.platform.budget_amounts import LARGEST_AMOUNT, LARGEST_CEILING, budget_values, told_amounts
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.etags import IF_MATCH, etag_of, expected_version_of
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.field_annotations import Body, Length, NumberRange
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, perform_once
from mission_http.platform.json_responses import json_response
from mission_http.platform.shapes import Payload

Name = Annotated[str, Length(1, LONGEST_BUDGET_NAME)]
Amount = Annotated[float, NumberRange(0, LARGEST_AMOUNT)]
CeilingPrice = Annotated[float, NumberRange(0, LARGEST_CEILING)]
Number = Annotated[int, NumberRange(1)]
TARGETS: Final = {"board": "project_id", "agent": "agent_id", "task": "task_id", "run": "run_id"}
"""The fields of a request that name what a budget limits, by the names of the core."""


class BudgetBody(Body):
    name: Name
    scope: BudgetScope = BudgetScope.ORGANIZATION
    project_id: Number | None = None
    agent_id: Number | None = None
    task_id: Number | None = None
    run_id: UUID | None = None
    measure: BudgetMeasure = BudgetMeasure.MONEY
    limit: Amount
    per_run: Amount = 0
    hard: bool = True
    period: BudgetPeriod
    time_zone: Annotated[str, Length(1, LONGEST_ZONE)] = "UTC"
    unknown_prices: UnknownPrices | None = None
    ceiling_price: CeilingPrice | None = None
    list_price: bool = False

    def command(self) -> CreateBudget:
        """
        The command.

        Raises:
            InvalidField: If an amount cannot be that of a budget.
        """
        given = {name: value for name, value in field_values(self) if name not in TARGETS.values()}
        return CreateBudget(
            board=None if self.project_id is None else BoardNumber(self.project_id),
            agent=None if self.agent_id is None else AgentNumber(self.agent_id),
            task=None if self.task_id is None else TaskNumber(self.task_id),
            run=None if self.run_id is None else RunId(self.run_id),
            **told_amounts(self.measure, given),
        )  # fmt: skip


class UpdateBudgetBody(Body):
    name: Name | Absent = ABSENT
    limit: Amount | Absent = ABSENT
    per_run: Amount | Absent = ABSENT
    hard: bool | Absent = ABSENT
    unknown_prices: UnknownPrices | Absent | None = ABSENT
    ceiling_price: CeilingPrice | Absent | None = ABSENT
    list_price: bool | Absent = ABSENT


class BudgetPayload(Payload):
    id: int
    name: str
    scope: BudgetScope
    project_id: int | None
    agent_id: int | None
    task_id: int | None
    run_id: str | None
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
    period_starts_at: UnixSeconds | None
    resets_at: UnixSeconds | None
    created_at: UnixSeconds
    updated_at: UnixSeconds
    version: int


class BudgetAnswerPayload(Payload):
    budget: BudgetPayload


class BudgetListPayload(Payload):
    budgets: list[BudgetPayload]
    total: int


def _payload(account: BudgetAccount) -> BudgetPayload:
    budget, number, since, until = account.budget, account.target_number, account.starts_at, account.resets_at
    return BudgetPayload(
        id=budget.number, project_id=number if budget.board else None, agent_id=number if budget.agent else None,
        task_id=number if budget.task else None, run_id=str(budget.run) if budget.run else None,
        period_starts_at=None if since is None else seconds_of(since),
        resets_at=None if until is None else seconds_of(until), created_at=seconds_of(budget.created_at),
        updated_at=seconds_of(budget.updated_at), **budget_values(account),
    )  # fmt: skip


async def _response(request: Request, budget: BudgetId | BudgetNumber, status: int = 200) -> Response:
    account = await get_budget(ports_of(request), principal_of(request), budget)
    headers = {"etag": etag_of(account.budget.version)}
    return json_response(BudgetAnswerPayload(budget=_payload(account)), status, headers)


async def list_all_budgets(request: Request) -> Response:
    """
    List the budgets, each with what is spent and reserved in its present period.

    First come the budgets of the workspace (the scope `organization`), then those of projects (`board`), agents, tasks
    and runs. A member with grants sees the budgets of those projects. Amounts are dollars if the budget measures money,
    otherwise tokens, runs or seconds.
    """
    found = await list_budgets(ports_of(request), principal_of(request))
    return json_response(BudgetListPayload(budgets=[_payload(each) for each in found], total=len(found)))


async def add_budget(request: Request) -> Response:
    """
    Create a budget for the workspace, a project, an agent, a task or a run.

    A hard budget starts no run that has no room in it: each claim reserves `per_run` until its lease ends, and what the
    run spends uses that up first. Another budget only announces 50, 80 and 100 % of its limit as events. What the token
    ledger already has in the present period counts; runs and time count from now on.
    """
    with fields_named(TARGETS):
        command = (await body_of(request, BudgetBody)).command()
        budget = await perform_once(request, create_budget, command, repeat_budget)
    return await _response(request, budget.id, 201)


async def read_budget(request: Request) -> Response:
    """
    Get a budget, with what is spent and reserved in its present period.
    """
    return await _response(request, budget_in(request))


async def change_budget(request: Request) -> Response:
    """
    Update a budget.

    Fields that are not sent stay as they are. A raised limit lets runs go on, and its thresholds be announced again.
    """
    ports, principal, key = ports_of(request), principal_of(request), budget_in(request)
    body = await body_of(request, UpdateBudgetBody)
    account = await get_budget(ports, principal, key)
    told = told_amounts(account.budget.measure, dict(field_values(body)))
    command = UpdateBudget(budget=account.budget.id, expects=expected_version_of(request), **told)
    await update_budget(ports, principal, command)
    return await _response(request, key)


async def remove_budget(request: Request) -> Response:
    """
    Delete a budget. What it held back may start.
    """
    command = DeleteBudget(budget=budget_in(request), expects=expected_version_of(request))
    await delete_budget(ports_of(request), principal_of(request), command)
    return json_response(SuccessPayload(success=True))


ENDPOINTS = [
    Endpoint(
        "GET", "/budgets", list_all_budgets, gives=BudgetListPayload, who=VIEWER, operation_id="fleet_listBudgets"
    ),
    Endpoint(
        "POST", "/budgets", add_budget, takes=BudgetBody, gives=BudgetAnswerPayload, status=201, who=ADMIN,
        headers=(IDEMPOTENCY_KEY,),
        refuses=(AgentNotFound, BoardDenied, BoardNotFound, KeyReused, RunNotFound, TaskNotFound),
        operation_id="fleet_createBudget",
    ),
    Endpoint(
        "GET", "/budgets/{id}", read_budget, gives=BudgetAnswerPayload, who=VIEWER, refuses=(BudgetNotFound,),
        operation_id="fleet_getBudget",
    ),
    Endpoint(
        "PATCH", "/budgets/{id}", change_budget, takes=UpdateBudgetBody, gives=BudgetAnswerPayload, who=ADMIN,
        headers=(IF_MATCH,), refuses=(BoardDenied, BudgetNotFound, VersionMismatch), operation_id="fleet_updateBudget",
    ),
    Endpoint(
        "DELETE", "/budgets/{id}", remove_budget, gives=SuccessPayload, who=ADMIN, headers=(IF_MATCH,),
        refuses=(BoardDenied, BudgetNotFound, VersionMismatch), operation_id="fleet_deleteBudget",
    ),
]  # fmt: skip
