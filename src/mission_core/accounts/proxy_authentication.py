"""
Proxy authentication: the user whom a trusted proxy in front of the server names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mission_core.accounts.model import Principal, Role
from mission_core.accounts.ownership_rules import MEMBERSHIP_OF_ROLE
from mission_core.accounts.sign_in import is_member_of_default_organization, sign_in_principal
from mission_core.accounts.user_admin import add_user, checked_username
from mission_core.accounts.user_provisioning import UNKNOWN_CALLER
from mission_core.accounts.users import MAX_USERNAME, USERS, IdentityProvider, User, UsernameTaken
from mission_core.errors import Denied, InvalidField, StaleWrite
from mission_core.ids import MemberId, UserId, UserNumber
from mission_core.kinds import DEPLOYMENT
from mission_core.lazy_attrs import define, frozen
from mission_core.use_case import use_case
from mission_core.values import checked_text, name_key

if TYPE_CHECKING:
    from mission_core.accounts.model import MemberPrincipal
    from mission_core.ports import Ports

NAMED_PROVIDERS = frozenset({IdentityProvider.LOCAL, IdentityProvider.PROXY})
"""The providers whose users have names chosen by the proxy or an admin. Users of other providers have names derived
from their own claims."""


@define(repr=False)
class ProxyUserRefused(Denied):
    """
    The user whom the proxy names has no access.

    Args:
        why: The reason, for the log.
    """

    code = "named_in_vain"

    username: str
    why: str

    says = "the proxy names {self.username!r}, who has no access: {self.why}"


@frozen(kw_only=True)
class ProxyUser:
    """
    Find the user with this name. With *role*, an unknown one is created in the default organization.
    """

    username: str
    role: Role | None = None


async def authenticate_proxy_user(ports: Ports, cmd: ProxyUser) -> MemberPrincipal:
    """
    The principal of the user whom a proxy names. The caller checks that the proxy is trusted.

    Raises:
        ProxyUserRefused: If the user has no access.
    """
    try:
        username = checked_username(checked_text("username", cmd.username, most=MAX_USERNAME))
        checked_text("username", username, least=1, most=MAX_USERNAME)
    except InvalidField as refusal:
        raise ProxyUserRefused(cmd.username[:MAX_USERNAME], str(refusal)) from None
    user = await _find_or_create_user(ports, UNKNOWN_CALLER, ProxyUser(username=username, role=cmd.role))
    if user.provider not in NAMED_PROVIDERS:
        raise ProxyUserRefused(username, f"the user name belongs to a user of the provider {user.provider.value}")
    if user.provider is not IdentityProvider.PROXY and not await is_member_of_default_organization(ports, user):
        raise ProxyUserRefused(username, "the user is not a member of the default organization")
    found = await ports.credentials.member(user.id)
    if found is None:
        raise ProxyUserRefused(username, "the user is not approved, or has no active organization")
    return found


@use_case
async def _find_or_create_user(ports: Ports, nobody: Principal, cmd: ProxyUser) -> User:
    known = await ports.reads.entities.every(nobody, USERS, username_key=name_key(cmd.username))
    if known:
        return known[0]
    if cmd.role is None:
        raise ProxyUserRefused(cmd.username, "there is no such user, and MC_PROXY_AUTH_DEFAULT_ROLE is not set")
    desk, now = await sign_in_principal(ports), ports.clock.now()
    (number,) = await ports.numbers.next((DEPLOYMENT, "user"))
    async with ports.unit(desk) as unit:
        made = add_user(
            unit,
            User(
                id=UserId(ports.ids.new()), number=UserNumber(number), username=cmd.username,
                username_key=name_key(cmd.username), provider=IdentityProvider.PROXY, active=desk.organization,
                created_at=now, updated_at=now,
            ),
            MemberId(ports.ids.new()), desk.organization, MEMBERSHIP_OF_ROLE[cmd.role],
        )  # fmt: skip
        try:
            await unit.commit()
        except UsernameTaken:
            raise StaleWrite("user", made.user.id) from None  # another request created the user first
    return made.user
