"""
Settings of the first admin account: `AUTH_USER`, with `AUTH_PASS_B64` or `AUTH_PASS`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Final, Self

from attrs import field, frozen

USER: Final = "AUTH_USER"
PLAIN: Final = "AUTH_PASS"
CODED: Final = "AUTH_PASS_B64"
OTHERWISE: Final = "admin"
USUAL_NAME: Final = re.compile(r"[a-z0-9._-]{2,64}")
"""The usernames that `POST /api/setup` accepts, in lower case."""


@frozen(kw_only=True)
class FirstAdmin:
    """
    The username and password of the admin account that the first start creates.

    Args:
        variable: The variable that set the password; empty if none did.
        garbled: Whether `AUTH_PASS_B64` is set, but is not valid base64.
    """

    username: str = OTHERWISE
    password: str = field(default="", repr=False)
    variable: str = ""
    garbled: bool = False

    @property
    def unusually_named(self) -> bool:
        return USUAL_NAME.fullmatch(self.username.lower()) is None

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """
        Read environment variables. A valid `AUTH_PASS_B64` takes precedence over `AUTH_PASS`.
        """
        username = environment.get(USER, "").strip() or OTHERWISE
        coded, plain = environment.get(CODED, "").strip(), environment.get(PLAIN, "")
        decoded = _decoded(coded)
        if decoded:
            return cls(username=username, password=decoded, variable=CODED)
        return cls(username=username, password=plain, variable=PLAIN if plain else "", garbled=bool(coded))


def _decoded(coded: str) -> str:
    """
    Decode canonical base64 to text; empty if it is not valid.
    """
    try:
        decoded = base64.b64decode(coded, validate=True)
        return decoded.decode() if base64.b64encode(decoded).decode() == coded else ""
    except ValueError:
        return ""
