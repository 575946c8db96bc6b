"""
Operations on leases: claim, heartbeat, complete, fail, release, adopt a late result, order, and history of runs.
"""

from __future__ import annotations

from uuid import UUID

from attrs import evolve
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.model import NotYourAgent, Principal
from mission_core.accounts.scopes import SELF
from mission_core.boards.model import BoardNotFound
from mission_core.errors import KeyReused, VersionMismatch
from mission_core.ids import BoardId, BoardNumber, RunId, TaskId
from mission_core.ports import Ports
from mission_core.tasks.adopt import LeaseNeeded, NotAdoptable, adopt_result
from mission_core.tasks.beating import Beat, beat_again, heartbeat
from mission_core.tasks.explaining import explain_task
from mission_core.tasks.late_results import LateResultNotFound, late_results_by_run
from mission_core.tasks.model import Blocked, GateClosed, NotClaimable, NotYourTask, TaskNotFound
from mission_core.tasks.ordering import give_order
from mission_core.tasks.reach import own_tasks_only
from mission_core.tasks.runs import LeaseLost, LeaseUnknown, NotRunning
from mission_core.tasks.work import (
    Claimed,
    claim_next,
    claim_task,
    claimed_again,
    complete_task,
    fail_task,
    release_task,
)
from mission_http.fleet.access import OPERATOR, VIEWER, label_of
from mission_http.fleet.answers import kept_once, task_answer, task_row
from mission_http.fleet.lease_bodies import (
    AdoptBody,
    ClaimBody,
    CompleteBody,
    FailBody,
    LeaseHeartbeatBody,
    OrderBody,
    ReleaseBody,
)
from mission_http.fleet.paths import task_in
from mission_http.fleet.payloads import (
    BeatPayload,
    ClaimPayload,
    ExplanationPayload,
    RunListPayload,
    TaskAnswerPayload,
)
from mission_http.fleet.wire import heartbeat_seconds, late_result_of, lease_of, run_of, seconds_of, task_of
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.etags import IF_MATCH, etag_of, expects_of
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, once
from mission_http.platform.json import json_of


async def claim_any(request: Request) -> Response:
    """
    Claim the next task of the queue.

    The order is priority, then due date, then age. Blocked, delayed and leased tasks are skipped. Without a task,
    `task` and `lease` are null.
    """
    body = await body_of(request, ClaimBody)
    command = body.next(board=await _board(request, body), label=label_of(request))
    return await _claimed(request, await once(request, claim_next, command, _claimed_again))


async def claim_one(request: Request) -> Response:
    """
    Claim this task.
    """
    body = await body_of(request, ClaimBody)
    task, expects = task_in(request), expects_of(request)
    command = body.of(task, board=await _board(request, body), label=label_of(request), expects=expects)
    return await _claimed(request, await once(request, claim_task, command, _claimed_again))


async def _board(request: Request, body: ClaimBody) -> BoardId | None:
    if body.project_id is None:
        return None
    return await ports_of(request).reads.boards.check(principal_of(request), BoardNumber(body.project_id))


async def _claimed_again(ports: Ports, principal: Principal, run: UUID) -> Claimed:
    return await claimed_again(ports, principal, RunId(run))


async def _claimed(request: Request, claimed: Claimed | None) -> Response:
    if claimed is None:
        return json_of({"task": None, "lease": None, "late_results": []})
    row = await task_row(request, claimed.task.id)
    late_results = [late_result_of(each) for each in claimed.late_results]
    answer = {"task": task_of(row), "lease": lease_of(claimed), "late_results": late_results}
    return json_of(answer, headers={"etag": etag_of(row.version)})


async def keep_lease(request: Request) -> Response:
    """
    Renew the lease, and receive the current order.

    An order is repeated until its id is acknowledged.
    """
    body = await body_of(request, LeaseHeartbeatBody)
    beat = await once(request, heartbeat, body.of(task_in(request), expects=expects_of(request)), _beat_again)
    run, order = beat.run, beat.order
    return json_of(
        {
            "order": {
                "id": str(order.id) if order else None,
                "kind": beat.instruction,
                "message": order.message if order else None,
            },
            "state": run.state.value,
            "expires_at": seconds_of(run.expires_at),
            "heartbeat_seconds": heartbeat_seconds(run.term),
            "late_results": [late_result_of(each) for each in beat.late_results],
        }
    )


async def _beat_again(ports: Ports, principal: Principal, run: UUID) -> Beat:
    return await beat_again(ports, principal, RunId(run))


async def complete(request: Request) -> Response:
    """
    Complete the task with a result.

    On a project whose gates require it, the task goes to review unless it is approved. A repeated request with the same
    content gets the same response. After the lease is lost, the request is refused and its content is stored with the
    run as a late result.
    """
    body = await body_of(request, CompleteBody)
    task = await kept_once(request, complete_task, body.of(task_in(request), expects=expects_of(request)))
    return await task_answer(request, TaskId(task))


