"""
Member administration: changing roles and removing members.

Owners may do everything. Admins may do everything that does not concern an owner, so an admin can neither make, change
nor remove an owner.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from attrs import evolve

from mission_core.accounts.invites import invites_above_rank, withdraw_invites
from mission_core.accounts.members import ADMIN, MEMBER, MEMBERS, ROLE_RANKS, Member
from mission_core.accounts.model import MemberPrincipal, Principal, require_organization_admin
from mission_core.accounts.ownership_rules import require_another_owner
from mission_core.accounts.profiles import LocalUserProtected, local_user_of
from mission_core.accounts.sessions import SESSIONS
from mission_core.accounts.users import USERS
from mission_core.entity_changes import require_version
from mission_core.errors import Denied, RoleTooLow
from mission_core.events.model import Event
from mission_core.ids import MemberId, UserId
from mission_core.lazy_attrs import define, frozen
from mission_core.use_case import use_case

if TYPE_CHECKING:
    from mission_core.ports import Ports, UnitOfWork

LONGEST_ROLE: Final = 64


@define(repr=False)
class OwnersOnly(Denied):
    """
    Only an owner of the organization may do this.
    """

    what: str
    """The rest of the error text, after "Only"."""

    says = "Only {self.what}"


class CannotRemoveOwnMembership(Denied):
    """
    Members cannot remove themselves. A member who wants to leave deletes their account or asks another admin.
    """

    code = "removes_themselves"
    says = "You cannot remove yourself from the organization"


@frozen(kw_only=True)
class SetMemberRole:
    """
    Give a member another role. A role of None keeps the current one.
    """

    member: MemberId
    role: str | None
    expects: int | None = None


@frozen(kw_only=True)
class RemoveMember:
    """
    End a membership.
    """

    member: MemberId
    expects: int | None = None


def normalized_role(role: str) -> str:
    """
    The stored form of a role: lower case, and `member` if it is empty.
    """
    return role.strip().lower() or MEMBER


def require_rank_for_role(standing: int, *, role: str = MEMBER, of: Member | None = None) -> None:
    """
    Require that a caller with this *standing* may give the *role*, or change the member.

    Raises:
        RoleTooLow: If the caller is neither owner nor admin.
        OwnersOnly: If it concerns an owner and the caller is none.
    """
    if standing < ROLE_RANKS[ADMIN]:
        raise RoleTooLow(ADMIN, MEMBER)
    if max(ROLE_RANKS.get(role, 0), of.rank if of else 0) > standing:
        raise OwnersOnly("owners can make owners, or change them")


async def rank_of_caller(unit: UnitOfWork, principal: Principal, *, bump: bool = False) -> int:
    """
    The rank of the caller's role in their organization; the commit depends on it. The server's key and an agent's key
    rank as an admin. With *bump* two such decisions exclude each other, and exclude a change of the caller's role.

    Raises:
        RoleTooLow: If the caller is neither owner nor admin.
        BoardAgentConfined: If the caller is an agent of one board.
    """
    require_organization_admin(principal)
    if not isinstance(principal, MemberPrincipal):
        return ROLE_RANKS[ADMIN]
    own = await unit.repository(MEMBERS).get(principal.member)
    require_rank_for_role(own.rank)
    unit.rely_on(own, bump=bump)
    return own.rank


@use_case
async def set_member_role(ports: Ports, principal: Principal, cmd: SetMemberRole) -> Member:
    """
    Give a member another role. Their pending invites that the new role does not permit are withdrawn.

    Raises:
        MemberNotFound: If there is no such member.
        VersionMismatch: If the caller expected another version.
        RoleTooLow: If the caller is neither owner nor admin.
        OwnersOnly: If it would make or change an owner, and the caller is none.
        LastOwnerRequired: If no owner who can sign in would remain.
        LocalUserProtected: If it is the local user, who owns the organization.
    """
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        members = unit.repository(MEMBERS)
        standing = await rank_of_caller(unit, principal)
        member = require_version(await members.get(cmd.member), cmd.expects)
        role = member.role if cmd.role is None else normalized_role(cmd.role)
        require_rank_for_role(standing, role=role, of=member)
        if role == member.role:
            return member
        if member.user == local_user_of(member.organization):
            raise LocalUserProtected
        await require_another_owner(unit, member)
        withdraw_invites(unit, *await invites_above_rank(unit, member.user, ROLE_RANKS.get(role, 0)), at=now)
        member = members.save(evolve(member, role=role, updated_at=now))
        unit.record(MemberUpdated(member=member.id, user=member.user, role=role, changed=("role",), at=now))
        await unit.commit()
    return member


@use_case
async def remove_member(ports: Ports, principal: Principal, cmd: RemoveMember) -> Member:
    """
    End a membership, with its board grants and the person's sessions in the organization.

    Raises:
        MemberNotFound: If there is no such member.
        VersionMismatch: If the caller expected another version.
        RoleTooLow: If the caller is neither owner nor admin.
        CannotRemoveOwnMembership: If it is the caller.
        OwnersOnly: If it is an owner, and the caller is none.
        LastOwnerRequired: If no owner who can sign in would remain.
        LocalUserProtected: If it is the local user, who owns the organization.
    """
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        standing = await rank_of_caller(unit, principal)
        member = require_version(await unit.repository(MEMBERS).get(cmd.member), cmd.expects)
        if isinstance(principal, MemberPrincipal) and member.user == principal.user:
            raise CannotRemoveOwnMembership
        if member.rank > standing:
            raise OwnersOnly("owners can remove owners")
        if member.user == local_user_of(member.organization):
            raise LocalUserProtected
        await end_membership(ports, unit, member, at=now)
        await unit.commit()
    return member


async def end_membership(ports: Ports, unit: UnitOfWork, member: Member, *, at: datetime) -> None:
    """
    End a membership and withdraw the member's pending invites when the unit commits. The user's active organization
    becomes the oldest other one, or none.

    Raises:
        LastOwnerRequired: If no owner who can sign in would remain.
    """
    users, sessions = unit.repository(USERS), unit.repository(SESSIONS)
    user = await users.get(member.user)
    begun = [each for each in await sessions.every(user=user.id) if each.workspace == member.organization]
    others = [each.id for each, _ in await ports.credentials.memberships(user.id) if each.id != member.organization]
    invites = await invites_above_rank(unit, user.id, ROLE_RANKS[MEMBER])
    await require_another_owner(unit, member)
    withdraw_invites(unit, *invites, at=at)
    for each in begun:
        sessions.remove(each)
    if user.active == member.organization:
        users.save(evolve(user, active=others[0] if others else None, updated_at=at))
    unit.repository(MEMBERS).remove(member)
    unit.record(MemberLeft(member=member.id, user=user.id, username=user.username, at=at))


@frozen(kw_only=True, eq=False, repr=False)
class MemberJoined(Event):
    """
    A person became a member.
    """

    kind = "member.joined"

    member: MemberId
    user: UserId
    role: str


@frozen(kw_only=True, eq=False, repr=False)
class MemberUpdated(Event):
    """
    The role or the board grants of a member changed. The event names the changed fields; of the values it has only the
    role.
    """

    kind = "member.changed"

    member: MemberId
    user: UserId
    role: str
    changed: tuple[str, ...]


@frozen(kw_only=True, eq=False, repr=False)
class MemberLeft(Event):
    """
    A person's membership ended.
    """

    kind = "member.left"

    member: MemberId
    user: UserId
    username: str
