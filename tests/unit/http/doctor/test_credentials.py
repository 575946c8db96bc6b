"""
Which secrets are said to be weak.
"""

import base64
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_http.doctor.credentials import CredentialsState, check_credentials, is_well_known, repeating_unit
from mission_http.doctor.findings import FindingLevel, as_text
from mission_http.settings import PLACEHOLDERS, SECRET_NAMES

OK, WARNING, PROBLEM = FindingLevel
HEX = "0123456789abcdef"
GOOD = "7c1f0b9ae2d84653"
good = st.integers(0, 2**32).map(lambda seed: f"{random.Random(seed).getrandbits(256):064x}")


def level_of(name: str, value: str) -> FindingLevel:
    (found,) = check_credentials(CredentialsState.inspect({name: value}, {}))
    assert found.level is OK or (name,) == found.settings
    return found.level


@pytest.mark.parametrize("name", SECRET_NAMES)
@given(good)
def test_what_was_drawn_at_length_is_hard_to_guess(name, value):
    """
    As `openssl rand -hex 32` and we ourselves draw them.
    """
    assert OK is level_of(name, value)


@pytest.mark.parametrize("name", ["API_KEY", "AUTH_SECRET"])
@pytest.mark.parametrize(
    ("value", "level"),
    [
        ("s3cret", PROBLEM),
        ("ChangeMe123!", PROBLEM),
        ("p4ssw0rd", PROBLEM),
        ("changeme" * 8, PROBLEM),
        ("a" * 64, PROBLEM),
        ("abcdefghijklmnopqrstuvwxyz0123456789", PROBLEM),
        (GOOD, PROBLEM),
        (GOOD * 4, PROBLEM),
        ("hV3kq0ZrX8wLmT2sYb", WARNING),
        ("hV3kq0ZrX8wLmT2sYbN5pJc7FgD1uAeQ", OK),
    ],
)
def test_short_regular_and_common_ones_are_weak(name, value, level):
    """
    However they are dressed up or drawn out.
    """
    assert level is level_of(name, value)


@pytest.mark.parametrize("value", ["a" * 50, "changeme" * 7, GOOD])
def test_a_local_token_that_may_be_used_can_still_be_weak(value):
    """
    Fifty characters can be one character fifty times.
    """
    assert PROBLEM is level_of("LOCAL_AUTH_TOKEN", value)


@pytest.mark.parametrize(
    ("value", "level"),
    [("short", PROBLEM), ("password1234", PROBLEM), ("aaaaaaaaaaaaaaaa", PROBLEM), ("twelve drummers drum", OK)],
)
@pytest.mark.parametrize("name", ["AUTH_PASS", "AUTH_PASS_B64"])
def test_a_password_is_judged_as_one(name, value, level):
    """
    People must remember it, plain or coded.
    """
    assert level is level_of(name, base64.b64encode(value.encode()).decode() if name.endswith("64") else value)


@pytest.mark.parametrize("value", sorted(PLACEHOLDERS - {""}))
def test_a_placeholder_is_told(value):
    """
    It is not used, which whoever set it may not know.
    """
    assert WARNING is level_of("API_KEY", value)


def test_what_is_kept_is_judged_where_nothing_else_is_given():
    """
    Somebody may have written to the file.
    """
    found = list(
        check_credentials(CredentialsState.inspect({"API_KEY": "hunter2"}, {"API_KEY": "x", "AUTH_SECRET": "sesame"}))
    )

    assert [("API_KEY", PROBLEM), ("AUTH_SECRET", PROBLEM)] == sorted((each.looked_at, each.level) for each in found)


def test_one_secret_in_two_places_is_told():
    """
    Whoever is given the one must not have the other.
    """
    value = "hV3kq0ZrX8wLmT2sYbN5pJc7FgD1uAeQ"
    found = list(check_credentials(CredentialsState.inspect({"API_KEY": value}, {"AUTH_SECRET": value})))

    assert [OK, OK, PROBLEM] == [each.level for each in found]
    assert ("API_KEY", "AUTH_SECRET") == found[-1].settings


@given(st.dictionaries(st.sampled_from(SECRET_NAMES), st.text("ЖЩЮЯжщюя", min_size=1)))
def test_no_secret_is_ever_shown(secrets):
    """
    Not in what is found, and not in what a traceback would show.
    """
    seen = CredentialsState.inspect(secrets, {})
    shown = as_text(list(check_credentials(seen))) + repr(seen)

    assert not set("ЖЩЮЯжщюя") & set(shown)


@given(st.text(min_size=1), st.integers(1, 5))
def test_what_repeats_itself_is_what_it_repeats(value, times):
    """
    However often.
    """
    assert repeating_unit(value) == repeating_unit(value * times)
    assert len(value) >= len(repeating_unit(value))


@given(good)
def test_nothing_that_was_drawn_is_well_known(value):
    """
    Digits may leave few letters.
    """
    assert not is_well_known(value)
