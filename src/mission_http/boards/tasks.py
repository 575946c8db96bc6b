"""
Operations that list, create, change and delete the tasks of a board, for users and for agents.
"""

from __future__ import annotations

from uuid import UUID

from attrs import evolve
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.model import Principal
from mission_core.agents.model import AgentNotFound
from mission_core.boards.model import BoardDenied, BoardNotFound
from mission_core.errors import VersionMismatch
from mission_core.ids import AgentId, TaskId
from mission_core.ports import Ports
from mission_core.tasks.lease_ownership import LeaseHeldByAnother, LeaseRequired
from mission_core.tasks.model import (
    BlockedByDependencies,
    DependencyCycle,
    DependencyNotFound,
    FinishedTaskDenied,
    GateClosed,
    NotClaimable,
    Task,
    TaskNotFound,
)
from mission_core.tasks.ports import BudgetReached
from mission_core.tasks.queries import TaskFilter
from mission_core.tasks.team_rules import AssigneeOnAnotherBoard
from mission_core.tasks.use_cases import DeleteTask
from mission_core.tasks.use_cases import create_task as make_task
from mission_core.tasks.use_cases import delete_task as remove_task
from mission_core.tasks.use_cases import update_task as change_task
from mission_http.boards.access import AGENT, MIXED, USER, BoardPath, board_in_path, require_lead
from mission_http.boards.agent_hints import BOARD_AGENT_TAGS, agent_hints
from mission_http.boards.errors import CreatorNotFound, DelegationBlocked
from mission_http.boards.payloads import LimitOffsetPage, OkResponse, TaskCreate, TaskListQuery, TaskRead, TaskUpdate
from mission_http.boards.responses import listed_response, task_payload, versioned_response, wanted_page
from mission_http.boards.wire import StatusFilterUnknown, core_statuses_from
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.etags import IF_MATCH, expected_version_of
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, perform_once
from mission_http.platform.implicit_leases import AGENT_INSTANCE, agent_instance_of
from mission_http.platform.json_responses import json_response
from mission_http.platform.projections import projection_of
from mission_http.platform.query_strings import query_of


async def list_tasks(request: Request) -> Response:
    """
    List the tasks of a board, newest first.

    The status filter takes one status or several, separated by commas.
    """
    board = await board_in_path(request)
    query = query_of(request, TaskListQuery)
    wanted = TaskFilter(
        board=board,
        statuses=core_statuses_from(query.status),
        assignee_agent=AgentId(query.assigned_agent_id) if query.assigned_agent_id else None,
        unassigned=bool(query.unassigned),
    )
    page, shown = wanted_page(query), projection_of(TaskRead)
    listed = await ports_of(request).reads.tasks.page(principal_of(request), wanted, page, shown)
    return listed_response(listed, query)


async def create_task(request: Request) -> Response:
    """
    Create a task on a board.

    A task that depends on unfinished tasks stays in the inbox, without an assignee.
    """
    async with BoardPath.of(request) as place:
        require_lead(request)
        body = await body_of(request, TaskCreate)
        _check_creator(principal_of(request), body.created_by_user_id)
        task = await perform_once(request, make_task, body.command(place.board), task_again)
    return versioned_response(await task_payload(request, task))


async def delegate_task(request: Request) -> Response:
    """
    Create a task for the workers of a board, as its lead.

    A task that depends on unfinished tasks stays in the inbox, without an assignee.
    """
    try:
        return await create_task(request)
    except BlockedByDependencies as blocked:
        raise DelegationBlocked(blocked.task, blocked.by) from None


async def update_task(request: Request) -> Response:
    """
    Change the named fields of a task.

    A field that is not sent stays as it is; null is a value. A task that enters review is assigned to the board's lead.
    A task that depends on unfinished tasks returns to the inbox when a person changes it. An agent gets the error that
    the task is blocked.

    Workers may send status, comment and custom field values. Leads may send assignee, dependencies, tags, custom field
    values, and a status that decides a review. A worker that moves a task to in progress holds an implicit lease on it
    until ten minutes after the worker's last request.
    """
    async with BoardPath.of(request) as place:
        assert place.task is not None
        body = await body_of(request, TaskUpdate)
        command = body.command(place.task, on=place.board, expects=expected_version_of(request))
        command = evolve(command, instance=agent_instance_of(request))
        task = await change_task(ports_of(request), principal_of(request), command)
        return versioned_response(await task_payload(request, task))


async def delete_task(request: Request) -> Response:
    """
    Delete a task.
    """
    async with BoardPath.of(request) as place:
        assert place.task is not None
        require_lead(request)
        command = DeleteTask(task=place.task, on=place.board, expects=expected_version_of(request))
        await remove_task(ports_of(request), principal_of(request), command)
    return json_response(OkResponse())


