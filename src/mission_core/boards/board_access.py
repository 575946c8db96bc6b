"""
Board access of members, and invites to an organization.

An admin may grant boards that they cannot see themselves, since granting access is an admin's task. The admin's own
role does limit the roles they can give (`accounts/managing.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from attrs import evolve

from mission_core.accounts.invites import (
    INVITES,
    Invite,
    InviteCreated,
    InvitedAlready,
    InviteNotFound,
    withdraw_invites,
)
from mission_core.accounts.member_admin import (
    MemberJoined,
    MemberUpdated,
    normalized_role,
    rank_of_caller,
    require_rank_for_role,
)
from mission_core.accounts.members import MEMBER, MEMBERS, BoardPermission, Member
from mission_core.accounts.model import MemberPrincipal, Principal, SystemPrincipal
from mission_core.accounts.organizations import ORGANIZATIONS
from mission_core.accounts.profiles import user_id_of
from mission_core.accounts.users import USERS, User
from mission_core.boards.grants import GRANTS, INVITE_GRANTS, Grant, InviteGrant
from mission_core.boards.model import Board, BoardNotFound
from mission_core.entity_changes import require_version, with_changes
from mission_core.errors import Invalid, InvalidField
from mission_core.ids import BoardId, GrantId, InviteId, MemberId
from mission_core.lazy_attrs import define, frozen
from mission_core.use_case import use_case

if TYPE_CHECKING:
    from mission_core.ports import Ports, UnitOfWork


@define(repr=False)
class GrantedBoardNotFound(Invalid):
    """
    The organization does not have a board that is to be granted.
    """

    code = "granted_elsewhere"

    board: BoardId

    says = "this organization has no board {self.board}"


@frozen(kw_only=True)
class BoardAccess:
    """
    Access to boards: to all present and future boards, or to the listed ones.
    """

    all_boards_read: bool = False
    all_boards_write: bool = False
    boards: tuple[BoardPermission, ...] = ()

    @property
    def per_board(self) -> tuple[BoardPermission, ...]:
        """
        The grants per board, without duplicates. It is empty if the access covers all boards.
        """
        if self.all_boards_read or self.all_boards_write:
            return ()
        return tuple(merge_grants(self.boards).values())


@frozen(kw_only=True)
class SetBoardAccess:
    """
    Replace the board access of a member.
    """

    member: MemberId
    access: BoardAccess
    expects: int | None = None


@frozen(kw_only=True)
class InvitePerson:
    """
    Invite a person to the organization by e-mail address.
    """

    email: str
    role: str = MEMBER
    access: BoardAccess = BoardAccess()


@frozen(kw_only=True)
class WithdrawInvite:
    """
    Withdraw an invite.
    """

    invite: InviteId


@frozen(kw_only=True)
class AcceptInvite:
    """
    Accept an invite by its token.
    """

    token: str


def merge_grants(grants: Iterable[BoardPermission]) -> dict[BoardId, BoardPermission]:
    """
    Merge grants of the same board into one that permits what any of them permits.
    """
    found: dict[BoardId, BoardPermission] = {}
    for board, read, write in grants:
        known = found.get(board, BoardPermission(board, can_read=False, can_write=False))
        found[board] = BoardPermission(board, known.can_read or read, known.can_write or write)
    return found


def merge_invite(member: Member, invite: Invite, *, at: datetime) -> Member:
    """
    The member with the role and access of an invite added. Nothing is taken away.
    """
    write = member.all_boards_write or invite.all_boards_write
    return evolve(
        member,
        role=invite.role if invite.rank > member.rank else member.role,
        all_boards_read=member.all_boards_read or invite.all_boards_read or write,
        all_boards_write=write,
        updated_at=at,
    )


def with_all_boards(principal: Principal) -> Principal:
    """
    The principal with access to all boards if it is a member, so that an owner or admin can grant each of them.
    """
    return evolve(principal, reads=None, writes=None) if isinstance(principal, MemberPrincipal) else principal


@use_case
async def set_board_access(ports: Ports, principal: Principal, cmd: SetBoardAccess) -> Member:
    """
    Replace the board access of a member. If nothing changes, nothing is written or logged.

    Raises:
        MemberNotFound: If there is no such member.
        VersionMismatch: If the caller expected another version.
        RoleTooLow: If the caller is neither an owner nor an admin.
        OwnersOnly: If the member is an owner and the caller is not.
        GrantedBoardNotFound: If the organization does not have one of the boards.
    """
    now, access = ports.clock.now(), cmd.access
    async with ports.unit(with_all_boards(principal)) as unit:
        members, grants = unit.repository(MEMBERS), unit.repository(GRANTS)
        standing = await rank_of_caller(unit, principal)
        member = require_version(await members.get(cmd.member), cmd.expects)
        require_rank_for_role(standing, of=member)
        before = await grants.every(member=member.id)
        await _rely_on_boards(unit, access.per_board)
        overall = {"all_boards_read": access.all_boards_read, "all_boards_write": access.all_boards_write}
        after, changed = with_changes(member, overall, at=now)
        granted_already = {BoardPermission(each.on_board, each.can_read, each.can_write) for each in before}
        if not changed and set(access.per_board) == granted_already:
            return member
        member = members.save(evolve(after, updated_at=now))
        for each in before:
            grants.remove(each)
        for granted in access.per_board:
            grants.add(_grant(ports, member, granted, at=now))
        told = MemberUpdated(member=member.id, user=member.user, role=member.role, changed=("access",), at=now)
        unit.record(told)
        await unit.commit()
    return member


@use_case
async def invite_person(ports: Ports, principal: Principal, cmd: InvitePerson) -> Invite:
    """
    Invite a person to the organization by e-mail address.

    Raises:
        RoleTooLow: If the caller is neither an owner nor an admin.
        OwnersOnly: If the invite is for an owner and the caller is not one.
        InvitedAlready: If a member has the e-mail address.
        GrantedBoardNotFound: If the organization does not have one of the boards.
    """
    now, email = ports.clock.now(), cmd.email.strip().lower()
    if not email:
        raise InvalidField("email", "must not be blank", cmd.email)
    async with ports.unit(with_all_boards(principal)) as unit:
        standing = await rank_of_caller(unit, principal, bump=True)  # conflicts with a change of that role
        role = normalized_role(cmd.role)
        require_rank_for_role(standing, role=role)
        if any((each.user.email or "").lower() == email for each in await ports.reads.members.every(principal)):
            raise InvitedAlready
        await _rely_on_boards(unit, cmd.access.per_board)
        invite = unit.repository(INVITES).add(
            Invite(
                id=InviteId(ports.ids.new()), organization=principal.organization, email=email, role=role,
                all_boards_read=cmd.access.all_boards_read, all_boards_write=cmd.access.all_boards_write,
                created_by=getattr(principal, "user", None), created_at=now, updated_at=now,
            )
        )  # fmt: skip
        for board, read, write in cmd.access.per_board:
            unit.repository(INVITE_GRANTS).add(
                InviteGrant(
                    id=GrantId(ports.ids.new()), organization=invite.organization, invite=invite.id, on_board=board,
                    can_read=read, can_write=write, created_at=now, updated_at=now,
                )
            )  # fmt: skip
        unit.record(InviteCreated(invite=invite.id, role=role, at=now))
        unit.result(invite.id)
        await unit.commit()
    return invite


async def invites_with_tokens(
    ports: Ports, principal: Principal, invites: Iterable[Invite]
) -> list[tuple[Invite, str]]:
    """
    The invites with their tokens. A token lets anybody accept the invite, so it is empty unless the caller's own role
    permits giving that role.

    Raises:
        RoleTooLow: If the caller is neither an owner nor an admin.
    """
    async with ports.unit(principal) as unit:
        standing = await rank_of_caller(unit, principal)
    return [(each, ports.secrets.invite_token(each.id) if standing >= each.rank else "") for each in invites]


@use_case
async def withdraw_invite(ports: Ports, principal: Principal, cmd: WithdrawInvite) -> Invite:
    """
    Withdraw an invite.

    Raises:
        RoleTooLow: If the caller is neither an owner nor an admin.
        InviteNotFound: If there is none, or it has been accepted.
        OwnersOnly: If the invite is for an owner and the caller is not one.
    """
    async with ports.unit(principal) as unit:
        standing = await rank_of_caller(unit, principal)
        invite = await unit.repository(INVITES).get(cmd.invite)
        if not invite.pending:
            raise InviteNotFound
        require_rank_for_role(standing, role=invite.role)
        withdraw_invites(unit, invite, at=ports.clock.now())
        await unit.commit()
    return invite


async def accept_invite(ports: Ports, principal: Principal, cmd: AcceptInvite) -> Member:
    """
    Accept an invite by its token. A person who is a member already gets the additional role and access.

    Raises:
        NotAPerson: If the caller is a program.
        InviteNotFound: If the token is invalid or used.
        InviteForAnother: If the invite is for another e-mail address than the caller's.
    """
    user = await ports.reads.entities.get(principal, USERS, user_id_of(principal))
    id = ports.secrets.invite_of_token(cmd.token)
    invite = await ports.credentials.find_invite(id) if id is not None else None
    if invite is None:
        raise InviteNotFound
    return await join_organization(ports, user, invite)


async def join_organization(ports: Ports, user: User, invite: Invite) -> Member:
    """
    Make a user a member by an invite.

    Raises:
        InviteNotFound: If it was accepted or withdrawn meanwhile.
        InviteForAnother: If it is for another e-mail address than the user's.
    """
    them = SystemPrincipal(organization=invite.organization, name=user.username, display=user.display, user=user.id)
    return await _join_organization(ports, them, invite.id)


@use_case
async def _join_organization(ports: Ports, principal: Principal, cmd: InviteId) -> Member:
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        members, users = unit.repository(MEMBERS), unit.repository(USERS)
        invite = await unit.repository(INVITES).get(cmd)
        user = await users.get(user_id_of(principal))
        organization = await unit.repository(ORGANIZATIONS).get(principal.organization)
        before = await members.find(user=user.id)
        offered = await unit.repository(INVITE_GRANTS).every(invite=invite.id)
        held = await unit.repository(GRANTS).every(member=before.id) if before else []
        member = before or Member(
            id=MemberId(ports.ids.new()), organization=organization.id, user=user.id, role=invite.role,
            all_boards_read=invite.all_boards_read, all_boards_write=invite.all_boards_write, created_at=now,
            updated_at=now,
        )  # fmt: skip
        accepted, fact = invite.accept(user, member.id, at=now)
        # Deleting the organization or the user depends on who is a member, so both get a new version.
        unit.rely_on(organization, user, bump=True)
        member = members.save(merge_invite(before, invite, at=now)) if before else members.add(member)
        _add_offered_grants(ports, unit, member, held, offered, at=now)
        unit.repository(INVITES).save(accepted)
        if user.active is None:
            users.save(evolve(user, active=organization.id, updated_at=now))
        unit.record(_membership_event(member, new=before is None, at=now), fact)
        unit.result(member.id)
        await unit.commit()
    return member


def _membership_event(member: Member, *, new: bool, at: datetime) -> MemberJoined | MemberUpdated:
    if new:
        return MemberJoined(member=member.id, user=member.user, role=member.role, at=at)
    changed = ("role", "access")
    return MemberUpdated(member=member.id, user=member.user, role=member.role, changed=changed, at=at)


def _add_offered_grants(
    ports: Ports,
    unit: UnitOfWork,
    member: Member,
    held: Sequence[Grant],
    offered: Sequence[InviteGrant],
    *,
    at: datetime,
) -> None:
    """
    Add the grants that an invite offers beyond those that the member has.
    """
    grants, known = unit.repository(GRANTS), {each.on_board: each for each in held}
    for each in offered:
        before = known.get(each.on_board)
        read = each.can_read or each.can_write
        if before is None:
            grants.add(_grant(ports, member, BoardPermission(each.on_board, read, each.can_write), at=at))
            continue
        more = evolve(
            before, can_read=before.can_read or read, can_write=before.can_write or each.can_write, updated_at=at
        )
        if (more.can_read, more.can_write) != (before.can_read, before.can_write):
            grants.save(more)


def _grant(ports: Ports, member: Member, granted: BoardPermission, *, at: datetime) -> Grant:
    return Grant(
        id=GrantId(ports.ids.new()), organization=member.organization, member=member.id, on_board=granted.board,
        can_read=granted.can_read, can_write=granted.can_write, created_at=at, updated_at=at,
    )  # fmt: skip


async def _rely_on_boards(unit: UnitOfWork, granted: Iterable[BoardPermission]) -> None:
    """
    Raises:
        GrantedBoardNotFound: If the organization does not have one of the boards.
    """
    boards: list[Board] = []
    for each in granted:
        try:
            boards.append(await unit.boards.get(each.board))
        except BoardNotFound:
            raise GrantedBoardNotFound(each.board) from None
    unit.rely_on(*boards)
