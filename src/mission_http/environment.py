"""
How variables of the environment are read, whatever they are for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping


class SettingsError(Exception):
    """
    A start cannot be made with these settings. The message begins with the variable's name and says what to do.

    Args:
        told: What is wrong.
        advice: What to do, if *told* does not say it.
    """

    def __init__(self, told: str, advice: str = "") -> None:
        super().__init__(f"{told}; {advice}" if advice else told)
        self.told = told
        self.advice = advice

    @property
    def variable(self) -> str:
        """
        The variable that the message begins with.
        """
        return re.split(r"[ :,]", str(self), maxsplit=1)[0]


def flag(env: Mapping[str, str], name: str) -> bool:
    """
    A switch in the environment.

    Raises:
        SettingsError: If it is neither on nor off.
    """
    value = env.get(name, "").strip().lower()
    if value in ("1", "true", "yes", "on"):
        return True
    if value in ("", "0", "false", "no", "off"):
        return False
    raise SettingsError(f"{name}: expected 1, true, yes or on, or 0, false, no or off, and got {value!r}")


def listed(env: Mapping[str, str], name: str) -> list[str]:
    """
    The values between the commas.
    """
    return between_commas(env.get(name, ""))


def between_commas(text: str) -> list[str]:
    """
    The values that are no blanks.
    """
    return [each.strip() for each in text.split(",") if each.strip()]


def either(env: Mapping[str, str], *names: str) -> str:
    """
    The first of these variables that says something; the first of all if none does.
    """
    return next((name for name in names if env.get(name, "").strip()), names[0])