async def task_again(ports: Ports, principal: Principal, task: UUID) -> Task:
    """
    The task that was stored with an idempotency key.
    """
    async with ports.unit(principal) as unit:
        return await unit.tasks.get(TaskId(task))


def _check_creator(principal: Principal, user: UUID | None) -> None:
    """
    Raises:
        UserNotFound: If the organization has no such person.
    """
    if user is not None and getattr(principal, "user", None) != user:
        raise CreatorNotFound


TASKS = "/boards/{board_id}/tasks"
TASK = TASKS + "/{task_id}"
CREATE_REFUSALS = (
    BoardNotFound,
    BoardDenied,
    FinishedTaskDenied,
    BlockedByDependencies,
    AgentNotFound,
    AssigneeOnAnotherBoard,
    DependencyNotFound,
)
UPDATE_REFUSALS = (
    BoardDenied, TaskNotFound, BlockedByDependencies, GateClosed, DependencyCycle, AgentNotFound,
    AssigneeOnAnotherBoard, VersionMismatch,
    LeaseHeldByAnother, LeaseRequired, BudgetReached, NotClaimable,
)  # fmt: skip
DELETE_REFUSALS = (BoardDenied, TaskNotFound, VersionMismatch)
LIST_REFUSALS = (BoardNotFound, BoardDenied, StatusFilterUnknown)
ENDPOINTS = [
    Endpoint(
        "GET", TASKS, list_tasks, query=TaskListQuery, gives=LimitOffsetPage[TaskRead], who=MIXED, tags=("tasks",),
        refuses=LIST_REFUSALS,
    ),
    Endpoint(
        "POST", TASKS, create_task, takes=TaskCreate, gives=TaskRead, who=USER, tags=("tasks",),
        headers=(IDEMPOTENCY_KEY,), refuses=CREATE_REFUSALS,
    ),
    Endpoint(
        "PATCH", TASK, update_task, takes=TaskUpdate, gives=TaskRead, who=MIXED, tags=("tasks",),
        headers=(IF_MATCH, AGENT_INSTANCE), refuses=UPDATE_REFUSALS,
    ),
    Endpoint(
        "DELETE", TASK, delete_task, gives=OkResponse, who=USER, tags=("tasks",), headers=(IF_MATCH,),
        refuses=DELETE_REFUSALS,
    ),
]  # fmt: skip
AGENT_ENDPOINTS = [
    Endpoint(
        "GET", "/agent" + TASKS, list_tasks, query=TaskListQuery, gives=LimitOffsetPage[TaskRead], who=AGENT,
        tags=BOARD_AGENT_TAGS,
        refuses=LIST_REFUSALS,
        extra=agent_hints(
            "agent_board_task_discovery", ["You want to see a board's tasks, by status or assignee."],
            unless=["You want to start work: claim the next task."],
        ),
    ),
    Endpoint(
        "POST", "/agent" + TASKS, delegate_task, takes=TaskCreate, gives=TaskRead, who=AGENT,
        tags=("agent", "agent-lead"), headers=(IDEMPOTENCY_KEY,), refuses=CREATE_REFUSALS,
        operation_id="agent_lead_create_task",
        extra=agent_hints(
            "delegate_work", ["You lead the board and have new work for its workers."],
            unless=["A task for the work exists: assign that task instead.", "You would do the work yourself."],
            effects=["The task is in the inbox, or is assigned to the worker you name."],
            actor="board_lead",
        ),
    ),
    Endpoint(
        "PATCH", "/agent" + TASK, update_task, takes=TaskUpdate, gives=TaskRead, who=AGENT, tags=BOARD_AGENT_TAGS,
        headers=(IF_MATCH, AGENT_INSTANCE), refuses=UPDATE_REFUSALS,
        extra=agent_hints(
            "agent_task_update",
            [
                "You work on a task and start it, return it, submit it for review or finish it.",
                "You lead the board and assign a task, set its dependencies or decide a review.",
            ],
            unless=["You hold a lease that claiming returned: complete, fail or release it instead."],
            effects=[
                "The task is moved. A worker that starts it is assigned to it, and a task in review goes to the lead.",
                "A task that a worker started goes back to the queue ten minutes after the worker's last request.",
                "A task in review that a lead sends back to the inbox is assigned to its submitter again.",
            ],
            needs=["A worker may move only tasks that are assigned to it or to no agent."],
        ),
    ),
    Endpoint(
        "DELETE", "/agent" + TASK, delete_task, gives=OkResponse, who=AGENT, tags=BOARD_AGENT_TAGS, headers=(IF_MATCH,),
        refuses=DELETE_REFUSALS,
        extra=agent_hints(
            "agent_task_delete", ["You lead the board and a task was created by mistake."],
            unless=["The work is done or planned: change the task's status instead."],
            effects=["The task and its comments are deleted. Tasks that depended on it no longer do."],
            actor="board_lead",
        ),
    ),
]  # fmt: skip
