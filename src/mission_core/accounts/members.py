"""
Memberships: which people act in an organization, as what, and on which boards.
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
"""What the roles that mean something are worth; any other is a label, worth as much as `member`."""


class MemberNotFound(NotFound):
    """
    The organization has no such member.
    """

    def __str__(self) -> str:
        return "this organization has no such member"


class AlreadyMember(Conflict):
    """
    The person is a member already.
    """

    def __str__(self) -> str:
        return "this person is a member of the organization already"


@frozen(kw_only=True, field_transformer=typed)
class Member:
    """
    A person's place in an organization.

    Args:
        role: `owner` or `admin`, or anything else, which is a label for a plain member.
        all_boards_read: Whether they see every board there is and will be.
        all_boards_write: Whether they also write on every one.
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
        How far the role reaches, compared with others.
        """
        return STANDING.get(self.role, 0)


MEMBERS: Final = Kind(entity=Member, name="members", missing=MemberNotFound, unique={("user",): AlreadyMember})


class Granted(NamedTuple):
    """
    What a member may do on one board.
    """

    board: BoardId
    can_read: bool
    can_write: bool


def boards_of(member: Member, grants: Iterable[Granted]) -> tuple[frozenset[BoardId] | None, frozenset[BoardId] | None]:
    """
    The boards a member sees and those it writes on; None stands for all. Whoever writes on a board sees it.
    """
    grants = tuple(grants)
    writes = None if member.all_boards_write else frozenset(each.board for each in grants if each.can_write)
    if writes is None or member.all_boards_read:
        return None, writes
    return writes | {each.board for each in grants if each.can_read}, writes


def role_of(member: Member, *, writes: frozenset[BoardId] | None) -> Role:
    """
    What a member may do at most: owners and admins everything, others change things if there is a board to write on.
    """
    if member.standing > 0:
        return Role.ADMIN
    return Role.VIEWER if writes is not None and not writes else Role.OPERATOR


def role_shown(member: Member, grants: Iterable[Granted]) -> Role:
    """
    The role that a member's place is worth, with the boards that are granted to them.
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
    The principal that a member is.
    """
    reads, writes = boards_of(member, grants)
    return MemberPrincipal(
        organization=member.organization, user=member.user, number=number, member=member.id, name=username,
        display=display, role=role_of(member, writes=writes), reads=reads, writes=writes, session=session,
    )  # fmt: skip


@frozen
class Colleague:
    """
    A member together with the person.
    """

    member: Member
    user: User
