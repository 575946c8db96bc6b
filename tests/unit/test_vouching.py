"""
What others say about people, as far as it can be believed.
"""

from typing import Any

import pytest

from mission_core.accounts.users import LONGEST_EMAIL, Provider
from mission_core.accounts.vouching import Profile, Vouched, completed, profile_in, vouched

NOTHING = Profile()


def listed(*addresses: Any, verified: bool = True) -> list[dict[str, Any]]:
    status = {"status": "verified" if verified else "unverified"}
    return [{"id": f"e{n}", "email_address": each, "verification": status} for n, each in enumerate(addresses)]


@pytest.mark.parametrize(
    ("told", "profile"),
    [
        ({"email_addresses": listed("A@x.io", "b@x.io")}, Profile(email="a@x.io", verified=True)),
        (
            {"email_addresses": listed("a@x.io", "b@x.io"), "primary_email_address_id": "e1"},
            Profile(email="b@x.io", verified=True),
        ),
        ({"email_addresses": listed("a@x.io", verified=False)}, Profile(email="a@x.io")),
        (
            {
                "email_addresses": [*listed("a@x.io"), {"id": "e9", "email_address": "b@x.io"}],
                "primary_email_address_id": "e9",
            },
            Profile(email="b@x.io"),
        ),
        ({"email_addresses": listed("nobody", None, "b@x.io")}, Profile(email="b@x.io", verified=True)),
        ({"first_name": "Ada", "last_name": "L", "username": "al"}, Profile(name="Ada L")),
        ({"first_name": " ", "last_name": None, "username": "al"}, Profile(name="al")),
    ],
)
def test_a_profile_is_the_primary_address_and_a_name(told: dict[str, Any], profile: Profile) -> None:
    """
    The first address where none is primary; whether it is verified is its own to say.
    """
    assert profile == profile_in(told)


@pytest.mark.parametrize(
    "told",
    [
        {}, {"email_addresses": None}, {"email_addresses": {}}, {"email_addresses": ["a@x.io", None, 7]},
        {"email_addresses": [{"email_address": 7}, {"email_address": "x" * LONGEST_EMAIL + "@x.io"}, {}]},
        {"email_addresses": [{"email_address": "a\0@x.io"}]}, {"first_name": 7, "username": ["al"]},
        {"first_name": "\ud800"}, {"username": "x" * 201}, {"verification": {"status": "verified"}},
    ],
)  # fmt: skip
def test_a_profile_that_says_nothing_is_empty(told: dict[str, Any]) -> None:
    assert NOTHING == profile_in(told)


def test_an_address_without_a_sound_verification_is_not_verified() -> None:
    for verification in (None, "verified", [], {}, {"status": ["verified"]}, {"status": True}):
        told = {"email_addresses": [{"email_address": "a@x.io", "verification": verification}]}

        assert Profile(email="a@x.io") == profile_in(told)


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
    person = Vouched(provider=Provider.OIDC, subject="x", email=email, verified=verified, name="Ada")
    told = completed(person, Profile(email="a@x.io", verified=True, name="Bob"))

    assert (email or "a@x.io", is_verified, "Ada") == (told.email, told.verified, told.name)
    assert "Bob" == completed(Vouched(provider=Provider.OIDC, subject="x"), Profile(name="Bob")).name


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
    assert verified is vouched({"iss": "https://x", "sub": "ada", **claims}, Provider.OIDC).verified
