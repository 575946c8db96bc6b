"""
Operations on leases: claim, heartbeat, complete, fail, release, adopt a late result, order, and history of runs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Annotated, Any, Literal, Protocol, TypeVar
from uuid import UUID

from attrs import evolve
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.key_scopes import SELF
from mission_core.accounts.model import KeyOfAnotherAgent, Principal
from mission_core.boards.model import BoardNotFound
from mission_core.errors import KeyReused, VersionMismatch
from mission_core.ids import BoardId, BoardNumber, OrderId, RunId, TaskId, TaskNumber
from mission_core.ports import Ports
from mission_core.tasks.explanations import explain_task
from mission_core.tasks.heartbeats import Heartbeat, heartbeat, repeat_heartbeat
from mission_core.tasks.late_result_adoption import (
    AdoptionNeedsLease,
    AdoptLateResult,
    LateResultNotAdoptable,
    adopt_result,
)
from mission_core.tasks.late_results import LateResultNotFound, late_results_by_run
from mission_core.tasks.leases import (
    ClaimNext,
    ClaimResult,
    ClaimTask,
    CompleteTask,
    FailTask,
    ReleaseTask,
    claim_next,
    claim_task,
    complete_task,
    fail_task,
    release_task,
    repeat_claim,
)
from mission_core.tasks.model import BlockedByDependencies, GateClosed, NotClaimable, NotYourTask, Task, TaskNotFound
from mission_core.tasks.operator_orders import GiveOrder, give_order
from mission_core.tasks.ports import BudgetReached
from mission_core.tasks.runs import (
    FAILURE_BY_CODE,
    Failure,
    LeaseLost,
    LeaseTerms,
    LeaseUnknown,
    NoLiveLease,
    OrderKind,
    Outcome,
    TaskResult,
)
from mission_core.tasks.task_access import check_own_task
from mission_core.values import JsonText, json_text
from mission_http.fleet.access import OPERATOR, VIEWER, agent_name_header_of
from mission_http.fleet.bodies import EntityNumber, JsonObjectText, stripped_text
from mission_http.fleet.path_parameters import task_in
from mission_http.fleet.payloads import (
    BeatPayload,
    ClaimPayload,
    ExplanationPayload,
    LateResultPayload,
    LeasePayload,
    RunListPayload,
    RunPayload,
    TaskAnswerPayload,
)
from mission_http.fleet.responses import committed_task, perform_once_on_task, task_reference
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.etags import IF_MATCH, etag_of, expected_version_of
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.field_annotations import Body, CustomCheck, Length, NumberRange
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, perform_once
from mission_http.platform.json_responses import json_response

LongText = Annotated[str, Length(0, 5000)]
AgentName = Annotated[str, CustomCheck(stripped_text), Length(0, 100)]
FailureReasonName = Literal[
    "transient", "rate_limited", "timeout", "crashed", "tool_failed", "unclear", "access_missing", "impossible",
    "refused",
]  # fmt: skip


class ClaimBody(Body):
    """
    A claim: the agent, optionally the project, and the length of the lease.
    """

    agent: AgentName | None = None
    project_id: EntityNumber | None = None
    lease_seconds: Annotated[int, NumberRange(1, 86_400)] = 300

    @property
    def terms(self) -> LeaseTerms:
        return LeaseTerms(term=timedelta(seconds=self.lease_seconds))

    def next_command(self, *, board: BoardId | None, label: str | None) -> ClaimNext:
        return ClaimNext(agent=self.agent or label, board=board, terms=self.terms)

    def command(
        self, task: TaskId | TaskNumber, *, board: BoardId | None, label: str | None, expects: int | None
    ) -> ClaimTask:
        return ClaimTask(task=task, on=board, agent=self.agent or label, terms=self.terms, expects=expects)


class LeaseHeartbeatBody(Body):
    lease: str
    progress: JsonObjectText | None = None
    acknowledges: UUID | None = None
    waiting_for: Annotated[str, Length(1, 5000)] | None = None
    wait_seconds: Annotated[int, NumberRange(1, 2_592_000)] = 86_400

    def command(self, task: TaskId | TaskNumber, *, expects: int | None) -> Heartbeat:
        return Heartbeat(
            task=task,
            lease=self.lease,
            progress=_text(self.progress),
            acknowledges=OrderId(self.acknowledges) if self.acknowledges else None,
            waiting_for=self.waiting_for,
            wait=timedelta(seconds=self.wait_seconds),
            expects=expects,
        )


class CompleteBody(Body):
    lease: str
    outcome: TaskResult = TaskResult.SUCCESS
    resolution: LongText | None = None
    output: JsonObjectText | None = None

    def command(self, task: TaskId | TaskNumber, *, expects: int | None) -> CompleteTask:
        outcome = Outcome(result=self.outcome, resolution=self.resolution, output=_text(self.output))
        return CompleteTask(task=task, lease=self.lease, outcome=outcome, expects=expects)


class FailBody(Body):
    lease: str
    reason: FailureReasonName
    message: LongText | None = None

    def command(self, task: TaskId | TaskNumber, *, expects: int | None) -> FailTask:
        failure = Failure(reason=FAILURE_BY_CODE[self.reason], message=self.message)
        return FailTask(task=task, lease=self.lease, failure=failure, expects=expects)


class ReleaseBody(Body):
    lease: str
    note: LongText | None = None

    def command(self, task: TaskId | TaskNumber, *, expects: int | None) -> ReleaseTask:
        return ReleaseTask(task=task, lease=self.lease, note=self.note, expects=expects)


class AdoptBody(Body):
    """
    The run whose late result completes the task, and the lease of the current holder; an operator sends no lease.
    """

    run_id: UUID
    lease: str | None = None

    def command(self, task: TaskId | TaskNumber, *, expects: int | None) -> AdoptLateResult:
        return AdoptLateResult(task=task, run=RunId(self.run_id), lease=self.lease, expects=expects)


class OrderBody(Body):
    kind: OrderKind
    message: LongText | None = None
    to: AgentName | None = None

    def command(self, task: TaskId | TaskNumber, *, expects: int | None) -> GiveOrder:
        return GiveOrder(task=task, kind=self.kind, message=self.message, to=self.to or None, expects=expects)


C_co = TypeVar("C_co", covariant=True)


class TaskCommandBody(Protocol[C_co]):
    """
    A body that makes a command on a task.
    """

    def command(self, task: TaskId | TaskNumber, *, expects: int | None) -> C_co: ...


async def claim_any(request: Request) -> Response:
    """
    Claim the next task of the queue.

    The order is priority, then due date, then age. Blocked, delayed and leased tasks are skipped. Without a task,
    `task` and `lease` are null.
    """
    body = await body_of(request, ClaimBody)
    command = body.next_command(board=await _board(request, body), label=agent_name_header_of(request))
    return await _claim_response(request, await perform_once(request, claim_next, command, repeat_claim))


async def claim_one(request: Request) -> Response:
    """
    Claim this task, and return its lease.
    """
    body = await body_of(request, ClaimBody)
    task, expects = task_in(request), expected_version_of(request)
    label = agent_name_header_of(request)
    command = body.command(task, board=await _board(request, body), label=label, expects=expects)
    return await _claim_response(request, await perform_once(request, claim_task, command, repeat_claim))


async def _board(request: Request, body: ClaimBody) -> BoardId | None:
    if body.project_id is None:
        return None
    return await ports_of(request).reads.boards.check(principal_of(request), BoardNumber(body.project_id))


async def _claim_response(request: Request, claimed: ClaimResult | None) -> Response:
    if claimed is None:
        return json_response(ClaimPayload(task=None, lease=None, late_results=[]))
    task = await committed_task(request, claimed.task)
    late_results = [LateResultPayload.of(each) for each in claimed.late_results]
    answer = ClaimPayload(task=task, lease=LeasePayload.of(claimed), late_results=late_results)
    return json_response(answer, headers={"etag": etag_of(task.version)})


async def keep_lease(request: Request) -> Response:
    """
    Renew the lease, and receive the current order.

    An order is repeated until its id is acknowledged.
    """
    body = await body_of(request, LeaseHeartbeatBody)
    command = body.command(task_in(request), expects=expected_version_of(request))
    return json_response(BeatPayload.of(await perform_once(request, heartbeat, command, repeat_heartbeat)))


async def complete(request: Request) -> Response:
    """
    Complete the task with a result.

    On a project whose gates require it, the task goes to review unless it is approved. A repeated request with the same
    content gets the same response. After the lease is lost, the request is refused and its content is stored with the
    run as a late result.
    """
    return await _run_on_task(request, CompleteBody, complete_task)


async def adopt(request: Request) -> Response:
    """
    Complete the task with a late result.

    All gates apply, and the agent that handed in the result counts as an author. The current holder sends its lease. An
    operator sends none and ends the current lease.
    """
    return await _run_on_task(request, AdoptBody, adopt_result)


async def fail(request: Request) -> Response:
    """
    Report that the run failed.

    The reason decides what follows: another attempt after a delay, a decision by a person, or nothing.
    """
    return await _run_on_task(request, FailBody, fail_task)


async def release(request: Request) -> Response:
    """
    Release the task unfinished, with a note for the next agent.
    """
    return await _run_on_task(request, ReleaseBody, release_task)


async def order(request: Request) -> Response:
    """
    Give an order to the agent that works on the task.

    `steal` takes effect at once. The holder receives other orders in the responses to its heartbeats.
    """
    return await _run_on_task(request, OrderBody, give_order)


async def _run_on_task(
    request: Request, shape: type[TaskCommandBody[C_co]], use_case: Callable[[Ports, Principal, C_co], Awaitable[Task]]
) -> Response:
    body = await body_of(request, shape)
    command = body.command(task_in(request), expects=expected_version_of(request))
    return await perform_once_on_task(request, use_case, command)


async def explain(request: Request) -> Response:
    """
    Explain the state of the task: since when, why, and what happens next.
    """
    row = await task_reference(request, task_in(request))
    check_own_task(principal_of(request), row.assignee)
    found = await explain_task(ports_of(request), principal_of(request), task_in(request))
    return json_response(ExplanationPayload.of(found))


async def list_runs(request: Request) -> Response:
    """
    List the runs of a task, newest first.
    """
    row = await task_reference(request, task_in(request))
    check_own_task(principal_of(request), row.assignee)
    ports, principal = ports_of(request), principal_of(request)
    runs = await ports.reads.tasks.runs(principal, task_in(request))
    late = await late_results_by_run(ports, principal, TaskId(UUID(bytes=row.id)))
    shown = {id: LateResultPayload.of(each) for id, each in late.items()}
    rendered = [
        RunPayload.of(run, task_id=row.number, late_result=shown.get(RunId(UUID(bytes=run.id)))) for run in runs
    ]
    return json_response(RunListPayload(runs=rendered, total=len(runs)))


def _text(value: dict[str, Any] | None) -> JsonText | None:
    return None if value is None else json_text(value)


LEASE_REFUSALS = (TaskNotFound, LeaseUnknown, LeaseLost, VersionMismatch, KeyReused)
WRITE_ENDPOINT = Endpoint(
    "POST", "", complete, gives=TaskAnswerPayload, who=OPERATOR, headers=(IDEMPOTENCY_KEY, IF_MATCH),
    refuses=LEASE_REFUSALS,
    scope=SELF,
)  # fmt: skip
READ_ENDPOINT = evolve(WRITE_ENDPOINT, method="GET", who=VIEWER, headers=(), refuses=(TaskNotFound, NotYourTask))

ENDPOINTS = [
    evolve(
        WRITE_ENDPOINT, path="/tasks/claim", handler=claim_any, takes=ClaimBody, gives=ClaimPayload,
        headers=(IDEMPOTENCY_KEY,), refuses=(BoardNotFound, KeyOfAnotherAgent, KeyReused),
        operation_id="fleet_claimNext",
    ),
    evolve(
        WRITE_ENDPOINT, path="/tasks/{id}/claim", handler=claim_one, takes=ClaimBody, gives=ClaimPayload,
        refuses=(TaskNotFound, NotClaimable, BudgetReached, KeyOfAnotherAgent, VersionMismatch, KeyReused),
        operation_id="fleet_claimTask",
    ),
    evolve(
        WRITE_ENDPOINT, path="/tasks/{id}/lease/heartbeat", handler=keep_lease, takes=LeaseHeartbeatBody,
        gives=BeatPayload, operation_id="fleet_leaseHeartbeat",
    ),
    evolve(
        WRITE_ENDPOINT, path="/tasks/{id}/complete", handler=complete, takes=CompleteBody,
        refuses=(*LEASE_REFUSALS, GateClosed), operation_id="fleet_completeTask",
    ),
    evolve(
        WRITE_ENDPOINT, path="/tasks/{id}/adopt", handler=adopt, takes=AdoptBody,
        refuses=(*LEASE_REFUSALS, LateResultNotFound, AdoptionNeedsLease, LateResultNotAdoptable,
        BlockedByDependencies, GateClosed),
        operation_id="fleet_adoptResult",
    ),
    evolve(WRITE_ENDPOINT, path="/tasks/{id}/fail", handler=fail, takes=FailBody, operation_id="fleet_failTask"),
    evolve(WRITE_ENDPOINT, path="/tasks/{id}/release", handler=release, takes=ReleaseBody,
    operation_id="fleet_releaseTask"),
    evolve(
        WRITE_ENDPOINT, path="/tasks/{id}/orders", handler=order, takes=OrderBody,
        refuses=(TaskNotFound, NoLiveLease, NotYourTask, VersionMismatch, KeyReused), scope=None,
        operation_id="fleet_orderTask",
    ),
    evolve(
        READ_ENDPOINT, path="/tasks/{id}/explain", handler=explain, gives=ExplanationPayload,
        operation_id="fleet_explainTask",
    ),
    evolve(READ_ENDPOINT, path="/tasks/{id}/runs", handler=list_runs, gives=RunListPayload,
    operation_id="fleet_listTaskRuns"),
]  # fmt: skip
