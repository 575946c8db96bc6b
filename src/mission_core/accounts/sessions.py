"""
Sessions: what a browser shows after its person signed in.
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
"""How long a session lasts from the moment it began, however much it is used."""


class SessionNotFound(NotFound):
    """
    There is no such session, or it is over.
    """


@frozen(kw_only=True, field_transformer=typed)
class Session:
    """
    A session of a user in the organization they signed in to. Its secret is kept as a SHA-256 only.
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
    A person signed in. *how* names who vouched for them.
    """

    kind = "user.signed_in"
    about = "user"

    user: UserId
    session: SessionId
    how: str


@frozen(kw_only=True)
class SignedOut(Fact):
    """
    A person ended their session.
    """

    kind = "user.signed_out"
    about = "user"

    user: UserId
    session: SessionId


@frozen(kw_only=True)
class SignInFailed(Fact):
    """
    Somebody tried to sign in and was not let in. The log knows why, whoever tried is not told. A name that no user has
    is not kept: it may be a password in the wrong field.
    """

    kind = "user.sign_in_failed"
    about = "organization"

    organization: OrganizationId
    username: str | None
    reason: str
