"""
Proxy authentication: the user whom a trusted proxy in front of the server names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import define, frozen

from mission_core.accounts.model import Principal, Role
from mission_core.accounts.recognizing import NOBODY
from mission_core.accounts.signing_in import front_desk, is_at_home
from mission_core.accounts.standing import GIVES
from mission_core.accounts.user_admin import add_user, checked_username
from mission_core.accounts.users import LONGEST_NAME, USERS, Provider, User, UsernameTaken
from mission_core.errors import Denied, InvalidField, StaleWrite
from mission_core.ids import MemberId, UserId, UserNumber
from mission_core.kinds import DEPLOYMENT
from mission_core.use_case import use_case
from mission_core.values import checked_text, name_key

if TYPE_CHECKING:
    from mission_core.accounts.model import MemberPrincipal
    from mission_core.ports import Ports

BY_NAME = frozenset({Provider.LOCAL, Provider.PROXY})
"""The providers whose users have names chosen by the proxy or an admin. Users of other providers have names derived
from their own claims."""


@define
class NamedInVain(Denied):
    """
    The user whom the proxy names has no access. *why* is the reason for the log.
    """

    username: str
    why: str

    def __str__(self) -> str:
        return f"the proxy names {self.username!r}, who has no access: {self.why}"


@frozen(kw_only=True)
class NamePerson:
    """
    Find the user with this name. With *role*, an unknown one is created in the default organization.
    """

    username: str
    role: Role | None = None


async def named_by_proxy(ports: Ports, cmd: NamePerson) -> MemberPrincipal:
    """
    The principal of the user whom a proxy names. The caller checks that the proxy is trusted.

    Raises:
        NamedInVain: If the user has no access.
    """
    try:
        username = checked_username(checked_text("username", cmd.username, most=LONGEST_NAME))
        checked_text("username", username, least=1, most=LONGEST_NAME)
    except InvalidField as refusal:
        raise NamedInVain(cmd.username[:LONGEST_NAME], str(refusal)) from None
    user = await _named(ports, NOBODY, NamePerson(username=username, role=cmd.role))
    if user.provider not in BY_NAME:
        raise NamedInVain(username, f"the user name belongs to a user of the provider {user.provider.value}")
    if user.provider is not Provider.PROXY and not await is_at_home(ports, user):
        raise NamedInVain(username, "the user is not a member of the default organization")
    found = await ports.credentials.member(user.id)
    if found is None:
        raise NamedInVain(username, "the user is not approved, or has no active organization")
    return found


@use_case
async def _named(ports: Ports, nobody: Principal, cmd: NamePerson) -> User:
    known = await ports.reads.rows.every(nobody, USERS, username_key=name_key(cmd.username))
    if known:
        return known[0]
    if cmd.role is None:
        raise NamedInVain(cmd.username, "there is no such user, and MC_PROXY_AUTH_DEFAULT_ROLE is not set")
    desk, now = await front_desk(ports), ports.clock.now()
    (number,) = await ports.numbers.draw((DEPLOYMENT, "user"))
    async with ports.unit(desk) as unit:
        made = add_user(
            unit,
            User(
                id=UserId(ports.ids.new()), number=UserNumber(number), username=cmd.username,
                username_key=name_key(cmd.username), provider=Provider.PROXY, active=desk.organization,
                created_at=now, updated_at=now,
            ),
            MemberId(ports.ids.new()), desk.organization, GIVES[cmd.role],
        )  # fmt: skip
        try:
            await unit.commit()
        except UsernameTaken:
            raise StaleWrite("user", made.user.id) from None  # another request created the user first
    return made.user
