"""
Operations on the members of the caller's organization: their roles and their board access.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated
from uuid import UUID

from attrs import field
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.member_admin import (
    CannotRemoveOwnMembership,
    OwnersOnly,
    RemoveMember,
    SetMemberRole,
    remove_member,
    set_member_role,
)
from mission_core.accounts.members import MEMBERS, BoardPermission, Member, MemberNotFound
from mission_core.accounts.model import MemberPrincipal, Role
from mission_core.accounts.ownership_rules import LastOwnerRequired
from mission_core.accounts.profiles import LocalUserProtected, NotAPerson
from mission_core.accounts.users import USERS, User
from mission_core.boards.board_access import (
    BoardAccess,
    GrantedBoardNotFound,
    SetBoardAccess,
    set_board_access,
    with_all_boards,
)
from mission_core.boards.grants import GRANTS, Grant
from mission_core.errors import RoleTooLow, VersionMismatch
from mission_core.ids import BoardId, MemberId
from mission_http.boards.access import USER, path_id, require_admin, row_not_found_first
from mission_http.boards.errors import ForbiddenSilently
from mission_http.boards.payloads import LimitOffsetPage, OkResponse, PageQuery
from mission_http.boards.responses import page_response, versioned_response
from mission_http.boards.wire import BoardsPayload
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.etags import IF_MATCH, expected_version_of
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.field_annotations import Body
from mission_http.platform.json_responses import json_response
from mission_http.platform.query_strings import query_of
from mission_http.platform.shapes import Given, Of


class OrganizationUserRead(BoardsPayload[User]):
    id: UUID
    email: str | None = None
    name: str | None = None
    preferred_name: str | None = None


class OrganizationBoardAccessRead(BoardsPayload[Grant]):
    id: UUID
    board_id: Annotated[UUID, Of("on_board")]
    can_read: bool
    can_write: bool
    created_at: datetime
    updated_at: datetime


class OrganizationMemberRead(BoardsPayload[Member]):
    id: UUID
    organization_id: Annotated[UUID, Of("organization")]
    user_id: Annotated[UUID, Of("user")]
    role: str
    all_boards_read: bool
    all_boards_write: bool
    created_at: datetime
    updated_at: datetime
    user: Annotated[OrganizationUserRead | None, Given()] = None
    board_access: Annotated[tuple[OrganizationBoardAccessRead, ...], Given()] = ()
    version: int


class OrganizationMemberUpdate(Body):
    role: str | None = None


class OrganizationBoardAccessSpec(Body):
    board_id: UUID
    can_read: bool = True
    can_write: bool = False


class OrganizationMemberAccessUpdate(Body):
    all_boards_read: bool = False
    all_boards_write: bool = False
    board_access: tuple[OrganizationBoardAccessSpec, ...] = field(factory=tuple)

    def access(self) -> BoardAccess:
        """
        The board access as the core's command takes it.
        """
        boards = (BoardPermission(BoardId(each.board_id), each.can_read, each.can_write) for each in self.board_access)
        return BoardAccess(
            all_boards_read=self.all_boards_read, all_boards_write=self.all_boards_write, boards=tuple(boards)
        )


async def get_membership(request: Request) -> Response:
    """
    Read the caller's own membership, with its role and board access.
    """
    principal = principal_of(request)
    if not isinstance(principal, MemberPrincipal):
        raise NotAPerson
    return await _member_with_grants(request, principal.member)


async def list_members(request: Request) -> Response:
    """
    List the members, sorted by e-mail address and name.

    The boards granted to a member are shown only when the member is read alone.
    """
    query = query_of(request, PageQuery)
    found = await ports_of(request).reads.members.every(principal_of(request))
    found.sort(key=lambda each: ((each.user.email or "").lower(), each.user.name or "", each.user.number))
    page = found[query.offset : query.offset + query.limit]
    return page_response(page, len(found), query, lambda each: member_read(each.member, each.user))


async def get_member(request: Request) -> Response:
    """
    Read a member, with the boards granted to them.

    A member who is not an admin may read only themselves.
    """
    principal, id = principal_of(request), MemberId(path_id(request, "member_id"))
    await ports_of(request).reads.entities.get(principal, MEMBERS, id)
    if principal.role is not Role.ADMIN and getattr(principal, "member", None) != id:
        raise ForbiddenSilently
    return await _member_with_grants(request, id)


async def update_member(request: Request) -> Response:
    """
    Change a member's role.

    Owners and admins administer the organization; any other role is a label. Only an owner may make a member an owner,
    or change an owner.
    """
    principal, id = require_admin(request), MemberId(path_id(request, "member_id"))
    async with row_not_found_first(request, MEMBERS, id):
        body = await body_of(request, OrganizationMemberUpdate)
        command = SetMemberRole(member=id, role=body.role, expects=expected_version_of(request))
        member = await set_member_role(ports_of(request), principal, command)
    return await member_response(request, member)


async def update_access(request: Request) -> Response:
    """
    Replace the board access of a member.

    A member who may read or write all boards needs no grants of single boards.
    """
    principal, id = require_admin(request), MemberId(path_id(request, "member_id"))
    async with row_not_found_first(request, MEMBERS, id):
        body = await body_of(request, OrganizationMemberAccessUpdate)
        command = SetBoardAccess(member=id, access=body.access(), expects=expected_version_of(request))
        member = await set_board_access(ports_of(request), principal, command)
    return await member_response(request, member)


async def delete_member(request: Request) -> Response:
    """
    Remove a member. Their sessions in this organization end.
    """
    principal, id = require_admin(request), MemberId(path_id(request, "member_id"))
    async with row_not_found_first(request, MEMBERS, id):
        command = RemoveMember(member=id, expects=expected_version_of(request))
        await remove_member(ports_of(request), principal, command)
    return json_response(OkResponse())


async def member_response(request: Request, member: Member) -> Response:
    """
    A response with a member who was just changed.
    """
    user = await ports_of(request).reads.entities.get(principal_of(request), USERS, member.user)
    return versioned_response(member_read(member, user))


async def _member_with_grants(request: Request, id: MemberId) -> Response:
    reads, principal = ports_of(request).reads.entities, principal_of(request)
    member = await reads.get(principal, MEMBERS, id)
    user = await reads.get(principal, USERS, member.user)
    grants = await reads.every(with_all_boards(principal), GRANTS, member=id)
    return versioned_response(member_read(member, user, grants))


def member_read(member: Member, user: User, grants: Iterable[Grant] = ()) -> OrganizationMemberRead:
    access = tuple(OrganizationBoardAccessRead.of(each) for each in grants)
    return OrganizationMemberRead.of(member, user=OrganizationUserRead.of(user), board_access=access)


ORGANIZATION_TAGS = ("organizations",)
MEMBER_PATH = "/organizations/me/members/{member_id}"
ENDPOINTS = [
    Endpoint(
        "GET", "/organizations/me/member", get_membership, gives=OrganizationMemberRead, who=USER,
        refuses=(NotAPerson,), tags=ORGANIZATION_TAGS,
        operation_id="get_my_membership_api_v1_organizations_me_member_get",
    ),
    Endpoint(
        "GET", "/organizations/me/members", list_members, query=PageQuery,
        gives=LimitOffsetPage[OrganizationMemberRead], who=USER, tags=ORGANIZATION_TAGS,
        operation_id="list_org_members_api_v1_organizations_me_members_get",
    ),
    Endpoint(
        "GET", MEMBER_PATH, get_member, gives=OrganizationMemberRead, who=USER, tags=ORGANIZATION_TAGS,
        refuses=(MemberNotFound, ForbiddenSilently),
        operation_id="get_org_member_api_v1_organizations_me_members__member_id__get",
    ),
    Endpoint(
        "PATCH", MEMBER_PATH, update_member, takes=OrganizationMemberUpdate, gives=OrganizationMemberRead, who=USER,
        tags=ORGANIZATION_TAGS, headers=(IF_MATCH,),
        refuses=(MemberNotFound, RoleTooLow, OwnersOnly, LastOwnerRequired, LocalUserProtected, VersionMismatch),
        operation_id="update_org_member_api_v1_organizations_me_members__member_id__patch",
    ),
    Endpoint(
        "PUT", f"{MEMBER_PATH}/access", update_access, takes=OrganizationMemberAccessUpdate,
        gives=OrganizationMemberRead, who=USER, tags=ORGANIZATION_TAGS, headers=(IF_MATCH,),
        refuses=(MemberNotFound, RoleTooLow, OwnersOnly, GrantedBoardNotFound, VersionMismatch),
        operation_id="update_member_access_api_v1_organizations_me_members__member_id__access_put",
    ),
    Endpoint(
        "DELETE", MEMBER_PATH, delete_member, gives=OkResponse, who=USER, tags=ORGANIZATION_TAGS, headers=(IF_MATCH,),
        refuses=(
            MemberNotFound, RoleTooLow, CannotRemoveOwnMembership, OwnersOnly, LastOwnerRequired, LocalUserProtected,
            VersionMismatch,
        ),
        operation_id="remove_org_member_api_v1_organizations_me_members__member_id__delete",
    ),
]  # fmt: skip
