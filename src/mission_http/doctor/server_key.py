"""
Check of `API_KEY`: whether a rotation replaced the server's key from the environment.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

from mission_core.accounts.model import SystemPrincipal
from mission_core.accounts.organizations import DEFAULT_ORGANIZATION_SLUG
from mission_core.accounts.server_keys import SERVER_KEYS
from mission_http.doctor.findings import Check, DoctorFinding

if TYPE_CHECKING:
    from mission_core.ports import Ports
    from mission_http.doctor.database import DatabaseState

SERVER_KEY: Final = Check("server key")
VARIABLE: Final = "API_KEY"


class ReplacementKey(NamedTuple):
    """
    A server key that a rotation created.
    """

    digest: bytes
    by: str
    at: datetime
    expires_at: datetime | None


def check_server_key(database: DatabaseState, api_key: str | None) -> Iterator[DoctorFinding]:
    """
    Check that the server's key from the environment or the data directory was not replaced.
    """
    if api_key is None or database.examined.problem is not None:
        return
    told = replacement_notice(database, api_key)
    if told is None:
        yield SERVER_KEY.ok(VARIABLE, "was not replaced")
    else:
        advice = f"set {VARIABLE} to the key in the answer of /api/tokens/rotate, wherever this one is used"
        yield SERVER_KEY.warning(VARIABLE, told, advice, VARIABLE)


def replacement_notice(database: DatabaseState, api_key: str) -> str | None:
    """
    Describe when and by whom the key was replaced and whether it still works; None if it was not replaced.
    """
    made = [ReplacementKey(each.digest, each.by, each.at, each.expires_at) for each in database.examined.server_keys]
    return _replacement_notice(made, api_key, at=database.at)


async def replacement_notice_from_ports(ports: Ports, api_key: str) -> str | None:
    """
    Describe a replacement of the key like `replacement_notice`, with a store that is open already.
    """
    default = await ports.credentials.organization(DEFAULT_ORGANIZATION_SLUG)
    if default is None:
        return None
    keys = await ports.reads.entities.every(SystemPrincipal(organization=default.id), SERVER_KEYS, of=default.id)
    made = [ReplacementKey(each.digest, each.created_by, each.created_at, each.expires_at) for each in keys]
    return _replacement_notice(made, api_key, at=ports.clock.now())


def _replacement_notice(keys: Sequence[ReplacementKey], api_key: str, *, at: datetime) -> str | None:
    if not keys:
        return None
    digest, newest = sha256(api_key.encode()).digest(), keys[-1]
    own = next((each for each in keys if each.digest == digest), None)
    if own is not None and own.expires_at is None:
        return None
    was = f"was replaced by {newest.by} at {newest.at:%Y-%m-%d %H:%M} UTC"
    if own is not None and own.expires_at is not None and at < own.expires_at:
        return f"{was}, and works until {own.expires_at:%Y-%m-%d %H:%M} UTC"
    return f"{was}, and is refused"
