"""
Operations of admins on the users of an organization.
"""

from __future__ import annotations

from collections import defaultdict

from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.members import BoardPermission, effective_role
from mission_core.accounts.model import Role
from mission_core.accounts.ownership_rules import LastOwnerRequired, OwnerAboveAdmin
from mission_core.accounts.profiles import LocalUserProtected
from mission_core.accounts.user_admin import (
    CreateUser,
    DeleteUser,
    MemberOfAnotherOrganization,
    UpdateUser,
    create_user,
    delete_user,
    update_user,
    users_of_organization,
)
from mission_core.accounts.users import IdentityProvider, UsernameTaken, UserNotFound
from mission_core.boards.grants import GRANTS
from mission_core.ids import UserNumber
from mission_core.values import ABSENT, Absent
from mission_http.fleet.access import USER_CHANGE_ADMIN, USER_LIST_ADMIN
from mission_http.fleet.bodies import required_object_of
from mission_http.fleet.errors import AdminRequired, InvalidRequest
from mission_http.fleet.payloads import SuccessPayload
from mission_http.fleet.user_payloads import (
    CreateUserBody,
    DeleteUserBody,
    ListedUserPayload,
    UpdateUserBody,
    UserAnswerPayload,
    UserListPayload,
    member_user_payload,
    user_number,
    workspace_number_of,
)
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.errors import FieldsInvalid
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.json_responses import json_response


async def list_users(request: Request) -> Response:
    """
    List the users of the organization, oldest first.
    """
    ports, principal = ports_of(request), principal_of(request)
    users, workspace = await users_of_organization(ports, principal), await workspace_number_of(ports, principal)
    granted = defaultdict(list)
    for grant in await ports.reads.entities.every(principal, GRANTS):
        granted[grant.member].append(BoardPermission(grant.on_board, grant.can_read, grant.can_write))
    shown = [
        ListedUserPayload.of(
            each.user, role=effective_role(each.member, granted[each.member.id]).value, workspace_id=workspace
        )
        for each in users
    ]
    return json_response(UserListPayload(users=shown))


async def add_user(request: Request) -> Response:
    """
    Create a user.
    """
    body = await body_of(request, CreateUserBody)
    provider, email = IdentityProvider(body.provider), _text_or_none(body.email)
    command = CreateUser(
        username=body.username,
        password=body.password,
        name=_text_or_none(body.display_name),
        role=Role(body.role),
        provider=provider,
        email=email.lower() if email and provider is IdentityProvider.GOOGLE else email,
    )
    ports, principal = ports_of(request), principal_of(request)
    made = await create_user(ports, principal, command)
    user = await member_user_payload(ports, principal, made.user, made.member)
    return json_response(UserAnswerPayload(user=user), 201)


async def change_user(request: Request) -> Response:
    """
    Update a user.

    A new password, or withdrawing the approval, ends the user's sessions.
    """
    body = await body_of(request, UpdateUserBody)
    if not body.id:
        raise InvalidRequest("User ID is required")
    if not isinstance(body.role, Absent) and body.role not in set(Role):
        raise InvalidRequest("Invalid role")
    command = UpdateUser(
        user=UserNumber(body.id),
        role=ABSENT if isinstance(body.role, Absent) else Role(body.role),
        password=body.password or ABSENT,
        approved=body.is_approved,
        name=body.display_name,
        email=_none_if_empty(body.email),
        avatar_url=_none_if_empty(body.avatar_url),
    )
    ports, principal = ports_of(request), principal_of(request)
    now = await update_user(ports, principal, command)
    user = await member_user_payload(ports, principal, now.user, now.member)
    return json_response(UserAnswerPayload(user=user))


async def remove_user(request: Request) -> Response:
    """
    Remove a user from the organization, and end their sessions.

    A user without another organization is deleted.
    """
    body = await required_object_of(request)
    try:
        number = user_number(body.get("id"))
    except FieldsInvalid:
        number = 0
    if not number:
        raise InvalidRequest("User ID is required")
    await delete_user(ports_of(request), principal_of(request), DeleteUser(user=UserNumber(number)))
    return json_response(SuccessPayload(success=True))


def _text_or_none(value: str | Absent) -> str | None:
    return None if isinstance(value, Absent) else value or None


def _none_if_empty(value: str | Absent | None) -> str | Absent | None:
    return value if isinstance(value, Absent) else value or None


ENDPOINTS = [
    Endpoint(
        "GET", "/auth/users", list_users, gives=UserListPayload, who=USER_LIST_ADMIN, operation_id="fleet_listUsers",
    ),
    Endpoint(
        "POST", "/auth/users", add_user, takes=CreateUserBody, gives=UserAnswerPayload, status=201,
        who=USER_CHANGE_ADMIN, refuses=(AdminRequired, UsernameTaken), limits=("identity:users",),
        operation_id="fleet_createUser",
    ),
    Endpoint(
        "PUT", "/auth/users", change_user, takes=UpdateUserBody, gives=UserAnswerPayload, who=USER_CHANGE_ADMIN,
        refuses=(UserNotFound, OwnerAboveAdmin, MemberOfAnotherOrganization, LastOwnerRequired, LocalUserProtected),
        limits=("identity:users",), operation_id="fleet_updateUser",
    ),
    Endpoint(
        "DELETE", "/auth/users", remove_user, takes=DeleteUserBody, gives=SuccessPayload, who=USER_CHANGE_ADMIN,
        refuses=(UserNotFound, OwnerAboveAdmin, LastOwnerRequired, LocalUserProtected), limits=("identity:users",),
        operation_id="fleet_deleteUser",
    ),
]  # fmt: skip
