"""
What a password must be like before it is worth a hash.
"""

from __future__ import annotations

from typing import Final

from attrs import define

from mission_core.errors import Invalid

LEAST_PASSWORD: Final = 12
LONGEST_PASSWORD: Final = 1000
COMMON: Final = frozenset({"admin", "password", "change-me-on-first-login", "changeme", "testpass123"})
"""What example files and habits suggest, so that everybody tries it first."""


@define
class PasswordRefused(Invalid):
    """
    A new password that would protect nothing, or that no hash can be made of.
    """

    reason: str

    def __str__(self) -> str:
        return self.reason


class PasswordTooShort(PasswordRefused):
    """
    A new password has too few characters.
    """


class PasswordTooCommon(PasswordRefused):
    """
    A new password is among the first that anybody tries.
    """


def checked_password(password: str) -> str:
    """
    A new password that may be kept, as a hash.

    Raises:
        PasswordTooCommon: If everybody tries it first.
        PasswordTooShort: If it has fewer than 12 characters.
        PasswordRefused: If it is longer than any hash should be made of, or holds what is no text.
    """
    if len(password) < LEAST_PASSWORD:
        raise PasswordTooShort(f"Password must be at least {LEAST_PASSWORD} characters")
    if is_common(password):
        raise PasswordTooCommon("That password is too common. Choose a stronger one.")
    if len(password) > LONGEST_PASSWORD:
        raise PasswordRefused(f"Password must be at most {LONGEST_PASSWORD} characters")
    if any("\ud800" <= character <= "\udfff" for character in password):
        raise PasswordRefused("Password must not hold lone surrogates")
    return password


def is_common(password: str) -> bool:
    """
    Whether a password is among those that everybody tries first, whatever the case.
    """
    return password.strip().casefold() in COMMON
