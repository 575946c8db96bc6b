"""
Operations on projects, which are the boards of the core.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from mission_core.boards.assignments import BOARD_ASSIGNMENTS, AgentsUnknown, BoardAssignment
from mission_core.boards.model import (
    BoardNotFound,
    BoardStatus,
    GateSet,
    GeneralBoardProtected,
    HandleTaken,
    TicketPrefixTaken,
)
from mission_core.boards.queries import BoardFilter
from mission_core.boards.use_cases import CreateBoard, UpdateBoard, create_board, update_board
from mission_core.errors import KeyReused, VersionMismatch
from mission_core.ids import BoardId, BoardNumber
from mission_core.tasks.board_deletion import DeleteBoard, delete_board
from mission_core.tasks.model import GateClosed
from mission_core.values import ABSENT, Absent
from mission_http.fleet.access import ADMIN, OPERATOR, VIEWER
from mission_http.fleet.bodies import CreateProjectBody, DeleteProjectQuery, ProjectListQuery, UpdateProjectBody
from mission_http.fleet.errors import InvalidRequest, ProjectExists
from mission_http.fleet.path_parameters import project_in
from mission_http.fleet.payloads import DeletedProjectPayload, ProjectAnswerPayload, ProjectListPayload, ProjectPayload
from mission_http.fleet.responses import perform_once_for_id
from mission_http.fleet.wire import command_arguments, moment_of
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.etags import IF_MATCH, etag_of, expected_version_of
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.idempotency import IDEMPOTENCY_KEY
from mission_http.platform.json_responses import json_response
from mission_http.platform.query_strings import query_of

PROJECT_FIELD_NAMES: Final = {"ticketPrefix": "ticket_prefix", "gates": ""}
DEFAULT_PREFIX_LENGTH: Final = 5


async def list_projects(request: Request) -> Response:
    """
    List projects by name.
    """
    archived = query_of(request, ProjectListQuery).include_archived == "1"
    reads, principal = ports_of(request).reads, principal_of(request)
    listed = await reads.boards.page(principal, BoardFilter(archived=archived))
    names = _assigned_names_by_board(await reads.entities.every(principal, BOARD_ASSIGNMENTS))
    projects = [
        ProjectPayload.of(row, task_count=row.task_count, assigned_agents=names.get(row.id, [])) for row in listed.rows
    ]
    return json_response(ProjectListPayload(projects=projects))


async def add_project(request: Request) -> Response:
    """
    Create a project.
    """
    body = await body_of(request, CreateProjectBody)
    name = body.name.strip() if isinstance(body.name, str) else ""
    if not name:
        raise InvalidRequest("Project name is required")
    command = CreateBoard(
        name=name,
        handle=body.slug or name,
        ticket_prefix=body.ticket_prefix or body.ticketPrefix or name[:DEFAULT_PREFIX_LENGTH],
        description=body.description,
        gates=GateSet(**body.gates.named()),
        github_repo=body.github_repo,
        deadline=None if body.deadline is None else moment_of(body.deadline),
        color=body.color,
    )
    try:
        project = await perform_once_for_id(request, create_board, command)
    except HandleTaken:
        raise ProjectExists from None
    return await _project_response(request, BoardId(project), 201)


async def get_project(request: Request) -> Response:
    """
    Get a project.
    """
    return await _project_response(request, project_in(request), counted=True, with_assigned_agents=True)


async def change_project(request: Request) -> Response:
    """
    Update a project.

    Fields and gates that are not sent stay as they are; null clears an optional field.
    """
    ports, principal = ports_of(request), principal_of(request)
    project = await ports.reads.boards.check(principal, project_in(request))
    body = await body_of(request, UpdateProjectBody)
    changes: dict[str, Any] = command_arguments(body, PROJECT_FIELD_NAMES, frozenset({"deadline"}))
    if body.gates is not ABSENT and not isinstance(body.gates, Absent):
        changes["gates"] = body.gates.named()
    command = UpdateBoard(board=project, expects=expected_version_of(request), **changes)
    try:
        await update_board(ports, principal, command)
    except AgentsUnknown as refusal:
        raise InvalidRequest("Unknown project agents", refusal.names) from None
    return await _project_response(request, project, with_assigned_agents=True)


async def delete_project(request: Request) -> Response:
    """
    Archive a project, or delete it with `mode=delete`.

    Deletion moves its tasks to the general project; they keep their ticket numbers. It is refused while an approval of
    one is pending, if the project blocks status changes meanwhile.
    """
    ports, principal, project = ports_of(request), principal_of(request), project_in(request)
    handed_over = query_of(request, DeleteProjectQuery).mode == "delete"
    try:
        if handed_over:
            command = DeleteBoard(board=project, expects=expected_version_of(request), hand_over=True)
            await delete_board(ports, principal, command)
        else:
            archived = UpdateBoard(board=project, expects=expected_version_of(request), status=BoardStatus.ARCHIVED)
            await update_board(ports, principal, archived)
    except GeneralBoardProtected:
        raise InvalidRequest("Default project cannot be deleted") from None
    return json_response(DeletedProjectPayload(success=True, mode="delete" if handed_over else "archive"))


async def _project_response(
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


def _assigned_names_by_board(staff: Iterable[BoardAssignment]) -> dict[bytes, list[str]]:
    """
    Group the names of assigned agents by the bytes of the board's id, oldest assignment first.
    """
    names: dict[bytes, list[str]] = defaultdict(list)
    for each in staff:
        names[each.board.bytes].append(each.agent_name)
    return names


ENDPOINTS = [
    Endpoint(
        "GET", "/projects", list_projects, query=ProjectListQuery, gives=ProjectListPayload, who=VIEWER,
        operation_id="fleet_listProjects",
    ),
    Endpoint(
        "POST", "/projects", add_project, takes=CreateProjectBody, gives=ProjectAnswerPayload, status=201,
        who=OPERATOR, headers=(IDEMPOTENCY_KEY,), refuses=(ProjectExists, KeyReused),
        limits=("mutation",), operation_id="fleet_createProject",
    ),
    Endpoint(
        "GET", "/projects/{id}", get_project, gives=ProjectAnswerPayload, who=VIEWER, refuses=(BoardNotFound,),
        operation_id="fleet_getProject",
    ),
    Endpoint(
        "PATCH", "/projects/{id}", change_project, takes=UpdateProjectBody, gives=ProjectAnswerPayload, who=OPERATOR,
        headers=(IF_MATCH,), refuses=(BoardNotFound, GeneralBoardProtected, TicketPrefixTaken, VersionMismatch),
        limits=("mutation",), operation_id="fleet_updateProject",
    ),
    Endpoint(
        "DELETE", "/projects/{id}", delete_project, query=DeleteProjectQuery, gives=DeletedProjectPayload, who=ADMIN,
        headers=(IF_MATCH,), refuses=(BoardNotFound, GateClosed, GeneralBoardProtected, VersionMismatch),
        limits=("mutation",), operation_id="fleet_deleteProject",
    ),
]  # fmt: skip
