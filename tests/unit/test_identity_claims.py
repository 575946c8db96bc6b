"""
What others say about people, as far as it can be believed.
"""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from attrs import evolve

from mission_core.accounts.identity_claims import (
    ProviderIdentity,
    ProviderProfile,
    email_changes,
    identity_from_claims,
    is_client,
    profile_from,
    with_profile,
)
from mission_core.accounts.users import MAX_EMAIL, IdentityProvider, User
from mission_core.ids import UserId, UserNumber

NOTHING = ProviderProfile()
MOMENT, SECOND = datetime(2030, 1, 1, tzinfo=UTC), timedelta(seconds=1)


def listed(*addresses: Any, verified: bool = True) -> list[dict[str, Any]]:
    status = {"status": "verified" if verified else "unverified"}
    return [{"id": f"e{n}", "email_address": each, "verification": status} for n, each in enumerate(addresses)]


@pytest.mark.parametrize(
    ("told", "profile"),
    [
        ({"email_addresses": listed("A@x.io", "b@x.io")}, ProviderProfile(email="a@x.io", verified=True)),
        (
            {"email_addresses": listed("a@x.io", "b@x.io"), "primary_email_address_id": "e1"},
            ProviderProfile(email="b@x.io", verified=True),
        ),
        ({"email_addresses": listed("a@x.io", verified=False)}, ProviderProfile(email="a@x.io")),
        (
            {
                "email_addresses": [*listed("a@x.io"), {"id": "e9", "email_address": "b@x.io"}],
                "primary_email_address_id": "e9",
            },
            ProviderProfile(email="b@x.io"),
        ),
        ({"email_addresses": listed("nobody", None, "b@x.io")}, ProviderProfile(email="b@x.io", verified=True)),
        ({"first_name": "Ada", "last_name": "L", "username": "al"}, ProviderProfile(name="Ada L")),
        ({"first_name": " ", "last_name": None, "username": "al"}, ProviderProfile(name="al")),
    ],
)
def test_a_profile_is_the_primary_address_and_a_name(told: dict[str, Any], profile: ProviderProfile) -> None:
    """
    The first address where none is primary; whether it is verified is its own to say.
    """
    assert profile == profile_from(told)


@pytest.mark.parametrize(
    "told",
    [
        {}, {"email_addresses": None}, {"email_addresses": {}}, {"email_addresses": ["a@x.io", None, 7]},
        {"email_addresses": [{"email_address": 7}, {"email_address": "x" * MAX_EMAIL + "@x.io"}, {}]},
        {"email_addresses": [{"email_address": "a\0@x.io"}]}, {"first_name": 7, "username": ["al"]},
        {"first_name": "\ud800"}, {"username": "x" * 201}, {"verification": {"status": "verified"}},
    ],
)  # fmt: skip
def test_a_profile_that_says_nothing_is_empty(told: dict[str, Any]) -> None:
    assert NOTHING == profile_from(told)


def test_an_address_without_a_sound_verification_is_not_verified() -> None:
    for verification in (None, "verified", [], {}, {"status": ["verified"]}, {"status": True}):
        told = {"email_addresses": [{"email_address": "a@x.io", "verification": verification}]}

        assert ProviderProfile(email="a@x.io") == profile_from(told)


@pytest.mark.parametrize(
    ("claims", "client"),
    [
        ({"sub": "web", "client_id": "web"}, True), ({"sub": "web", "azp": "web"}, True),
        ({"sub": "web", "cid": "web"}, True), ({"sub": "x", "azp": "x", "gty": "client-credentials"}, True),
        ({"sub": "web@clients", "azp": "web"}, True), ({"sub": "7", "gty": "client_credentials"}, True),
        ({"sub": "7", "azp": "Web", "preferred_username": "service-account-web"}, True),
        ({"sub": "7", "oid": "7", "appid": "web"}, True), ({"sub": "7", "idtyp": "app"}, True),
        ({"sub": "ada", "client_id": "web", "azp": "web"}, False), ({"sub": "ada", "idtyp": "user"}, False),
        ({"sub": "7", "oid": "8", "scp": "user"}, False), ({"sub": "7", "oid": "7", "scp": "user"}, False),
        ({"sub": "7", "azp": "web", "preferred_username": "service-account-desk"}, False),
        ({"sub": "", "azp": ""}, False), ({"sub": "7", "azp": ["7"], "gty": ["client-credentials"]}, False),
    ],
)  # fmt: skip
def test_a_client_by_itself_is_no_person(claims: dict[str, Any], client: bool) -> None:
    """
    As the common providers tell it: RFC 9068, Auth0, Keycloak, Okta and Entra.
    """
    assert client is is_client(claims)


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"preferred_username": "ada"}, "ada"), ({"preferred_username": "ada", "name": "Ada L"}, "Ada L"),
        ({"preferred_username": "ada", "given_name": "Ada"}, "Ada"), ({"preferred_username": ["ada"]}, None),
    ],
)  # fmt: skip
def test_a_preferred_user_name_serves_where_there_is_no_name(claims: dict[str, Any], name: str | None) -> None:
    assert name == identity_from_claims({"sub": "7", **claims}, IdentityProvider.GOOGLE).name


