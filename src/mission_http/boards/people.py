"""
The caller: as a person, and as a member of an organization.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from attrs import asdict, frozen
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.people import LOCAL_LOGIN, LocalUserStays, NotAPerson, UpdateProfile, own_profile
from mission_core.accounts.people import update_profile as change_profile
from mission_core.accounts.users import Provider, User
from mission_core.errors import VersionMismatch
from mission_core.ports import perform
from mission_core.values import ABSENT, Absent
from mission_http.boards.access import USER
from mission_http.boards.answers import one
from mission_http.boards.errors import Refused
from mission_http.boards.payloads import OkResponse
from mission_http.boards.wire import naive
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.etags import IF_MATCH, expects_of
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, idempotency_of
from mission_http.platform.json import json_of


@frozen(kw_only=True)
class UserRead:
    clerk_user_id: str
    email: str | None = None
    name: str | None = None
    preferred_name: str | None = None
    pronouns: str | None = None
    timezone: str | None = None
    notes: str | None = None
    context: str | None = None
    id: UUID
    is_super_admin: bool
    version: int


@frozen(kw_only=True)
class UserUpdate:
    name: str | Absent | None = ABSENT
    preferred_name: str | Absent | None = ABSENT
    pronouns: str | Absent | None = ABSENT
    timezone: str | Absent | None = ABSENT
    notes: str | Absent | None = ABSENT
    context: str | Absent | None = ABSENT


@frozen(kw_only=True)
class OrganizationRead:
    id: UUID
    name: str
    created_at: datetime
    updated_at: datetime


@frozen(kw_only=True)
class OrganizationListItem:
    id: UUID
    name: str
    role: str
    is_active: bool


@frozen(kw_only=True)
class OrganizationActiveUpdate:
    organization_id: UUID


@frozen(kw_only=True)
class OrganizationUserRead:
    id: UUID
    email: str | None = None
    name: str | None = None
    preferred_name: str | None = None


@frozen(kw_only=True)
class OrganizationBoardAccessRead:
    id: UUID
    board_id: UUID
    can_read: bool
    can_write: bool
    created_at: datetime
    updated_at: datetime


@frozen(kw_only=True)
class OrganizationMemberRead:
    id: UUID
    organization_id: UUID
    user_id: UUID
    role: str
    all_boards_read: bool
    all_boards_write: bool
    created_at: datetime
    updated_at: datetime
    user: OrganizationUserRead | None = None
    board_access: tuple[OrganizationBoardAccessRead, ...] = ()


OWNER = "owner"
"""What the local user is in its organization, whose every board it may read and write."""


def user_from(user: User) -> dict[str, Any]:
    return {
        "clerk_user_id": _known_as(user), "email": user.email, "name": user.name,
        "preferred_name": user.preferred_name, "pronouns": user.pronouns, "timezone": user.timezone,
        "notes": user.notes, "context": user.context, "id": user.id, "is_super_admin": False,
        "version": user.version,
    }  # fmt: skip


def _known_as(user: User) -> str:
    """
    What whoever vouches for them calls them.
    """
    return LOCAL_LOGIN if user.provider is Provider.TOKEN else user.subject or user.username


async def bootstrap(request: Request) -> Response:
    """
    Make sure that the caller is known, and has an organization.

    The local user is and has, from the start.
    """
    await idempotency_of(request)  # it may be sent again as it is, but a malformed key is refused as everywhere
    return one(user_from(await own_profile(ports_of(request), principal_of(request))))


async def get_me(request: Request) -> Response:
    """
    Read one's own profile.
    """
    return one(user_from(await own_profile(ports_of(request), principal_of(request))))


async def update_me(request: Request) -> Response:
    """
    Change the named fields of one's own profile.
    """
    body = await body_of(request, UserUpdate)
    command = UpdateProfile(expects=expects_of(request), **asdict(body, recurse=False))
    person = await perform(change_profile, ports_of(request), principal_of(request), command)
    return one(user_from(person))


async def delete_me(request: Request) -> Response:
    """
    Delete one's own account.

    The local user's cannot be: it stands for the server's own token.
    """
    await own_profile(ports_of(request), principal_of(request))
    raise LocalUserStays


async def delete_organization(request: Request) -> Response:
    """
    Delete the organization one acts in.

    The local user's cannot be: it would have none.
    """
    await own_profile(ports_of(request), principal_of(request))
    raise LocalUserStays


async def get_organization(request: Request) -> Response:
    """
    Read the organization one acts in.
    """
    return json_of(await _organization(request))


async def list_organizations(request: Request) -> Response:
    """
    List one's organizations.
    """
    organization = await _organization(request)
    return json_of([{"id": organization["id"], "name": organization["name"], "role": OWNER, "is_active": True}])


async def activate_organization(request: Request) -> Response:
    """
    Choose the organization one acts in.
    """
    body = await body_of(request, OrganizationActiveUpdate)
    organization = await _organization(request)
    if body.organization_id != organization["id"]:
        raise Refused("No org access")
    return json_of(organization)


async def get_membership(request: Request) -> Response:
    """
    Read one's own membership: the role, and which boards one may read and write.
    """
    person = await own_profile(ports_of(request), principal_of(request))
    organization = await _organization(request)
    return json_of(
        {
            "id": person.id, "organization_id": organization["id"],
            "user_id": person.id, "role": OWNER, "all_boards_read": True, "all_boards_write": True,
            "created_at": organization["created_at"], "updated_at": organization["updated_at"],
            "user": {
                "id": person.id, "email": person.email, "name": person.name, "preferred_name": person.preferred_name,
            },
            "board_access": [],
        }
    )  # fmt: skip


async def _organization(request: Request) -> dict[str, Any]:
    found = await ports_of(request).reads.organization(principal_of(request))
    return {
        "id": found.id, "name": found.name, "created_at": naive(found.created_at),
        "updated_at": naive(found.created_at),
    }  # fmt: skip


ENDPOINTS = [
    Endpoint(
        "POST", "/auth/bootstrap", bootstrap, gives=UserRead, who=USER, headers=(IDEMPOTENCY_KEY,),
        refuses=(NotAPerson,), tags=("auth",), operation_id="bootstrap_user_api_v1_auth_bootstrap_post",
    ),
    Endpoint("GET", "/users/me", get_me, gives=UserRead, who=USER, refuses=(NotAPerson,), tags=("users",)),
    Endpoint(
        "PATCH", "/users/me", update_me, takes=UserUpdate, gives=UserRead, who=USER, headers=(IF_MATCH,),
        refuses=(NotAPerson, VersionMismatch), tags=("users",),
    ),
    Endpoint(
        "DELETE", "/users/me", delete_me, gives=OkResponse, who=USER, refuses=(NotAPerson, LocalUserStays),
        tags=("users",),
    ),
    Endpoint(
        "DELETE", "/organizations/me", delete_organization, gives=OkResponse, who=USER,
        refuses=(NotAPerson, LocalUserStays), tags=("organizations",),
        operation_id="delete_my_org_api_v1_organizations_me_delete",
    ),
    Endpoint(
        "GET", "/organizations/me", get_organization, gives=OrganizationRead, who=USER, tags=("organizations",),
        operation_id="get_my_org_api_v1_organizations_me_get",
    ),
    Endpoint(
        "GET", "/organizations/me/list", list_organizations, gives=list[OrganizationListItem], who=USER,
        tags=("organizations",), operation_id="list_my_organizations_api_v1_organizations_me_list_get",
    ),
    Endpoint(
        "PATCH", "/organizations/me/active", activate_organization, takes=OrganizationActiveUpdate,
        gives=OrganizationRead, who=USER, tags=("organizations",),
        operation_id="set_active_org_api_v1_organizations_me_active_patch",
    ),
    Endpoint(
        "GET", "/organizations/me/member", get_membership, gives=OrganizationMemberRead, who=USER,
        refuses=(NotAPerson,), tags=("organizations",),
        operation_id="get_my_membership_api_v1_organizations_me_member_get",
    ),
]  # fmt: skip
