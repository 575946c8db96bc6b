"""
The server's key: was the one in the environment replaced while the server ran?
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Final

from mission_http.doctor.database import Database
from mission_http.doctor.findings import Check, Finding

SERVER_KEY: Final = Check("server key")
VARIABLE: Final = "API_KEY"


def check_server_key(database: Database, api_key: str | None) -> Iterator[Finding]:
    """
    The key that the environment gives, or the data directory keeps, still opens the server.
    """
    if api_key is None or database.examined.trouble is not None:
        return
    told = replaced(database, api_key)
    if told is None:
        yield SERVER_KEY.ok(VARIABLE, "is good")
    else:
        advice = f"set {VARIABLE} to the key that /api/tokens/rotate answered with, wherever this one is used"
        yield SERVER_KEY.warning(VARIABLE, told, advice, VARIABLE)


def replaced(database: Database, api_key: str) -> str | None:
    """
    By whom and when the key was replaced, and whether it is still good; None if it was not.
    """
    keys = database.examined.server_keys
    if not keys:
        return None
    digest, newest = sha256(api_key.encode()).digest(), keys[-1]
    own = next((each for each in keys if each.digest == digest), None)
    if own is not None and own.expires_at is None:
        return None
    was = f"was replaced by {newest.by} at {newest.at:%Y-%m-%d %H:%M} UTC"
    if own is not None and own.expires_at is not None and database.at < own.expires_at:
        return f"{was}, and is good until {own.expires_at:%Y-%m-%d %H:%M} UTC"
    return f"{was}, and is refused"
