"""
Operations that work on tasks under a lease, for users (`/boards/{board_id}/tasks`) and for agents (`/agent/boards/…`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar, cast
from uuid import UUID

from attrs import evolve
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.model import Principal
from mission_core.boards.model import BoardDenied, BoardNotFound
from mission_core.errors import VersionMismatch
from mission_core.ids import BoardId, RunId, TaskId
from mission_core.ports import Ports
from mission_core.tasks.explanations import explain_task
from mission_core.tasks.heartbeats import heartbeat, repeat_heartbeat
from mission_core.tasks.late_result_adoption import AdoptionNeedsLease, LateResultNotAdoptable, adopt_result
from mission_core.tasks.late_results import LateResult, LateResultNotFound, late_results_by_run
from mission_core.tasks.leases import (
    ClaimResult,
    claim_next,
    claim_task,
    complete_task,
    fail_task,
    release_task,
    repeat_claim,
)
from mission_core.tasks.model import BlockedByDependencies, GateClosed, NotClaimable, Task, TaskNotFound
from mission_core.tasks.operator_orders import give_order
from mission_core.tasks.ports import BudgetReached
from mission_core.tasks.queries import RunRow
from mission_core.tasks.runs import LeaseLost, LeaseUnknown, NoLiveLease
from mission_http.boards.access import MIXED, BoardPath
from mission_http.boards.agent_hints import BOARD_AGENT_TAGS, agent_endpoint, agent_hints
from mission_http.boards.lease_payloads import (
    LateResultRead,
    LeaseBeat,
    LeaseHeartbeat,
    LeaseRead,
    RunRead,
    TaskAdopt,
    TaskClaim,
    TaskClaimedPayload,
    TaskComplete,
    TaskExplanation,
    TaskFail,
    TaskOrder,
    TaskRelease,
)
from mission_http.boards.payloads import LimitOffsetPage, NumberedPageQuery, TaskRead
from mission_http.boards.responses import page_response, task_payload, versioned_response
from mission_http.boards.tasks import TASKS, task_again
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.etags import IF_MATCH, etag_of, expected_version_of
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, perform_once
from mission_http.platform.json_responses import json_response
from mission_http.platform.query_strings import query_of

C_co = TypeVar("C_co", covariant=True)


async def claim_next_task(request: Request) -> Response:
    """
    Claim the next task of a board under a lease.

    Tasks are ordered by priority, due date and age. If there is none to claim, task and lease are null.
    """
    async with BoardPath.of(request) as place:
        body = await body_of(request, TaskClaim)
        claimed = await perform_once(request, claim_next, body.next_command(place.board), repeat_claim)
        return await _claim_response(request, claimed)


async def claim_this_task(request: Request) -> Response:
    """
    Claim this task under a lease.
    """
    async with BoardPath.of(request) as place:
        body = await body_of(request, TaskClaim)
        command = body.command(_task(place), on=place.board, expects=expected_version_of(request))
        claimed = await perform_once(request, claim_task, command, repeat_claim)
        return await _claim_response(request, claimed)


async def heartbeat_lease(request: Request) -> Response:
    """
    Extend a lease, and receive pending orders.

    The heartbeat may report progress, acknowledge an order by its id, or suspend the work until a person answers.
    """
    async with BoardPath.of(request) as place:
        body = await body_of(request, LeaseHeartbeat)
        command = body.command(_task(place), on=place.board, expects=expected_version_of(request))
        beat = await perform_once(request, heartbeat, command, repeat_heartbeat)
    return json_response(LeaseBeat.of(beat))


async def complete_lease(request: Request) -> Response:
    """
    Complete a lease with its result.

    On a board with gates the task goes to review, unless it was approved. If the lease was lost, completion is refused,
    and the result is stored with the run as a late result.
    """
    return await _run_on_task(request, TaskComplete, complete_task)


async def adopt_late_result(request: Request) -> Response:
    """
    Complete a task with a late result.

    Every gate applies, and the agent that produced the result counts as an author. The holder of the present lease
    sends that lease. A person or a lead sends none, and any present lease ends.
    """
    return await _run_on_task(request, TaskAdopt, adopt_result)


async def fail_lease(request: Request) -> Response:
    """
    Report that the work under a lease failed.

    The reason decides what follows: another attempt, a person's decision, or the end of the task.
    """
    return await _run_on_task(request, TaskFail, fail_task)


async def release_lease(request: Request) -> Response:
    """
    Release a lease without a result.

    The note is for the next agent that claims the task. The attempt does not count.
    """
    return await _run_on_task(request, TaskRelease, release_task)


async def order_task(request: Request) -> Response:
    """
    Give an order to the agent that works on a task.

    The order `steal` takes effect at once. Any other order is part of each heartbeat's response until a heartbeat
    acknowledges it.
    """
    return await _run_on_task(request, TaskOrder, give_order)


async def explain_this_task(request: Request) -> Response:
    """
    Explain the state of a task: since when, why, and what happens next.
    """
    async with BoardPath.of(request) as place:
        found = await explain_task(ports_of(request), principal_of(request), _task(place), on=place.board)
    return json_response(TaskExplanation.of(found))


async def list_runs(request: Request) -> Response:
    """
    List the runs of a task, latest first. A run's number is its `fence`.
    """
    async with BoardPath.of(request) as place:
        query = query_of(request, NumberedPageQuery)
        await place.check()
        ports, principal = ports_of(request), principal_of(request)
        runs = await ports.reads.tasks.runs(principal, _task(place))
        late = await late_results_by_run(ports, principal, _task(place))
    rest = [run for run in runs if query.after is None or run.fence < query.after]
    shown = rest[query.offset : query.offset + query.limit]
    return page_response(shown, len(runs), query, lambda run: _run_read(run, late.get(RunId(UUID(bytes=run.id)))))


def _run_read(run: RunRow, late: LateResult | None) -> RunRead:
    return RunRead.of(run, late_result=LateResultRead.of(late) if late else None)


class TaskCommandBody(Protocol[C_co]):
    """
    A body that becomes a command once the task is known.
    """

    def command(self, task: TaskId, *, on: BoardId, expects: int | None) -> C_co: ...


async def _run_on_task(
    request: Request, shape: type[TaskCommandBody[C_co]], use_case: Callable[[Ports, Principal, C_co], Awaitable[Task]]
) -> Response:
    async with BoardPath.of(request) as place:
        body = await body_of(request, shape)
        command = body.command(_task(place), on=place.board, expects=expected_version_of(request))
        task = await perform_once(request, use_case, command, task_again)
        return versioned_response(await task_payload(request, task))


def _task(place: BoardPath) -> TaskId:
    return cast(TaskId, place.task)


async def _claim_response(request: Request, claimed: ClaimResult | None) -> Response:
    if claimed is None:
        return json_response(TaskClaimedPayload(task=None, lease=None, late_results=[]))
    task, late = await task_payload(request, claimed.task), [LateResultRead.of(each) for each in claimed.late_results]
    answer = TaskClaimedPayload(task=task, lease=LeaseRead.of(claimed), late_results=late)
    return json_response(answer, headers={"etag": etag_of(task.version)})


TASK = TASKS + "/{task_id}"
LEASE_REFUSALS = (BoardDenied, TaskNotFound, LeaseUnknown, LeaseLost, VersionMismatch)
RETRY_HEADERS = (IDEMPOTENCY_KEY, IF_MATCH)
OPERATIONS = [
    (
        Endpoint(
            "POST", TASKS + "/claim", claim_next_task, takes=TaskClaim, gives=TaskClaimedPayload, body_required=False,
            headers=(IDEMPOTENCY_KEY,), refuses=(BoardNotFound, BoardDenied),
        ),
        agent_hints(
            "agent_task_claim_next", ["You are free and want the next work of the board."],
            unless=["You still hold a lease: complete, fail or release it first."],
            effects=["The task is in progress, and you hold it until its lease ends."],
        ),
    ),
    (
        Endpoint(
            "POST", TASK + "/claim", claim_this_task, takes=TaskClaim, gives=TaskClaimedPayload, body_required=False,
            headers=RETRY_HEADERS, refuses=(BoardDenied, TaskNotFound, NotClaimable, BudgetReached, VersionMismatch),
        ),
        agent_hints(
            "agent_task_claim", ["You were told to work on this very task."],
            unless=["Any task will do: claim the next one."],
            effects=["The task is in progress, and you hold it until its lease ends."],
        ),
    ),
    (
        Endpoint(
            "POST", TASK + "/lease/heartbeat", heartbeat_lease, takes=LeaseHeartbeat, gives=LeaseBeat,
            headers=RETRY_HEADERS, refuses=LEASE_REFUSALS,
        ),
        agent_hints(
            "agent_lease_heartbeat", ["You continue to work on a task: send a heartbeat every heartbeat_seconds."],
            unless=["The lease has ended: claim the task again, if it is still open."],
            effects=["The lease is extended; an acknowledged order takes effect."],
            needs=["Hold the lease that claiming returned."],
        ),
    ),
    (
        Endpoint(
            "POST", TASK + "/complete", complete_lease, takes=TaskComplete, gives=TaskRead, headers=RETRY_HEADERS,
            refuses=(*LEASE_REFUSALS, GateClosed),
        ),
        agent_hints(
            "agent_task_complete", ["The work is done and you have its result."],
            unless=["The work is not done: fail or release the lease."],
            effects=["The lease ends. The task is done, or in review if a gate requires it."],
            needs=["Hold the lease that claiming returned."],
        ),
    ),
    (
        Endpoint(
            "POST", TASK + "/adopt", adopt_late_result, takes=TaskAdopt, gives=TaskRead, headers=RETRY_HEADERS,
            refuses=(*LEASE_REFUSALS, LateResultNotFound, AdoptionNeedsLease, LateResultNotAdoptable,
            BlockedByDependencies, GateClosed),
        ),
        agent_hints(
            "agent_task_adopt", ["You have checked a late result of another agent, and it is what the task asks for."],
            unless=["You have a result of your own: complete the task with it."],
            effects=["Your lease ends. The task is done, or in review if a gate requires it."],
            needs=["Hold the lease that claiming returned, or lead the board."],
        ),
    ),
    (
        Endpoint("POST", TASK + "/fail", fail_lease, takes=TaskFail, gives=TaskRead, headers=RETRY_HEADERS,
        refuses=LEASE_REFUSALS),
        agent_hints(
            "agent_task_fail", ["You cannot finish the work and know why."],
            unless=["Another agent could continue: release the lease with a note."],
            effects=["The lease ends. The reason decides: another attempt, a person's decision, or failure."],
            needs=["Hold the lease that claiming returned."],
        ),
    ),
    (
        Endpoint(
            "POST", TASK + "/release", release_lease, takes=TaskRelease, gives=TaskRead, headers=RETRY_HEADERS,
            refuses=LEASE_REFUSALS,
        ),
        agent_hints(
            "agent_task_release", ["You must stop, and another agent can continue the work."],
            unless=["The work failed: fail the lease with a reason."],
            effects=["The lease ends. The task can be claimed at once, and the attempt does not count."],
            needs=["Hold the lease that claiming returned."],
        ),
    ),
    (
        Endpoint(
            "POST", TASK + "/orders", order_task, takes=TaskOrder, gives=TaskRead, headers=RETRY_HEADERS,
            refuses=(BoardDenied, TaskNotFound, NoLiveLease, VersionMismatch),
        ),
        agent_hints(
            "agent_task_order", ["You lead the board and must pause, resume, steer, cancel or steal running work."],
            unless=["No agent holds a lease on the task."],
            effects=["Stealing ends the lease at once. Other orders reach the worker with its next heartbeat."],
        ),
    ),
    (
        Endpoint(
            "GET", TASK + "/explain", explain_this_task, gives=TaskExplanation, refuses=(BoardDenied, TaskNotFound)
        ),
        agent_hints(
            "agent_task_explain", ["You want to know why a task is not moving."], unless=["You only want its fields."]
        ),
    ),
    (
        Endpoint(
            "GET", TASK + "/runs", list_runs, query=NumberedPageQuery, gives=LimitOffsetPage[RunRead],
            refuses=(BoardDenied, TaskNotFound),
        ),
        agent_hints(
            "agent_task_runs", ["You want to know the results of earlier attempts at a task."],
            unless=["You want other tasks: list them."],
        ),
    ),
]  # fmt: skip
ENDPOINTS = [evolve(endpoint, who=MIXED, tags=("tasks",)) for endpoint, _ in OPERATIONS]
AGENT_ENDPOINTS = [
    agent_endpoint(
        endpoint, extra, tags=("agent", "agent-lead") if endpoint.handler is order_task else BOARD_AGENT_TAGS
    )
    for endpoint, extra in OPERATIONS
]
