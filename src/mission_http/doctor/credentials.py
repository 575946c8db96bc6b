"""
The secrets that somebody chose: would somebody else guess them?
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
"""Bits: a password below the first, a token below the second can be guessed; one below the third is not what a token
that nobody has to remember should be."""
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
    The secrets there are, by the variables they would be given in.

    Args:
        given: Those that the environment gives.
        kept: Those that the data directory keeps, and the environment does not give.
        placeholders: The variables that hold what an example file says.
        following: The secret that a rotation puts in the place of `AUTH_SECRET`.
        garbled: Whether the password of the first admin is coded, and cannot be decoded.
    """

    given: dict[str, str] = field(factory=dict, repr=False)
    kept: dict[str, str] = field(factory=dict, repr=False)
    placeholders: tuple[str, ...] = ()
    garbled: bool = False
    following: str = field(default="", repr=False)

    @property
    def known(self) -> dict[str, str]:
        """
        Those that count.
        """
        return self.kept | self.given

    @property
    def auth_secrets(self) -> list[str]:
        """
        The `AUTH_SECRET`, and the one that may be in its place already.
        """
        return [each for each in (self.known.get("AUTH_SECRET"), self.following) if each]

    @classmethod
    def seen(cls, environment: Mapping[str, str], kept: Mapping[str, str]) -> Self:
        """
        Look at an environment, and at what is kept.
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
    Nobody guesses them, and none opens what another should.
    """
    everything = credentials.known
    for name in credentials.placeholders:
        found = "holds a placeholder, so it is not used"
        yield CREDENTIALS.warning(name, found, f"unset {name} to use a generated one, or set it to one", name)
    if credentials.garbled:
        found = f"is no base64, so it is not used; {PLAIN} is, if it is set"
        yield CREDENTIALS.warning(CODED, found, f"set {CODED} to what `base64 -w0` prints, or unset it", CODED)
    for name, value in everything.items():
        yield from _weakness(name, value)
    for name, value in everything.items():
        if same := [other for other in everything if everything[other] == value and other > name]:
            yield CREDENTIALS.problem(
                name, f"is the same as {', '.join(same)}, so whoever knows one has the other",
                f"choose another for {name}, or unset it to have one generated", name, *same,
            )  # fmt: skip


def _weakness(name: str, value: str) -> Iterator[Finding]:
    bits, password = strength(value), name in PASSWORDS
    advice = f"set {name} to " + ("another" if password else "what `openssl rand -hex 32` prints, or unset it")
    if password and is_common(value):
        found = "is among the first that anybody tries, so no admin is made with it"
        yield CREDENTIALS.problem(name, found, advice, name)
    elif password and len(value) < LEAST_PASSWORD:
        found = f"has {len(value)} characters, and a password needs {LEAST_PASSWORD}"
        yield CREDENTIALS.problem(name, found, advice, name)
    elif name == "LOCAL_AUTH_TOKEN" and len(value) < LEAST_LOCAL_TOKEN:
        found = f"has {len(value)} characters, and needs {LEAST_LOCAL_TOKEN}"
        yield CREDENTIALS.problem(name, found, advice, name)
    elif well_known(value):
        yield CREDENTIALS.problem(name, "is among the first that anybody tries", advice, name)
    elif bits < (WEAK_PASSWORD if password else WEAK):
        yield CREDENTIALS.problem(name, "is too short or too regular, and can be guessed", advice, name)
    elif bits < FAIR and not password:
        yield CREDENTIALS.warning(name, "is shorter than a token should be that nobody must remember", advice, name)
    else:
        yield CREDENTIALS.ok(name, "is hard to guess")


def strength(value: str) -> float:
    """
    About how many bits it takes to guess a value. One that repeats itself is as strong as what it repeats, and a row
    of characters in their order as its beginning.
    """
    once = repeated(value)
    return min(_bits(once), _bits([ord(after) - ord(before) for before, after in pairwise(once)]))


def _bits(drawn: Sequence[object]) -> float:
    return sum(-many * log2(many / len(drawn)) for many in Counter(drawn).values())


def repeated(value: str) -> str:
    """
    What a value repeats; if nothing, itself.
    """
    return value[: (value * 2).find(value, 1)]


def well_known(value: str) -> bool:
    """
    Whether a value is a common word, perhaps with digits and signs for some of its letters, or after them.
    """
    once = repeated(value.lower())
    words = (re.sub(r"[^a-z]", "", spelled) for spelled in (once, once.translate(FOR_LETTERS)))
    return any(word in WELL_KNOWN and 2 * len(word) >= len(once) for word in words)
