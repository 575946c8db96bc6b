"""
Operations that invite people to the caller's organization and accept an invite.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from attrs import field
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.invites import (
    INVITES,
    Invite,
    InvitedAlready,
    InviteForAnother,
    InviteNotFound,
)
from mission_core.accounts.member_admin import OwnersOnly
from mission_core.accounts.members import MEMBER, MEMBERS, Member
from mission_core.accounts.model import Principal, SystemPrincipal
from mission_core.accounts.profiles import NotAPerson, user_id_of
from mission_core.boards.board_access import (
    AcceptInvite,
    GrantedBoardNotFound,
    InvitePerson,
    WithdrawInvite,
    accept_invite,
    invite_person,
    invites_with_tokens,
    withdraw_invite,
)
from mission_core.errors import KeyReused, RoleTooLow
from mission_core.ids import InviteId
from mission_core.ports import Ports
from mission_http.boards.access import USER, path_id, require_admin, row_not_found_first
from mission_http.boards.members import (
    OrganizationBoardAccessSpec,
    OrganizationMemberAccessUpdate,
    OrganizationMemberRead,
    member_response,
)
from mission_http.boards.payloads import LimitOffsetPage, PageQuery
from mission_http.boards.responses import page_response
from mission_http.boards.wire import BoardsPayload
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.field_annotations import Body
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, perform_once, read_row_again
from mission_http.platform.json_responses import json_response
from mission_http.platform.query_strings import query_of
from mission_http.platform.shapes import Given, Of


class OrganizationInviteRead(BoardsPayload[Invite]):
    id: UUID
    organization_id: Annotated[UUID, Of("organization")]
    invited_email: Annotated[str, Of("email")]
    role: str
    all_boards_read: bool
    all_boards_write: bool
    token: Annotated[str, Given()]
    created_by_user_id: Annotated[UUID | None, Of("created_by")] = None
    accepted_by_user_id: Annotated[UUID | None, Of("accepted_by")] = None
    accepted_at: datetime | None = None
    created_at: datetime
    updated_at: datetime


class OrganizationInviteCreate(Body):
    invited_email: str
    role: str = MEMBER
    all_boards_read: bool = False
    all_boards_write: bool = False
    board_access: tuple[OrganizationBoardAccessSpec, ...] = field(factory=tuple)

    def command(self) -> InvitePerson:
        access = OrganizationMemberAccessUpdate(
            all_boards_read=self.all_boards_read, all_boards_write=self.all_boards_write,
            board_access=self.board_access,
        ).access()  # fmt: skip
        return InvitePerson(email=self.invited_email, role=self.role, access=access)


class OrganizationInviteAccept(Body):
    token: str


async def list_invites(request: Request) -> Response:
    """
    List the invites that have not been accepted, newest first.

    The token of an invite for an owner is shown to owners only; for others it is empty.
    """
    principal, query = require_admin(request), query_of(request, PageQuery)
    found = await ports_of(request).reads.entities.every(principal, INVITES, accepted_at=None)
    found.sort(key=lambda each: (each.created_at, each.id), reverse=True)
    page = await invites_with_tokens(ports_of(request), principal, found[query.offset : query.offset + query.limit])
    return page_response(page, len(found), query, lambda told: OrganizationInviteRead.of(told[0], token=told[1]))


async def create_invite(request: Request) -> Response:
    """
    Invite a person by e-mail address.

    No mail is sent: pass the token on. The invite is accepted by a sign-in with this address, or by its token.
    """
    require_admin(request)
    body = await body_of(request, OrganizationInviteCreate)
    invite = await perform_once(request, invite_person, body.command(), _again)
    return await _invite_response(request, invite)


_again = read_row_again(INVITES)


async def _invite_response(request: Request, invite: Invite) -> Response:
    (told,) = await invites_with_tokens(ports_of(request), principal_of(request), [invite])
    return json_response(OrganizationInviteRead.of(told[0], token=told[1]))


async def delete_invite(request: Request) -> Response:
    """
    Withdraw an invite.
    """
    principal, id = require_admin(request), InviteId(path_id(request, "invite_id"))
    async with row_not_found_first(request, INVITES, id):
        invite = await withdraw_invite(ports_of(request), principal, WithdrawInvite(invite=id))
    return await _invite_response(request, invite)


async def accept(request: Request) -> Response:
    """
    Accept an invite by its token.

    A person who is a member already keeps their role and access, and gets those of the invite in addition.
    """
    body = await body_of(request, OrganizationInviteAccept)
    member = await perform_once(request, accept_invite, AcceptInvite(token=body.token), _membership_again)
    return await member_response(request, member)


async def _membership_again(ports: Ports, principal: Principal, member: UUID) -> Member:
    places = await ports.credentials.memberships(user_id_of(principal))
    there = next((SystemPrincipal(organization=place.id) for place, each in places if each.id == member), principal)
    return await ports.reads.entities.get(there, MEMBERS, member)


ORGANIZATION_TAGS = ("organizations",)
ENDPOINTS = [
    Endpoint(
        "GET", "/organizations/me/invites", list_invites, query=PageQuery,
        gives=LimitOffsetPage[OrganizationInviteRead], who=USER, tags=ORGANIZATION_TAGS, refuses=(RoleTooLow,),
        operation_id="list_org_invites_api_v1_organizations_me_invites_get",
    ),
    Endpoint(
        "POST", "/organizations/me/invites", create_invite, takes=OrganizationInviteCreate,
        gives=OrganizationInviteRead, who=USER, tags=ORGANIZATION_TAGS, headers=(IDEMPOTENCY_KEY,),
        refuses=(RoleTooLow, OwnersOnly, InvitedAlready, GrantedBoardNotFound, KeyReused),
        operation_id="create_org_invite_api_v1_organizations_me_invites_post",
    ),
    Endpoint(
        "DELETE", "/organizations/me/invites/{invite_id}", delete_invite, gives=OrganizationInviteRead, who=USER,
        tags=ORGANIZATION_TAGS, refuses=(InviteNotFound, RoleTooLow, OwnersOnly),
        operation_id="revoke_org_invite_api_v1_organizations_me_invites__invite_id__delete",
    ),
    Endpoint(
        "POST", "/organizations/invites/accept", accept, takes=OrganizationInviteAccept, gives=OrganizationMemberRead,
        who=USER, tags=ORGANIZATION_TAGS, headers=(IDEMPOTENCY_KEY,),
        refuses=(NotAPerson, InviteNotFound, InviteForAnother, KeyReused),
        operation_id="accept_org_invite_api_v1_organizations_invites_accept_post",
    ),
]  # fmt: skip
