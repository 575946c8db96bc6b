"""
Operations on leases: claim, heartbeat, complete, fail, release, adopt a late result, order, and history of runs.
"""

from __future__ import annotations

from uuid import UUID

from attrs import evolve
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.key_scopes import SELF
from mission_core.accounts.model import KeyOfAnotherAgent, Principal
from mission_core.boards.model import BoardNotFound
from mission_core.errors import KeyReused, VersionMismatch
from mission_core.ids import BoardId, BoardNumber, RunId, TaskId
from mission_core.ports import Ports
from mission_core.tasks.explanations import explain_task
from mission_core.tasks.heartbeats import HeartbeatResult, heartbeat, repeat_heartbeat
from mission_core.tasks.late_result_adoption import AdoptionNeedsLease, LateResultNotAdoptable, adopt_result
from mission_core.tasks.late_results import LateResultNotFound, late_results_by_run
from mission_core.tasks.leases import (
    ClaimResult,
    claim_next,
    claim_task,
    complete_task,
    fail_task,
    release_task,
    repeat_claim,
)
from mission_core.tasks.model import BlockedByDependencies, GateClosed, NotClaimable, NotYourTask, TaskNotFound
from mission_core.tasks.operator_orders import give_order
from mission_core.tasks.runs import LeaseLost, LeaseUnknown, NoLiveLease
from mission_core.tasks.task_access import check_own_task
from mission_http.fleet.access import OPERATOR, VIEWER, agent_name_header_of
from mission_http.fleet.lease_bodies import (
    AdoptBody,
    ClaimBody,
    CompleteBody,
    FailBody,
    LeaseHeartbeatBody,
    OrderBody,
    ReleaseBody,
)
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
    TaskPayload,
)
from mission_http.fleet.responses import perform_once_for_id, task_response, task_row
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.etags import IF_MATCH, etag_of, expected_version_of
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, perform_once
from mission_http.platform.json_responses import json_response


async def claim_any(request: Request) -> Response:
    """
    Claim the next task of the queue.

    The order is priority, then due date, then age. Blocked, delayed and leased tasks are skipped. Without a task,
    `task` and `lease` are null.
    """
    body = await body_of(request, ClaimBody)
    command = body.next(board=await _board(request, body), label=agent_name_header_of(request))
    return await _claim_response(request, await perform_once(request, claim_next, command, _claimed_again))


async def claim_one(request: Request) -> Response:
    """
    Claim this task, and return its lease.
    """
    body = await body_of(request, ClaimBody)
    task, expects = task_in(request), expected_version_of(request)
    command = body.of(task, board=await _board(request, body), label=agent_name_header_of(request), expects=expects)
    return await _claim_response(request, await perform_once(request, claim_task, command, _claimed_again))


async def _board(request: Request, body: ClaimBody) -> BoardId | None:
    if body.project_id is None:
        return None
    return await ports_of(request).reads.boards.check(principal_of(request), BoardNumber(body.project_id))


async def _claimed_again(ports: Ports, principal: Principal, run: UUID) -> ClaimResult:
    return await repeat_claim(ports, principal, RunId(run))


async def _claim_response(request: Request, claimed: ClaimResult | None) -> Response:
    if claimed is None:
        return json_response(ClaimPayload(task=None, lease=None, late_results=[]))
    row = await task_row(request, claimed.task.id)
    late_results = [LateResultPayload.of(each) for each in claimed.late_results]
    answer = ClaimPayload(task=TaskPayload.of(row), lease=LeasePayload.of(claimed), late_results=late_results)
    return json_response(answer, headers={"etag": etag_of(row.version)})


async def keep_lease(request: Request) -> Response:
    """
    Renew the lease, and receive the current order.

    An order is repeated until its id is acknowledged.
    """
    body = await body_of(request, LeaseHeartbeatBody)
    beat = await perform_once(
        request, heartbeat, body.of(task_in(request), expects=expected_version_of(request)), _heartbeat_again
    )
    return json_response(BeatPayload.of(beat))


async def _heartbeat_again(ports: Ports, principal: Principal, run: UUID) -> HeartbeatResult:
    return await repeat_heartbeat(ports, principal, RunId(run))


