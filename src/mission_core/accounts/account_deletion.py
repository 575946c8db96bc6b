"""
Deletion of an organization by its owner, and of a user's own account.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mission_core.accounts.invites import INVITES, invites_without_user
from mission_core.accounts.member_admin import OwnersOnly, end_membership, require_rank_for_role
from mission_core.accounts.members import MEMBERS, OWNER
from mission_core.accounts.model import Principal, SystemPrincipal
from mission_core.accounts.organizations import ORGANIZATIONS, Organization, is_default_organization
from mission_core.accounts.ownership_rules import require_another_owner
from mission_core.accounts.profiles import LocalUserProtected, local_user_of, user_id_of
from mission_core.accounts.users import USERS, IdentityProvider, User
from mission_core.errors import StaleWrite
from mission_core.ids import OrganizationId
from mission_core.kinds import DEPLOYMENT
from mission_core.use_case import use_case

if TYPE_CHECKING:
    from mission_core.ports import Ports


@use_case
async def delete_own_organization(ports: Ports, principal: Principal, cmd: OrganizationId) -> Organization:
    """
    Delete the organization that the caller acts in, with all its rows, in one transaction.

    Raises:
        NotAPerson: If the caller is not a user.
        RoleTooLow: If the caller is neither owner nor admin.
        OwnersOnly: If the caller is an admin.
        LocalUserProtected: If the local user is a member, or if it is the default organization.
    """
    user = user_id_of(principal)
    async with ports.unit(principal) as unit:
        own = await unit.repository(MEMBERS).find(user=user)
        require_rank_for_role(own.rank if own else 0)
        if own is None or own.role != OWNER:
            raise OwnersOnly("organization owners can delete organizations")
        organization = await unit.repository(ORGANIZATIONS).get(cmd)
        if (
            is_default_organization(organization)
            or await unit.repository(MEMBERS).find(user=local_user_of(organization.id)) is not None
        ):
            raise LocalUserProtected
        unit.organization_deletion.delete(organization, own)
        await unit.commit()
    return organization


async def delete_account(ports: Ports, principal: Principal) -> None:
    """
    Delete the caller's own user. Organizations without other members are deleted, and in others the membership ends.

    The account at an external provider is deleted first and the user last, so that the caller can repeat the request
    after a crash.

    Raises:
        NotAPerson: If the caller is not a user.
        LocalUserProtected: If it is the local user.
        LastOwnerRequired: If an organization with other members would have no owner; nothing was changed.
        ProviderAccountNotDeleted: If the provider could not delete its account; nothing was changed here.
    """
    id = user_id_of(principal)
    user = await ports.reads.entities.get(principal, USERS, id)
    if user.provider is IdentityProvider.TOKEN:
        raise LocalUserProtected
    for organization, member in await ports.credentials.memberships(id):
        there = _principal_in(organization, user)
        async with ports.unit(there) as unit:
            if len(await unit.repository(MEMBERS).every()) > 1 or is_default_organization(organization):
                await require_another_owner(unit, member)
    directory = ports.directories.get(user.provider)
    if directory is not None and user.subject is not None:
        await directory.delete(user.subject)  # from here on no check refuses; a repeated deletion succeeds
    while True:
        places = await ports.credentials.memberships(id)
        for organization, _ in places:
            await _leave_organization(ports, _principal_in(organization, user), organization.id)
        try:
            return await _remove_user(ports, SystemPrincipal(organization=DEPLOYMENT, user=id), None)
        except StaleWrite:
            if places == await ports.credentials.memberships(id):
                raise  # the memberships did not change, so the conflict has another cause


@use_case
async def _leave_organization(ports: Ports, principal: Principal, cmd: OrganizationId) -> None:
    """
    Leave one organization, or delete it if there are no other members.
    """
    now, id = ports.clock.now(), user_id_of(principal)
    async with ports.unit(principal) as unit:
        organization = await unit.repository(ORGANIZATIONS).get(cmd)
        everybody = await unit.repository(MEMBERS).every()
        own = next((each for each in everybody if each.user == id), None)
        if own is None:
            return
        invites = await invites_without_user(unit, id)
        if everybody == [own] and not is_default_organization(organization):
            unit.organization_deletion.delete(organization)
        else:
            await end_membership(ports, unit, own, at=now)
            for each in invites:
                unit.repository(INVITES).save(each)
        await unit.commit()


@use_case
async def _remove_user(ports: Ports, principal: Principal, cmd: None) -> None:
    """
    Remove a user without memberships, and their sessions.

    Raises:
        StaleWrite: If the user became a member again meanwhile.
    """
    async with ports.unit(principal) as unit:
        user = await unit.repository(USERS).get(user_id_of(principal))
        if await ports.credentials.memberships(user.id):
            raise StaleWrite("users", user.id)
        unit.repository(USERS).remove(user)
        await unit.commit()


def _principal_in(organization: Organization, user: User) -> SystemPrincipal:
    return SystemPrincipal(organization=organization.id, name=user.username, display=user.display, user=user.id)