@pytest.mark.parametrize(
    ("issued", "told_at", "changes"),
    [
        (None, None, True), (None, MOMENT, False), (MOMENT, None, True), (MOMENT, MOMENT, True),
        (MOMENT, MOMENT + SECOND, False), (MOMENT + SECOND, MOMENT, True),
    ],
)  # fmt: skip
def test_an_older_token_changes_no_address(issued: Any, told_at: Any, changes: bool) -> None:
    user = User(
        id=UserId(UUID(int=1)), number=UserNumber(1), username="ada", username_key="ada", email="new@x.io",
        email_verified=True, email_issued_at=told_at, created_at=MOMENT, updated_at=MOMENT,
    )  # fmt: skip
    told = email_changes(
        user,
        ProviderIdentity(
            provider=IdentityProvider.OIDC, subject="x ada", email="old@x.io", verified=True, issued_at=issued
        ),
    )

    assert ({"email": "old@x.io", "email_verified": True, "email_issued_at": issued} if changes else {}) == told


def test_a_newer_token_with_the_same_address_is_noted_once() -> None:
    user = User(
        id=UserId(UUID(int=1)), number=UserNumber(1), username="ada", username_key="ada", email="ada@x.io",
        email_verified=True, email_issued_at=MOMENT, created_at=MOMENT, updated_at=MOMENT,
    )  # fmt: skip
    between, newest = (
        ProviderIdentity(provider=IdentityProvider.OIDC, subject="x ada", email=email, verified=True, issued_at=issued)
        for email, issued in (("old@x.io", MOMENT + SECOND), ("ada@x.io", MOMENT + 2 * SECOND))
    )
    noted = evolve(user, **email_changes(user, newest))

    assert newest.issued_at == noted.email_issued_at
    assert {} == email_changes(noted, newest)
    assert {} == email_changes(noted, between)


def test_when_a_token_was_issued_is_a_moment_or_unknown() -> None:
    for iat in (None, True, "now", float("nan"), float("inf"), -1, 10**400, 253_402_300_800):
        assert identity_from_claims({"sub": "7", "iat": iat}, IdentityProvider.GOOGLE).issued_at is None
    assert MOMENT == identity_from_claims({"sub": "7", "iat": MOMENT.timestamp()}, IdentityProvider.GOOGLE).issued_at


@pytest.mark.parametrize(
    ("email", "verified", "is_verified"),
    [
        (None, None, True), ("a@x.io", None, True), ("a@x.io", False, False), ("a@x.io", True, True),
        ("b@x.io", None, None), ("b@x.io", True, True),
    ],
)  # fmt: skip
def test_a_profile_says_what_a_token_does_not(
    email: str | None, verified: bool | None, is_verified: bool | None
) -> None:
    """
    Of the address that it knows, and of no other.
    """
    person = ProviderIdentity(provider=IdentityProvider.OIDC, subject="x", email=email, verified=verified, name="Ada")
    told = with_profile(person, ProviderProfile(email="a@x.io", verified=True, name="Bob"))

    assert (email or "a@x.io", is_verified, "Ada") == (told.email, told.verified, told.name)
    assert (
        "Bob"
        == with_profile(ProviderIdentity(provider=IdentityProvider.OIDC, subject="x"), ProviderProfile(name="Bob")).name
    )


@pytest.mark.parametrize(
    ("claims", "verified"),
    [
        ({"email": "a@x.io"}, None), ({"email": "a@x.io", "email_verified": True}, True),
        ({"email": "a@x.io", "email_verified": "true"}, True), ({"email": "a@x.io", "email_verified": False}, False),
        ({"email": "a@x.io", "email_verified": 1.5}, False), ({"email_verified": True}, None),
        ({"email_addresses": listed("a@x.io")}, None),
    ],
)  # fmt: skip
def test_a_token_tells_whether_an_address_is_verified_or_does_not(claims: dict[str, Any], verified: Any) -> None:
    assert (
        verified is identity_from_claims({"iss": "https://x", "sub": "ada", **claims}, IdentityProvider.OIDC).verified
    )
