"""
Memberships: the users of an organization, with their roles and the boards they may see and write on.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final, NamedTuple

from attrs import field

from mission_core.accounts.model import MemberPrincipal, Role
from mission_core.accounts.users import User
from mission_core.errors import Conflict, NotFound
from mission_core.field_types import with_type_validators
from mission_core.ids import BoardId, MemberId, OrganizationId, SessionId, UserId, UserNumber
from mission_core.kinds import Kind
from mission_core.lazy_attrs import frozen
from mission_core.values import text, utc_moment

OWNER: Final = "owner"
ADMIN: Final = "admin"
MEMBER: Final = "member"
ROLE_RANKS: Final = {MEMBER: 0, ADMIN: 1, OWNER: 2}
"""The rank of each role that gives rights. Any other role is a label and ranks as `member`."""


class MemberNotFound(NotFound):
    """
    The organization has no such member.
    """

    says = "this organization has no such member"


class AlreadyMember(Conflict):
    """
    The person is a member of the organization already.
    """

    says = "this person is a member of the organization already"


@frozen(kw_only=True, field_transformer=with_type_validators)
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
    created_at: datetime = field(validator=utc_moment)
    updated_at: datetime = field(validator=utc_moment)
    version: int = 1

    @property
    def rank(self) -> int:
        """
        The rank of the role, comparable with that of other roles.
        """
        return ROLE_RANKS.get(self.role, 0)


MEMBERS: Final = Kind(entity=Member, name="members", missing=MemberNotFound, unique={("user",): AlreadyMember})


class BoardPermission(NamedTuple):
    """
    A member's access to one board.
    """

    board: BoardId
    can_read: bool
    can_write: bool


def accessible_boards(
    member: Member, grants: Iterable[BoardPermission]
) -> tuple[frozenset[BoardId] | None, frozenset[BoardId] | None]:
    """
    The boards that a member may see and those they may write on; None means all boards. Write access includes read
    access.
    """
    grants = tuple(grants)
    writes = None if member.all_boards_write else frozenset(each.board for each in grants if each.can_write)
    if writes is None or member.all_boards_read:
        return None, writes
    return writes | {each.board for each in grants if each.can_read}, writes


def principal_role(member: Member, *, writes: frozenset[BoardId] | None) -> Role:
    """
    The principal role of a member: owners and admins are admins, members with write access to any board are operators,
    others are viewers.
    """
    if member.rank > 0:
        return Role.ADMIN
    return Role.VIEWER if writes is not None and not writes else Role.OPERATOR


def effective_role(member: Member, grants: Iterable[BoardPermission]) -> Role:
    """
    The principal role of a member with these board grants.
    """
    return principal_role(member, writes=accessible_boards(member, grants)[1])


def principal_of_member(
    member: Member,
    grants: Iterable[BoardPermission],
    *,
    number: UserNumber,
    username: str,
    display: str,
    session: SessionId | None = None,
) -> MemberPrincipal:
    """
    The principal of a member.
    """
    reads, writes = accessible_boards(member, grants)
    return MemberPrincipal(
        organization=member.organization, user=member.user, number=number, member=member.id, name=username,
        display=display, role=principal_role(member, writes=writes), reads=reads, writes=writes, session=session,
    )  # fmt: skip


@frozen
class MemberWithUser:
    """
    A member with the user.
    """

    member: Member
    user: User
