"""
Setup: creation of the deployment's first user, who is its first admin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import NAMESPACE_URL, uuid5

from attrs import field

from mission_core.accounts.members import OWNER, MemberWithUser
from mission_core.accounts.model import SERVER_PRINCIPAL, SystemPrincipal
from mission_core.accounts.users import USERS, IdentityProvider, User, UsernameTaken
from mission_core.errors import Conflict, Denied
from mission_core.ids import MemberId, UserId, UserNumber
from mission_core.kinds import DEPLOYMENT
from mission_core.lazy_attrs import frozen
from mission_core.use_case import use_case
from mission_core.values import name_key

if TYPE_CHECKING:
    from mission_core.ports import Ports

PROVIDERS_OF_PEOPLE: Final = (IdentityProvider.LOCAL, IdentityProvider.GOOGLE, IdentityProvider.PROXY)
"""The providers of users that count as signed up. Users of the server's own token and of OpenID Connect do not."""
FIRST_ADMIN_ID: Final = UserId(uuid5(NAMESPACE_URL, "mission-control:first-admin"))
"""The id of the first admin. It is constant, so that the store keeps only one of two created at once."""
OWNER_MEMBERSHIP: Final = {"role": OWNER, "all_boards_read": True, "all_boards_write": True}


class SetupDone(Denied):
    """
    Setup is complete: there are users already.
    """

    says = "Setup has already been completed"


class SetupRaced(Conflict):
    """
    Another request created the first admin at the same time.
    """

    says = "Another admin was created while you were setting up"


@frozen(kw_only=True)
class CreateFirstAdmin:
    """
    Create the first user, who owns the default organization. The caller checks the strength of the password.
    """

    username: str
    password: str = field(repr=False)
    name: str | None = None


async def needs_setup(ports: Ports) -> bool:
    """
    Whether there is no user yet.
    """
    async with ports.unit(SystemPrincipal(organization=DEPLOYMENT, name=SERVER_PRINCIPAL.name)) as unit:
        for provider in PROVIDERS_OF_PEOPLE:
            if await unit.repository(USERS).find(provider=provider) is not None:
                return False
    return True


@use_case
async def create_first_admin(ports: Ports, cmd: CreateFirstAdmin) -> MemberWithUser:
    """
    Create the first user. If several processes try at once, one succeeds.

    Raises:
        SetupDone: If there are users already.
        SetupRaced: If another request creates the first admin at the same time.
        UsernameTaken: If the local user has this user name.
    """
    if not await needs_setup(ports):
        raise SetupDone
    from mission_core.accounts.sign_in import sign_in_principal  # every start asks `needs_setup`, and creates nobody
    from mission_core.accounts.user_admin import add_user, checked_username

    username, name = checked_username(cmd.username), (cmd.name or "").strip()
    desk, now = await sign_in_principal(ports), ports.clock.now()
    password = await ports.passwords.hash(cmd.password)
    (number,) = await ports.numbers.next((DEPLOYMENT, "user"))
    user = User(
        id=FIRST_ADMIN_ID, number=UserNumber(number), username=username, username_key=name_key(username),
        provider=IdentityProvider.LOCAL, password=password, name=name or username[:1].upper() + username[1:],
        active=desk.organization, created_at=now, updated_at=now,
    )  # fmt: skip
    try:
        async with ports.unit(SystemPrincipal(organization=desk.organization, name="setup", display="Setup")) as unit:
            made = add_user(
                unit, user, MemberId(uuid5(desk.organization, str(FIRST_ADMIN_ID))), desk.organization, OWNER_MEMBERSHIP
            )
            await unit.commit()
    except Conflict as clash:
        if isinstance(clash, UsernameTaken) and await needs_setup(ports):
            raise
        raise SetupRaced from clash
    return made
