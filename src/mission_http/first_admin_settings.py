"""
Settings of the first admin account: `AUTH_USER`, with `AUTH_PASS_B64` or `AUTH_PASS`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Final, Self

from attrs import field

from mission_core.lazy_attrs import frozen

USERNAME_VARIABLE: Final = "AUTH_USER"
PASSWORD_VARIABLE: Final = "AUTH_PASS"
BASE64_PASSWORD_VARIABLE: Final = "AUTH_PASS_B64"
DEFAULT_USERNAME: Final = "admin"
USERNAME_PATTERN: Final = re.compile(r"[a-z0-9._-]{2,64}")
"""The usernames that `POST /api/setup` accepts, in lower case."""


@frozen(kw_only=True)
class FirstAdminSettings:
    """
    The username and password of the admin account that the first start creates.

    Args:
        variable: The variable that set the password; empty if none did.
        base64_is_malformed: Whether `AUTH_PASS_B64` is set, but is not valid base64.
    """

    username: str = DEFAULT_USERNAME
    password: str = field(default="", repr=False)
    variable: str = ""
    base64_is_malformed: bool = False

    @property
    def has_unusual_name(self) -> bool:
        return USERNAME_PATTERN.fullmatch(self.username.lower()) is None

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """
        Read environment variables. A valid `AUTH_PASS_B64` takes precedence over `AUTH_PASS`.
        """
        username = environment.get(USERNAME_VARIABLE, "").strip() or DEFAULT_USERNAME
        coded, plain = environment.get(BASE64_PASSWORD_VARIABLE, "").strip(), environment.get(PASSWORD_VARIABLE, "")
        decoded = _decoded_base64(coded)
        if decoded:
            return cls(username=username, password=decoded, variable=BASE64_PASSWORD_VARIABLE)
        return cls(
            username=username,
            password=plain,
            variable=PASSWORD_VARIABLE if plain else "",
            base64_is_malformed=bool(coded),
        )


def _decoded_base64(coded: str) -> str:
    """
    Decode canonical base64 to text; empty if it is not valid.
    """
    try:
        decoded = base64.b64decode(coded, validate=True)
        return decoded.decode() if base64.b64encode(decoded).decode() == coded else ""
    except ValueError:
        return ""
