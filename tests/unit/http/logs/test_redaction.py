"""
What never reaches the log, even if somebody logs it by mistake.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_http.logs.redaction import MIN_SECRET_LENGTH, REPLACEMENT, SecretRedactor

HEX, BASE64 = "0123456789abcdef" * 3, "aB3_-" * 8 + "xyz"
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r"
SECRETS = [
    f"mc_{HEX}", f"mca_{HEX}", f"mca_{HEX.upper()}", BASE64, "ab" * 32, TOKEN,
]  # fmt: skip
ANNOUNCED = [
    "mc-session={}", "__Host-mc-session={}; theme=dark", "Authorization: Bearer {}", "authorization: Basic {}",
    "bearer {}", "Token {}", "X-Api-Key: {}", "'x-agent-token': '{}'", "(b'x-api-key', b'{}')", 'cookie="{}"',
    "GET /things?token={}&page=2", "/x?a=b&api_key={}", "postgresql://me:{}@localhost/mission", "redis://:{}@here:6379/0",
]  # fmt: skip
redactor = SecretRedactor.of(())


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("text", ["{}", "key {} was tried", "/api/things/{}/more", '{{"key": "{}"}}', "x={}", "({})"])
def test_what_looks_like_a_secret_is_taken_out(secret, text):
    """
    Wherever it stands; all around it stays.
    """
    assert text.format(REPLACEMENT) == redactor.redact(text.format(secret))
    assert text.format(REPLACEMENT) == redactor.redact_tokens(text.format(secret))


@pytest.mark.parametrize("text", ANNOUNCED)
def test_what_follows_the_name_of_a_secret_is_taken_out(text):
    """
    However it looks itself.
    """
    assert text.format(REPLACEMENT) == redactor.redact(text.format("open-sesame-and-more"))


@pytest.mark.parametrize("text", ANNOUNCED)
def test_nothing_is_taken_out_twice(text):
    """
    A token after its name is one secret.
    """
    assert text.format(REPLACEMENT) == redactor.redact(text.format(TOKEN)) == redactor.redact(text.format(REPLACEMENT))


@pytest.mark.parametrize(
    "text",
    [
        "request", "/api/v1/boards/0190d3c2-7a5e-7cc2-9d43-2f5a1b0c9e11/tasks", "0123456789abcdef" * 2, "token expired",
        "the bearer of bad news", "https://mission.example.com:8000/docs", "mca_short", "a" * 42, "a" * 44, "",
    ],
)  # fmt: skip
def test_what_is_no_secret_stays(text):
    """
    Ids, words and addresses are what a log is for.
    """
    assert text == redactor.redact(text)


@given(secret=st.text(min_size=MIN_SECRET_LENGTH), before=st.text(), after=st.text())
def test_a_known_secret_is_never_shown(secret, before, after):
    """
    Whatever it looks like.
    """
    assert secret not in SecretRedactor.of([secret]).redact(before + secret + after).replace(REPLACEMENT, "\0")


def test_the_longer_of_two_known_secrets_goes_first():
    """
    Or its end would be left.
    """
    assert REPLACEMENT == SecretRedactor.of(["sesame-1", "sesame-1-and-more"]).redact("sesame-1-and-more")


def test_what_is_too_short_to_be_looked_for_spoils_no_word():
    assert "a request" == SecretRedactor.of(["", "a", "request"]).redact("a request")


def test_all_that_is_told_is_looked_at():
    """
    Numbers stay numbers; what is neither text nor number is shown as text first.
    """
    told = {"event": f"got mca_{HEX}", "status": 200, "slow": True, "by": None, "headers": [(b"x-api-key", b"sesame")]}

    assert {
        "event": f"got {REPLACEMENT}", "status": 200, "slow": True, "by": None,
        "headers": f"[(b'x-api-key', b'{REPLACEMENT}')]",
    } == redactor.redact_event(told)  # fmt: skip
