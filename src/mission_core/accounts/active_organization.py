"""
The organizations of a principal, and the active one, in which it acts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import evolve

from mission_core.accounts.members import OWNER, Member
from mission_core.accounts.model import (
    AgentPrincipal,
    MemberPrincipal,
    Principal,
    SystemPrincipal,
    require_organization_admin,
)
from mission_core.accounts.organizations import (
    ORGANIZATIONS,
    Isolation,
    Organization,
    OrganizationNameTaken,
    OrganizationNotFound,
    OrganizationUpdated,
)
from mission_core.accounts.profiles import local_user_of, user_id_of
from mission_core.accounts.users import USERS
from mission_core.entity_changes import changed_fields, require_version
from mission_core.errors import Denied
from mission_core.ids import OrganizationId
from mission_core.lazy_attrs import frozen
from mission_core.use_case import use_case
from mission_core.values import ABSENT, Absent, name_key, value_or

if TYPE_CHECKING:
    from mission_core.ports import Ports


CHANGEABLE: Final = ("name", "brand", "isolation")


class NotAMember(Denied):
    """
    The caller is not a member of the organization, or it does not exist.
    """

    code = "no_place_there"
    says = "No org access"


@frozen(kw_only=True)
class SetActiveOrganization:
    """
    Choose the active organization, which applies to requests that name none.
    """

    organization: OrganizationId


@frozen(kw_only=True)
class UpdateOrganization:
    """
    Change the named fields of the organization that the caller acts in. Its slug never changes.
    """

    name: str
    brand: str | Absent | None = ABSENT
    isolation: Isolation | Absent = ABSENT
    expects: int | None = None


async def organizations_of(ports: Ports, principal: Principal) -> list[tuple[Organization, Member | None]]:
    """
    The caller's organizations by name, each with the caller's membership if there is one.

    The server's key has the organization it acts in and those that its local user owns. An agent has its own
    organization.
    """
    if isinstance(principal, AgentPrincipal):
        return [(await ports.reads.organization(principal), None)]
    if isinstance(principal, MemberPrincipal):
        places: list[tuple[Organization, Member | None]] = [*await ports.credentials.memberships(principal.user)]
    else:
        own = await ports.reads.organization(principal)
        local = await ports.credentials.memberships(local_user_of(principal.organization))
        places = [(own, None)]
        places += [(there, None) for there, member in local if member.role == OWNER and there.id != own.id]
    return sorted(places, key=lambda place: (name_key(place[0].name), place[0].number))


async def resolve_organization(
    ports: Ports, principal: Principal, organization: OrganizationId | int
) -> tuple[Organization, Principal]:
    """
    An organization of the caller, by id or number, and the caller's principal in it.

    Raises:
        OrganizationNotFound: If the caller has no such organization.
    """
    for place, _ in await organizations_of(ports, principal):
        if organization not in (place.id, place.number):
            continue
        if place.id == principal.organization:
            return place, principal
        if isinstance(principal, SystemPrincipal):
            return place, evolve(principal, organization=place.id)
        there = await ports.credentials.member(user_id_of(principal), place.id)
        if there is not None:
            return place, there
    raise OrganizationNotFound


@use_case
async def set_active_organization(ports: Ports, principal: Principal, cmd: SetActiveOrganization) -> Organization:
    """
    Choose the caller's active organization.

    Raises:
        NotAMember: If the caller is not a member.
    """
    try:
        organization, _ = await resolve_organization(ports, principal, cmd.organization)
    except OrganizationNotFound:
        raise NotAMember from None
    if not isinstance(principal, MemberPrincipal):
        if organization.id != principal.organization:
            raise NotAMember  # a key belongs to one organization
        return organization
    async with ports.unit(principal) as unit:
        users = unit.repository(USERS)
        user = await users.get(principal.user)
        if user.active != organization.id:
            users.save(evolve(user, active=organization.id, updated_at=ports.clock.now()))
            await unit.commit()
    return organization


async def update_organization(ports: Ports, principal: Principal, cmd: UpdateOrganization) -> Organization:
    """
    Change the named fields of an organization. If another organization has the new name, this one shares it.

    Raises:
        RoleTooLow: If the caller is no admin there.
        BoardAgentConfined: If the caller is an agent of one board.
        VersionMismatch: If the caller expected another version.
    """
    require_organization_admin(principal)
    try:
        return await _update(ports, principal, cmd, shared=False)
    except OrganizationNameTaken:
        return await _update(ports, principal, cmd, shared=True)


@use_case
async def _update(ports: Ports, principal: Principal, cmd: UpdateOrganization, *, shared: bool) -> Organization:
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        organizations = unit.repository(ORGANIZATIONS)
        before = require_version(await organizations.get(principal.organization), cmd.expects)
        renamed = before if cmd.name == before.name else before.renamed(cmd.name, shared=shared)
        after = evolve(
            renamed, brand=value_or(cmd.brand, before.brand), isolation=value_or(cmd.isolation, before.isolation)
        )
        changed = tuple(name for name in changed_fields(before, after) if name in CHANGEABLE)
        if not changed:
            return before
        after = organizations.save(evolve(after, updated_at=now))
        unit.record(OrganizationUpdated(organization=after.id, changed=changed, at=now))
        await unit.commit()
    return after
