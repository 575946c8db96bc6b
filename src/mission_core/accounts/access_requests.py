"""
Access requests: a person who signed in with Google for the first time waits for an admin's approval.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Final

from attrs import evolve, field
from attrs.validators import optional

from mission_core.accounts.identity_claims import ProviderIdentity
from mission_core.accounts.users import MAX_EMAIL, IdentityProvider, User
from mission_core.errors import Conflict, Denied, NotFound
from mission_core.events.model import Event
from mission_core.field_types import with_type_validators
from mission_core.ids import AccessRequestId, OrganizationId, UserId
from mission_core.kinds import DEPLOYMENT, Kind
from mission_core.lazy_attrs import frozen
from mission_core.values import text, utc_moment

LONGEST_NOTE: Final = 5000


class AccessRequestStatus(StrEnum):
    """
    The status of an access request.
    """

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"


class AccessRequestNotFound(NotFound):
    """
    The access request does not exist.
    """

    says = "Request not found"


class AccessRequestExists(Conflict):
    """
    This e-mail address has an access request already.
    """

    code = "access_requested"


class NotDefaultOrganizationAdmin(Denied):
    """
    Only admins of the default organization may decide access requests.
    """

    code = "requests_elsewhere"
    says = "requests for access are decided by the admins of the default organization"


@frozen(kw_only=True, field_transformer=with_type_validators)
class AccessRequest:
    """
    A request for access, with the person's data from their last sign-in.

    Args:
        approved_user: The number of the user that was created or approved.
    """

    id: AccessRequestId
    organization: OrganizationId = DEPLOYMENT
    number: int
    provider: IdentityProvider
    email: str = field(validator=text(least=1, most=MAX_EMAIL))
    subject: str = field(validator=text(least=1, most=500))
    name: str | None = field(default=None, validator=optional(text(most=200)))
    picture: str | None = field(default=None, validator=optional(text(most=2000)))
    status: AccessRequestStatus = AccessRequestStatus.PENDING
    attempts: int = 1
    requested_at: datetime = field(validator=utc_moment)
    last_attempt_at: datetime = field(validator=utc_moment)
    reviewed_by: str | None = None
    reviewed_at: datetime | None = field(default=None, validator=optional(utc_moment))
    note: str | None = field(default=None, validator=optional(text(most=LONGEST_NOTE)))
    approved_user: int | None = None
    version: int = 1

    @property
    def identity(self) -> ProviderIdentity:
        """
        The person's identity. Its e-mail address is verified: only verified ones are stored.
        """
        return ProviderIdentity(
            provider=self.provider, subject=self.subject, email=self.email, verified=True, name=self.name,
            picture=self.picture,
        )  # fmt: skip

    def again(self, person: ProviderIdentity, *, at: datetime) -> AccessRequest:
        """
        The request after another sign-in: it is pending again, whatever was decided before.
        """
        return evolve(
            self, subject=person.subject, name=person.name, picture=person.picture, status=AccessRequestStatus.PENDING,
            attempts=self.attempts + 1, last_attempt_at=at,
        )  # fmt: skip


ACCESS_REQUESTS: Final = Kind(
    entity=AccessRequest,
    name="access_requests",
    missing=AccessRequestNotFound,
    unique={("email",): AccessRequestExists},
    shared=True,
)


def is_same_person(user: User, person: ProviderIdentity) -> bool:
    """
    Whether a user and a provider's identity are the same person. The provider's subject decides.

    The e-mail address decides only for a user without a subject, which an admin created and which is still unused.
    Otherwise a new owner of an e-mail address would also get the account. The caller checks which admins may create
    such users (`is_member_of_default_organization`).
    """
    if user.provider is not person.provider:
        return False
    if user.subject is not None:
        return user.subject == person.subject
    return bool(person.verified) and person.email is not None and (user.email or "").strip().lower() == person.email


@frozen(kw_only=True, eq=False, repr=False)
class AccessRequestReceived(Event):
    """
    A person without access signed in, so an access request was created or renewed.
    """

    kind = "access.asked"

    request: AccessRequestId
    provider: str
    email: str
    attempts: int


@frozen(kw_only=True, eq=False, repr=False)
class AccessRequestApproved(Event):
    """
    An admin approved an access request.
    """

    kind = "access.given"

    request: AccessRequestId
    user: UserId
    email: str
    role: str


@frozen(kw_only=True, eq=False, repr=False)
class AccessRequestRejected(Event):
    """
    An admin rejected an access request.
    """

    kind = "access.refused"

    request: AccessRequestId
    email: str
