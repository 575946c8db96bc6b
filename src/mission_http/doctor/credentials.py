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

from attrs import field, frozen

from mission_core.accounts.passwords import LEAST_PASSWORD, is_common
from mission_http.doctor.findings import Check, Finding
from mission_http.first_admin import CODED, PLAIN, FirstAdmin
from mission_http.settings import LEAST_LOCAL_TOKEN, NEXT_SECRET, PLACEHOLDERS, SECRETS

CREDENTIALS: Final = Check("credentials")
PASSWORDS: Final = (PLAIN, CODED)
WEAK_PASSWORD, WEAK, FAIR = 36, 64, 112
"""Bits of entropy: a password below the first and a token below the second are problems; a token below the third is a
warning."""
COMMON: Final = """
abc abcd abcdef admin administrator apikey asdf asdfgh change changeit changeme default demo dev example
foobar guest hello key letmein localhost master mission missioncontrol mysecret nopassword openclaw pass
passw passwd password postgres qwerty qwertyuiop replaceme root sample secret secretkey supersecret sysadmin
test testing token user welcome yoursecret yoursecretkey yourtoken
"""
WELL_KNOWN: Final = frozenset(COMMON.split())
FOR_LETTERS: Final = str.maketrans("013457@$!", "oleastasi")


@frozen(kw_only=True)
class Credentials:
    """
    The configured secrets, by the names of their environment variables.

    Args:
        given: Secrets set in the environment.
        kept: Secrets stored in the data directory and not set in the environment.
        placeholders: Variables whose value is a placeholder from an example file.
        following: The secret that a rotation replaces `AUTH_SECRET` with.
        garbled: Whether the first admin's password is not valid base64.
    """

    given: dict[str, str] = field(factory=dict, repr=False)
    kept: dict[str, str] = field(factory=dict, repr=False)
    placeholders: tuple[str, ...] = ()
    garbled: bool = False
    following: str = field(default="", repr=False)

    @property
    def known(self) -> dict[str, str]:
        """
        The secrets in use.
        """
        return self.kept | self.given

    @property
    def auth_secrets(self) -> list[str]:
        """
        The `AUTH_SECRET`, and the one that a rotation may have replaced it with already.
        """
        return [each for each in (self.known.get("AUTH_SECRET"), self.following) if each]

    @classmethod
    def seen(cls, environment: Mapping[str, str], kept: Mapping[str, str]) -> Self:
        """
        Read the secrets from the environment and from the data directory (*kept*).
        """
        told = {name: environment.get(name, "").strip() for name in SECRETS}
        given = {name: value for name, value in told.items() if value not in PLACEHOLDERS}
        first = FirstAdmin.of(environment)
        return cls(
            given=given | ({first.variable: first.password} if first.variable else {}),
            garbled=first.garbled,
            following=kept.get(NEXT_SECRET, "") or environment.get(NEXT_SECRET, "").strip(),
            kept={name: value for name, value in kept.items() if name in SECRETS and name not in given},
            placeholders=tuple(name for name, value in told.items() if value and name not in given),
        )


def check_credentials(credentials: Credentials) -> Iterator[Finding]:
    """
    Check that each secret is hard to guess and that no two are the same.
    """
    everything = credentials.known
    for name in credentials.placeholders:
        found = "holds a placeholder, so it is not used"
        yield CREDENTIALS.warning(name, found, f"unset {name} to use a generated one, or set it to one", name)
    if credentials.garbled:
        found = f"is not valid base64, so it is ignored; {PLAIN} is used instead if it is set"
        yield CREDENTIALS.warning(CODED, found, f"set {CODED} to what `base64 -w0` prints, or unset it", CODED)
    for name, value in everything.items():
        yield from _weakness(name, value)
    for name, value in everything.items():
        if same := [other for other in everything if everything[other] == value and other > name]:
            yield CREDENTIALS.problem(
                name, f"is the same as {', '.join(same)}, so anyone who knows one knows the other",
                f"choose another for {name}, or unset it to have one generated", name, *same,
            )  # fmt: skip


def _weakness(name: str, value: str) -> Iterator[Finding]:
    bits, password = strength(value), name in PASSWORDS
    advice = f"set {name} to " + ("another" if password else "what `openssl rand -hex 32` prints, or unset it")
    if password and is_common(value):
        found = "is a common password, so the first admin is not created with it"
        yield CREDENTIALS.problem(name, found, advice, name)
    elif password and len(value) < LEAST_PASSWORD:
        found = f"has {len(value)} characters, and a password needs {LEAST_PASSWORD}"
        yield CREDENTIALS.problem(name, found, advice, name)
    elif name == "LOCAL_AUTH_TOKEN" and len(value) < LEAST_LOCAL_TOKEN:
        found = f"has {len(value)} characters, and needs {LEAST_LOCAL_TOKEN}"
        yield CREDENTIALS.problem(name, found, advice, name)
    elif well_known(value):
        yield CREDENTIALS.problem(name, "is a common password or word", advice, name)
    elif bits < (WEAK_PASSWORD if password else WEAK):
        yield CREDENTIALS.problem(name, "is too short or too regular, and can be guessed", advice, name)
    elif bits < FAIR and not password:
        yield CREDENTIALS.warning(name, "is shorter than a random token should be", advice, name)
    else:
        yield CREDENTIALS.ok(name, "is hard to guess")


def strength(value: str) -> float:
    """
    Estimate the entropy of a value in bits. A repeated value counts once, and a run of consecutive characters counts
    as its first one.
    """
    once = repeated(value)
    return min(_bits(once), _bits([ord(after) - ord(before) for before, after in pairwise(once)]))


def _bits(drawn: Sequence[object]) -> float:
    return sum(-many * log2(many / len(drawn)) for many in Counter(drawn).values())


def repeated(value: str) -> str:
    """
    Return the shortest text that a value is a repetition of, or the value itself.
    """
    return value[: (value * 2).find(value, 1)]


def well_known(value: str) -> bool:
    """
    Whether a value is a common word, also with digits or symbols after its letters or in place of them.
    """
    once = repeated(value.lower())
    words = (re.sub(r"[^a-z]", "", spelled) for spelled in (once, once.translate(FOR_LETTERS)))
    return any(word in WELL_KNOWN and 2 * len(word) >= len(once) for word in words)
