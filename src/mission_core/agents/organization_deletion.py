"""
Deletion of an organization that is empty, by an owner who acts in another organization.

Rows are numbered, named and logged per organization, and members are let in per organization. Moving them to another
organization would break their numbers, lose their log and give people access to another organization's data. So the
caller deletes or moves each of them first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mission_core.accounts.active_organization import resolve_organization
from mission_core.accounts.member_admin import OwnersOnly
from mission_core.accounts.members import OWNER
from mission_core.accounts.model import MemberPrincipal, Principal, SystemPrincipal, require_organization_admin
from mission_core.accounts.organizations import (
    ORGANIZATIONS,
    DefaultOrganizationUndeletable,
    Organization,
    OrganizationDeleted,
    is_default_organization,
)
from mission_core.accounts.profiles import local_user_of
from mission_core.agents.queries import AgentFilter
from mission_core.boards.model import GENERAL_HANDLE
from mission_core.boards.queries import BoardFilter
from mission_core.entity_changes import require_version
from mission_core.errors import Conflict
from mission_core.ids import OrganizationId
from mission_core.lazy_attrs import define, frozen
from mission_core.use_case import use_case
from mission_core.values import PageRequest

if TYPE_CHECKING:
    from mission_core.ids import UserId
    from mission_core.ports import Ports

BUILT_IN_AGENTS: Final = 1
"""The number of agents in a new organization: its main agent."""


@define(repr=False)
class OrganizationInUse(Conflict):
    """
    The organization is not empty.

    Args:
        left: The rows that remain, as pairs of amount and noun.
    """

    left: tuple[tuple[int, str], ...]

    def __str__(self) -> str:
        told = ", ".join(f"{count} {what}" for count, what in self.left)
        return (
            f"the organization is not empty: {told}. They cannot be moved to another organization; delete them first, "
            "or create them again there by hand"
        )


@frozen(kw_only=True)
class DeleteEmptyOrganization:
    """
    Delete one of the caller's organizations. It may contain only what every organization is created with.
    """

    organization: OrganizationId | int
    expects: int | None = None


@use_case
async def delete_empty_organization(ports: Ports, principal: Principal, cmd: DeleteEmptyOrganization) -> Organization:
    """
    Delete one of the caller's organizations, if it is empty.

    Raises:
        OrganizationNotFound: If the caller is not a member of it.
        RoleTooLow: If the caller is not an admin.
        BoardAgentConfined: If the caller is an agent of one board.
        OwnersOnly: If the caller does not own it.
        DefaultOrganizationUndeletable: If it is the server's own organization, or the local user's.
        VersionMismatch: If the caller expected another version.
        OrganizationInUse: If it is not empty.
    """
    require_organization_admin(principal)
    organization, _ = await resolve_organization(ports, principal, cmd.organization)
    local = local_user_of(organization.id)
    if is_default_organization(organization) or organization.id in {
        each.id for each, _ in await ports.credentials.memberships(local)
    }:
        raise DefaultOrganizationUndeletable
    owner = await _owner_id(ports, principal, organization)
    since = (await ports.log.head(organization.id)).position
    async with ports.unit(principal) as unit:
        organization = require_version(await unit.repository(ORGANIZATIONS).get(organization.id), cmd.expects)
        left = await _remaining_contents(ports, SystemPrincipal(organization=organization.id), but=owner)
        if left:
            raise OrganizationInUse(left)
        unit.organization_deletion.delete(organization, since=since)
        if organization.id != principal.organization:
            unit.record(OrganizationDeleted.of(organization, at=ports.clock.now()))
        await unit.commit()
    return organization


async def _owner_id(ports: Ports, principal: Principal, organization: Organization) -> UserId:
    """
    The user as which the caller owns the organization.
    """
    user = principal.user if isinstance(principal, MemberPrincipal) else local_user_of(principal.organization)
    for place, member in await ports.credentials.memberships(user):
        if place.id == organization.id and member.role == OWNER:
            return user
    raise OwnersOnly("organization owners can delete organizations")


async def _remaining_contents(ports: Ports, there: SystemPrincipal, *, but: UserId) -> tuple[tuple[int, str], ...]:
    """
    Count what an organization contains beyond its built-in board and agent, and beyond this one member.
    """
    boards = (await ports.reads.boards.page(there, BoardFilter(archived=True))).rows
    agents = await ports.reads.agents.page(there, AgentFilter(hidden=True, at=ports.clock.now()), PageRequest(limit=1))
    people = [each for each in await ports.reads.members.every(there) if each.user.id != but]
    counts = (
        (sum(each.handle != GENERAL_HANDLE for each in boards), "projects"),
        (sum(each.task_count for each in boards), "tasks"),
        (agents.total - BUILT_IN_AGENTS, "agents"),
        (len(people), "other users"),
    )
    return tuple((count, what) for count, what in counts if count)
