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
from mission_core.boards.staff import STAFF, Assignment
from mission_core.ids import BoardId, BoardNumber, TaskId, TaskNumber
from mission_core.ports import Ports
from mission_http.fleet.wire import project_of, task_of
from mission_http.platform.etags import etag_of
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.idempotency import once
from mission_http.platform.json import json_of

if TYPE_CHECKING:
    from mission_core.tasks.queries import TaskRow

C = TypeVar("C")


class Kept(Protocol):
    """
    An object with an id.
    """

    @property
    def id(self) -> Any: ...


async def kept_once(
    request: Request, use_case: Callable[[Ports, Principal, C], Awaitable[Kept]], command: C
) -> UUID:
    """
    Run a use case once under the request's idempotency key, and return the id of the entity it created or changed.
    """

    async def work(ports: Ports, principal: Principal, cmd: C) -> UUID:
        id: UUID = (await use_case(ports, principal, cmd)).id
        return id

    return await once(request, work, command, _itself)


async def _itself(ports: Ports, principal: Principal, id: UUID) -> UUID:
    return id


async def task_row(request: Request, task: TaskId | TaskNumber) -> TaskRow:
    """
    Read a task as last committed.
    """
    return await ports_of(request).reads.tasks.get(principal_of(request), task)


async def task_answer(request: Request, task: TaskId | TaskNumber, status: int = 200) -> Response:
    """
    Respond with a task as last committed, with its version as the ETag.
    """
    row = await task_row(request, task)
    return json_of({"task": task_of(row)}, status, {"etag": etag_of(row.version)})


async def project_answer(
    request: Request, project: BoardId | BoardNumber, status: int = 200, *, counted: bool = False, staffed: bool = False
) -> Response:
    """
    Respond with a project as last committed, with its task count if *counted* and its assigned agents if *staffed*.
    """
    reads, principal = ports_of(request).reads, principal_of(request)
    row = await reads.boards.get(principal, project)
    shown = project_of(row)
    if counted:
        shown["task_count"] = row.task_count
    if staffed:
        staff = await reads.rows.every(principal, STAFF, board=BoardId(UUID(bytes=row.id)))
        shown["assigned_agents"] = [each.agent_name for each in staff]
    return json_of({"project": shown}, status, {"etag": etag_of(row.version)})


def names_by_board(staff: Iterable[Assignment]) -> dict[bytes, list[str]]:
    """
    Group the names of assigned agents by the bytes of the board's id, oldest assignment first.
    """
    names: dict[bytes, list[str]] = defaultdict(list)
    for each in staff:
        names[each.board.bytes].append(each.agent_name)
    return names
