"""
Request bodies and responses for users, sign-in and setup.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from msgspec import UNSET, UnsetType

from mission_core.accounts.members import Member, effective_role
from mission_core.accounts.model import AgentPrincipal, MemberPrincipal, Principal
from mission_core.accounts.passwords import MAX_PASSWORD_LENGTH, MIN_PASSWORD_LENGTH
from mission_core.accounts.users import MAX_EMAIL, MAX_USERNAME, IdentityProvider, User
from mission_core.ports import Ports
from mission_core.values import ABSENT, MAX_INTEGER, Absent
from mission_http.fleet.bodies import BooleanOrBit, stripped_text
from mission_http.fleet.wire import FleetPayload, UnixSeconds
from mission_http.platform.errors import single_value_error
from mission_http.platform.field_annotations import Body, CustomCheck, Length, SchemaOverride
from mission_http.platform.shapes import Computed, Fixed, Given, Of, Payload

TENANT_NUMBER: Final = 1
"""The number of the only tenant."""
PROVIDER_NAMES: Final = {IdentityProvider.GOOGLE: "google", IdentityProvider.PROXY: "proxy"}
"""Names of identity providers other than `local`."""
RoleName = Literal["viewer", "operator", "admin"]
DisplayName = Annotated[str, CustomCheck(stripped_text), Length(1, 500, says="Display name cannot be empty")]
Email = Annotated[str, CustomCheck(stripped_text), Length(0, MAX_EMAIL)]


def user_number(value: object) -> int:
    """
    Parse the number of a user, also from text; 0, which no user has, if it is null or empty.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value if abs(value) <= MAX_INTEGER else -1
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdecimal():
        return min(int(value.strip()[:20]), MAX_INTEGER)
    if value in (None, ""):
        return 0
    raise single_value_error("int_parsing", "must be the number of a user", value)


class LoginBody(Body):
    """
    The request body as documented. The handler validates it itself, with the original API's error texts.
    """

    username: str
    password: str


class UpdateMeBody(Body):
    """
    The request body as documented. The handler validates it itself, with the original API's error texts.
    """

    current_password: str | Absent = ABSENT
    new_password: Annotated[str, Length(MIN_PASSWORD_LENGTH, MAX_PASSWORD_LENGTH)] | Absent = ABSENT
    display_name: str | Absent = ABSENT


class CreateUserBody(Body):
    username: Annotated[str, CustomCheck(stripped_text), Length(1, MAX_USERNAME, says="Username is required")]
    password: Annotated[
        str, Length(MIN_PASSWORD_LENGTH, MAX_PASSWORD_LENGTH, says="Password must be at least 12 characters")
    ]
    display_name: Annotated[str, CustomCheck(stripped_text), Length(0, 500)] | Absent = ABSENT
    role: RoleName = "operator"
    provider: Literal["local", "google"] = "local"
    email: Email | Absent = ABSENT


class UpdateUserBody(Body):
    id: Annotated[
        Any, CustomCheck(user_number), SchemaOverride({"anyOf": [{"type": "integer"}, {"type": "string"}]})
    ] = 0
    display_name: DisplayName | Absent = ABSENT
    role: Annotated[str, SchemaOverride({"enum": ["viewer", "operator", "admin"]})] | Absent = ABSENT
    password: Annotated[str, Length(0, MAX_PASSWORD_LENGTH)] | Absent | None = ABSENT
    is_approved: BooleanOrBit | Absent = ABSENT
    email: Email | Absent | None = ABSENT
    avatar_url: Annotated[str, CustomCheck(stripped_text), Length(0, 2000)] | Absent | None = ABSENT


class DeleteUserBody(Body):
    """
    The request body as documented. The handler validates it itself, with the original API's error texts.
    """

    id: Annotated[Any, SchemaOverride({"anyOf": [{"type": "integer"}, {"type": "string"}]})]


class SetupBody(Body):
    """
    The request body as documented. The handler validates it itself, with the original API's error texts.
    """

    username: Annotated[str, Length(2, 64)]
    password: Annotated[str, Length(MIN_PASSWORD_LENGTH, MAX_PASSWORD_LENGTH)]
    displayName: str | Absent = ABSENT
    display_name: str | Absent = ABSENT
    code: str | Absent = ABSENT


def provider_name(user: User) -> str:
    return PROVIDER_NAMES.get(user.provider, "local")


class CallerPayload(FleetPayload[User]):
    id: Annotated[int, Of("number")]
    username: str
    display_name: Annotated[str, Of("display")]
    role: Annotated[RoleName, Given()]
    provider: Annotated[Literal["local", "google", "proxy"], Computed(provider_name)]
    email: str | None
    avatar_url: str | None
    workspace_id: Annotated[int, Given()]
    tenant_id: Annotated[int, Fixed(TENANT_NUMBER)]


class UserPayload(CallerPayload):
    is_approved: Annotated[int, Of("approved")]


class ListedUserPayload(UserPayload):
    created_at: UnixSeconds
    updated_at: UnixSeconds
    last_login_at: UnixSeconds | None


class UserListPayload(Payload):
    users: list[ListedUserPayload]


class UserAnswerPayload(Payload):
    user: UserPayload


class MePayload(Payload):
    user: CallerPayload


class SignedInPayload(Payload):
    user: CallerPayload
    warning: str | UnsetType = UNSET


class ChangedMePayload(Payload):
    success: bool
    user: CallerPayload
    warning: str | UnsetType = UNSET


class OkPayload(Payload):
    ok: bool


class NeedsSetupPayload(Payload):
    needsSetup: bool


class FirstAdminPayload(FleetPayload[User]):
    id: Annotated[int, Of("number")]
    username: str
    display_name: Annotated[str, Of("display")]
    role: Annotated[Literal["admin"], Fixed("admin")]


class SetUpPayload(Payload):
    user: FirstAdminPayload
    warning: str | UnsetType = UNSET


async def workspace_number_of(ports: Ports, principal: Principal) -> int:
    """
    Read the number of the caller's organization.
    """
    return (await ports.reads.organization(principal)).number


async def caller_payload(ports: Ports, principal: Principal) -> CallerPayload:
    """
    Return the caller's payload. The server's key and agents' keys are shown like users.
    """
    workspace = await workspace_number_of(ports, principal)
    if isinstance(principal, MemberPrincipal):
        found = await ports.reads.members.get(principal, principal.user)
        return CallerPayload.of(found.user, role=principal.role.value, workspace_id=workspace)
    number, username = 0, principal.name
    if isinstance(principal, AgentPrincipal):
        username = f"agent:{principal.name}"
        if principal.key is not None:
            async with ports.unit(principal) as unit:
                number = -(await unit.keys.get(principal.key)).number
    return CallerPayload(
        id=number,
        username=username,
        display_name=principal.display,
        role=principal.role.value,
        provider="local",
        email=None,
        avatar_url=None,
        workspace_id=workspace,
        tenant_id=TENANT_NUMBER,
    )


async def member_user_payload(ports: Ports, principal: Principal, user: User, member: Member) -> UserPayload:
    """
    Return a user's payload for admins, with the role in the caller's organization.
    """
    role = effective_role(member, await ports.credentials.board_permissions(member))
    return UserPayload.of(user, role=role.value, workspace_id=await workspace_number_of(ports, principal))
