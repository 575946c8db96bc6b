"""
Browser sessions of signed-in users.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from attrs import field, frozen

from mission_core.accounts.users import User
from mission_core.errors import Conflict, NotFound
from mission_core.events.model import Fact
from mission_core.field_types import typed
from mission_core.ids import OrganizationId, SessionId, UserId
from mission_core.kinds import DEPLOYMENT, Kind
from mission_core.values import aware

LASTS: Final = timedelta(days=7)
"""The lifetime of a session, counted from its start."""


class SessionNotFound(NotFound):
    """
    The session does not exist or has ended.
    """


@frozen(kw_only=True, field_transformer=typed)
class Session:
    """
    A session of a user in the organization *workspace*. Only the SHA-256 of its secret is stored.
    """

    id: SessionId
    organization: OrganizationId = DEPLOYMENT
    user: UserId
    workspace: OrganizationId
    digest: bytes = field(repr=False)
    created_at: datetime = field(validator=aware)
    expires_at: datetime = field(validator=aware)
    version: int = 1


SESSIONS: Final = Kind(
    entity=Session,
    name="sessions",
    missing=SessionNotFound,
    unique={("digest",): Conflict},
    found_by=(("user",),),
    goes_with={"user": User},
    shared=True,
)


@frozen(kw_only=True)
class SignedIn(Fact):
    """
    A user signed in. *how* names the identity provider.
    """

    kind = "user.signed_in"
    about = "user"

    user: UserId
    session: SessionId
    how: str


@frozen(kw_only=True)
class SignedOut(Fact):
    """
    A user signed out, which ended the session.
    """

    kind = "user.signed_out"
    about = "user"

    user: UserId
    session: SessionId


@frozen(kw_only=True)
class SignInFailed(Fact):
    """
    A sign-in failed. The event has the reason, which the caller is not told. An unknown user name is not recorded: it
    may be a password typed into the wrong field.
    """

    kind = "user.sign_in_failed"
    about = "organization"

    organization: OrganizationId
    username: str | None
    reason: str
