"""
People who came with a provider's word for who they are, and wait for an admin to let them in.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Final

from attrs import evolve, field, frozen
from attrs.validators import optional

from mission_core.accounts.users import LONGEST_EMAIL, Provider, User
from mission_core.accounts.vouching import Vouched
from mission_core.errors import Conflict, Denied, NotFound
from mission_core.events.model import Fact
from mission_core.field_types import typed
from mission_core.ids import AccessRequestId, OrganizationId, UserId
from mission_core.kinds import DEPLOYMENT, Kind
from mission_core.values import aware, text

LONGEST_NOTE: Final = 5000


class RequestStatus(StrEnum):
    """
    Where a request for access stands.
    """

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"


class AccessRequestNotFound(NotFound):
    """
    There is no such request for access.
    """

    def __str__(self) -> str:
        return "Request not found"


class AccessRequested(Conflict):
    """
    There is a request from this e-mail address already.
    """


class RequestsElsewhere(Denied):
    """
    Who is let in to the deployment is for the admins of the organization that it lives in.
    """

    def __str__(self) -> str:
        return "requests for access are decided by the admins of the default organization"


class AccessPending(Denied):
    """
    A person is known to their provider, and an admin has yet to let them in here.
    """

    def __str__(self) -> str:
        return "Access request pending admin approval"


@frozen(kw_only=True, field_transformer=typed)
class AccessRequest:
    """
    A person who came by a provider, as they came the last time.

    Args:
        approved_user: The number of the user that they became.
    """

    id: AccessRequestId
    organization: OrganizationId = DEPLOYMENT
    number: int
    provider: Provider
    email: str = field(validator=text(least=1, most=LONGEST_EMAIL))
    subject: str = field(validator=text(least=1, most=500))
    name: str | None = field(default=None, validator=optional(text(most=200)))
    picture: str | None = field(default=None, validator=optional(text(most=2000)))
    status: RequestStatus = RequestStatus.PENDING
    attempts: int = 1
    requested_at: datetime = field(validator=aware)
    last_attempt_at: datetime = field(validator=aware)
    reviewed_by: str | None = None
    reviewed_at: datetime | None = field(default=None, validator=optional(aware))
    note: str | None = field(default=None, validator=optional(text(most=LONGEST_NOTE)))
    approved_user: int | None = None
    version: int = 1

    @property
    def person(self) -> Vouched:
        """
        Who asks. Nobody is kept whose provider did not vouch for the e-mail address.
        """
        return Vouched(
            provider=self.provider, subject=self.subject, email=self.email, verified=True, name=self.name,
            picture=self.picture,
        )  # fmt: skip

    def again(self, person: Vouched, *, at: datetime) -> AccessRequest:
        """
        The request when the person comes again: it waits, whatever was decided before.
        """
        return evolve(
            self, subject=person.subject, name=person.name, picture=person.picture, status=RequestStatus.PENDING,
            attempts=self.attempts + 1, last_attempt_at=at,
        )  # fmt: skip


ACCESS_REQUESTS: Final = Kind(
    entity=AccessRequest,
    name="access_requests",
    missing=AccessRequestNotFound,
    unique={("email",): AccessRequested},
    shared=True,
)


def is_same_person(user: User, person: Vouched) -> bool:
    """
    Whether a user is the one whom a provider vouches for. It is the provider's own name for them that tells.

    An e-mail address tells only of an account that an admin made for it and that nobody has used yet. Otherwise whoever
    gets hold of an address, or is given one that was somebody else's, would get their account, too. Which admins may do
    so is for those to say who look for one (`signing_in.is_at_home()`).
    """
    if user.provider is not person.provider:
        return False
    if user.subject is not None:
        return user.subject == person.subject
    return bool(person.verified) and person.email is not None and (user.email or "").strip().lower() == person.email


@frozen(kw_only=True)
class AccessAsked(Fact):
    """
    Somebody came who is not let in yet.
    """

    kind = "access.asked"
    about = "request"

    request: AccessRequestId
    provider: str
    email: str
    attempts: int


@frozen(kw_only=True)
class AccessGiven(Fact):
    """
    An admin let somebody in.
    """

    kind = "access.given"
    about = "request"

    request: AccessRequestId
    user: UserId
    email: str
    role: str


@frozen(kw_only=True)
class AccessRefused(Fact):
    """
    An admin did not let somebody in.
    """

    kind = "access.refused"
    about = "request"

    request: AccessRequestId
    email: str
