"""
Operations of admins on the users of an organization.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.members import Granted, role_shown
from mission_core.accounts.model import Role
from mission_core.accounts.people import LocalUserStays
from mission_core.accounts.standing import LastOwnerStays, OwnerAboveAdmin
from mission_core.accounts.user_admin import (
    CreateUser,
    DeleteUser,
    MemberElsewhere,
    UpdateUser,
    create_user,
    delete_user,
    update_user,
    users_of,
)
from mission_core.accounts.users import Provider, UsernameTaken, UserNotFound
from mission_core.boards.grants import GRANTS
from mission_core.ids import UserNumber
from mission_core.values import ABSENT, Absent
from mission_http.fleet.access import CHANGING_USERS, LISTING_USERS
from mission_http.fleet.errors import AdminRequired, Unacceptable
from mission_http.fleet.payloads import SuccessPayload
from mission_http.fleet.user_payloads import (
    CreateUserBody,
    DeleteUserBody,
    UpdateUserBody,
    UserAnswerPayload,
    UserListPayload,
    listed_user_of,
    user_answer,
    user_number,
    workspace_of,
)
from mission_http.platform.bodies import body_of, parsed_body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.json import json_of
from mission_http.platform.refusals import BodyMalformed, BodyMissing, FieldsInvalid


async def list_users(request: Request) -> Response:
    """
    List the users of the organization, oldest first.
    """
    ports, principal = ports_of(request), principal_of(request)
    users, workspace = await users_of(ports, principal), await workspace_of(ports, principal)
    granted = defaultdict(list)
    for grant in await ports.reads.rows.every(principal, GRANTS):
        granted[grant.member].append(Granted(grant.on_board, grant.can_read, grant.can_write))
    return json_of(
        {
            "users": [
                listed_user_of(each.user, role_shown(each.member, granted[each.member.id]).value, workspace)
                for each in users
            ]
        }
    )


async def add_user(request: Request) -> Response:
    """
    Create a user.
    """
    body = await body_of(request, CreateUserBody)
    provider, email = Provider(body.provider), _told(body.email)
    command = CreateUser(
        username=body.username,
        password=body.password,
        name=_told(body.display_name),
        role=Role(body.role),
        provider=provider,
        email=email.lower() if email and provider is Provider.GOOGLE else email,
    )
    ports, principal = ports_of(request), principal_of(request)
    made = await create_user(ports, principal, command)
    return json_of({"user": await user_answer(ports, principal, made.user, made.member)}, 201)


async def change_user(request: Request) -> Response:
    """
    Update a user.

    A new password, or withdrawing the approval, ends the user's sessions.
    """
    body = await body_of(request, UpdateUserBody)
    if not body.id:
        raise Unacceptable("User ID is required")
    if not isinstance(body.role, Absent) and body.role not in set(Role):
        raise Unacceptable("Invalid role")
    command = UpdateUser(
        user=UserNumber(body.id),
        role=ABSENT if isinstance(body.role, Absent) else Role(body.role),
        password=body.password or ABSENT,
        approved=body.is_approved,
        name=body.display_name,
        email=_cleared(body.email),
        avatar_url=_cleared(body.avatar_url),
    )
    ports, principal = ports_of(request), principal_of(request)
    now = await update_user(ports, principal, command)
    return json_of({"user": await user_answer(ports, principal, now.user, now.member)})


async def remove_user(request: Request) -> Response:
    """
    Remove a user from the organization, and end their sessions.

    A user without another organization is deleted.
    """
    body: Any = None
    with suppress(BodyMissing, BodyMalformed):
        body = await parsed_body_of(request)
    if not isinstance(body, dict):
        raise Unacceptable("Request body required")
    try:
        number = user_number(body.get("id"))
    except FieldsInvalid:
        number = 0
    if not number:
        raise Unacceptable("User ID is required")
    await delete_user(ports_of(request), principal_of(request), DeleteUser(user=UserNumber(number)))
    return json_of({"success": True})


def _told(value: str | Absent) -> str | None:
    return None if isinstance(value, Absent) else value or None


def _cleared(value: str | Absent | None) -> str | Absent | None:
    return value if isinstance(value, Absent) else value or None


TAGS = ("Users",)
ENDPOINTS = [
    Endpoint(
        "GET", "/auth/users", list_users, gives=UserListPayload, who=LISTING_USERS, operation_id="fleet_listUsers",
        tags=TAGS,
    ),
    Endpoint(
        "POST", "/auth/users", add_user, takes=CreateUserBody, gives=UserAnswerPayload, status=201,
        who=CHANGING_USERS, refuses=(AdminRequired, UsernameTaken), limits=("identity:users",),
        operation_id="fleet_createUser", tags=TAGS,
    ),
    Endpoint(
        "PUT", "/auth/users", change_user, takes=UpdateUserBody, gives=UserAnswerPayload, who=CHANGING_USERS,
        refuses=(UserNotFound, OwnerAboveAdmin, MemberElsewhere, LastOwnerStays, LocalUserStays),
        limits=("identity:users",), operation_id="fleet_updateUser", tags=TAGS,
    ),
    Endpoint(
        "DELETE", "/auth/users", remove_user, takes=DeleteUserBody, gives=SuccessPayload, who=CHANGING_USERS,
        refuses=(UserNotFound, OwnerAboveAdmin, LastOwnerStays, LocalUserStays), limits=("identity:users",),
        operation_id="fleet_deleteUser", tags=TAGS,
    ),
]  # fmt: skip
