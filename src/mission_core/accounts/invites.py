"""
Invites: places in an organization that wait for whoever has an e-mail address.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from attrs import evolve, field, frozen
from attrs.validators import optional

from mission_core.accounts.members import ADMIN, MEMBER, STANDING
from mission_core.accounts.users import LONGEST_EMAIL, User
from mission_core.errors import Conflict, Denied, NotFound
from mission_core.events.model import Fact
from mission_core.field_types import typed
from mission_core.ids import InviteId, MemberId, OrganizationId, UserId
from mission_core.kinds import Kind
from mission_core.values import aware, text

if TYPE_CHECKING:
    from mission_core.ports import UnitOfWork


class InviteNotFound(NotFound):
    """
    There is no such invite, or it was accepted already.
    """

    def __str__(self) -> str:
        return "there is no such invite, or it was accepted already"


class InvitedAlready(Conflict):
    """
    Whoever has the address is a member.
    """

    def __str__(self) -> str:
        return "a member of the organization has this e-mail address"


class InviteForAnother(Denied):
    """
    The invite names another e-mail address than the caller's.
    """

    def __str__(self) -> str:
        return "this invite is for another e-mail address"


@frozen(kw_only=True, field_transformer=typed)
class Invite:
    """
    A place in the organization for whoever has the e-mail address. Its token is made of its id, so none is kept.

    Args:
        email: In lower case.
        created_by: Who invited; None if they are no more.
    """

    id: InviteId
    organization: OrganizationId
    email: str = field(validator=text(least=1, most=LONGEST_EMAIL))
    role: str = field(default=MEMBER, validator=text(least=1, most=64))
    all_boards_read: bool = False
    all_boards_write: bool = False
    created_by: UserId | None = None
    accepted_by: UserId | None = None
    accepted_at: datetime | None = field(default=None, validator=optional(aware))
    created_at: datetime = field(validator=aware)
    updated_at: datetime = field(validator=aware)
    version: int = 1

    @property
    def standing(self) -> int:
        """
        How far the role reaches, compared with others.
        """
        return STANDING.get(self.role, 0)

    @property
    def pending(self) -> bool:
        """
        Whether nobody has accepted it.
        """
        return self.accepted_at is None

    def accept(self, user: User, member: MemberId, *, at: datetime) -> tuple[Invite, InviteAccepted]:
        """
        Let the user in by it.

        Raises:
            InviteNotFound: If it was accepted before.
            InviteForAnother: If the user has another e-mail address. One without any has shown the token.
        """
        if not self.pending:
            raise InviteNotFound
        if user.email and user.email.strip().lower() != self.email:
            raise InviteForAnother
        accepted = evolve(self, accepted_by=user.id, accepted_at=at, updated_at=at)
        return accepted, InviteAccepted(invite=self.id, member=member, user=user.id, role=self.role, at=at)


INVITES: Final = Kind(entity=Invite, name="invites", missing=InviteNotFound, found_by=(("accepted_at",),))


async def without(unit: UnitOfWork, user: UserId) -> list[Invite]:
    """
    The invites that name a user as they are when they do not: for a unit in which the user goes, and with them those of
    theirs that wait.
    """
    found = []
    for each in await unit.rows(INVITES).every():
        if not each.pending and user in (each.created_by, each.accepted_by):
            by, accepted = (None if known == user else known for known in (each.created_by, each.accepted_by))
            found.append(evolve(each, created_by=by, accepted_by=accepted))
    return found


async def invites_beyond(unit: UnitOfWork, user: UserId, standing: int) -> list[Invite]:
    """
    The invites that a user made, that wait, and that they could not make with this *standing*: for a unit in which they
    come down to it, and take these back. Otherwise they came in again by an invite of their own.
    """
    waiting = await unit.rows(INVITES).every(accepted_at=None)
    return [each for each in waiting if each.created_by == user and standing < max(each.standing, STANDING[ADMIN])]


def take_back(unit: UnitOfWork, *invites: Invite, at: datetime) -> None:
    """
    Remember that invites are good no more.
    """
    for each in invites:
        unit.rows(INVITES).remove(each)
        unit.record(InviteWithdrawn(invite=each.id, at=at))


@frozen(kw_only=True)
class InviteMade(Fact):
    """
    Somebody was invited.
    """

    kind = "invite.made"
    about = "invite"

    invite: InviteId
    role: str


@frozen(kw_only=True)
class InviteWithdrawn(Fact):
    """
    An invite is good no more.
    """

    kind = "invite.withdrawn"
    about = "invite"

    invite: InviteId


@frozen(kw_only=True)
class InviteAccepted(Fact):
    """
    An invite let a person in, or gave a member more.
    """

    kind = "invite.accepted"
    about = "invite"

    invite: InviteId
    member: MemberId
    user: UserId
    role: str
