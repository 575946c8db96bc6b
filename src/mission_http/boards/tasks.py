"""
The tasks of a board, as people make, edit and remove them, and as everybody lists them.
"""

from __future__ import annotations

from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.model import AgentPrincipal, Principal, System
from mission_core.agents.model import AgentNotFound
from mission_core.boards.model import BoardDenied, BoardNotFound
from mission_core.errors import VersionMismatch
from mission_core.ids import AgentId, BoardId, TaskId
from mission_core.ports import Ports, perform
from mission_core.tasks.model import Blocked, DependencyCycle, DependencyNotFound, GateClosed, Task, TaskNotFound
from mission_core.tasks.queries import TaskFilter
from mission_core.tasks.use_cases import DeleteTask
from mission_core.tasks.use_cases import create_task as make_task
from mission_core.tasks.use_cases import delete_task as remove_task
from mission_core.tasks.use_cases import update_task as change_task
from mission_core.values import ABSENT, Absent
from mission_http.boards.access import MIXED, USER, Place, board_in
from mission_http.boards.answers import one, page_from, wanted_page, written
from mission_http.boards.errors import OtherBoard, Refused, UserNotFound
from mission_http.boards.payloads import LimitOffsetPage, OkResponse, TaskCreate, TaskQuery, TaskRead, TaskUpdate
from mission_http.boards.wire import StatusFilterUnknown, statuses_behind, task_from
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.etags import IF_MATCH, expects_of
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, once
from mission_http.platform.json import json_of
from mission_http.platform.queries import query_of


async def list_tasks(request: Request) -> Response:
    """
    List the tasks of a board, the newest first.

    The status filter takes one status or several, separated by commas.
    """
    board = await board_in(request)
    query = query_of(request, TaskQuery)
    wanted = TaskFilter(
        board=board,
        statuses=statuses_behind(query.status),
        assignee_agent=AgentId(query.assigned_agent_id) if query.assigned_agent_id else None,
        unassigned=bool(query.unassigned),
    )
    listed = await ports_of(request).reads.tasks.page(principal_of(request), wanted, wanted_page(query))
    return page_from(listed, query, task_from)


async def create_task(request: Request) -> Response:
    """
    Make a task on a board.

    A task that depends on open ones stays in the inbox, with nobody assigned.
    """
    async with Place.of(request) as place:
        principal = principal_of(request)
        body = await body_of(request, TaskCreate)
        _check_creator(principal, body.created_by_user_id)
        assignee = await _name_of(request, body.assigned_agent_id)
        command = body.command(place.board, assignee=assignee)
        task = await once(request, make_task, command, task_again)
    return one(await written(request, task))


async def update_task(request: Request) -> Response:
    """
    Change the named fields of a task.

    A field that is not sent stays as it is; null is a value. What depends on open tasks settles in the inbox, and
    what enters a review goes to the board's lead.
    """
    async with Place.of(request) as place:
        principal = principal_of(request)
        assert place.task is not None
        if isinstance(principal, AgentPrincipal):
            await place.check()
            raise Refused("Agents update tasks through their leases: claim, complete, fail or release.")
        body = await body_of(request, TaskUpdate)
        assignee = await _name_of(request, body.assigned_agent_id, only_on=place.board)
        command = body.command(place.task, on=place.board, assignee=assignee, expects=expects_of(request))
        task = await perform(change_task, ports_of(request), principal, command)
        return one(await written(request, task))


async def delete_task(request: Request) -> Response:
    """
    Remove a task.
    """
    async with Place.of(request) as place:
        assert place.task is not None
        command = DeleteTask(task=place.task, on=place.board, expects=expects_of(request))
        await perform(remove_task, ports_of(request), principal_of(request), command)
    return json_of({"ok": True})


async def task_again(ports: Ports, principal: Principal, task: UUID) -> Task:
    """
    The task that an idempotency key was kept with.
    """
    async with ports.unit(principal) as unit:
        return await unit.tasks.get(TaskId(task))


async def _name_of(request: Request, agent: UUID | Absent | None, *, only_on: BoardId | None = None) -> str | None:
    """
    The name of the agent that is assigned.

    Raises:
        AgentNotFound: If there is no such agent.
        OtherBoard: If it belongs to another board than *only_on*.
    """
    if not isinstance(agent, UUID):
        return None if agent is None else ABSENT  # type: ignore[return-value]
    row = await ports_of(request).reads.agents.get(principal_of(request), AgentId(agent))
    if only_on is not None and row.board not in (None, only_on.bytes):
        raise OtherBoard
    return row.name


def _check_creator(principal: Principal, user: UUID | None) -> None:
    """
    Raises:
        UserNotFound: If the organization has no such person.
    """
    if user is not None and not (isinstance(principal, System) and principal.user == user):
        raise UserNotFound


TASKS = "/boards/{board_id}/tasks"
ENDPOINTS = [
    Endpoint(
        "GET", TASKS, list_tasks, query=TaskQuery, gives=LimitOffsetPage[TaskRead], who=MIXED, tags=("tasks",),
        refuses=(BoardNotFound, BoardDenied, StatusFilterUnknown),
    ),
    Endpoint(
        "POST", TASKS, create_task, takes=TaskCreate, gives=TaskRead, who=USER, tags=("tasks",),
        headers=(IDEMPOTENCY_KEY,), refuses=(BoardNotFound, BoardDenied, Blocked, AgentNotFound, DependencyNotFound),
    ),
    Endpoint(
        "PATCH", TASKS + "/{task_id}", update_task, takes=TaskUpdate, gives=TaskRead, who=MIXED, tags=("tasks",),
        headers=(IF_MATCH,),
        refuses=(BoardDenied, TaskNotFound, GateClosed, DependencyCycle, AgentNotFound, VersionMismatch),
    ),
    Endpoint(
        "DELETE", TASKS + "/{task_id}", delete_task, gives=OkResponse, who=USER, tags=("tasks",),
        headers=(IF_MATCH,), refuses=(BoardDenied, TaskNotFound, VersionMismatch),
    ),
]  # fmt: skip
