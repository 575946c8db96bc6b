"""
Operations on the caller's organizations: create, list, activate, delete.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from attrs import field
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.account_deletion import delete_own_organization
from mission_core.accounts.active_organization import (
    NotAMember,
    SetActiveOrganization,
    organizations_of,
    set_active_organization,
)
from mission_core.accounts.member_admin import OwnersOnly
from mission_core.accounts.members import ADMIN
from mission_core.accounts.organizations import (
    ORGANIZATIONS,
    Organization,
    OrganizationNameTaken,
    OrganizationNotFound,
)
from mission_core.accounts.profiles import LocalUserProtected, NotAPerson
from mission_core.agents.organization_creation import CreateOrganization
from mission_core.agents.organization_creation import create_organization as found_organization
from mission_core.errors import InvalidField, KeyReused, RoleTooLow
from mission_core.ids import OrganizationId
from mission_http.boards.access import USER, require_admin
from mission_http.boards.payloads import OkResponse, stripped
from mission_http.boards.wire import BoardsPayload
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.field_annotations import Body
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, perform_once, read_row_again
from mission_http.platform.json_responses import json_response
from mission_http.platform.shapes import Given


class OrganizationRead(BoardsPayload[Organization]):
    id: UUID
    name: str
    created_at: datetime
    updated_at: datetime


class OrganizationListItem(BoardsPayload[Organization]):
    id: UUID
    name: str
    role: Annotated[str, Given()]
    is_active: Annotated[bool, Given()]


class OrganizationCreate(Body):
    name: str = field(converter=stripped)


class OrganizationActiveUpdate(Body):
    organization_id: UUID


async def create_organization(request: Request) -> Response:
    """
    Create an organization that the caller owns, and make it their active one.
    """
    body = await body_of(request, OrganizationCreate)
    if not body.name:
        raise InvalidField("name", "must not be blank", body.name)
    command = CreateOrganization(name=body.name, activate=True)
    return json_response(
        OrganizationRead.of(await perform_once(request, found_organization, command, _again, anywhere=True))
    )


_again = read_row_again(ORGANIZATIONS)


async def list_organizations(request: Request) -> Response:
    """
    List the caller's organizations, sorted by name.
    """
    principal = principal_of(request)
    active = principal.organization
    items = [
        OrganizationListItem.of(place, role=member.role if member else ADMIN, is_active=place.id == active)
        for place, member in await organizations_of(ports_of(request), principal)
    ]
    return json_response(items)


async def activate_organization(request: Request) -> Response:
    """
    Choose the caller's active organization.
    """
    body = await body_of(request, OrganizationActiveUpdate)
    command = SetActiveOrganization(organization=OrganizationId(body.organization_id))
    return json_response(
        OrganizationRead.of(await set_active_organization(ports_of(request), principal_of(request), command))
    )


async def get_organization(request: Request) -> Response:
    """
    Read the caller's active organization.
    """
    return json_response(OrganizationRead.of(await ports_of(request).reads.organization(principal_of(request))))


async def delete_organization(request: Request) -> Response:
    """
    Delete the caller's active organization with everything in it.

    The local user's organization cannot be deleted, since the local user has no other.
    """
    principal = require_admin(request)
    await delete_own_organization(ports_of(request), principal, principal.organization)
    return json_response(OkResponse())


ORGANIZATION_TAGS = ("organizations",)
ENDPOINTS = [
    Endpoint(
        "POST", "/organizations", create_organization, takes=OrganizationCreate, gives=OrganizationRead, who=USER,
        tags=ORGANIZATION_TAGS, headers=(IDEMPOTENCY_KEY,), refuses=(NotAPerson, OrganizationNameTaken, KeyReused),
        operation_id="create_organization_api_v1_organizations_post",
    ),
    Endpoint(
        "GET", "/organizations/me/list", list_organizations, gives=list[OrganizationListItem], who=USER,
        tags=ORGANIZATION_TAGS, operation_id="list_my_organizations_api_v1_organizations_me_list_get",
    ),
    Endpoint(
        "PATCH", "/organizations/me/active", activate_organization, takes=OrganizationActiveUpdate,
        gives=OrganizationRead, who=USER, tags=ORGANIZATION_TAGS, refuses=(NotAMember,),
        operation_id="set_active_org_api_v1_organizations_me_active_patch",
    ),
    Endpoint(
        "GET", "/organizations/me", get_organization, gives=OrganizationRead, who=USER, tags=ORGANIZATION_TAGS,
        operation_id="get_my_org_api_v1_organizations_me_get",
    ),
    Endpoint(
        "DELETE", "/organizations/me", delete_organization, gives=OkResponse, who=USER, tags=ORGANIZATION_TAGS,
        refuses=(NotAPerson, RoleTooLow, OwnersOnly, OrganizationNotFound, LocalUserProtected),
        operation_id="delete_my_org_api_v1_organizations_me_delete",
    ),
]  # fmt: skip
