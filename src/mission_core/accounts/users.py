"""
Users of the deployment: names, identity providers and profile fields.

A user belongs to no organization. The membership (`members.py`) gives a user rights in an organization.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Final

from attrs import evolve, field
from attrs.validators import optional

from mission_core.errors import Conflict, NotFound
from mission_core.events.model import Event
from mission_core.field_types import with_type_validators
from mission_core.ids import OrganizationId, UserId, UserNumber
from mission_core.kinds import DEPLOYMENT, Kind
from mission_core.lazy_attrs import frozen
from mission_core.values import name_key, text, utc_moment

MAX_PROFILE_TEXT: Final = 20_000
MAX_USERNAME: Final = 200
MAX_EMAIL: Final = 320
MAX_SUBJECT: Final = 500


class IdentityProvider(StrEnum):
    """
    The identity provider of a user: a password of this server, Google, a proxy in front of the server, an OpenID
    Connect issuer, or the server's own token.
    """

    LOCAL = "local"
    GOOGLE = "google"
    PROXY = "proxy"
    OIDC = "oidc"
    TOKEN = "token"


class UserNotFound(NotFound):
    """
    No member of the organization is this user.
    """

    says = "there is no such user in this organization"


class UsernameTaken(Conflict):
    """
    Another user of the deployment has this user name; names that differ only in case are equal.
    """

    says = "this user name is taken; choose another one"


class SubjectTaken(Conflict):
    """
    Another user has this subject at the identity provider.
    """

    says = "another user has this identity at the provider already"


@frozen(kw_only=True, field_transformer=with_type_validators)
class User:
    """
    A user of the deployment.

    Args:
        username: The name for signing in and in the log. It is unique, ignoring case.
        subject: The id of the person at the identity provider, unique for each provider.
        email_verified: Whether the provider verified the e-mail address. An unverified address must not give access.
        email_issued_at: When the token was issued from which the e-mail address was read.
        password: The hash of the password, if there is one.
        approved: Whether the user may sign in.
        active: The active organization, which applies to requests that name none.
    """

    id: UserId
    organization: OrganizationId = DEPLOYMENT
    number: UserNumber
    username: str = field(validator=text(least=1, most=MAX_USERNAME))
    username_key: str
    provider: IdentityProvider = IdentityProvider.LOCAL
    subject: str | None = field(default=None, validator=optional(text(least=1, most=MAX_SUBJECT)))
    email: str | None = field(default=None, validator=optional(text(most=MAX_EMAIL)))
    email_verified: bool = False
    avatar_url: str | None = field(default=None, validator=optional(text(most=2000)))
    password: str | None = field(default=None, repr=False)
    approved: bool = True
    active: OrganizationId | None = None
    name: str | None = field(default=None, validator=optional(text(most=MAX_PROFILE_TEXT)))
    preferred_name: str | None = field(default=None, validator=optional(text(most=MAX_PROFILE_TEXT)))
    pronouns: str | None = field(default=None, validator=optional(text(most=MAX_PROFILE_TEXT)))
    timezone: str | None = field(default=None, validator=optional(text(most=MAX_PROFILE_TEXT)))
    notes: str | None = field(default=None, validator=optional(text(most=MAX_PROFILE_TEXT)))
    context: str | None = field(default=None, validator=optional(text(most=MAX_PROFILE_TEXT)))
    created_at: datetime = field(validator=utc_moment)
    updated_at: datetime = field(validator=utc_moment)
    last_login_at: datetime | None = field(default=None, validator=optional(utc_moment))
    version: int = 1
    email_issued_at: datetime | None = field(default=None, validator=optional(utc_moment))

    @property
    def display(self) -> str:
        """
        The display name.
        """
        return self.name if self.name and self.name.strip() else self.username

    def renamed(self, username: str) -> User:
        """
        The user with another user name.
        """
        return evolve(self, username=username, username_key=name_key(username))


USERS: Final = Kind(
    entity=User,
    name="users",
    missing=UserNotFound,
    unique={("username_key",): UsernameTaken, ("provider", "subject"): SubjectTaken},
    indexed_by=(("email",), ("active",)),
    shared=True,
)


@frozen(kw_only=True, eq=False, repr=False)
class UserCreated(Event):
    """
    A user was created as a member of this organization.
    """

    kind = "user.created"

    user: UserId
    username: str
    role: str
    provider: str
    email: str | None


@frozen(kw_only=True, eq=False, repr=False)
class UserUpdated(Event):
    """
    Fields of a user changed. The event names them; of the values it has only the role and the approval.
    """

    kind = "user.updated"

    user: UserId
    changed: tuple[str, ...]
    role: str | None = None
    approved: bool | None = None


@frozen(kw_only=True, eq=False, repr=False)
class UserDeleted(Event):
    """
    A user was deleted.
    """

    kind = "user.deleted"

    user: UserId
    username: str


@frozen(kw_only=True, eq=False, repr=False)
class PasswordChanged(Event):
    """
    A user's password changed, which ended all earlier sessions.
    """

    kind = "user.password_changed"

    user: UserId
    by_themselves: bool
