"""
What members may do with boards, and inviting people to some of them.

Which boards an admin sees does not bound which ones they grant: to say who works where is what an admin is for. Their
own role does bound what they give (`accounts/managing.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from attrs import define, evolve, frozen

from mission_core.accounts.invites import (
    INVITES,
    Invite,
    InvitedAlready,
    InviteMade,
    InviteNotFound,
    take_back,
)
from mission_core.accounts.managing import (
    MemberChanged,
    MemberJoined,
    as_expected,
    check_reach,
    role_named,
    standing_of,
)
from mission_core.accounts.members import MEMBER, MEMBERS, Granted, Member
from mission_core.accounts.model import MemberPrincipal, Principal, System
from mission_core.accounts.organizations import ORGANIZATIONS
from mission_core.accounts.people import user_in
from mission_core.accounts.users import USERS, User
from mission_core.boards.grants import GRANTS, INVITE_GRANTS, Grant, InviteGrant
from mission_core.boards.model import Board, BoardNotFound
from mission_core.changes import edited
from mission_core.errors import Invalid, InvalidField
from mission_core.ids import BoardId, GrantId, InviteId, MemberId
from mission_core.use_case import use_case

if TYPE_CHECKING:
    from mission_core.ports import Ports, UnitOfWork


@define
class GrantedElsewhere(Invalid):
    """
    A board that is to be granted is none of the organization's.
    """

    board: BoardId

    def __str__(self) -> str:
        return f"this organization has no board {self.board}"


@frozen(kw_only=True)
class Access:
    """
    What somebody may do with boards: with all there are and will be, or with those that are named.
    """

    all_boards_read: bool = False
    all_boards_write: bool = False
    boards: tuple[Granted, ...] = ()

    @property
    def named(self) -> tuple[Granted, ...]:
        """
        What is granted board by board, each once: nothing, where it is about all boards.
        """
        if self.all_boards_read or self.all_boards_write:
            return ()
        return tuple(joined(self.boards).values())


@frozen(kw_only=True)
class SetAccess:
    """
    Say anew what a member may do with boards.
    """

    member: MemberId
    access: Access
    expects: int | None = None


@frozen(kw_only=True)
class InvitePerson:
    """
    Keep a place for whoever has the e-mail address.
    """

    email: str
    role: str = MEMBER
    access: Access = Access()


@frozen(kw_only=True)
class WithdrawInvite:
    """
    Take an invite back.
    """

    invite: InviteId


@frozen(kw_only=True)
class AcceptInvite:
    """
    Take the place that an invite's token is for.
    """

    token: str


def joined(grants: Iterable[Granted]) -> dict[BoardId, Granted]:
    """
    One grant for each board, with all that was granted on it.
    """
    found: dict[BoardId, Granted] = {}
    for board, read, write in grants:
        known = found.get(board, Granted(board, can_read=False, can_write=False))
        found[board] = Granted(board, known.can_read or read, known.can_write or write)
    return found


def welcomed(member: Member, invite: Invite, *, at: datetime) -> Member:
    """
    A member who accepted an invite, too: nothing gets less.
    """
    write = member.all_boards_write or invite.all_boards_write
    return evolve(
        member,
        role=invite.role if invite.standing > member.standing else member.role,
        all_boards_read=member.all_boards_read or invite.all_boards_read or write,
        all_boards_write=write,
        updated_at=at,
    )


def administering(principal: Principal) -> Principal:
    """
    An owner or admin as who sees every board, to say who works on it.
    """
    return evolve(principal, reads=None, writes=None) if isinstance(principal, MemberPrincipal) else principal


@use_case
async def set_access(ports: Ports, principal: Principal, cmd: SetAccess) -> Member:
    """
    Say anew what a member may do with boards; all that was granted before is replaced at once. What
    is so already leaves no trace.

    Raises:
        MemberNotFound: If there is no such member.
        VersionMismatch: If the caller expected another version.
        RoleTooLow: If the caller is neither owner nor admin.
        OwnersOnly: If it is an owner, and the caller is none.
        GrantedElsewhere: If a board is none of the organization's.
    """
    now, access = ports.clock.now(), cmd.access
    async with ports.unit(administering(principal)) as unit:
        members, grants = unit.rows(MEMBERS), unit.rows(GRANTS)
        standing = await standing_of(unit, principal)
        member = as_expected(await members.get(cmd.member), cmd.expects)
        check_reach(standing, of=member)
        before = await grants.every(member=member.id)
        await _rely_on_boards(unit, access.named)
        overall = {"all_boards_read": access.all_boards_read, "all_boards_write": access.all_boards_write}
        after, changed = edited(member, overall, at=now)
        granted_already = {Granted(each.on_board, each.can_read, each.can_write) for each in before}
        if not changed and set(access.named) == granted_already:
            return member
        member = members.save(evolve(after, updated_at=now))
        for each in before:
            grants.remove(each)
        for granted in access.named:
            grants.add(_grant(ports, member, granted, at=now))
        told = MemberChanged(member=member.id, user=member.user, role=member.role, changed=("access",), at=now)
        unit.record(told)
        await unit.commit()
    return member


@use_case
async def invite_person(ports: Ports, principal: Principal, cmd: InvitePerson) -> Invite:
    """
    Keep a place for whoever has the e-mail address.

    Raises:
        RoleTooLow: If the caller is neither owner nor admin.
        OwnersOnly: If it is an owner's place, and the caller is none.
        InvitedAlready: If a member has the address.
        GrantedElsewhere: If a board is none of the organization's.
    """
    now, email = ports.clock.now(), cmd.email.strip().lower()
    if not email:
        raise InvalidField("email", "must not be blank", cmd.email)
    async with ports.unit(administering(principal)) as unit:
        standing = await standing_of(unit, principal, bump=True)  # who comes down from it sees this invite
        role = role_named(cmd.role)
        check_reach(standing, role=role)
        if any((each.user.email or "").lower() == email for each in await ports.reads.members.every(principal)):
            raise InvitedAlready
        await _rely_on_boards(unit, cmd.access.named)
        invite = unit.rows(INVITES).add(
            Invite(
                id=InviteId(ports.ids.new()), organization=principal.organization, email=email, role=role,
                all_boards_read=cmd.access.all_boards_read, all_boards_write=cmd.access.all_boards_write,
                created_by=getattr(principal, "user", None), created_at=now, updated_at=now,
            )
        )  # fmt: skip
        for board, read, write in cmd.access.named:
            unit.rows(INVITE_GRANTS).add(
                InviteGrant(
                    id=GrantId(ports.ids.new()), organization=invite.organization, invite=invite.id, on_board=board,
                    can_read=read, can_write=write, created_at=now, updated_at=now,
                )
            )  # fmt: skip
        unit.record(InviteMade(invite=invite.id, role=role, at=now))
        unit.result(invite.id)
        await unit.commit()
    return invite


async def with_tokens(ports: Ports, principal: Principal, invites: Iterable[Invite]) -> list[tuple[Invite, str]]:
    """
    The invites with their tokens. Whoever has a token may take the place, so it is told to those alone who could give
    that place to somebody; to others it is empty.

    Raises:
        RoleTooLow: If the caller is neither owner nor admin.
    """
    async with ports.unit(principal) as unit:
        standing = await standing_of(unit, principal)
    return [(each, ports.secrets.invitation(each.id) if standing >= each.standing else "") for each in invites]


@use_case
async def withdraw_invite(ports: Ports, principal: Principal, cmd: WithdrawInvite) -> Invite:
    """
    Take an invite back.

    Raises:
        RoleTooLow: If the caller is neither owner nor admin.
        InviteNotFound: If there is none, or it was accepted.
        OwnersOnly: If it is an owner's place, and the caller is none.
    """
    async with ports.unit(principal) as unit:
        standing = await standing_of(unit, principal)
        invite = await unit.rows(INVITES).get(cmd.invite)
        if not invite.pending:
            raise InviteNotFound
        check_reach(standing, role=invite.role)
        take_back(unit, invite, at=ports.clock.now())
        await unit.commit()
    return invite


async def accept_invite(ports: Ports, principal: Principal, cmd: AcceptInvite) -> Member:
    """
    Take the place that an invite's token is for. Who is a member already gets what the invite adds.

    Raises:
        NotAPerson: If the caller is a program.
        InviteNotFound: If the token is none of ours, or was used.
        InviteForAnother: If the invite names another e-mail address than the caller's.
    """
    user = await ports.reads.rows.get(principal, USERS, user_in(principal))
    id = ports.secrets.invited_by(cmd.token)
    invite = await ports.credentials.invited(id) if id is not None else None
    if invite is None:
        raise InviteNotFound
    return await join(ports, user, invite)


async def join(ports: Ports, user: User, invite: Invite) -> Member:
    """
    Let a user in by an invite.

    Raises:
        InviteNotFound: If it was accepted or taken back meanwhile.
        InviteForAnother: If it names another e-mail address than theirs.
    """
    them = System(organization=invite.organization, name=user.username, display=user.display, user=user.id)
    return await _join(ports, them, invite.id)


@use_case
async def _join(ports: Ports, principal: Principal, cmd: InviteId) -> Member:
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        members, users = unit.rows(MEMBERS), unit.rows(USERS)
        invite = await unit.rows(INVITES).get(cmd)
        user = await users.get(user_in(principal))
        organization = await unit.rows(ORGANIZATIONS).get(principal.organization)
        before = await members.find(user=user.id)
        offered = await unit.rows(INVITE_GRANTS).every(invite=invite.id)
        held = await unit.rows(GRANTS).every(member=before.id) if before else []
        member = before or Member(
            id=MemberId(ports.ids.new()), organization=organization.id, user=user.id, role=invite.role,
            all_boards_read=invite.all_boards_read, all_boards_write=invite.all_boards_write, created_at=now,
            updated_at=now,
        )  # fmt: skip
        accepted, fact = invite.accept(user, member.id, at=now)
        # Whoever ends the organization or the user relies on who is a member.
        unit.rely_on(organization, user, bump=True)
        member = members.save(welcomed(before, invite, at=now)) if before else members.add(member)
        _regrant(ports, unit, member, held, offered, at=now)
        unit.rows(INVITES).save(accepted)
        if user.active is None:
            users.save(evolve(user, active=organization.id, updated_at=now))
        unit.record(_told(member, new=before is None, at=now), fact)
        unit.result(member.id)
        await unit.commit()
    return member


def _told(member: Member, *, new: bool, at: datetime) -> MemberJoined | MemberChanged:
    if new:
        return MemberJoined(member=member.id, user=member.user, role=member.role, at=at)
    changed = ("role", "access")
    return MemberChanged(member=member.id, user=member.user, role=member.role, changed=changed, at=at)


def _regrant(
    ports: Ports,
    unit: UnitOfWork,
    member: Member,
    held: Sequence[Grant],
    offered: Sequence[InviteGrant],
    *,
    at: datetime,
) -> None:
    """
    Remember to grant what an invite offers beyond what is held.
    """
    grants, known = unit.rows(GRANTS), {each.on_board: each for each in held}
    for each in offered:
        before = known.get(each.on_board)
        read = each.can_read or each.can_write
        if before is None:
            grants.add(_grant(ports, member, Granted(each.on_board, read, each.can_write), at=at))
            continue
        more = evolve(
            before, can_read=before.can_read or read, can_write=before.can_write or each.can_write, updated_at=at
        )
        if (more.can_read, more.can_write) != (before.can_read, before.can_write):
            grants.save(more)


def _grant(ports: Ports, member: Member, granted: Granted, *, at: datetime) -> Grant:
    return Grant(
        id=GrantId(ports.ids.new()), organization=member.organization, member=member.id, on_board=granted.board,
        can_read=granted.can_read, can_write=granted.can_write, created_at=at, updated_at=at,
    )  # fmt: skip


async def _rely_on_boards(unit: UnitOfWork, granted: Iterable[Granted]) -> None:
    """
    Raises:
        GrantedElsewhere: If a board is none of the organization's.
    """
    boards: list[Board] = []
    for each in granted:
        try:
            boards.append(await unit.boards.get(each.board))
        except BoardNotFound:
            raise GrantedElsewhere(each.board) from None
    unit.rely_on(*boards)
