"""
Responses with one task, and writes under an idempotency key.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.model import Principal
from mission_core.ids import TaskId, TaskNumber
from mission_core.ports import Ports
from mission_core.projections import Projection
from mission_http.fleet.payloads import TaskAnswerPayload, TaskPayload
from mission_http.platform.etags import etag_of
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.idempotency import perform_once
from mission_http.platform.json_responses import json_response
from mission_http.platform.projections import projection_of

if TYPE_CHECKING:
    from mission_core.tasks.model import Task
    from mission_core.tasks.queries import TaskRow

C = TypeVar("C")
TASK_REFERENCE: Final = Projection(render=lambda row: row, fields=frozenset({"assignee"}))
"""Rows of tasks that have only the id, number, board and assignee, for references to a task."""


class HasId(Protocol):
    """
    An object with an id.
    """

    @property
    def id(self) -> Any: ...


async def perform_once_on_task(
    request: Request, use_case: Callable[[Ports, Principal, C], Awaitable[Task]], command: C, status: int = 200
) -> Response:
    """
    Run a use case once under the request's idempotency key, and respond with the task it created or changed.
    """
    task = await perform_once(request, use_case, command, _task_again)
    return task_response(await committed_task(request, task), status)


async def _task_again(ports: Ports, principal: Principal, task: UUID) -> Task:
    async with ports.unit(principal) as unit:
        return await unit.tasks.get(TaskId(task))


async def perform_once_for_id(
    request: Request, use_case: Callable[[Ports, Principal, C], Awaitable[HasId]], command: C
) -> UUID:
    """
    Run a use case once under the request's idempotency key, and return the id of the entity it created or changed.
    """

    async def work(ports: Ports, principal: Principal, cmd: C) -> UUID:
        id: UUID = (await use_case(ports, principal, cmd)).id
        return id

    return await perform_once(request, work, command, _same_id)


async def _same_id(ports: Ports, principal: Principal, id: UUID) -> UUID:
    return id


async def task_payload(request: Request, task: TaskId | TaskNumber) -> TaskPayload:
    """
    Read a task as last committed.
    """
    shown: TaskPayload = await ports_of(request).reads.tasks.get(
        principal_of(request), task, projection_of(TaskPayload)
    )
    return shown


async def committed_task(request: Request, task: Task) -> TaskPayload:
    """
    Return a task that a use case has just written, as it was committed.
    """
    shown: TaskPayload = await ports_of(request).reads.tasks.committed(
        principal_of(request), task, projection_of(TaskPayload)
    )
    return shown


async def task_reference(request: Request, task: TaskId | TaskNumber) -> TaskRow:
    """
    Read the row of a task with nothing but its id, number, board and assignee.
    """
    row: TaskRow = await ports_of(request).reads.tasks.get(principal_of(request), task, TASK_REFERENCE)
    return row


def task_response(task: TaskPayload, status: int = 200) -> Response:
    """
    Respond with a task, with its version as the ETag.
    """
    return json_response(TaskAnswerPayload(task=task), status, {"etag": etag_of(task.version)})
