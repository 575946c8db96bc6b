"""
Deletion of an organization by its owner, and of a user's own account.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mission_core.accounts.invites import INVITES, without
from mission_core.accounts.managing import OwnersOnly, check_reach, take_leave
from mission_core.accounts.members import MEMBERS, OWNER
from mission_core.accounts.model import Principal, System
from mission_core.accounts.organizations import ORGANIZATIONS, Organization, is_home
from mission_core.accounts.people import LocalUserStays, local_user_of, user_in
from mission_core.accounts.standing import leave_an_owner
from mission_core.accounts.users import USERS, Provider, User
from mission_core.errors import StaleWrite
from mission_core.ids import OrganizationId
from mission_core.kinds import DEPLOYMENT
from mission_core.use_case import use_case

if TYPE_CHECKING:
    from mission_core.ports import Ports


@use_case
async def end_organization(ports: Ports, principal: Principal, cmd: OrganizationId) -> Organization:
    """
    Delete the organization that the caller acts in, with all its rows, in one transaction.

    Raises:
        NotAPerson: If the caller is not a user.
        RoleTooLow: If the caller is neither owner nor admin.
        OwnersOnly: If the caller is an admin.
        LocalUserStays: If the local user is a member, or if it is the default organization.
    """
    user = user_in(principal)
    async with ports.unit(principal) as unit:
        own = await unit.rows(MEMBERS).find(user=user)
        check_reach(own.standing if own else 0)
        if own is None or own.role != OWNER:
            raise OwnersOnly("organization owners can delete organizations")
        organization = await unit.rows(ORGANIZATIONS).get(cmd)
        if is_home(organization) or await unit.rows(MEMBERS).find(user=local_user_of(organization.id)) is not None:
            raise LocalUserStays
        unit.organizations.dissolve(organization, own)
        await unit.commit()
    return organization


async def delete_account(ports: Ports, principal: Principal) -> None:
    """
    Delete the caller's own user. Organizations without other members are deleted, and in others the membership ends.

    The account at an external provider is deleted first and the user last, so that the caller can repeat the request
    after a crash.

    Raises:
        NotAPerson: If the caller is not a user.
        LocalUserStays: If it is the local user.
        LastOwnerStays: If an organization with other members would have no owner; nothing was changed.
        AccountRemains: If the provider could not delete its account; nothing was changed here.
    """
    id = user_in(principal)
    user = await ports.reads.rows.get(principal, USERS, id)
    if user.provider is Provider.TOKEN:
        raise LocalUserStays
    for organization, member in await ports.credentials.memberships(id):
        there = _in(organization, user)
        async with ports.unit(there) as unit:
            if len(await unit.rows(MEMBERS).every()) > 1 or is_home(organization):
                await leave_an_owner(unit, member)
    directory = ports.directories.get(user.provider)
    if directory is not None and user.subject is not None:
        await directory.delete(user.subject)  # from here on no check refuses; a repeated deletion succeeds
    while True:
        places = await ports.credentials.memberships(id)
        for organization, _ in places:
            await _leave(ports, _in(organization, user), organization.id)
        try:
            return await _remove(ports, System(organization=DEPLOYMENT, user=id), None)
        except StaleWrite:
            if places == await ports.credentials.memberships(id):
                raise  # the memberships did not change, so the conflict has another cause


@use_case
async def _leave(ports: Ports, principal: Principal, cmd: OrganizationId) -> None:
    """
    Leave one organization, or delete it if there are no other members.
    """
    now, id = ports.clock.now(), user_in(principal)
    async with ports.unit(principal) as unit:
        organization = await unit.rows(ORGANIZATIONS).get(cmd)
        everybody = await unit.rows(MEMBERS).every()
        own = next((each for each in everybody if each.user == id), None)
        if own is None:
            return
        invites = await without(unit, id)
        if everybody == [own] and not is_home(organization):
            unit.organizations.dissolve(organization)
        else:
            await take_leave(ports, unit, own, at=now)
            for each in invites:
                unit.rows(INVITES).save(each)
        await unit.commit()


@use_case
async def _remove(ports: Ports, principal: Principal, cmd: None) -> None:
    """
    Remove a user without memberships, and their sessions.

    Raises:
        StaleWrite: If the user became a member again meanwhile.
    """
    async with ports.unit(principal) as unit:
        user = await unit.rows(USERS).get(user_in(principal))
        if await ports.credentials.memberships(user.id):
            raise StaleWrite("users", user.id)
        unit.rows(USERS).remove(user)
        await unit.commit()


def _in(organization: Organization, user: User) -> System:
    return System(organization=organization.id, name=user.username, display=user.display, user=user.id)
