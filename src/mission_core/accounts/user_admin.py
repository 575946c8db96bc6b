"""
User administration by the admins of an organization: creating, changing and removing users.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, field

from mission_core.accounts.invites import INVITES, invites_above_rank, invites_without_user, withdraw_invites
from mission_core.accounts.member_admin import end_membership
from mission_core.accounts.members import MEMBER, MEMBERS, ROLE_RANKS, Member, MemberWithUser
from mission_core.accounts.model import MemberPrincipal, Principal, Role, require_organization_admin
from mission_core.accounts.ownership_rules import (
    MEMBERSHIP_OF_ROLE,
    membership_changes,
    require_another_owner,
    require_rank_over_member,
)
from mission_core.accounts.passwords import checked_password
from mission_core.accounts.profiles import LocalUserProtected
from mission_core.accounts.sign_in import end_sessions
from mission_core.accounts.users import (
    USERS,
    IdentityProvider,
    PasswordChanged,
    User,
    UserCreated,
    UserDeleted,
    UserNotFound,
    UserUpdated,
)
from mission_core.entity_changes import changed_fields
from mission_core.errors import Denied, Invalid, InvalidField
from mission_core.ids import MemberId, OrganizationId, UserId, UserNumber
from mission_core.kinds import DEPLOYMENT
from mission_core.lazy_attrs import frozen
from mission_core.use_case import use_case
from mission_core.values import ABSENT, Absent, name_key

if TYPE_CHECKING:
    from mission_core.ports import Ports, UnitOfWork

PERSONAL_FIELDS: Final = ("name", "email", "avatar_url", "approved")
"""The fields that belong to the user in all organizations."""


class CannotChangeOwnRole(Invalid):
    """
    Users cannot change their own role or approval.
    """

    code = "own_role"
    says = "Cannot change your own role"


class CannotDeleteOwnUser(Invalid):
    """
    Admins cannot delete their own user.
    """

    code = "own_account"
    says = "Cannot delete your own account"


class MemberOfAnotherOrganization(Denied):
    """
    An admin cannot change the personal fields of a user who is a member of another organization too.
    """

    code = "member_elsewhere"
    says = (
        "this person is a member of another organization too, so their password, name, email and approval are "
        "theirs to change; their role here can be changed"
    )


@frozen(kw_only=True)
class CreateUser:
    """
    Create a user who is a member of the caller's organization.
    """

    username: str
    password: str = field(repr=False)
    name: str | None = None
    role: Role = Role.OPERATOR
    provider: IdentityProvider = IdentityProvider.LOCAL
    email: str | None = None


@frozen(kw_only=True)
class UpdateUser:
    """
    Change the named fields of a user of the caller's organization.
    """

    user: UserId | UserNumber
    role: Role | Absent = ABSENT
    password: str | Absent = field(default=ABSENT, repr=False)
    approved: bool | Absent = ABSENT
    name: str | Absent = ABSENT
    email: str | Absent | None = ABSENT
    avatar_url: str | Absent | None = ABSENT


@frozen(kw_only=True)
class DeleteUser:
    """
    End a user's membership in the caller's organization.
    """

    user: UserId | UserNumber


def checked_username(username: str) -> str:
    """
    Strip a user name, and require that it is printable.

    Raises:
        InvalidField: If it has unprintable characters.
    """
    username = username.strip()
    if not username.isprintable():
        raise InvalidField("username", "must contain only printable characters", username)
    return username


async def users_of_organization(ports: Ports, principal: Principal) -> list[MemberWithUser]:
    """
    The users of the caller's organization, ordered by number.

    Raises:
        RoleTooLow: If the caller is no admin.
        BoardAgentConfined: If the caller is an agent of one board.
    """
    require_organization_admin(principal)
    return await ports.reads.members.every(principal)


@use_case
async def create_user(ports: Ports, principal: Principal, cmd: CreateUser) -> MemberWithUser:
    """
    Create a user who is a member of the caller's organization. The password is stored only for users who sign in with a
    password.

    Raises:
        RoleTooLow: If the caller is no admin.
        BoardAgentConfined: If the caller is an agent of one board.
        UsernameTaken: If another user of the deployment has the user name.
        PasswordRefused: If the password is too weak.
    """
    require_organization_admin(principal)
    username, now = checked_username(cmd.username), ports.clock.now()
    told = checked_password(cmd.password)
    password = await ports.passwords.hash(told) if cmd.provider is IdentityProvider.LOCAL else None
    (number,) = await ports.numbers.next((DEPLOYMENT, "user"))
    async with ports.unit(principal) as unit:
        made = add_user(
            unit,
            User(
                id=UserId(ports.ids.new()), number=UserNumber(number), username=username,
                username_key=name_key(username), provider=cmd.provider, email=cmd.email or None, password=password,
                name=cmd.name or None, active=principal.organization, created_at=now, updated_at=now,
            ),
            MemberId(ports.ids.new()), principal.organization, MEMBERSHIP_OF_ROLE[cmd.role],
        )  # fmt: skip
        await unit.commit()
    return made


def add_user(
    unit: UnitOfWork, user: User, member: MemberId, organization: OrganizationId, place: dict[str, Any]
) -> MemberWithUser:
    """
    Add a new user with a membership when the unit commits.
    """
    made = MemberWithUser(
        unit.repository(MEMBERS).add(
            Member(
                id=member, organization=organization, user=user.id, created_at=user.created_at,
                updated_at=user.created_at, **place,
            )
        ),
        unit.repository(USERS).add(user),
    )  # fmt: skip
    role, provider = str(place["role"]), user.provider.value
    unit.record(UserCreated.of(user, role=role, provider=provider, at=user.created_at))
    unit.result(user.id)
    return made


@use_case
async def update_user(ports: Ports, principal: Principal, cmd: UpdateUser) -> MemberWithUser:
    """
    Change the named fields of a user. A new password or the loss of approval ends all of the user's sessions. The
    user's pending invites that the new role does not permit are withdrawn.

    Raises:
        RoleTooLow: If the caller is no admin.
        BoardAgentConfined: If the caller is an agent of one board.
        UserNotFound: If no member of the organization is this user.
        CannotChangeOwnRole: If the caller would change their own role or approval.
        OwnerAboveAdmin: If the user ranks above the caller.
        LastOwnerRequired: If the organization would have no owner.
        LocalUserProtected: If it is the local user, and its role, approval or password would change.
        MemberOfAnotherOrganization: If personal fields would change, and the user is a member elsewhere too.
        PasswordRefused: If the password is too weak.
    """
    require_organization_admin(principal)
    now, password = ports.clock.now(), None
    if not isinstance(cmd.password, Absent):
        password = await ports.passwords.hash(checked_password(cmd.password))
    async with ports.unit(principal) as unit:
        was = await _member_with_user(unit, cmd.user)
        changes, place = _changes(cmd, was, password), {}
        if not isinstance(cmd.role, Absent):
            place = await membership_changes(ports, was.member, cmd.role)
        if not changes and not place:
            return was
        await _require_change_allowed(ports, unit, principal, was, changes, place)
        shut_out = changes.get("approved") is False
        standing = ROLE_RANKS[MEMBER] if shut_out else ROLE_RANKS.get(place.get("role", was.member.role), 0)
        invites = await invites_above_rank(unit, was.user.id, standing) if place or shut_out else []
        if password is not None or shut_out:
            await end_sessions(unit, was.user)
        withdraw_invites(unit, *invites, at=now)
        user, member = was.user, was.member
        if changes:
            known = user.email_verified and "email" not in changes
            user = unit.repository(USERS).save(evolve(user, **changes, email_verified=known, updated_at=now))
        if place:
            member = unit.repository(MEMBERS).save(evolve(member, **place, updated_at=now))
        _record_changes(unit, user, member, {**changes, **place}, at=now)
        await unit.commit()
    return MemberWithUser(member, user)


async def _member_with_user(unit: UnitOfWork, user: UserId | UserNumber) -> MemberWithUser:
    """
    The member who is this user.

    Raises:
        UserNotFound: If no member of the organization is this user.
    """
    found = await unit.repository(USERS).get(user)
    member = await unit.repository(MEMBERS).find(user=found.id)
    if member is None:
        raise UserNotFound
    return MemberWithUser(member, found)


def _changes(cmd: UpdateUser, was: MemberWithUser, password: str | None) -> dict[str, Any]:
    given = {name: value for name in PERSONAL_FIELDS if (value := getattr(cmd, name)) is not ABSENT}
    changes = {name: given[name] for name in changed_fields(was.user, evolve(was.user, **given))}
    return changes if password is None else {**changes, "password": password}


async def _require_change_allowed(
    ports: Ports,
    unit: UnitOfWork,
    principal: Principal,
    was: MemberWithUser,
    changes: dict[str, Any],
    place: dict[str, Any],
) -> None:
    shut_out = changes.get("approved") is False
    if _is_caller(principal, was.user) and (place or shut_out):
        raise CannotChangeOwnRole
    if was.user.provider is IdentityProvider.TOKEN and (place or changes.keys() & {"approved", "password"}):
        raise LocalUserProtected
    await require_rank_over_member(unit, principal, was.member)
    if place or shut_out:
        await require_another_owner(unit, was.member)
    if changes and not _is_caller(principal, was.user) and len(await ports.credentials.memberships(was.user.id)) > 1:
        raise MemberOfAnotherOrganization


def _is_caller(principal: Principal, user: User) -> bool:
    return isinstance(principal, MemberPrincipal) and principal.user == user.id


def _record_changes(unit: UnitOfWork, user: User, member: Member, changed: dict[str, Any], *, at: datetime) -> None:
    named = tuple(sorted(changed.keys() - {"password"}))
    if named:
        unit.record(
            UserUpdated(
                user=user.id, changed=named, role=member.role if "role" in changed else None,
                approved=changed.get("approved"), at=at,
            )
        )  # fmt: skip
    if "password" in changed:
        unit.record(PasswordChanged(user=user.id, by_themselves=False, at=at))


@use_case
async def delete_user(ports: Ports, principal: Principal, cmd: DeleteUser) -> User:
    """
    End a user's membership and their sessions in the organization. A user without another membership is deleted.

    Raises:
        RoleTooLow: If the caller is no admin.
        BoardAgentConfined: If the caller is an agent of one board.
        UserNotFound: If no member of the organization is this user.
        CannotDeleteOwnUser: If it is the caller.
        OwnerAboveAdmin: If the user ranks above the caller.
        LastOwnerRequired: If the organization would have no owner.
        LocalUserProtected: If it is the local user.
    """
    require_organization_admin(principal)
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        was = await _member_with_user(unit, cmd.user)
        if _is_caller(principal, was.user):
            raise CannotDeleteOwnUser
        if was.user.provider is IdentityProvider.TOKEN:
            raise LocalUserProtected
        await require_rank_over_member(unit, principal, was.member)
        invites = await invites_without_user(unit, was.user.id)
        await end_membership(ports, unit, was.member, at=now)
        if len(await ports.credentials.memberships(was.user.id)) == 1:
            for each in invites:
                unit.repository(INVITES).save(each)
            unit.repository(USERS).remove(await unit.repository(USERS).get(was.user.id))
            unit.record(UserDeleted(user=was.user.id, username=was.user.username, at=now))
        await unit.commit()
    return was.user
