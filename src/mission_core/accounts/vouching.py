"""
What others say about people: the claims of a token that was verified, read as far as they can be believed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from attrs import define, evolve, field, frozen

from mission_core.accounts.users import LONGEST_EMAIL, LONGEST_NAME, Provider, User
from mission_core.accounts.users import LONGEST_SUBJECT as LONGEST_KEPT
from mission_core.errors import Denied, Exhausted
from mission_core.values import UNSTORABLE

Claims = Mapping[str, Any]

ALGORITHMS: Final = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519",
)  # fmt: skip
"""What tokens may be signed with. Each has a private and a public half: what is signed with a shared secret, or with
nothing, could be made by whoever knows the public one."""
LONGEST_SUBJECT: Final = 255
"""What OpenID Connect allows."""
LONGEST_PICTURE: Final = 2000
LONGEST_LOGGED: Final = 500
EMAILS: Final = ("email", "email_address", "primary_email_address")
NAMES: Final = ("name", "full_name")
GRANTS: Final = ("client-credentials", "client_credentials")
CLIENTS: Final = ("client_id", "azp", "cid", "appid")
LATEST: Final = 253_402_300_800
"""The Unix second after the last moment that there is."""
FIRST_NAMES: Final = ("given_name", "first_name")
LAST_NAMES: Final = ("family_name", "last_name")


class TokenFault(StrEnum):
    """
    The kinds of fault that a token is refused for.
    """

    NOT_A_JWT = "not_a_jwt"
    ISSUER = "wrong_issuer"
    AUDIENCE = "wrong_audience"
    INVALID = "invalid_token"


@define
class TokenRefused(Denied):
    """
    A token says nothing that could be believed. *why* names no secret, and may be told.

    Args:
        verified: The token's own `iss` and `aud` beside the expected ones, for the log; empty if its signature was not
            verified, for then anybody could have written them.
    """

    why: str
    fault: TokenFault = TokenFault.INVALID
    verified: Mapping[str, object] = field(factory=dict)

    def __str__(self) -> str:
        return f"this token is not accepted: {self.why}"

    @property
    def logged(self) -> str:
        """
        The fault with its facts, as keys and values of a line of the log.
        """
        facts = {"fault": self.fault.value, **self.verified, "reason": self.why}
        return " ".join(f"{name}={str(value)[:LONGEST_LOGGED]!r}" for name, value in facts.items())


@define
class KeysUnavailable(Exhausted):
    """
    Tokens of an issuer cannot be checked now: its keys could not be had, or the key of a token is not known yet.

    Args:
        retry_after: In how many seconds a request may pass.
    """

    issuer: str
    why: str
    retry_after: int = 5

    def __str__(self) -> str:
        return f"tokens of {self.issuer} cannot be checked now ({self.why}); try again in {self.retry_after} s"


@frozen(kw_only=True)
class Vouched:
    """
    A person as a provider knows them.

    Args:
        subject: What the provider calls them; that of an OpenID Connect issuer begins with the issuer and a space.
        email: In small letters; *verified* says whether the provider knows that it is theirs, and None that it does not
            tell.
        issued_at: When the provider said so.
        client: Whether it is no person but a client of the provider, by itself.
    """

    provider: Provider
    subject: str
    email: str | None = None
    verified: bool | None = None
    name: str | None = None
    picture: str | None = None
    issued_at: datetime | None = None
    client: bool = False

    def is_older(self, user: User) -> bool:
        """
        Whether the user's e-mail address was told by a token that was issued later than this one.
        """
        told_at = user.email_issued_at
        return told_at is not None and (self.issued_at is None or self.issued_at < told_at)


@frozen(kw_only=True)
class Profile:
    """
    What a provider keeps of a person, and tells whoever may ask it.
    """

    email: str | None = None
    verified: bool = False
    name: str | None = None


def vouched(claims: Claims, provider: Provider) -> Vouched:
    """
    Who a verified token speaks of.

    Raises:
        TokenRefused: If it names nobody.
    """
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 1 <= len(subject) <= LONGEST_SUBJECT or UNSTORABLE.search(subject):
        raise TokenRefused("its subject is missing or cannot be kept")
    issuer = claims.get("iss")
    if provider is Provider.OIDC:
        subject = f"{issuer} {subject}"
        if len(subject) > LONGEST_KEPT or UNSTORABLE.search(subject):
            raise TokenRefused("its issuer and subject are too long, or cannot be kept")
    email = _email(claims)
    return Vouched(
        provider=provider,
        subject=subject,
        email=email,
        verified=_verified(claims) if email is not None else None,
        name=_name(claims),
        picture=_text(claims.get("picture"), LONGEST_PICTURE),
        issued_at=_issued_at(claims),
        client=is_client(claims),
    )


def is_client(claims: Claims) -> bool:
    """
    Whether a token was given to a client for itself (client credentials) and stands for no person. It says so (`gty` of
    Auth0, `idtyp` of Entra), its subject is the client (`client_id`, `azp`, `cid` or `appid`; RFC 9068, section 2.2),
    or it is the account that the provider made for the client (Auth0, Keycloak, Entra).
    """
    if claims.get("gty") in GRANTS or claims.get("idtyp") == "app":
        return True
    subject, name = claims.get("sub"), claims.get("preferred_username")
    clients = [each for each in map(claims.get, CLIENTS) if isinstance(each, str) and each]
    own = any(subject in (each, f"{each}@clients") or name == f"service-account-{each.lower()}" for each in clients)
    return own or ("oid" in claims and claims["oid"] == subject and "scp" not in claims)


def told_address(user: User, person: Vouched) -> dict[str, Any]:
    """
    The changes to what is kept of a user's e-mail address that a provider's word makes. An older token makes none, or
    two tokens of one person would take it from each other with every request.
    """
    if person.email is None or person.is_older(user):
        return {}
    told: dict[str, Any] = {"email": person.email}
    if person.verified is not None or person.email != user.email:
        told["email_verified"] = bool(person.verified)
    if all(value == getattr(user, name) for name, value in told.items()):
        return {}
    return told | {"email_issued_at": person.issued_at}


def profile_in(told: Claims) -> Profile:
    """
    The profile in what a provider tells of a person: the primary one of their e-mail addresses, or the first, and
    their name, or what they are called for want of one.
    """
    email, entry = next(_listed_emails(told), (None, {}))
    verification = entry.get("verification")
    return Profile(
        email=email,
        verified=isinstance(verification, Mapping) and verification.get("status") == "verified",
        name=_name(told) or _text(told.get("username"), LONGEST_NAME),
    )


def completed(person: Vouched, profile: Profile) -> Vouched:
    """
    The person with their profile's word where their token says nothing.
    """
    email, verified = person.email or profile.email, person.verified
    if verified is None and email == profile.email:
        verified = profile.verified
    return evolve(person, email=email, verified=verified, name=person.name or profile.name)


def subject_of(kept: str) -> str:
    """
    What the issuer itself calls the person with this subject.
    """
    return kept.partition(" ")[2] or kept


def _issued_at(claims: Claims) -> datetime | None:
    told = claims.get("iat")
    if isinstance(told, bool) or not isinstance(told, int | float) or not 0 <= told < LATEST:
        return None
    return datetime.fromtimestamp(told, UTC)


def _verified(claims: Claims) -> bool | None:
    told = claims.get("email_verified")
    return None if told is None else told in (True, "true")


def _email(claims: Claims) -> str | None:
    found = next(filter(None, (_address(claims.get(name)) for name in EMAILS)), None)
    return found or next((address for address, _ in _listed_emails(claims)), None)


def _listed_emails(claims: Claims) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """
    The addresses of a list of them, each with what it says, the primary one first.
    """
    listed = claims.get("email_addresses")
    entries = [each for each in listed if isinstance(each, Mapping)] if isinstance(listed, list) else []
    primary = claims.get("primary_email_address_id")
    entries.sort(key=lambda each: each.get("id") != primary or primary is None)
    for each in entries:
        if (address := _address(each.get("email_address"))) is not None:
            yield address, each


def _address(value: object) -> str | None:
    found = _text(value, LONGEST_EMAIL)
    return found.lower() if found is not None and "@" in found else None


def _name(claims: Claims) -> str | None:
    whole = next(filter(None, (_text(claims.get(name), LONGEST_NAME) for name in NAMES)), None)
    if whole is not None:
        return whole
    parts = (
        next(filter(None, (_text(claims.get(name), LONGEST_NAME // 2 - 1) for name in names)), None)
        for names in (FIRST_NAMES, LAST_NAMES)
    )
    return " ".join(filter(None, parts)) or _text(claims.get("preferred_username"), LONGEST_NAME)


def _text(value: object, most: int) -> str | None:
    """
    A text that says something and can be kept.
    """
    if not isinstance(value, str) or UNSTORABLE.search(value):
        return None
    value = value.strip()
    return value if 0 < len(value) <= most else None
