"""
People of the deployment: how they are called, how they prove who they are, and what they tell about themselves.

A user belongs to no organization; what one may do in an organization is a membership (`members.py`).
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Final

from attrs import evolve, field, frozen
from attrs.validators import optional

from mission_core.errors import Conflict, NotFound
from mission_core.events.model import Fact
from mission_core.field_types import typed
from mission_core.ids import OrganizationId, UserId, UserNumber
from mission_core.kinds import DEPLOYMENT, Kind
from mission_core.values import aware, name_key, text

LONGEST: Final = 20_000
LONGEST_NAME: Final = 200
LONGEST_EMAIL: Final = 320
LONGEST_SUBJECT: Final = 500


class Provider(StrEnum):
    """
    Who vouches for a user: this server by a password, Google, a proxy in front of it, an OpenID Connect issuer, or
    the server's own token.
    """

    LOCAL = "local"
    GOOGLE = "google"
    PROXY = "proxy"
    OIDC = "oidc"
    TOKEN = "token"


class UserNotFound(NotFound):
    """
    The organization has no such member.
    """

    def __str__(self) -> str:
        return "there is no such user in this organization"


class UsernameTaken(Conflict):
    """
    Somebody in the deployment has this user name, in some case of letters.
    """

    def __str__(self) -> str:
        return "this user name is taken; choose another one"


class SubjectTaken(Conflict):
    """
    Somebody else is known to the provider under this subject.
    """

    def __str__(self) -> str:
        return "another user is already known by this sign-in"


@frozen(kw_only=True, field_transformer=typed)
class User:
    """
    A person of the deployment.

    Args:
        username: What they sign in with and how the log calls them; no two differ only in case.
        subject: What the provider calls them, unique for each provider.
        email_verified: Whether somebody who knows says that the e-mail address is theirs. Nothing may be given to
            whoever only claims one.
        email_issued_at: When the token was issued that told the e-mail address, if one did.
        password: The hash of their password, if they have one.
        approved: Whether they may sign in.
        active: The organization they act in where a request names none.
    """

    id: UserId
    organization: OrganizationId = DEPLOYMENT
    number: UserNumber
    username: str = field(validator=text(least=1, most=LONGEST_NAME))
    username_key: str
    provider: Provider = Provider.LOCAL
    subject: str | None = field(default=None, validator=optional(text(least=1, most=LONGEST_SUBJECT)))
    email: str | None = field(default=None, validator=optional(text(most=LONGEST_EMAIL)))
    email_verified: bool = False
    avatar_url: str | None = field(default=None, validator=optional(text(most=2000)))
    password: str | None = field(default=None, repr=False)
    approved: bool = True
    active: OrganizationId | None = None
    name: str | None = field(default=None, validator=optional(text(most=LONGEST)))
    preferred_name: str | None = field(default=None, validator=optional(text(most=LONGEST)))
    pronouns: str | None = field(default=None, validator=optional(text(most=LONGEST)))
    timezone: str | None = field(default=None, validator=optional(text(most=LONGEST)))
    notes: str | None = field(default=None, validator=optional(text(most=LONGEST)))
    context: str | None = field(default=None, validator=optional(text(most=LONGEST)))
    created_at: datetime = field(validator=aware)
    updated_at: datetime = field(validator=aware)
    last_login_at: datetime | None = field(default=None, validator=optional(aware))
    version: int = 1
    email_issued_at: datetime | None = field(default=None, validator=optional(aware))

    @property
    def display(self) -> str:
        """
        How people see them named.
        """
        return self.name if self.name and self.name.strip() else self.username

    def renamed(self, username: str) -> User:
        """
        The user under another user name.
        """
        return evolve(self, username=username, username_key=name_key(username))


USERS: Final = Kind(
    entity=User,
    name="users",
    missing=UserNotFound,
    unique={("username_key",): UsernameTaken, ("provider", "subject"): SubjectTaken},
    found_by=(("email",), ("active",)),
    shared=True,
)


@frozen(kw_only=True)
class UserCreated(Fact):
    """
    A person got a user of their own, and a place in this organization.
    """

    kind = "user.created"
    about = "user"

    user: UserId
    username: str
    role: str
    provider: str
    email: str | None


@frozen(kw_only=True)
class UserUpdated(Fact):
    """
    What is kept about a user changed. The fact names fields; of values only the role, and whether they may sign in.
    """

    kind = "user.updated"
    about = "user"

    user: UserId
    changed: tuple[str, ...]
    role: str | None = None
    approved: bool | None = None


@frozen(kw_only=True)
class UserDeleted(Fact):
    """
    A user is no more.
    """

    kind = "user.deleted"
    about = "user"

    user: UserId
    username: str


@frozen(kw_only=True)
class PasswordChanged(Fact):
    """
    A user has another password, and every session begun before is over.
    """

    kind = "user.password_changed"
    about = "user"

    user: UserId
    by_themselves: bool
