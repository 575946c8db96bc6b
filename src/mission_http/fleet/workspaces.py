"""
Operations on workspaces: the organizations that the caller is a member of.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final
from uuid import UUID

from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.active_organization import (
    UpdateOrganization,
    organizations_of,
    resolve_organization,
    update_organization,
)
from mission_core.accounts.member_admin import OwnersOnly
from mission_core.accounts.model import Principal
from mission_core.accounts.organizations import (
    DEFAULT_ORGANIZATION_SLUG,
    DefaultOrganizationUndeletable,
    Isolation,
    Organization,
    OrganizationNotFound,
    SlugTaken,
    is_default_organization,
)
from mission_core.accounts.profiles import NotAPerson
from mission_core.agents.organization_creation import CreateOrganization, create_organization
from mission_core.agents.organization_deletion import (
    DeleteEmptyOrganization,
    OrganizationInUse,
    delete_empty_organization,
)
from mission_core.agents.queries import AgentFilter
from mission_core.boards.model import handle_from
from mission_core.errors import InvalidField, KeyReused, VersionMismatch
from mission_core.ids import OrganizationId
from mission_core.ports import Ports
from mission_core.values import ABSENT, Absent, PageRequest, name_key
from mission_http.fleet.access import ADMIN, VIEWER
from mission_http.fleet.bodies import stripped_text
from mission_http.fleet.errors import InvalidRequest
from mission_http.fleet.wire import FleetPayload, UnixSeconds, clamped_number
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.etags import IF_MATCH, etag_of, expected_version_of
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.field_annotations import Body, CustomCheck, Length
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, perform_once
from mission_http.platform.json_responses import json_response
from mission_http.platform.shapes import Fixed, Given, Of, Payload
from mission_http.platform.value_parsers import UUID_TEXT

TENANT_NUMBER: Final = 1
"""The number of the only tenant, a group of workspaces."""
Title = Annotated[str, CustomCheck(stripped_text), Length(1, 200, says="Name is required")]
Brand = Annotated[str, CustomCheck(stripped_text), Length(1, 64)]


class WorkspacePayload(FleetPayload[Organization]):
    id: Annotated[int, Of("number")]
    slug: str
    name: str
    tenant_id: Annotated[int, Fixed(TENANT_NUMBER)]
    brand: str | None
    isolation: Isolation
    created_at: UnixSeconds
    updated_at: UnixSeconds
    version: int
    agent_count: Annotated[int | UnsetType, Given()] = UNSET


class WorkspaceAnswerPayload(Payload):
    workspace: WorkspacePayload


class WorkspaceListPayload(Payload):
    workspaces: list[WorkspacePayload]
    active_workspace_id: int
    tenant_id: int


class DeletedWorkspacePayload(Payload):
    success: bool
    deleted: str
    agents_moved_to: int


class CreateWorkspaceBody(Body):
    name: Title
    slug: Annotated[str, Length(1, 200)] | None = None
    brand: Brand | None = None
    isolation: Isolation = Isolation.SHARED

    def command(self) -> CreateOrganization:
        """
        Create the command.

        Raises:
            InvalidRequest: If the slug is invalid, or none can be derived from the name.
        """
        try:
            slug = handle_from(self.slug or self.name, most=200)
        except InvalidField:
            raise InvalidRequest("Invalid slug") from None
        return CreateOrganization(
            name=self.name, slug=slug, brand=self.brand, isolation=self.isolation, allow_same_name=True
        )


class UpdateWorkspaceBody(Body):
    name: Title
    brand: Brand | Absent | None = ABSENT
    isolation: Isolation | Absent = ABSENT


async def list_workspaces(request: Request) -> Response:
    """
    List workspaces by name, the default one first.

    A user's workspaces are those with a membership. The server's key lists its own workspace and those that the local
    user owns.
    """
    ports, principal = ports_of(request), principal_of(request)
    places = [place for place, _ in await organizations_of(ports, principal)]
    places.sort(key=lambda each: (not is_default_organization(each), name_key(each.name), each.number))
    active = await ports.reads.organization(principal)
    workspaces = [WorkspacePayload.of(place) for place in places]
    return json_response(
        WorkspaceListPayload(workspaces=workspaces, active_workspace_id=active.number, tenant_id=TENANT_NUMBER)
    )


async def add_workspace(request: Request) -> Response:
    """
    Create a workspace with a project and a built-in agent, owned by the caller.

    A workspace that the server's key creates is owned by the local user.
    """
    body = await body_of(request, CreateWorkspaceBody)
    workspace = await perform_once(request, create_organization, body.command(), _created_again)
    return _workspace_response(workspace, status=201)


async def _created_again(ports: Ports, principal: Principal, organization: UUID) -> Organization:
    return (await resolve_organization(ports, principal, OrganizationId(organization)))[0]


async def get_workspace(request: Request) -> Response:
    """
    Get a workspace.
    """
    ports = ports_of(request)
    workspace, there = await resolve_organization(ports, principal_of(request), workspace_in(request))
    counted = await ports.reads.agents.page(there, AgentFilter(at=ports.clock.now()), PageRequest(limit=1))
    return _workspace_response(workspace, agent_count=counted.total)


async def change_workspace(request: Request) -> Response:
    """
    Update a workspace.

    Fields that are not sent stay as they are; null clears the brand. The caller must be an admin of that workspace. The
    slug cannot be changed.
    """
    ports = ports_of(request)
    _, there = await resolve_organization(ports, principal_of(request), workspace_in(request))
    body = await body_of(request, UpdateWorkspaceBody)
    command = UpdateOrganization(
        name=body.name, brand=body.brand, isolation=body.isolation, expects=expected_version_of(request)
    )
    return _workspace_response(await update_organization(ports, there, command))


async def delete_workspace(request: Request) -> Response:
    """
    Delete a workspace that the caller owns.

    Its content is not moved to another workspace. While it has projects, tasks, agents or other users, the request is
    refused and the error names them.
    """
    ports, principal = ports_of(request), principal_of(request)
    command = DeleteEmptyOrganization(organization=workspace_in(request), expects=expected_version_of(request))
    gone = await delete_empty_organization(ports, principal, command)
    default = await ports.credentials.organization(DEFAULT_ORGANIZATION_SLUG)
    moved_to = default.number if default else gone.number
    return json_response(DeletedWorkspacePayload(success=True, deleted=gone.name, agents_moved_to=moved_to))


_number: Final = re.compile(r"\d+", re.ASCII)


def workspace_in(request: Request) -> OrganizationId | int:
    """
    Parse the workspace id in the path: a number or a UUID.

    Raises:
        OrganizationNotFound: If it is neither.
    """
    segment: str = request.path_params["id"]
    if UUID_TEXT.fullmatch(segment):
        return OrganizationId(UUID(segment))
    if not _number.fullmatch(segment):
        raise OrganizationNotFound
    return clamped_number(segment)


def _workspace_response(organization: Organization, *, status: int = 200, **more: Any) -> Response:
    answer = WorkspaceAnswerPayload(workspace=WorkspacePayload.of(organization, **more))
    return json_response(answer, status, {"etag": etag_of(organization.version)})


WORKSPACE_PATH: Final = "/workspaces/{id}"
ENDPOINTS = [
    Endpoint(
        "GET", "/workspaces", list_workspaces, gives=WorkspaceListPayload, who=VIEWER,
        operation_id="fleet_getApiWorkspaces",
    ),
    Endpoint(
        "POST", "/workspaces", add_workspace, takes=CreateWorkspaceBody, gives=WorkspaceAnswerPayload, status=201,
        who=ADMIN, headers=(IDEMPOTENCY_KEY,), refuses=(NotAPerson, SlugTaken, KeyReused),
        operation_id="fleet_postApiWorkspaces",
    ),
    Endpoint(
        "GET", WORKSPACE_PATH, get_workspace, gives=WorkspaceAnswerPayload, who=VIEWER, refuses=(OrganizationNotFound,),
        operation_id="fleet_getApiWorkspacesId",
    ),
    Endpoint(
        "PUT", WORKSPACE_PATH, change_workspace, takes=UpdateWorkspaceBody, gives=WorkspaceAnswerPayload, who=ADMIN,
        headers=(IF_MATCH,), refuses=(OrganizationNotFound, VersionMismatch), operation_id="fleet_putApiWorkspacesId",
    ),
    Endpoint(
        "DELETE", WORKSPACE_PATH, delete_workspace, gives=DeletedWorkspacePayload, who=ADMIN, headers=(IF_MATCH,),
        refuses=(OrganizationNotFound, OwnersOnly, DefaultOrganizationUndeletable, OrganizationInUse, VersionMismatch),
        operation_id="fleet_deleteApiWorkspacesId",
    ),
]  # fmt: skip