async def adopt(request: Request) -> Response:
    """
    Complete the task with a late result.

    All gates apply, and the agent that handed in the result counts as an author. The current holder sends its lease. An
    operator sends none and ends the current lease.
    """
    body = await body_of(request, AdoptBody)
    task = await kept_once(request, adopt_result, body.of(task_in(request), expects=expects_of(request)))
    return await task_answer(request, TaskId(task))


async def fail(request: Request) -> Response:
    """
    Report that the run failed.

    The reason decides what follows: another attempt after a delay, a decision by a person, or nothing.
    """
    body = await body_of(request, FailBody)
    task = await kept_once(request, fail_task, body.of(task_in(request), expects=expects_of(request)))
    return await task_answer(request, TaskId(task))


async def release(request: Request) -> Response:
    """
    Release the task unfinished, with a note for the next agent.
    """
    body = await body_of(request, ReleaseBody)
    task = await kept_once(request, release_task, body.of(task_in(request), expects=expects_of(request)))
    return await task_answer(request, TaskId(task))


async def order(request: Request) -> Response:
    """
    Give an order to the agent that works on the task.

    `steal` takes effect at once. The holder receives other orders in the responses to its heartbeats.
    """
    body = await body_of(request, OrderBody)
    task = await kept_once(request, give_order, body.of(task_in(request), expects=expects_of(request)))
    return await task_answer(request, TaskId(task))


async def explain(request: Request) -> Response:
    """
    Explain the state of the task: since when, why, and what happens next.
    """
    row = await task_row(request, task_in(request))
    own_tasks_only(principal_of(request), row.assignee)
    found = await explain_task(ports_of(request), principal_of(request), task_in(request))
    return json_of(
        {
            "state": found.state.value,
            "since": seconds_of(found.since),
            "why": found.why,
            "next": found.next,
            "late_results": [late_result_of(each) for each in found.late_results],
        }
    )


async def list_runs(request: Request) -> Response:
    """
    List the runs of a task, newest first.
    """
    row = await task_row(request, task_in(request))
    own_tasks_only(principal_of(request), row.assignee)
    ports, principal = ports_of(request), principal_of(request)
    runs = await ports.reads.tasks.runs(principal, task_in(request))
    late = await late_results_by_run(ports, principal, TaskId(UUID(bytes=row.id)))
    shown = [run_of(run, late.get(RunId(UUID(bytes=run.id))), task=row.number) for run in runs]
    return json_of({"runs": shown, "total": len(runs)})


HELD = (TaskNotFound, LeaseUnknown, LeaseLost, VersionMismatch, KeyReused)
WRITES = Endpoint(
    "POST", "", complete, gives=TaskAnswerPayload, who=OPERATOR, headers=(IDEMPOTENCY_KEY, IF_MATCH), refuses=HELD,
    scope=SELF, tags=("Tasks",),
)  # fmt: skip
READS = evolve(WRITES, method="GET", who=VIEWER, headers=(), refuses=(TaskNotFound, NotYourTask))

ENDPOINTS = [
    evolve(
        WRITES, path="/tasks/claim", handler=claim_any, takes=ClaimBody, gives=ClaimPayload,
        headers=(IDEMPOTENCY_KEY,), refuses=(BoardNotFound, NotYourAgent, KeyReused), operation_id="fleet_claimNext",
    ),
    evolve(
        WRITES, path="/tasks/{id}/claim", handler=claim_one, takes=ClaimBody, gives=ClaimPayload,
        refuses=(TaskNotFound, NotClaimable, NotYourAgent, VersionMismatch, KeyReused),
        operation_id="fleet_claimTask",
    ),
    evolve(
        WRITES, path="/tasks/{id}/lease/heartbeat", handler=keep_lease, takes=LeaseHeartbeatBody, gives=BeatPayload,
        operation_id="fleet_leaseHeartbeat",
    ),
    evolve(
        WRITES, path="/tasks/{id}/complete", handler=complete, takes=CompleteBody, refuses=(*HELD, GateClosed),
        operation_id="fleet_completeTask",
    ),
    evolve(
        WRITES, path="/tasks/{id}/adopt", handler=adopt, takes=AdoptBody,
        refuses=(*HELD, LateResultNotFound, LeaseNeeded, NotAdoptable, Blocked, GateClosed),
        operation_id="fleet_adoptResult",
    ),
    evolve(WRITES, path="/tasks/{id}/fail", handler=fail, takes=FailBody, operation_id="fleet_failTask"),
    evolve(WRITES, path="/tasks/{id}/release", handler=release, takes=ReleaseBody, operation_id="fleet_releaseTask"),
    evolve(
        WRITES, path="/tasks/{id}/orders", handler=order, takes=OrderBody,
        refuses=(TaskNotFound, NotRunning, NotYourTask, VersionMismatch, KeyReused), scope=None,
        operation_id="fleet_orderTask",
    ),
    evolve(
        READS, path="/tasks/{id}/explain", handler=explain, gives=ExplanationPayload,
        operation_id="fleet_explainTask",
    ),
    evolve(READS, path="/tasks/{id}/runs", handler=list_runs, gives=RunListPayload, operation_id="fleet_listTaskRuns"),
]  # fmt: skip
