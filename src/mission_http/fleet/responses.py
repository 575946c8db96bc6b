"""
Responses with one task, and writes under an idempotency key.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.model import Principal
from mission_core.ids import TaskId, TaskNumber
from mission_core.ports import Ports
from mission_http.fleet.payloads import TaskAnswerPayload, TaskPayload
from mission_http.platform.etags import etag_of
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.idempotency import perform_once
from mission_http.platform.json_responses import json_response

if TYPE_CHECKING:
    from mission_core.tasks.queries import TaskRow

C = TypeVar("C")


class HasId(Protocol):
    """
    An object with an id.
    """

    @property
    def id(self) -> Any: ...


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


async def task_row(request: Request, task: TaskId | TaskNumber) -> TaskRow:
    """
    Read a task as last committed.
    """
    return await ports_of(request).reads.tasks.get(principal_of(request), task)


async def task_response(request: Request, task: TaskId | TaskNumber, status: int = 200) -> Response:
    """
    Respond with a task as last committed, with its version as the ETag.
    """
    row = await task_row(request, task)
    return json_response(TaskAnswerPayload(task=TaskPayload.of(row)), status, {"etag": etag_of(row.version)})
