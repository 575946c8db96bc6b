"""
Member administration: changing roles and removing members.

Owners may do everything. Admins may do everything that does not concern an owner, so an admin can neither make, change
nor remove an owner.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from attrs import define, evolve, frozen

from mission_core.accounts.invites import invites_beyond, take_back
from mission_core.accounts.members import ADMIN, MEMBER, MEMBERS, STANDING, Member
from mission_core.accounts.model import MemberPrincipal, Principal, require_over_all
from mission_core.accounts.people import LocalUserStays, local_user_of
from mission_core.accounts.sessions import SESSIONS
from mission_core.accounts.standing import leave_an_owner
from mission_core.accounts.users import USERS
from mission_core.errors import Denied, RoleTooLow, VersionMismatch
from mission_core.events.model import Fact
from mission_core.ids import MemberId, UserId
from mission_core.use_case import use_case

if TYPE_CHECKING:
    from mission_core.ports import Ports, UnitOfWork

LONGEST_ROLE: Final = 64


@define
class OwnersOnly(Denied):
    """
    Only an owner may do this; *what* completes the sentence.
    """

    what: str

    def __str__(self) -> str:
        return f"Only {self.what}"


class RemovesThemselves(Denied):
    """
    Members cannot remove themselves. A member who wants to leave deletes their account or asks another admin.
    """

    def __str__(self) -> str:
        return "You cannot remove yourself from the organization"


@frozen(kw_only=True)
class SetRole:
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


def role_named(role: str) -> str:
    """
    The stored form of a role: lower case, and `member` if it is empty.
    """
    return role.strip().lower() or MEMBER


def as_expected(member: Member, expects: int | None) -> Member:
    """
    Require the version that the caller expects, and return the member.

    Raises:
        VersionMismatch: If the member has another version.
    """
    if expects is not None and expects != member.version:
        raise VersionMismatch(expects, member.version)
    return member


def check_reach(standing: int, *, role: str = MEMBER, of: Member | None = None) -> None:
    """
    Require that a caller with this *standing* may give the *role*, or change the member.

    Raises:
        RoleTooLow: If the caller is neither owner nor admin.
        OwnersOnly: If it concerns an owner and the caller is none.
    """
    if standing < STANDING[ADMIN]:
        raise RoleTooLow(ADMIN, MEMBER)
    if max(STANDING.get(role, 0), of.standing if of else 0) > standing:
        raise OwnersOnly("owners can make owners, or change them")


async def standing_of(unit: UnitOfWork, principal: Principal, *, bump: bool = False) -> int:
    """
    The rank of the caller's role in their organization; the commit depends on it. The server's key and an agent's key
    rank as an admin. With *bump* two such decisions exclude each other, and exclude a change of the caller's role.

    Raises:
        RoleTooLow: If the caller is neither owner nor admin.
        OneBoardAlone: If the caller is an agent of one board.
    """
    require_over_all(principal)
    if not isinstance(principal, MemberPrincipal):
        return STANDING[ADMIN]
    own = await unit.rows(MEMBERS).get(principal.member)
    check_reach(own.standing)
    unit.rely_on(own, bump=bump)
    return own.standing


@use_case
async def set_role(ports: Ports, principal: Principal, cmd: SetRole) -> Member:
    """
    Give a member another role. Their pending invites that the new role does not permit are withdrawn.

    Raises:
        MemberNotFound: If there is no such member.
        VersionMismatch: If the caller expected another version.
        RoleTooLow: If the caller is neither owner nor admin.
        OwnersOnly: If it would make or change an owner, and the caller is none.
        LastOwnerStays: If no owner who can sign in would remain.
        LocalUserStays: If it is the local user, who owns the organization.
    """
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        members = unit.rows(MEMBERS)
        standing = await standing_of(unit, principal)
        member = as_expected(await members.get(cmd.member), cmd.expects)
        role = member.role if cmd.role is None else role_named(cmd.role)
        check_reach(standing, role=role, of=member)
        if role == member.role:
            return member
        if member.user == local_user_of(member.organization):
            raise LocalUserStays
        await leave_an_owner(unit, member)
        take_back(unit, *await invites_beyond(unit, member.user, STANDING.get(role, 0)), at=now)
        member = members.save(evolve(member, role=role, updated_at=now))
        unit.record(MemberChanged(member=member.id, user=member.user, role=role, changed=("role",), at=now))
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
        RemovesThemselves: If it is the caller.
        OwnersOnly: If it is an owner, and the caller is none.
        LastOwnerStays: If no owner who can sign in would remain.
        LocalUserStays: If it is the local user, who owns the organization.
    """
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        standing = await standing_of(unit, principal)
        member = as_expected(await unit.rows(MEMBERS).get(cmd.member), cmd.expects)
        if isinstance(principal, MemberPrincipal) and member.user == principal.user:
            raise RemovesThemselves
        if member.standing > standing:
            raise OwnersOnly("owners can remove owners")
        if member.user == local_user_of(member.organization):
            raise LocalUserStays
        await take_leave(ports, unit, member, at=now)
        await unit.commit()
    return member


async def take_leave(ports: Ports, unit: UnitOfWork, member: Member, *, at: datetime) -> None:
    """
    End a membership and withdraw the member's pending invites when the unit commits. The user's active organization
    becomes the oldest other one, or none.

    Raises:
        LastOwnerStays: If no owner who can sign in would remain.
    """
    users, sessions = unit.rows(USERS), unit.rows(SESSIONS)
    user = await users.get(member.user)
    begun = [each for each in await sessions.every(user=user.id) if each.workspace == member.organization]
    others = [each.id for each, _ in await ports.credentials.memberships(user.id) if each.id != member.organization]
    invites = await invites_beyond(unit, user.id, STANDING[MEMBER])
    await leave_an_owner(unit, member)
    take_back(unit, *invites, at=at)
    for each in begun:
        sessions.remove(each)
    if user.active == member.organization:
        users.save(evolve(user, active=others[0] if others else None, updated_at=at))
    unit.rows(MEMBERS).remove(member)
    unit.record(MemberLeft(member=member.id, user=user.id, username=user.username, at=at))


@frozen(kw_only=True)
class MemberJoined(Fact):
    """
    A person became a member.
    """

    kind = "member.joined"
    about = "member"

    member: MemberId
    user: UserId
    role: str


@frozen(kw_only=True)
class MemberChanged(Fact):
    """
    The role or the board grants of a member changed. The event names the changed fields; of the values it has only the
    role.
    """

    kind = "member.changed"
    about = "member"

    member: MemberId
    user: UserId
    role: str
    changed: tuple[str, ...]


@frozen(kw_only=True)
class MemberLeft(Fact):
    """
    A person's membership ended.
    """

    kind = "member.left"
    about = "member"

    member: MemberId
    user: UserId
    username: str
