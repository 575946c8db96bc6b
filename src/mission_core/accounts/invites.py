"""
Invites: an offer of membership to the owner of an e-mail address.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from attrs import evolve, field
from attrs.validators import optional

from mission_core.accounts.members import ADMIN, MEMBER, ROLE_RANKS
from mission_core.accounts.users import MAX_EMAIL, User
from mission_core.errors import Conflict, Denied, NotFound
from mission_core.events.model import Event
from mission_core.field_types import with_type_validators
from mission_core.ids import InviteId, MemberId, OrganizationId, UserId
from mission_core.kinds import Kind
from mission_core.lazy_attrs import frozen
from mission_core.values import text, utc_moment

if TYPE_CHECKING:
    from mission_core.ports import UnitOfWork


class InviteNotFound(NotFound):
    """
    The invite does not exist, or it was accepted already.
    """

    says = "there is no such invite, or it was accepted already"


class InvitedAlready(Conflict):
    """
    A member of the organization has this e-mail address already.
    """

    says = "a member of the organization has this e-mail address"


class InviteForAnother(Denied):
    """
    The invite names another e-mail address than the caller's.
    """

    says = "this invite is for another e-mail address"


@frozen(kw_only=True, field_transformer=with_type_validators)
class Invite:
    """
    An offer of membership to the owner of an e-mail address. Its token is derived from its id, so none is stored.

    Args:
        email: The address in lower case.
        created_by: The user who created the invite; None if that user was deleted.
    """

    id: InviteId
    organization: OrganizationId
    email: str = field(validator=text(least=1, most=MAX_EMAIL))
    role: str = field(default=MEMBER, validator=text(least=1, most=64))
    all_boards_read: bool = False
    all_boards_write: bool = False
    created_by: UserId | None = None
    accepted_by: UserId | None = None
    accepted_at: datetime | None = field(default=None, validator=optional(utc_moment))
    created_at: datetime = field(validator=utc_moment)
    updated_at: datetime = field(validator=utc_moment)
    version: int = 1

    @property
    def rank(self) -> int:
        """
        The rank of the role, comparable with that of other roles.
        """
        return ROLE_RANKS.get(self.role, 0)

    @property
    def pending(self) -> bool:
        """
        Whether the invite was not accepted yet.
        """
        return self.accepted_at is None

    def accept(self, user: User, member: MemberId, *, at: datetime) -> tuple[Invite, InviteAccepted]:
        """
        Accept the invite for a user.

        Raises:
            InviteNotFound: If it was accepted before.
            InviteForAnother: If the user has another e-mail address. A user without one may accept it.
        """
        if not self.pending:
            raise InviteNotFound
        if user.email and user.email.strip().lower() != self.email:
            raise InviteForAnother
        accepted = evolve(self, accepted_by=user.id, accepted_at=at, updated_at=at)
        return accepted, InviteAccepted(invite=self.id, member=member, user=user.id, role=self.role, at=at)


INVITES: Final = Kind(entity=Invite, name="invites", missing=InviteNotFound, indexed_by=(("accepted_at",),))


async def invites_without_user(unit: UnitOfWork, user: UserId) -> list[Invite]:
    """
    The accepted invites that name a user, with that name removed. Call it in the unit that deletes the user; pending
    invites of the user are deleted with the membership.
    """
    found = []
    for each in await unit.repository(INVITES).every():
        if not each.pending and user in (each.created_by, each.accepted_by):
            by, accepted = (None if known == user else known for known in (each.created_by, each.accepted_by))
            found.append(evolve(each, created_by=by, accepted_by=accepted))
    return found


async def invites_above_rank(unit: UnitOfWork, user: UserId, standing: int) -> list[Invite]:
    """
    The pending invites of a user that this *standing* does not permit. Call it in the unit that lowers the user's role,
    and withdraw them; otherwise the user could regain the role with an own invite.
    """
    waiting = await unit.repository(INVITES).every(accepted_at=None)
    return [each for each in waiting if each.created_by == user and standing < max(each.rank, ROLE_RANKS[ADMIN])]


def withdraw_invites(unit: UnitOfWork, *invites: Invite, at: datetime) -> None:
    """
    Withdraw invites when the unit commits.
    """
    for each in invites:
        unit.repository(INVITES).remove(each)
        unit.record(InviteWithdrawn(invite=each.id, at=at))


@frozen(kw_only=True, eq=False, repr=False)
class InviteCreated(Event):
    """
    An invite was created.
    """

    kind = "invite.made"

    invite: InviteId
    role: str


@frozen(kw_only=True, eq=False, repr=False)
class InviteWithdrawn(Event):
    """
    An invite was withdrawn.
    """

    kind = "invite.withdrawn"

    invite: InviteId


@frozen(kw_only=True, eq=False, repr=False)
class InviteAccepted(Event):
    """
    An invite was accepted: a person became a member, or a member got more access.
    """

    kind = "invite.accepted"

    invite: InviteId
    member: MemberId
    user: UserId
    role: str
