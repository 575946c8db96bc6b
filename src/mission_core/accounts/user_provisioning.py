"""
Just-in-time provisioning of users from an OpenID Connect issuer: a user is created at the first sign-in, and updated
when the claims change.
"""

from __future__ import annotations

import re
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve

from mission_core.accounts.identity_claims import ProviderIdentity, email_changes, with_profile
from mission_core.accounts.model import Principal, SystemPrincipal
from mission_core.accounts.users import USERS, SubjectTaken, User, UsernameTaken
from mission_core.errors import Denied, StaleWrite, StoreFailed
from mission_core.ids import UserId, UserNumber
from mission_core.kinds import DEPLOYMENT
from mission_core.use_case import use_case
from mission_core.values import name_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mission_core.ports import Ports

UNKNOWN_CALLER: Final = SystemPrincipal(organization=DEPLOYMENT, name="sign-in", display="Sign-in")
"""The principal that acts while the caller's organization is not known yet."""
LONGEST_NAME, LONGEST_BEFORE_NUMBER = 28, 24
MAX_USERNAME_TRIES: Final = 50
DISALLOWED_CHARACTERS: Final = re.compile(r"[^a-z0-9._-]")


class ClientCredentialsRefused(Denied):
    """
    The token belongs to a client of the issuer (client credentials), not to a person.
    """

    code = "client_not_let_in"
    says = (
        "this token belongs to a client of the issuer (client credentials), not to a person; use an agent's key or "
        "API_KEY, or set OIDC_ALLOW_CLIENT_CREDENTIALS=1 to accept such clients as users"
    )


def username_from(wish: str | None) -> str:
    """
    The user name derived from an e-mail address or a name.
    """
    return DISALLOWED_CHARACTERS.sub("", (wish or "").partition("@")[0].lower())[:LONGEST_NAME] or "user"


def numbered_names(wish: str) -> Iterator[str]:
    """
    The name, then the name with a number after it.
    """
    yield wish
    yield from (f"{wish[:LONGEST_BEFORE_NUMBER]}-{n}" for n in count(1))


async def free_username(ports: Ports, wish: str | None) -> str:
    """
    A free user name derived from the given e-mail address or name. It may be taken before it is used.
    """
    name = username_from(wish)
    for tried, each in enumerate(numbered_names(name)):
        if not await ports.reads.entities.every(UNKNOWN_CALLER, USERS, username_key=name_key(each)):
            return each
        if tried >= MAX_USERNAME_TRIES:
            break
    return f"{name[:LONGEST_BEFORE_NUMBER]}-{ports.ids.new().hex[-12:]}"


async def provision_user(ports: Ports, person: ProviderIdentity, *, clients: bool = False) -> User:
    """
    The user with this identity of an issuer, created if there is none. The e-mail address follows the issuer's; the
    name does only if the user has none. An equal e-mail address never identifies a user.

    If the token lacks the e-mail address or the name of a user who has none, they are read from the issuer's user
    directory.

    Args:
        clients: Whether a client of the issuer (client credentials) becomes a user too.

    Raises:
        ClientCredentialsRefused: If the identity is a client without a user, and *clients* is false.
    """
    user, directory = await _find_user(ports, person), ports.directories.get(person.provider)
    if user is None and person.client and not clients:
        raise ClientCredentialsRefused
    if directory is not None and (user is None or _lacks_email_or_name(user, person)):
        profile = await directory.profile_of(person.subject)
        person = person if profile is None else with_profile(person, profile)
    if user is not None and not _changes_from_claims(user, person):
        return user
    try:
        return await _create_or_update_user(ports, UNKNOWN_CALLER, person)
    except StoreFailed:
        if user is None:
            raise
        return user  # a later request changes the address; this one may only read


async def _find_user(ports: Ports, person: ProviderIdentity) -> User | None:
    found = await ports.reads.entities.every(UNKNOWN_CALLER, USERS, provider=person.provider, subject=person.subject)
    return found[0] if found else None


@use_case
async def _create_or_update_user(ports: Ports, nobody: Principal, person: ProviderIdentity) -> User:
    kept = await _find_user(ports, person)
    if kept is None:
        return await _create_user(ports, nobody, person)
    if not _changes_from_claims(kept, person):
        return kept
    async with ports.unit(nobody) as unit:
        user: User = await unit.repository(USERS).get(kept.id)
        user = unit.repository(USERS).save(
            evolve(user, **_changes_from_claims(user, person), updated_at=ports.clock.now())
        )
        await unit.commit()
    return user


def _lacks_email_or_name(user: User, person: ProviderIdentity) -> bool:
    """
    Whether the e-mail address or the name is missing in both the user and the identity.
    """
    return not (user.email or person.email) or not (_has_name(user) or person.name)


def _has_name(user: User) -> bool:
    return bool(user.name and user.name.strip())


def _changes_from_claims(user: User, person: ProviderIdentity) -> dict[str, Any]:
    """
    The changes of the user that the identity requires.
    """
    told = email_changes(user, person)
    if person.name is not None and not _has_name(user):
        told["name"] = person.name
    return told


async def _create_user(ports: Ports, nobody: Principal, person: ProviderIdentity) -> User:
    now = ports.clock.now()
    username = await free_username(ports, person.email or person.name)
    (number,) = await ports.numbers.next((DEPLOYMENT, "user"))
    async with ports.unit(nobody) as unit:
        user: User = unit.repository(USERS).add(
            User(
                id=UserId(ports.ids.new()), number=UserNumber(number), username=username,
                username_key=name_key(username), provider=person.provider, subject=person.subject, email=person.email,
                email_verified=bool(person.verified), email_issued_at=person.issued_at, name=person.name,
                avatar_url=person.picture, created_at=now, updated_at=now,
            )
        )  # fmt: skip
        try:
            await unit.commit()
        except (SubjectTaken, UsernameTaken):
            raise StaleWrite("user", user.id) from None  # another request created the user first
    return user
