"""
The active organization of a person who has none yet, or lost it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import evolve

from mission_core.accounts.invites import InviteForAnother, InviteNotFound
from mission_core.accounts.model import SystemPrincipal
from mission_core.accounts.organizations import OrganizationNameTaken, SlugTaken
from mission_core.accounts.users import USERS, IdentityProvider, User
from mission_core.agents.organization_creation import add_organization_for, new_organization
from mission_core.boards.board_access import join_organization
from mission_core.errors import StaleWrite
from mission_core.kinds import DEPLOYMENT
from mission_core.use_case import use_case

if TYPE_CHECKING:
    from mission_core.accounts.model import MemberPrincipal
    from mission_core.ids import UserId
    from mission_core.ports import Ports

PERSONAL_ORGANIZATION_NAME: Final = "Personal"


async def ensure_active_organization(ports: Ports, id: UserId, *, verified: bool = False) -> MemberPrincipal | None:
    """
    Give a person without an active organization one, and return their membership in it. It is the oldest organization
    they belong to, or the one of the oldest invite for their e-mail address, or a new personal one.

    It is called after `Credentials.member` found nothing.

    Args:
        verified: Whether the identity provider has verified the e-mail address. An unverified address accepts
            no invite; that takes the invite's token.

    Returns:
        None if the user does not exist, is not approved, or is the local user, who has only their own organization.
    """
    try:
        return await _ensure_active_organization(ports, id, verified=verified)
    except StaleWrite:
        return None


@use_case
async def _ensure_active_organization(ports: Ports, id: UserId, *, verified: bool) -> MemberPrincipal | None:
    user = next(iter(await ports.reads.entities.every(SystemPrincipal(organization=DEPLOYMENT), USERS, id=id)), None)
    if user is None or not user.approved:
        return None
    try:
        if not (
            await _activate_oldest_organization(ports, user) or (verified and await _accept_oldest_invite(ports, user))
        ):
            if user.provider is IdentityProvider.TOKEN:
                return None
            await _create_personal_organization(ports, user)
    except (StaleWrite, SlugTaken, OrganizationNameTaken):
        pass  # a concurrent request of the same user was faster
    found = await ports.credentials.member(id)
    if found is None:
        raise StaleWrite("user", id)
    return found


async def _activate_oldest_organization(ports: Ports, user: User) -> bool:
    """
    Make the user's oldest organization their active one.
    """
    places = await ports.credentials.memberships(user.id)
    if not places:
        return False
    oldest = places[0][0].id
    async with ports.unit(SystemPrincipal(organization=oldest, name=user.username, user=user.id)) as unit:
        users = unit.repository(USERS)
        users.save(evolve(await users.get(user.id), active=oldest, updated_at=ports.clock.now()))
        await unit.commit()
    return True


async def _accept_oldest_invite(ports: Ports, user: User) -> bool:
    email = (user.email or "").strip().lower()
    if not email:
        return False
    for invite in await ports.credentials.invites_for(email):
        try:
            await join_organization(ports, user, invite)
        except (InviteNotFound, InviteForAnother):
            continue  # it was withdrawn or accepted meanwhile
        return True
    return False


async def _create_personal_organization(ports: Ports, user: User) -> None:
    """
    Create a personal organization for the user. Any number of organizations may share its name.
    """
    wanted = await new_organization(ports, f"personal-{ports.ids.new().hex[-12:]}", PERSONAL_ORGANIZATION_NAME)
    await add_organization_for(ports, user, wanted.renamed(PERSONAL_ORGANIZATION_NAME, shared=True), act_there=True)
