"""
Browser sessions of signed-in users.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from attrs import field

from mission_core.accounts.users import User
from mission_core.errors import Conflict, NotFound
from mission_core.events.model import Event
from mission_core.field_types import with_type_validators
from mission_core.ids import OrganizationId, SessionId, UserId
from mission_core.kinds import DEPLOYMENT, Kind
from mission_core.lazy_attrs import frozen
from mission_core.values import utc_moment

SESSION_LIFETIME: Final = timedelta(days=7)
"""The lifetime of a session, counted from its start."""


class SessionNotFound(NotFound):
    """
    The session does not exist or has ended.
    """


@frozen(kw_only=True, field_transformer=with_type_validators)
class UserSession:
    """
    A session of a user in the organization *workspace*. Only the SHA-256 of its secret is stored.
    """

    id: SessionId
    organization: OrganizationId = DEPLOYMENT
    user: UserId
    workspace: OrganizationId
    digest: bytes = field(repr=False)
    created_at: datetime = field(validator=utc_moment)
    expires_at: datetime = field(validator=utc_moment)
    version: int = 1


SESSIONS: Final = Kind(
    entity=UserSession,
    name="sessions",
    missing=SessionNotFound,
    unique={("digest",): Conflict},
    indexed_by=(("user",),),
    cascades_from={"user": User},
    shared=True,
)


@frozen(kw_only=True, eq=False, repr=False)
class SignedIn(Event):
    """
    A user signed in. *how* names the identity provider.
    """

    kind = "user.signed_in"

    user: UserId
    session: SessionId
    how: str
    ip_address: str | None = None
    user_agent: str | None = None


@frozen(kw_only=True, eq=False, repr=False)
class SignedOut(Event):
    """
    A user signed out, which ended the session.
    """

    kind = "user.signed_out"

    user: UserId
    session: SessionId


@frozen(kw_only=True, eq=False, repr=False)
class SignInFailed(Event):
    """
    A sign-in failed. The event has the reason, which the caller is not told. An unknown user name is not recorded: it
    may be a password typed into the wrong field.
    """

    kind = "user.sign_in_failed"

    organization: OrganizationId
    username: str | None
    reason: str
    ip_address: str | None = None
    user_agent: str | None = None
