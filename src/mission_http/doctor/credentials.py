"""
Checks of the configured secrets: passwords and tokens must be hard to guess and different from each other.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from math import log2
from typing import Final, Self

from attrs import field

from mission_core.accounts.passwords import MIN_PASSWORD_LENGTH, is_common
from mission_core.lazy_attrs import frozen
from mission_http.doctor.findings import Check, DoctorFinding
from mission_http.first_admin_settings import BASE64_PASSWORD_VARIABLE, PASSWORD_VARIABLE, FirstAdminSettings
from mission_http.settings import MIN_LOCAL_TOKEN_LENGTH, NEXT_AUTH_SECRET, PLACEHOLDERS, SECRET_NAMES

CREDENTIALS: Final = Check("credentials")
PASSWORD_VARIABLES: Final = (PASSWORD_VARIABLE, BASE64_PASSWORD_VARIABLE)
WEAK_PASSWORD_BITS, WEAK_TOKEN_BITS, FAIR_TOKEN_BITS = 36, 64, 112
"""Bits of entropy: a password below the first and a token below the second are problems; a token below the third is a
warning."""
COMMON_WORDS: Final = """
abc abcd abcdef admin administrator apikey asdf asdfgh change changeit changeme default demo dev example
foobar guest hello key letmein localhost master mission missioncontrol mysecret nopassword openclaw pass
passw passwd password postgres qwerty qwertyuiop replaceme root sample secret secretkey supersecret sysadmin
test testing token user welcome yoursecret yoursecretkey yourtoken
"""
COMMON_WORD_SET: Final = frozenset(COMMON_WORDS.split())
LOOKALIKE_LETTERS: Final = str.maketrans("013457@$!", "oleastasi")


@frozen(kw_only=True)
class CredentialsState:
    """
    The configured secrets, by the names of their environment variables.

    Args:
        given: Secrets set in the environment.
        kept: Secrets stored in the data directory and not set in the environment.
        placeholders: Variables whose value is a placeholder from an example file.
        next_auth_secret: The secret that a rotation replaces `AUTH_SECRET` with.
        undecodable_password: Whether the first admin's password is not valid base64.
    """

    given: dict[str, str] = field(factory=dict, repr=False)
    kept: dict[str, str] = field(factory=dict, repr=False)
    placeholders: tuple[str, ...] = ()
    undecodable_password: bool = False
    next_auth_secret: str = field(default="", repr=False)

    @property
    def all(self) -> dict[str, str]:
        """
        The secrets in use.
        """
        return self.kept | self.given

    @property
    def auth_secrets(self) -> list[str]:
        """
        The `AUTH_SECRET`, and the one that a rotation may have replaced it with already.
        """
        return [each for each in (self.all.get("AUTH_SECRET"), self.next_auth_secret) if each]

    @classmethod
    def inspect(cls, environment: Mapping[str, str], kept: Mapping[str, str]) -> Self:
        """
        Read the secrets from the environment and from the data directory (*kept*).
        """
        told = {name: environment.get(name, "").strip() for name in SECRET_NAMES}
        given = {name: value for name, value in told.items() if value not in PLACEHOLDERS}
        first = FirstAdminSettings.of(environment)
        return cls(
            given=given | ({first.variable: first.password} if first.variable else {}),
            undecodable_password=first.base64_is_malformed,
            next_auth_secret=kept.get(NEXT_AUTH_SECRET, "") or environment.get(NEXT_AUTH_SECRET, "").strip(),
            kept={name: value for name, value in kept.items() if name in SECRET_NAMES and name not in given},
            placeholders=tuple(name for name, value in told.items() if value and name not in given),
        )


def check_credentials(credentials: CredentialsState) -> Iterator[DoctorFinding]:
    """
    Check that each secret is hard to guess and that no two are the same.
    """
    everything = credentials.all
    for name in credentials.placeholders:
        found = "holds a placeholder, so it is not used"
        yield CREDENTIALS.warning(name, found, f"unset {name} to use a generated one, or set it to one", name)
    if credentials.undecodable_password:
        found = f"is not valid base64, so it is ignored; {PASSWORD_VARIABLE} is used instead if it is set"
        yield CREDENTIALS.warning(
            BASE64_PASSWORD_VARIABLE,
            found,
            f"set {BASE64_PASSWORD_VARIABLE} to what `base64 -w0` prints, or unset it",
            BASE64_PASSWORD_VARIABLE,
        )
    for name, value in everything.items():
        yield from _check_strength(name, value)
    for name, value in everything.items():
        if same := [other for other in everything if everything[other] == value and other > name]:
            yield CREDENTIALS.problem(
                name, f"is the same as {', '.join(same)}, so anyone who knows one knows the other",
                f"choose another for {name}, or unset it to have one generated", name, *same,
            )  # fmt: skip


def _check_strength(name: str, value: str) -> Iterator[DoctorFinding]:
    bits, password = guess_bits(value), name in PASSWORD_VARIABLES
    advice = f"set {name} to " + ("another" if password else "what `openssl rand -hex 32` prints, or unset it")
    if password and is_common(value):
        found = "is a common password, so the first admin is not created with it"
        yield CREDENTIALS.problem(name, found, advice, name)
    elif password and len(value) < MIN_PASSWORD_LENGTH:
        found = f"has {len(value)} characters, and a password needs {MIN_PASSWORD_LENGTH}"
        yield CREDENTIALS.problem(name, found, advice, name)
    elif name == "LOCAL_AUTH_TOKEN" and len(value) < MIN_LOCAL_TOKEN_LENGTH:
        found = f"has {len(value)} characters, and needs {MIN_LOCAL_TOKEN_LENGTH}"
        yield CREDENTIALS.problem(name, found, advice, name)
    elif is_well_known(value):
        yield CREDENTIALS.problem(name, "is a common password or word", advice, name)
    elif bits < (WEAK_PASSWORD_BITS if password else WEAK_TOKEN_BITS):
        yield CREDENTIALS.problem(name, "is too short or too regular, and can be guessed", advice, name)
    elif bits < FAIR_TOKEN_BITS and not password:
        yield CREDENTIALS.warning(name, "is shorter than a random token should be", advice, name)
    else:
        yield CREDENTIALS.ok(name, "is hard to guess")


def guess_bits(value: str) -> float:
    """
    Estimate the entropy of a value in bits. A repeated value counts once, and a run of consecutive characters counts
    as its first one.
    """
    once = repeating_unit(value)
    return min(_entropy_bits(once), _entropy_bits([ord(after) - ord(before) for before, after in pairwise(once)]))


def _entropy_bits(drawn: Sequence[object]) -> float:
    return sum(-many * log2(many / len(drawn)) for many in Counter(drawn).values())


def repeating_unit(value: str) -> str:
    """
    Return the shortest text that a value is a repetition of, or the value itself.
    """
    return value[: (value * 2).find(value, 1)]


def is_well_known(value: str) -> bool:
    """
    Whether a value is a common word, also with digits or symbols after its letters or in place of them.
    """
    once = repeating_unit(value.lower())
    words = (re.sub(r"[^a-z]", "", spelled) for spelled in (once, once.translate(LOOKALIKE_LETTERS)))
    return any(word in COMMON_WORD_SET and 2 * len(word) >= len(once) for word in words)
