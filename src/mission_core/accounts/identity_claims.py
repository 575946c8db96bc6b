"""
Identities from verified tokens: the claims about a person, with validation of each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from attrs import evolve, field

from mission_core.accounts.users import MAX_EMAIL, MAX_USERNAME, IdentityProvider, User
from mission_core.accounts.users import MAX_SUBJECT as LONGEST_KEPT
from mission_core.errors import Denied, Exhausted
from mission_core.lazy_attrs import define, frozen
from mission_core.values import UNSTORABLE

Claims = Mapping[str, Any]

ALGORITHMS: Final = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519",
)  # fmt: skip
"""The accepted signature algorithms. All are asymmetric: with a shared secret or no signature, anybody who knows the
public key could forge a token."""
MAX_CLAIM_SUBJECT: Final = 255
"""The limit of OpenID Connect."""
MAX_PICTURE_URL: Final = 2000
MAX_LOGGED_VALUE: Final = 500
EMAIL_CLAIMS: Final = ("email", "email_address", "primary_email_address")
NAME_CLAIMS: Final = ("name", "full_name")
CLIENT_CREDENTIALS_GRANTS: Final = ("client-credentials", "client_credentials")
CLIENT_CLAIMS: Final = ("client_id", "azp", "cid", "appid")
MAX_UNIX_SECOND: Final = 253_402_300_800
"""The first Unix second after the greatest datetime."""
FIRST_NAME_CLAIMS: Final = ("given_name", "first_name")
LAST_NAME_CLAIMS: Final = ("family_name", "last_name")


class TokenFault(StrEnum):
    """
    The reason why a token is refused, for programs.
    """

    NOT_A_JWT = "not_a_jwt"
    ISSUER = "wrong_issuer"
    AUDIENCE = "wrong_audience"
    INVALID = "invalid_token"


@define(repr=False)
class TokenRefused(Denied):
    """
    The token is not valid.

    Args:
        why: The reason. It contains no secret and may be shown.
        verified: The token's own `iss` and `aud` and the expected ones, for the log. Empty if the signature was not
            verified, because anybody could have written them.
    """

    why: str
    fault: TokenFault = TokenFault.INVALID
    verified: Mapping[str, object] = field(factory=dict)

    says = "this token is not accepted: {self.why}"

    @property
    def logged(self) -> str:
        """
        The fault as keys and values of a log line.
        """
        facts = {"fault": self.fault.value, **self.verified, "reason": self.why}
        return " ".join(f"{name}={str(value)[:MAX_LOGGED_VALUE]!r}" for name, value in facts.items())


@define(repr=False)
class SigningKeysUnavailable(Exhausted):
    """
    The tokens of an issuer cannot be verified now: its keys are not available, or the token's key is not known yet.

    Args:
        retry_after: The seconds after which a request may succeed.
    """

    code = "keys_unavailable"

    issuer: str
    why: str
    retry_after: int = 5

    says = "tokens of {self.issuer} cannot be checked now ({self.why}); try again in {self.retry_after} s"


@frozen(kw_only=True)
class ProviderIdentity:
    """
    The identity of a person at a provider.

    Args:
        subject: The id of the person at the provider. For OpenID Connect it is the issuer, a space and the id.
        email: The address in lower case. *verified* says whether the provider verified it; None means it does not say.
        issued_at: When the token was issued.
        client: Whether it is a client of the provider (client credentials), not a person.
    """

    provider: IdentityProvider
    subject: str
    email: str | None = None
    verified: bool | None = None
    name: str | None = None
    picture: str | None = None
    issued_at: datetime | None = None
    client: bool = False

    def is_older(self, user: User) -> bool:
        """
        Whether the user's e-mail address comes from a token that was issued later than this one.
        """
        told_at = user.email_issued_at
        return told_at is not None and (self.issued_at is None or self.issued_at < told_at)


@frozen(kw_only=True)
class ProviderProfile:
    """
    A person's profile in the provider's user directory.
    """

    email: str | None = None
    verified: bool = False
    name: str | None = None


def identity_from_claims(claims: Claims, provider: IdentityProvider) -> ProviderIdentity:
    """
    The identity in the claims of a verified token.

    Raises:
        TokenRefused: If the subject is missing or too long.
    """
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 1 <= len(subject) <= MAX_CLAIM_SUBJECT or UNSTORABLE.search(subject):
        raise TokenRefused("its subject is missing or too long, or cannot be stored")
    issuer = claims.get("iss")
    if provider is IdentityProvider.OIDC:
        subject = f"{issuer} {subject}"
        if len(subject) > LONGEST_KEPT or UNSTORABLE.search(subject):
            raise TokenRefused("its issuer and subject are too long, or cannot be stored")
    email = _email(claims)
    return ProviderIdentity(
        provider=provider,
        subject=subject,
        email=email,
        verified=_verified(claims) if email is not None else None,
        name=_name(claims),
        picture=_text(claims.get("picture"), MAX_PICTURE_URL),
        issued_at=_issued_at(claims),
        client=is_client(claims),
    )


def is_client(claims: Claims) -> bool:
    """
    Whether a token was issued to a client itself (client credentials) and not for a person. The token says so (`gty` of
    Auth0, `idtyp` of Entra), its subject is the client (`client_id`, `azp`, `cid` or `appid`; RFC 9068, section 2.2),
    or its subject is the provider's service account of the client (Auth0, Keycloak, Entra).
    """
    if claims.get("gty") in CLIENT_CREDENTIALS_GRANTS or claims.get("idtyp") == "app":
        return True
    subject, name = claims.get("sub"), claims.get("preferred_username")
    clients = [each for each in map(claims.get, CLIENT_CLAIMS) if isinstance(each, str) and each]
    own = any(subject in (each, f"{each}@clients") or name == f"service-account-{each.lower()}" for each in clients)
    return own or ("oid" in claims and claims["oid"] == subject and "scp" not in claims)


def email_changes(user: User, person: ProviderIdentity) -> dict[str, Any]:
    """
    The changes of a user's e-mail fields that an identity requires. An older token changes nothing; otherwise two
    tokens of one person would overwrite the address with every request. A newer one with the same address is noted, so
    that no token from before it changes the address.
    """
    if person.email is None or person.is_older(user):
        return {}
    told: dict[str, Any] = {"email": person.email}
    if person.verified is not None or person.email != user.email:
        told["email_verified"] = bool(person.verified)
    if person.issued_at == user.email_issued_at and all(value == getattr(user, name) for name, value in told.items()):
        return {}
    return told | {"email_issued_at": person.issued_at}


def profile_from(told: Claims) -> ProviderProfile:
    """
    The profile in a provider's response: the primary e-mail address or the first one, and the name or the user name.
    """
    email, entry = next(_listed_emails(told), (None, {}))
    verification = entry.get("verification")
    return ProviderProfile(
        email=email,
        verified=isinstance(verification, Mapping) and verification.get("status") == "verified",
        name=_name(told) or _text(told.get("username"), MAX_USERNAME),
    )


def with_profile(person: ProviderIdentity, profile: ProviderProfile) -> ProviderIdentity:
    """
    The identity with missing values taken from the profile.
    """
    email, verified = person.email or profile.email, person.verified
    if verified is None and email == profile.email:
        verified = profile.verified
    return evolve(person, email=email, verified=verified, name=person.name or profile.name)


def subject_without_issuer(kept: str) -> str:
    """
    The issuer's own subject in a stored subject.
    """
    return kept.partition(" ")[2] or kept


def _issued_at(claims: Claims) -> datetime | None:
    told = claims.get("iat")
    if isinstance(told, bool) or not isinstance(told, int | float) or not 0 <= told < MAX_UNIX_SECOND:
        return None
    return datetime.fromtimestamp(told, UTC)


def _verified(claims: Claims) -> bool | None:
    told = claims.get("email_verified")
    return None if told is None else told in (True, "true")


def _email(claims: Claims) -> str | None:
    found = next(filter(None, (_address(claims.get(name)) for name in EMAIL_CLAIMS)), None)
    return found or next((address for address, _ in _listed_emails(claims)), None)


def _listed_emails(claims: Claims) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """
    The addresses in the claim `email_addresses`, each with its entry, the primary one first.
    """
    listed = claims.get("email_addresses")
    entries = [each for each in listed if isinstance(each, Mapping)] if isinstance(listed, list) else []
    primary = claims.get("primary_email_address_id")
    entries.sort(key=lambda each: each.get("id") != primary or primary is None)
    for each in entries:
        if (address := _address(each.get("email_address"))) is not None:
            yield address, each


def _address(value: object) -> str | None:
    found = _text(value, MAX_EMAIL)
    return found.lower() if found is not None and "@" in found else None


def _name(claims: Claims) -> str | None:
    whole = next(filter(None, (_text(claims.get(name), MAX_USERNAME) for name in NAME_CLAIMS)), None)
    if whole is not None:
        return whole
    parts = (
        next(filter(None, (_text(claims.get(name), MAX_USERNAME // 2 - 1) for name in names)), None)
        for names in (FIRST_NAME_CLAIMS, LAST_NAME_CLAIMS)
    )
    return " ".join(filter(None, parts)) or _text(claims.get("preferred_username"), MAX_USERNAME)


def _text(value: object, most: int) -> str | None:
    """
    The stripped text, or None if it is empty, too long or cannot be stored.
    """
    if not isinstance(value, str) or UNSTORABLE.search(value):
        return None
    value = value.strip()
    return value if 0 < len(value) <= most else None
