"""
Operations of the caller on their own profile and account.
"""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from attrs import asdict
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.account_deletion import delete_account
from mission_core.accounts.identity_claims import subject_without_issuer
from mission_core.accounts.ownership_rules import LastOwnerRequired
from mission_core.accounts.ports import ProviderAccountNotDeleted
from mission_core.accounts.profiles import LOCAL_LOGIN, LocalUserProtected, NotAPerson, UpdateProfile, own_profile
from mission_core.accounts.profiles import update_profile as change_profile
from mission_core.accounts.users import IdentityProvider, User
from mission_core.errors import VersionMismatch
from mission_core.values import ABSENT, Absent
from mission_http.boards.access import USER
from mission_http.boards.payloads import OkResponse
from mission_http.boards.responses import versioned_response
from mission_http.boards.wire import BoardsPayload
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.etags import IF_MATCH, expected_version_of
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.field_annotations import Body
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, idempotency_key_of
from mission_http.platform.json_responses import json_response
from mission_http.platform.shapes import Computed, Fixed


def issuer_subject(user: User) -> str:
    """
    The user's name at the identity provider.
    """
    if user.provider is IdentityProvider.TOKEN:
        return LOCAL_LOGIN
    return user.username if user.subject is None else subject_without_issuer(user.subject)


class UserRead(BoardsPayload[User]):
    clerk_user_id: Annotated[str, Computed(issuer_subject)]
    email: str | None = None
    name: str | None = None
    preferred_name: str | None = None
    pronouns: str | None = None
    timezone: str | None = None
    notes: str | None = None
    context: str | None = None
    id: UUID
    is_super_admin: Annotated[bool, Fixed(False)]
    version: int


class UserUpdate(Body):
    name: str | Absent | None = ABSENT
    preferred_name: str | Absent | None = ABSENT
    pronouns: str | Absent | None = ABSENT
    timezone: str | Absent | None = ABSENT
    notes: str | Absent | None = ABSENT
    context: str | Absent | None = ABSENT


async def bootstrap(request: Request) -> Response:
    """
    Confirm that the caller is known and has an organization.

    Every authenticated user is and has, so it only returns their profile.
    """
    await idempotency_key_of(request)  # a repetition needs no key, but a malformed one is refused as everywhere
    return versioned_response(UserRead.of(await own_profile(ports_of(request), principal_of(request))))


async def get_me(request: Request) -> Response:
    """
    Read the caller's own profile.
    """
    return versioned_response(UserRead.of(await own_profile(ports_of(request), principal_of(request))))


async def update_me(request: Request) -> Response:
    """
    Change the named fields of the caller's own profile.
    """
    body = await body_of(request, UserUpdate)
    command = UpdateProfile(expects=expected_version_of(request), **asdict(body, recurse=False))
    person = await change_profile(ports_of(request), principal_of(request), command)
    return versioned_response(UserRead.of(person))


async def delete_me(request: Request) -> Response:
    """
    Delete the caller's own account.

    Organizations without another member are deleted with everything in them. The local user cannot be deleted, since it
    represents the server's own token. If users sign in with Clerk, their account at Clerk is deleted first; after an
    interruption the request may be repeated.
    """
    await delete_account(ports_of(request), principal_of(request))
    return json_response(OkResponse())


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
        "DELETE", "/users/me", delete_me, gives=OkResponse, who=USER,
        refuses=(NotAPerson, LastOwnerRequired, LocalUserProtected, ProviderAccountNotDeleted), tags=("users",),
    ),
]  # fmt: skip
