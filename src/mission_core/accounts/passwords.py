"""
Rules for new passwords.
"""

from __future__ import annotations

from typing import Final

from mission_core.errors import Invalid
from mission_core.lazy_attrs import define

MIN_PASSWORD_LENGTH: Final = 12
MAX_PASSWORD_LENGTH: Final = 1000
COMMON_PASSWORDS: Final = frozenset({"admin", "password", "change-me-on-first-login", "changeme", "testpass123"})
"""Passwords from example files and other common ones, which attackers try first."""


@define(repr=False)
class PasswordRefused(Invalid):
    """
    The new password is too weak, or cannot be hashed.
    """

    reason: str

    def __str__(self) -> str:
        return self.reason


class PasswordTooShort(PasswordRefused):
    """
    The new password has too few characters.
    """


class PasswordTooCommon(PasswordRefused):
    """
    The new password is a common one.
    """


def checked_password(password: str) -> str:
    """
    Require a strong enough password, and return it.

    Raises:
        PasswordTooCommon: If it is a common password.
        PasswordTooShort: If it has fewer than 12 characters.
        PasswordRefused: If it is too long, or holds a lone surrogate.
    """
    if len(password) < MIN_PASSWORD_LENGTH:
        raise PasswordTooShort(f"Password must be at least {MIN_PASSWORD_LENGTH} characters")
    if is_common(password):
        raise PasswordTooCommon("That password is too common. Choose a stronger one.")
    if len(password) > MAX_PASSWORD_LENGTH:
        raise PasswordRefused(f"Password must be at most {MAX_PASSWORD_LENGTH} characters")
    if any("\ud800" <= character <= "\udfff" for character in password):
        raise PasswordRefused("Password must not hold lone surrogates")
    return password


def is_common(password: str) -> bool:
    """
    Whether a password is a common one, ignoring case.
    """
    return password.strip().casefold() in COMMON_PASSWORDS
