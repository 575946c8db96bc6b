"""
Readers of environment variables: booleans, lists and alternatives.
"""

from __future__ import annotations

import re
from collections.abc import Mapping


class SettingsError(Exception):
    """
    A setting is missing or invalid. The message begins with the name of the variable and says what to do.

    Args:
        told: The problem.
        advice: The solution, if *told* does not include it.
    """

    def __init__(self, told: str, advice: str = "") -> None:
        super().__init__(f"{told}; {advice}" if advice else told)
        self.told = told
        self.advice = advice

    @property
    def variable(self) -> str:
        """
        The name of the variable, with which the message begins.
        """
        return re.split(r"[ :,]", str(self), maxsplit=1)[0]


def boolean_variable(env: Mapping[str, str], name: str) -> bool:
    """
    Read a boolean variable; unset counts as false.

    Raises:
        SettingsError: If the value is not a boolean.
    """
    value = env.get(name, "").strip().lower()
    if value in ("1", "true", "yes", "on"):
        return True
    if value in ("", "0", "false", "no", "off"):
        return False
    raise SettingsError(f"{name}: expected 1, true, yes or on, or 0, false, no or off, and got {value!r}")


def list_variable(env: Mapping[str, str], name: str) -> list[str]:
    """
    Read a variable that holds a comma-separated list.
    """
    return comma_separated(env.get(name, ""))


def comma_separated(text: str) -> list[str]:
    """
    Split a comma-separated list; blank values are dropped.
    """
    return [each.strip() for each in text.split(",") if each.strip()]


def first_set_variable(env: Mapping[str, str], *names: str) -> str:
    """
    The name of the first variable that is set; the first name if none is.
    """
    return next((name for name in names if env.get(name, "").strip()), names[0])
