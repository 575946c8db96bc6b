"""
Responses with one task or project, and writes under an idempotency key.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.model import Principal
from mission_core.boards.assignments import BOARD_ASSIGNMENTS, BoardAssignment
from mission_core.ids import BoardId, BoardNumber, TaskId, TaskNumber
from mission_core.ports import Ports
from mission_http.fleet.payloads import ProjectAnswerPayload, ProjectPayload, TaskAnswerPayload, TaskPayload
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


async def project_response(
    request: Request,
    project: BoardId | BoardNumber,
    status: int = 200,
    *,
    counted: bool = False,
    with_assigned_agents: bool = False,
) -> Response:
    """
    Respond with a project as last committed, with its task count if *counted*, and with its assigned agents if asked.
    """
    reads, principal = ports_of(request).reads, principal_of(request)
    row = await reads.boards.get(principal, project)
    shown = ProjectPayload.of(row)
    if counted:
        shown.task_count = row.task_count
    if with_assigned_agents:
        staff = await reads.entities.every(principal, BOARD_ASSIGNMENTS, board=BoardId(UUID(bytes=row.id)))
        shown.assigned_agents = [each.agent_name for each in staff]
    return json_response(ProjectAnswerPayload(project=shown), status, {"etag": etag_of(row.version)})


def assigned_names_by_board(staff: Iterable[BoardAssignment]) -> dict[bytes, list[str]]:
    """
    Group the names of assigned agents by the bytes of the board's id, oldest assignment first.
    """
    names: dict[bytes, list[str]] = defaultdict(list)
    for each in staff:
        names[each.board.bytes].append(each.agent_name)
    return names
