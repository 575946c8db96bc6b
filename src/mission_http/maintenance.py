"""
Commands on the database that its servers do not take part in: the rotation of the secret, backup and restore.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from typing import TYPE_CHECKING, Final

from mission_adapters.sql.database_lock import DatabaseInUse, exclusive_lock
from mission_adapters.sql.fingerprint import OthersConnected, rotate_secret
from mission_adapters.sql.migrations import migrate, path_in
from mission_adapters.sql.sqlite import SqliteSession
from mission_core.errors import StoreFailed
from mission_http.settings import NEXT_SECRET, SettingsError, keep_secret
from mission_http.wiring import naming_the_setting, place_of, secret_keys

if TYPE_CHECKING:
    from mission_adapters.sql.fingerprint import Rotation, SecretKeys
    from mission_http.settings import Settings

ENDED: Final = "no longer good: leases (claim again), sessions (sign in again), links of invites, the setup code"


async def rotate(settings: Settings, *, lost: bool) -> list[str]:
    """
    Seal everything in the database anew under the next secret; without the present one, which is *lost*, put the one
    that the settings name in its place.

    Returns:
        The lines to tell of it.

    Raises:
        SettingsError: If the database is in use, has another secret, or there is no next one.
    """
    given = "AUTH_SECRET" in settings.given
    following = settings.auth_secret if lost else _next_secret(settings)
    if not lost and not given:
        keep_secret(settings, settings.auth_secret, following=following)
    old = None if lost else secret_keys(settings.auth_secret)
    rotated = await _rotated(settings, old, following)
    if not given:
        keep_secret(settings, following)
    return _told(rotated, lost=lost, given=given)


def _next_secret(settings: Settings) -> str:
    following = settings.next_auth_secret
    if following is None and "AUTH_SECRET" in settings.given:
        raise SettingsError(
            f"{NEXT_SECRET}: is not set, and AUTH_SECRET is set in the environment; set {NEXT_SECRET} to the new "
            "secret, such as `openssl rand -hex 32` prints, and run this again"
        )
    if following == settings.auth_secret:
        raise SettingsError(f"{NEXT_SECRET}: is the same as AUTH_SECRET; set it to a new secret, or unset it")
    return following or secrets.token_hex(32)


async def _rotated(settings: Settings, old: SecretKeys | None, following: str) -> Rotation:
    new = secret_keys(following)
    async with naming_the_setting(settings):
        path = path_in(settings.database_url)
        _must_exist(path)
        await asyncio.to_thread(migrate, settings.database_url)
        try:
            if path is None:
                from mission_adapters.sql.postgres import PostgresSession

                async with PostgresSession.open(settings.database_url) as session:
                    return await rotate_secret(session, old, new)
            with exclusive_lock(path):
                async with SqliteSession.open(path) as session:
                    return await rotate_secret(session, old, new)
        except DatabaseInUse as e:
            raise SettingsError(f"secret rotate: a server uses {place_of(settings)}; stop it first") from e
        except OthersConnected as e:
            told = f"secret rotate: {e.count} other clients are connected to {place_of(settings)}"
            raise SettingsError(told, "stop every server on it, end other programs, and run this again") from e


def _must_exist(path: str | None) -> None:
    if path is not None and not os.path.exists(path):
        raise StoreFailed("there is no such file")


def _told(rotated: Rotation, *, lost: bool, given: bool) -> list[str]:
    if lost:
        lines = ["AUTH_SECRET as it is set now is the secret of the database"]
        if rotated.closed:
            lines.append(f"secrets of webhooks that do not open under it: {rotated.closed}; set them anew")
    else:
        lines = [f"the database is under the new secret; sealed anew: {rotated.resealed}"]
        if given:
            lines.append(f"before the next start set AUTH_SECRET to what {NEXT_SECRET} is now, and unset {NEXT_SECRET}")
    return [*lines, ENDED]
