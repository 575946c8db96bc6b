"""
Settings of worker processes: how many there are, and what a deployment with several of them needs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from mission_core.database_urls import is_sqlite
from mission_http.environment import SettingsError
from mission_http.rate_limit_settings import BACKEND, DISABLE, REDIS_URL_VARIABLES

if TYPE_CHECKING:
    from mission_http.settings import Settings

WORKERS_VARIABLE: Final = "MC_WORKERS"
WORKERS_FLAG: Final = "--workers"
MAX_WORKERS: Final = 256


def worker_count(environment: Mapping[str, str]) -> int:
    """
    Read the number of worker processes; 1 if it is not set.

    Raises:
        SettingsError: If it is not a number of processes.
    """
    text = environment.get(WORKERS_VARIABLE, "").strip() or "1"
    if not (text.isascii() and text.isdecimal() and 0 < int(text) <= MAX_WORKERS):
        raise SettingsError(
            f"{WORKERS_VARIABLE}: expected a number of worker processes, from 1 to {MAX_WORKERS}, and got {text!r}"
        )
    return int(text)


def check_workers(settings: Settings) -> None:
    """
    Check that several workers can share the database and count rate limits together.

    Raises:
        SettingsError: If they cannot.
    """
    count, variable = settings.workers, f"{WORKERS_VARIABLE} (or {WORKERS_FLAG})"
    if count == 1:
        return
    if not hasattr(os, "fork"):
        raise SettingsError(f"{variable}: this system cannot fork processes", f"unset {WORKERS_VARIABLE}")
    if is_sqlite(settings.database_url):
        raise SettingsError(
            f"{variable}: {count} workers need PostgreSQL, because only one process at a time writes to SQLite",
            f"set DATABASE_URL to a PostgreSQL database, or unset {WORKERS_VARIABLE}",
        )
    limits = settings.rate_limits
    if limits.redis is None and limits.quotas and not limits.disabled:
        raise SettingsError(
            f"{variable}: without a Redis, each of {count} workers would count rate limits for itself",
            f"set {BACKEND}=redis and {REDIS_URL_VARIABLES[0]}, or lift the limits with {DISABLE}=1",
        )
