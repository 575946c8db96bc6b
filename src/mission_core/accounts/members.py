"""
Memberships: the users of an organization, with their roles and the boards they may see and write on.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final, NamedTuple

from attrs import field, frozen

from mission_core.accounts.model import MemberPrincipal, Role
from mission_core.accounts.users import User
from mission_core.errors import Conflict, NotFound
from mission_core.field_types import typed
from mission_core.ids import BoardId, MemberId, OrganizationId, SessionId, UserId, UserNumber
from mission_core.kinds import Kind
from mission_core.values import aware, text

OWNER: Final = "owner"
ADMIN: Final = "admin"
MEMBER: Final = "member"
STANDING: Final = {MEMBER: 0, ADMIN: 1, OWNER: 2}
"""The rank of each role that gives rights. Any other role is a label and ranks as `member`."""


class MemberNotFound(NotFound):
    """
    The organization has no such member.
    """

    def __str__(self) -> str:
        return "this organization has no such member"


class AlreadyMember(Conflict):
    """
    The person is a member of the organization already.
    """

    def __str__(self) -> str:
        return "this person is a member of the organization already"


@frozen(kw_only=True, field_transformer=typed)
class Member:
    """
    A user's membership in an organization.

    Args:
        role: `owner` or `admin`. Any other value is a label for a plain member.
        all_boards_read: Whether the member may see all boards, including future ones.
        all_boards_write: Whether the member may also write on all boards.
    """

    id: MemberId
    organization: OrganizationId
    user: UserId
    role: str = field(validator=text(least=1, most=64))
    all_boards_read: bool = False
    all_boards_write: bool = False
    created_at: datetime = field(validator=aware)
    updated_at: datetime = field(validator=aware)
    version: int = 1

    @property
    def standing(self) -> int:
        """
        The rank of the role, comparable with that of other roles.
        """
        return STANDING.get(self.role, 0)


MEMBERS: Final = Kind(entity=Member, name="members", missing=MemberNotFound, unique={("user",): AlreadyMember})


class Granted(NamedTuple):
    """
    A member's access to one board.
    """

    board: BoardId
    can_read: bool
    can_write: bool


def boards_of(member: Member, grants: Iterable[Granted]) -> tuple[frozenset[BoardId] | None, frozenset[BoardId] | None]:
    """
    The boards that a member may see and those they may write on; None means all boards. Write access includes read
    access.
    """
    grants = tuple(grants)
    writes = None if member.all_boards_write else frozenset(each.board for each in grants if each.can_write)
    if writes is None or member.all_boards_read:
        return None, writes
    return writes | {each.board for each in grants if each.can_read}, writes


def role_of(member: Member, *, writes: frozenset[BoardId] | None) -> Role:
    """
    The principal role of a member: owners and admins are admins, members with write access to any board are operators,
    others are viewers.
    """
    if member.standing > 0:
        return Role.ADMIN
    return Role.VIEWER if writes is not None and not writes else Role.OPERATOR


def role_shown(member: Member, grants: Iterable[Granted]) -> Role:
    """
    The principal role of a member with these board grants.
    """
    return role_of(member, writes=boards_of(member, grants)[1])


def acting(
    member: Member,
    grants: Iterable[Granted],
    *,
    number: UserNumber,
    username: str,
    display: str,
    session: SessionId | None = None,
) -> MemberPrincipal:
    """
    The principal of a member.
    """
    reads, writes = boards_of(member, grants)
    return MemberPrincipal(
        organization=member.organization, user=member.user, number=number, member=member.id, name=username,
        display=display, role=role_of(member, writes=writes), reads=reads, writes=writes, session=session,
    )  # fmt: skip


@frozen
class Colleague:
    """
    A member with the user.
    """

    member: Member
    user: User
