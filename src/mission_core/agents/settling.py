"""
Where a person acts who acts nowhere yet, or nowhere any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import evolve

from mission_core.accounts.invites import InviteForAnother, InviteNotFound
from mission_core.accounts.model import System
from mission_core.accounts.organizations import OrganizationNameTaken, SlugTaken
from mission_core.accounts.users import USERS, Provider, User
from mission_core.agents.founding import found_for, wanted_organization
from mission_core.boards.granting import join
from mission_core.errors import StaleWrite
from mission_core.kinds import DEPLOYMENT
from mission_core.use_case import use_case

if TYPE_CHECKING:
    from mission_core.accounts.model import MemberPrincipal
    from mission_core.ids import UserId
    from mission_core.ports import Ports

PERSONAL: Final = "Personal"


async def settle(ports: Ports, id: UserId, *, verified: bool = False) -> MemberPrincipal | None:
    """
    The person as a member of the organization they act in, for whoever asked `Credentials.member` in vain. It is
    their oldest one; else the one that the oldest invite for their e-mail address lets them into; else a new one of
    their own.

    Args:
        verified: Whether their provider vouches for the e-mail address. One that somebody only claims to have opens
            no invite: it takes the invite's token.

    Returns:
        None if they are no more, or not approved, or are the local user: it gets no organization but its own.
    """
    try:
        return await _settled(ports, id, verified=verified)
    except StaleWrite:
        return None


@use_case
async def _settled(ports: Ports, id: UserId, *, verified: bool) -> MemberPrincipal | None:
    user = next(iter(await ports.reads.rows.every(System(organization=DEPLOYMENT), USERS, id=id)), None)
    if user is None or not user.approved:
        return None
    try:
        if not (await _back(ports, user) or (verified and await _invited(ports, user))):
            if user.provider is Provider.TOKEN:
                return None
            await _begin(ports, user)
    except (StaleWrite, SlugTaken, OrganizationNameTaken):
        pass  # another request of theirs was faster
    found = await ports.credentials.member(id)
    if found is None:
        raise StaleWrite("user", id)
    return found


async def _back(ports: Ports, user: User) -> bool:
    """
    Let them act in their oldest organization.
    """
    places = await ports.credentials.memberships(user.id)
    if not places:
        return False
    oldest = places[0][0].id
    async with ports.unit(System(organization=oldest, name=user.username, user=user.id)) as unit:
        users = unit.rows(USERS)
        users.save(evolve(await users.get(user.id), active=oldest, updated_at=ports.clock.now()))
        await unit.commit()
    return True


async def _invited(ports: Ports, user: User) -> bool:
    email = (user.email or "").strip().lower()
    if not email:
        return False
    for invite in await ports.credentials.invites_for(email):
        try:
            await join(ports, user, invite)
        except (InviteNotFound, InviteForAnother):
            continue  # it was taken back, or accepted, a moment ago
        return True
    return False


async def _begin(ports: Ports, user: User) -> None:
    """
    Found an organization of their own. Many may be called like it.
    """
    wanted = await wanted_organization(ports, f"personal-{ports.ids.new().hex[-12:]}", PERSONAL)
    await found_for(ports, user, wanted.renamed(PERSONAL, shared=True), act_there=True)
