"""
Operations on tasks: list, create, get, change, change many and delete.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.key_scopes import SELF
from mission_core.accounts.model import Principal
from mission_core.boards.model import BoardNotFound
from mission_core.errors import KeyReused, VersionMismatch
from mission_core.ids import BoardNumber, TaskNumber
from mission_core.tasks.bulk_update import MoveTasks, move_tasks
from mission_core.tasks.lease_ownership import LeaseHeldByAnother, LeaseRequired
from mission_core.tasks.mentions import MentionStyle, UnknownMentions
from mission_core.tasks.model import (
    BlockedByDependencies,
    DependencyCycle,
    DependencyNotFound,
    FinishedTaskDenied,
    GateClosed,
    NotClaimable,
    NotYourTask,
    Status,
    TaskNotFound,
)
from mission_core.tasks.ports import BudgetReached
from mission_core.tasks.queries import TaskFilter
from mission_core.tasks.task_access import check_own_task
from mission_core.tasks.use_cases import (
    CreateTask,
    DeleteTask,
    UpdateTask,
    create_task,
    delete_task,
    update_task,
)
from mission_core.values import PageOfRows
from mission_http.fleet.access import OPERATOR, VIEWER, agent_name_header_of, is_restricted_agent
from mission_http.fleet.bodies import (
    TASK_FIELD_NAMES,
    TASK_TIME_FIELDS,
    CreateTaskBody,
    TaskPageQuery,
    UpdateTaskBody,
    UpdateTasksBody,
)
from mission_http.fleet.errors import GateClosedForTask, InvalidRequest
from mission_http.fleet.path_parameters import task_in
from mission_http.fleet.payloads import (
    SuccessPayload,
    TaskAnswerPayload,
    TaskListPayload,
    TaskPayload,
    UpdatedTasksPayload,
    without_project,
)
from mission_http.fleet.responses import committed_task, perform_once_on_task, task_payload, task_response
from mission_http.fleet.wire import command_arguments, page_number
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint, Handler
from mission_http.platform.etags import IF_MATCH, etag_of, expected_version_of
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.idempotency import IDEMPOTENCY_KEY
from mission_http.platform.implicit_leases import agent_instance_of
from mission_http.platform.json_responses import json_response
from mission_http.platform.projections import projection_of
from mission_http.platform.query_strings import query_of
from mission_http.platform.shapes import Of

if TYPE_CHECKING:
    from mission_http.settings import Settings

STATUS_BY_NAME = {status.value: status for status in Status}


async def list_tasks(request: Request) -> Response:
    """
    List tasks, newest first.

    An agent's own key lists only tasks that are assigned to it.
    """
    query, principal = query_of(request, TaskPageQuery), principal_of(request)
    page, wanted = query.page(), _task_filter(query, principal)
    listed = PageOfRows([], 0)
    if wanted is not None:
        shown = projection_of(TaskPayload, comment_count=Of("comment_count"))
        listed = await ports_of(request).reads.tasks.page(principal, wanted, page, shown)
    return json_response(
        TaskListPayload(
            tasks=listed.rows, total=listed.total, page=page_number(page.offset, page.limit), limit=page.limit
        )
    )


def _task_filter(query: TaskPageQuery, principal: Principal) -> TaskFilter | None:
    """
    Build the filter of a query; None if its status is unknown, so that no task matches.
    """
    if query.status and query.status not in STATUS_BY_NAME:
        return None
    return TaskFilter(
        statuses=(STATUS_BY_NAME[query.status],) if query.status else None,
        board=None if query.project_id is None else BoardNumber(query.project_id),
        assignee=principal.name if is_restricted_agent(principal) else query.assigned_to or None,
        priority=query.priority or None,
    )


def create_task_handler(coordinator: str | None) -> Handler:
    """
    Create the handler that creates tasks. An unassigned task is assigned to the *coordinator*, if there is one.
    """

    async def add_task(request: Request) -> Response:
        """
        Create a task.

        Without a project, or with an unknown or archived one, it is created in the general project.
        """
        body = await body_of(request, CreateTaskBody)
        named = command_arguments(body, TASK_FIELD_NAMES, TASK_TIME_FIELDS)
        named["assignee"] = named.get("assignee") or coordinator
        command = CreateTask(board_must_exist=False, mention_style=MentionStyle.HANDLES, **named)
        return await perform_once_on_task(request, create_task, command, 201)

    return add_task


async def get_task(request: Request) -> Response:
    """
    Get a task.
    """
    task = await task_payload(request, task_in(request))
    check_own_task(principal_of(request), task.assigned_to)
    return task_response(task)


async def change_task(request: Request) -> Response:
    """
    Update a task.

    Fields that are not sent stay as they are; null clears an optional field. The effect of a new status or assignee on
    the task's lease depends on the caller. The agent that polled for the task completes or releases it. An operator
    ends the lease. Any other agent is refused, with the holder's name.
    """
    body = await body_of(request, UpdateTaskBody)
    named = command_arguments(body, TASK_FIELD_NAMES, TASK_TIME_FIELDS)
    command = UpdateTask(
        task=task_in(request), own=True, expects=expected_version_of(request), mention_style=MentionStyle.HANDLES,
        agent=agent_name_header_of(request), instance=agent_instance_of(request), **named,
    )  # fmt: skip
    try:
        task = await update_task(ports_of(request), principal_of(request), command)
    except BoardNotFound:
        raise InvalidRequest("Project not found or archived") from None
    shown = await committed_task(request, task)
    if not body.changes_nothing:
        return task_response(shown)
    answer = TaskAnswerPayload(task=without_project(shown), unchanged=True)
    return json_response(answer, headers={"etag": etag_of(shown.version)})


async def move_many(request: Request) -> Response:
    """
    Change the status of up to 100 tasks, all of them or none.

    The rules for a single task apply to each. `missing` lists numbers without a task; `updated` is the number of tasks
    sent.
    """
    body = await body_of(request, UpdateTasksBody)
    ports, principal = ports_of(request), principal_of(request)
    moves = tuple((TaskNumber(each.id), each.status) for each in body.tasks)
    command = MoveTasks(moves=moves, own=True, agent=agent_name_header_of(request), instance=agent_instance_of(request))
    try:
        moved = await move_tasks(ports, principal, command)
    except GateClosed as closed:
        row = await ports.reads.tasks.get(principal, closed.task)
        raise GateClosedForTask(TaskNumber(row.number), closed) from None
    return json_response(
        UpdatedTasksPayload(
            success=True, updated=len(body.tasks), changed=len(moved.tasks), missing=list(moved.missing)
        )
    )


async def remove_task(request: Request) -> Response:
    """
    Delete a task.
    """
    command = DeleteTask(task=task_in(request), own=True, expects=expected_version_of(request))
    await delete_task(ports_of(request), principal_of(request), command)
    return json_response(SuccessPayload(success=True))


def task_endpoints(settings: Settings) -> list[Endpoint]:
    """
    Return the operations on tasks.
    """
    return [
        Endpoint(
            "GET", "/tasks", list_tasks, query=TaskPageQuery, gives=TaskListPayload, who=VIEWER,
            scope=SELF, operation_id="fleet_listTasks",
        ),
        Endpoint(
            "POST", "/tasks", create_task_handler(settings.coordinator), takes=CreateTaskBody, gives=TaskAnswerPayload,
            status=201, who=OPERATOR, headers=(IDEMPOTENCY_KEY,),
            refuses=(FinishedTaskDenied, DependencyNotFound, BlockedByDependencies, UnknownMentions, KeyReused),
            limits=("mutation",), operation_id="fleet_createTask",
        ),
        Endpoint(
            "PUT", "/tasks", move_many, takes=UpdateTasksBody, gives=UpdatedTasksPayload, who=OPERATOR,
            refuses=(NotYourTask, GateClosedForTask, LeaseHeldByAnother, LeaseRequired, BudgetReached, NotClaimable),
            limits=("mutation",), scope=SELF, operation_id="fleet_bulkUpdateTasks",
        ),
        Endpoint(
            "GET", "/tasks/{id}", get_task, gives=TaskAnswerPayload, who=VIEWER, refuses=(TaskNotFound, NotYourTask),
            scope=SELF, operation_id="fleet_getTask",
        ),
        Endpoint(
            "PUT", "/tasks/{id}", change_task, takes=UpdateTaskBody, gives=TaskAnswerPayload, who=OPERATOR,
            headers=(IF_MATCH,),
            refuses=(
                TaskNotFound, NotYourTask, GateClosed, VersionMismatch, DependencyCycle, UnknownMentions,
                LeaseHeldByAnother, LeaseRequired, BudgetReached, NotClaimable,
            ),
            limits=("mutation",), scope=SELF, operation_id="fleet_updateTask",
        ),
        Endpoint(
            "DELETE", "/tasks/{id}", remove_task, gives=SuccessPayload, who=OPERATOR, headers=(IF_MATCH,),
            refuses=(TaskNotFound, NotYourTask, VersionMismatch), limits=("mutation",), operation_id="fleet_deleteTask",
        ),
    ]  # fmt: skip
