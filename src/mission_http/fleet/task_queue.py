"""
Polling of the task queue by agents without explicit leases.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.key_scopes import SELF
from mission_core.accounts.model import AgentPrincipal, KeyOfAnotherAgent
from mission_core.tasks.queue_polls import PollQueue, PollResult, peek_queue, poll_queue
from mission_http.fleet.access import OPERATOR, agent_name_header_of
from mission_http.fleet.bodies import QueueQuery
from mission_http.fleet.errors import InvalidRequest, NotYourQueue
from mission_http.fleet.payloads import PolledPayload, without_project
from mission_http.fleet.responses import committed_task, task_payload
from mission_http.fleet.wire import seconds_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.implicit_leases import agent_instance_of
from mission_http.platform.json_responses import json_response
from mission_http.platform.query_strings import query_of

AGENT_MISSING = "Missing agent. Provide ?agent=... or x-agent-name header."


async def poll(request: Request) -> Response:
    """
    Poll the queue for a task to work on: the current one, else the next.

    The agent is named by `agent`, else by `X-Agent-Name`, else by its own key. The next task is claimed under an
    implicit lease that ends ten minutes after the agent's last request. The order is priority, then due date, then age.
    Blocked, delayed and leased tasks are skipped. `max_capacity` limits the agent's tasks in progress. A HEAD request
    claims nothing.
    """
    query, ports, principal = query_of(request, QueueQuery), ports_of(request), principal_of(request)
    agent = (
        query.agent
        or agent_name_header_of(request)
        or (principal.name if isinstance(principal, AgentPrincipal) else None)
    )
    if agent is None:
        raise InvalidRequest(AGENT_MISSING)
    command = PollQueue(agent=agent, instance=agent_instance_of(request), max_in_progress=query.max_in_progress)
    try:
        if request.method == "HEAD":
            polled = await peek_queue(ports, principal, command)
        else:
            polled = await poll_queue(ports, principal, command)
    except KeyOfAnotherAgent:
        raise NotYourQueue from None
    return await _queue_response(request, agent, polled)


async def _queue_response(request: Request, agent: str, polled: PollResult | None) -> Response:
    if polled is None:
        return _unknown_length_response()
    task = None
    if polled.claimed is not None:
        task = await committed_task(request, polled.claimed)
    elif polled.task is not None:
        task = await task_payload(request, polled.task)
    return json_response(
        PolledPayload(
            task=task and without_project(task),
            reason=polled.reason.value,
            agent=agent,
            timestamp=seconds_of(ports_of(request).clock.now()),
        )
    )


def _unknown_length_response() -> Response:
    """
    Respond to a HEAD request without a length: it is unknown until a task is claimed.
    """
    response = Response(media_type="application/json")
    del response.headers["content-length"]
    return response


ENDPOINTS = [
    Endpoint(
        "GET", "/tasks/queue", poll, query=QueueQuery, gives=PolledPayload, who=OPERATOR, changes=True,
        refuses=(InvalidRequest, NotYourQueue), limits=("agent-task",), scope=SELF, operation_id="fleet_pollTaskQueue",
    ),
]  # fmt: skip