async def complete(request: Request) -> Response:
    """
    Complete the task with a result.

    On a project whose gates require it, the task goes to review unless it is approved. A repeated request with the same
    content gets the same response. After the lease is lost, the request is refused and its content is stored with the
    run as a late result.
    """
    body = await body_of(request, CompleteBody)
    task = await perform_once_for_id(
        request, complete_task, body.of(task_in(request), expects=expected_version_of(request))
    )
    return await task_response(request, TaskId(task))


async def adopt(request: Request) -> Response:
    """
    Complete the task with a late result.

    All gates apply, and the agent that handed in the result counts as an author. The current holder sends its lease. An
    operator sends none and ends the current lease.
    """
    body = await body_of(request, AdoptBody)
    task = await perform_once_for_id(
        request, adopt_result, body.of(task_in(request), expects=expected_version_of(request))
    )
    return await task_response(request, TaskId(task))


async def fail(request: Request) -> Response:
    """
    Report that the run failed.

    The reason decides what follows: another attempt after a delay, a decision by a person, or nothing.
    """
    body = await body_of(request, FailBody)
    task = await perform_once_for_id(
        request, fail_task, body.of(task_in(request), expects=expected_version_of(request))
    )
    return await task_response(request, TaskId(task))


async def release(request: Request) -> Response:
    """
    Release the task unfinished, with a note for the next agent.
    """
    body = await body_of(request, ReleaseBody)
    task = await perform_once_for_id(
        request, release_task, body.of(task_in(request), expects=expected_version_of(request))
    )
    return await task_response(request, TaskId(task))


async def order(request: Request) -> Response:
    """
    Give an order to the agent that works on the task.

    `steal` takes effect at once. The holder receives other orders in the responses to its heartbeats.
    """
    body = await body_of(request, OrderBody)
    task = await perform_once_for_id(
        request, give_order, body.of(task_in(request), expects=expected_version_of(request))
    )
    return await task_response(request, TaskId(task))


async def explain(request: Request) -> Response:
    """
    Explain the state of the task: since when, why, and what happens next.
    """
    row = await task_row(request, task_in(request))
    check_own_task(principal_of(request), row.assignee)
    found = await explain_task(ports_of(request), principal_of(request), task_in(request))
    return json_response(ExplanationPayload.of(found))


async def list_runs(request: Request) -> Response:
    """
    List the runs of a task, newest first.
    """
    row = await task_row(request, task_in(request))
    check_own_task(principal_of(request), row.assignee)
    ports, principal = ports_of(request), principal_of(request)
    runs = await ports.reads.tasks.runs(principal, task_in(request))
    late = await late_results_by_run(ports, principal, TaskId(UUID(bytes=row.id)))
    shown = {id: LateResultPayload.of(each) for id, each in late.items()}
    rendered = [
        RunPayload.of(run, task_id=row.number, late_result=shown.get(RunId(UUID(bytes=run.id)))) for run in runs
    ]
    return json_response(RunListPayload(runs=rendered, total=len(runs)))


LEASE_REFUSALS = (TaskNotFound, LeaseUnknown, LeaseLost, VersionMismatch, KeyReused)
WRITE_ENDPOINT = Endpoint(
    "POST", "", complete, gives=TaskAnswerPayload, who=OPERATOR, headers=(IDEMPOTENCY_KEY, IF_MATCH),
    refuses=LEASE_REFUSALS,
    scope=SELF, tags=("Tasks",),
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
        refuses=(TaskNotFound, NotClaimable, KeyOfAnotherAgent, VersionMismatch, KeyReused),
        operation_id="fleet_claimTask",
    ),
    evolve(
        WRITE_ENDPOINT, path="/tasks/{id}/lease/heartbeat", handler=keep_lease, takes=LeaseHeartbeatBody,
        gives=BeatPayload,
        operation_id="fleet_leaseHeartbeat",
    ),
    evolve(
        WRITE_ENDPOINT, path="/tasks/{id}/complete", handler=complete, takes=CompleteBody,
        refuses=(*LEASE_REFUSALS, GateClosed),
        operation_id="fleet_completeTask",
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
