"""
Operations on the agents that are assigned to a project, and on the list of its tasks.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from mission_core.boards.assignments import (
    BOARD_ASSIGNMENTS,
    DEFAULT_ASSIGNMENT_ROLE,
    AssignAgent,
    BoardAssignment,
    UnassignAgent,
    assign_agent,
    unassign_agent,
)
from mission_core.boards.model import BoardNotFound
from mission_core.boards.queries import BoardRow
from mission_core.errors import KeyReused
from mission_core.ids import BoardId
from mission_core.tasks.queries import TaskFilter
from mission_http.fleet.access import OPERATOR, VIEWER
from mission_http.fleet.bodies import UnlimitedListQuery
from mission_http.fleet.errors import InvalidRequest
from mission_http.fleet.path_parameters import project_in
from mission_http.fleet.payloads import SuccessPayload, TaskPayload
from mission_http.fleet.responses import perform_once_for_id
from mission_http.fleet.wire import WORKSPACE_NUMBER, FleetPayload, UnixSeconds
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.field_annotations import Body, Length, Query, SchemaOverride
from mission_http.platform.idempotency import IDEMPOTENCY_KEY
from mission_http.platform.json_responses import json_response
from mission_http.platform.projections import projection_of
from mission_http.platform.query_strings import query_of
from mission_http.platform.shapes import Fixed, Given, Of, Payload


class AssignAgentBody(Body):
    agent_name: Annotated[Any, SchemaOverride({"type": "string", "minLength": 1, "maxLength": 100})] = None
    role: Annotated[str, Length(1, 100)] = DEFAULT_ASSIGNMENT_ROLE


class UnassignAgentQuery(Query):
    agent_name: str = ""


class AssignmentPayload(FleetPayload[BoardAssignment]):
    id: Annotated[int, Of("number")]
    project_id: Annotated[int, Given()]
    agent_name: str
    role: str
    assigned_at: UnixSeconds


class AssignmentListPayload(Payload):
    assignments: list[AssignmentPayload]


class ProjectOfTasksPayload(FleetPayload[BoardRow]):
    id: Annotated[int, Of("number")]
    workspace_id: Annotated[int, Fixed(WORKSPACE_NUMBER)]
    name: str
    slug: Annotated[str, Of("handle")]
    description: str | None
    ticket_prefix: str
    ticket_counter: int
    status: Literal["active", "archived"]
    created_at: UnixSeconds
    updated_at: UnixSeconds


class ProjectTasksPayload(Payload):
    project: ProjectOfTasksPayload
    tasks: list[TaskPayload]
    total: int | UnsetType = UNSET


async def list_project_agents(request: Request) -> Response:
    """
    List the agents that are assigned to a project, oldest assignment first.
    """
    reads, principal = ports_of(request).reads, principal_of(request)
    project = await reads.boards.get(principal, project_in(request))
    rows = await reads.entities.every(principal, BOARD_ASSIGNMENTS, board=BoardId(UUID(bytes=project.id)))
    assignments = [AssignmentPayload.of(row, project_id=project.number) for row in rows]
    return json_response(AssignmentListPayload(assignments=assignments))


async def assign_project_agent(request: Request) -> Response:
    """
    Assign an agent to a project by name.

    The agent need not exist yet; one that is assigned already keeps its role.
    """
    body = await body_of(request, AssignAgentBody)
    name = body.agent_name.strip() if isinstance(body.agent_name, str) else ""
    if not name:
        raise InvalidRequest("agent_name is required")
    await perform_once_for_id(
        request, assign_agent, AssignAgent(board=project_in(request), agent_name=name, role=body.role)
    )
    return json_response(SuccessPayload(success=True), 201)


async def unassign_project_agent(request: Request) -> Response:
    """
    Remove an agent's assignment to a project, if there is one.
    """
    name = query_of(request, UnassignAgentQuery).agent_name.strip()
    if not name:
        raise InvalidRequest("agent_name query parameter is required")
    command = UnassignAgent(board=project_in(request), agent_name=name)
    await unassign_agent(ports_of(request), principal_of(request), command)
    return json_response(SuccessPayload(success=True))


async def list_project_tasks(request: Request) -> Response:
    """
    List the tasks of a project, newest first.
    """
    query, principal, reads = query_of(request, UnlimitedListQuery), principal_of(request), ports_of(request).reads
    project = await reads.boards.get(principal, project_in(request))
    wanted = TaskFilter(board=BoardId(UUID(bytes=project.id)))
    listed = await reads.tasks.page(principal, wanted, query.page(), projection_of(TaskPayload))
    return json_response(
        ProjectTasksPayload(project=ProjectOfTasksPayload.of(project), tasks=listed.rows, total=listed.total)
    )


ENDPOINTS = [
    Endpoint(
        "GET", "/projects/{id}/agents", list_project_agents, gives=AssignmentListPayload, who=VIEWER,
        refuses=(BoardNotFound,), operation_id="fleet_listProjectAgents",
    ),
    Endpoint(
        "POST", "/projects/{id}/agents", assign_project_agent, takes=AssignAgentBody, gives=SuccessPayload, status=201,
        who=OPERATOR, headers=(IDEMPOTENCY_KEY,), refuses=(BoardNotFound, KeyReused),
        limits=("mutation",), operation_id="fleet_assignProjectAgent",
    ),
    Endpoint(
        "DELETE", "/projects/{id}/agents", unassign_project_agent, query=UnassignAgentQuery, gives=SuccessPayload,
        who=OPERATOR, refuses=(BoardNotFound,), limits=("mutation",), operation_id="fleet_unassignProjectAgent",
    ),
    Endpoint(
        "GET", "/projects/{id}/tasks", list_project_tasks, query=UnlimitedListQuery, gives=ProjectTasksPayload,
        who=VIEWER, refuses=(BoardNotFound,), operation_id="fleet_listProjectTasks",
    ),
]  # fmt: skip
