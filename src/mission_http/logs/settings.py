"""
Settings of the log, read from the environment.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final, Self

from mission_core.lazy_attrs import frozen
from mission_http.environment import SettingsError, boolean_variable

LEVELS: Final = {
    "TRACE": 5, "DEBUG": 10, "INFO": 20, "WARNING": 30, "WARN": 30, "ERROR": 40, "CRITICAL": 50, "FATAL": 50,
}  # fmt: skip


@frozen(kw_only=True)
class LogSettings:
    """
    Settings of the log.

    Args:
        level: The lowest level that is logged.
        as_json: Whether lines are JSON.
        utc: Whether timestamps are in UTC instead of local time.
        slow_ms: The duration in milliseconds from which a request is logged as slow; 0 for never.
        health: Whether health checks are logged.
    """

    level: int = logging.INFO
    as_json: bool = False
    utc: bool = False
    slow_ms: int = 1000
    health: bool = False

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """
        Read the settings from an environment.

        Raises:
            SettingsError: If a value is malformed.
        """
        return cls(
            level=_level(environment),
            as_json=_is_json(environment),
            utc=boolean_variable(environment, "LOG_USE_UTC"),
            slow_ms=_milliseconds(environment),
            health=boolean_variable(environment, "REQUEST_LOG_INCLUDE_HEALTH"),
        )


def _level(env: Mapping[str, str]) -> int:
    name, value = "LOG_LEVEL", env.get("LOG_LEVEL", "").strip().upper() or "INFO"
    if value in LEVELS:
        return LEVELS[value]
    if value.isdecimal() and value.isascii():
        return max(1, int(value))
    raise SettingsError(f"{name}: expected TRACE, DEBUG, INFO, WARNING, ERROR, CRITICAL or a number, and got {value!r}")


def _is_json(env: Mapping[str, str]) -> bool:
    value = env.get("LOG_FORMAT", "").strip().lower() or "text"
    if value not in ("text", "json"):
        raise SettingsError(f"LOG_FORMAT: expected text or json, and got {value!r}")
    return value == "json"


def _milliseconds(env: Mapping[str, str]) -> int:
    value = env.get("REQUEST_LOG_SLOW_MS", "").strip() or str(LogSettings().slow_ms)
    if not (value.isdecimal() and value.isascii()):
        raise SettingsError(f"REQUEST_LOG_SLOW_MS: expected a count of milliseconds, or 0 for never, and got {value!r}")
    return int(value)
