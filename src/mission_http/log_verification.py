"""
Verification of the event logs of all organizations, and their export with signed checkpoints.
"""

from __future__ import annotations

import json
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from mission_adapters.atomic_files import write_atomically
from mission_adapters.database import secret_keys
from mission_adapters.sql.secret_fingerprint import SecretMismatch
from mission_core.events.checkpoints import KEY_PURPOSE, Checkpoint
from mission_core.events.model import ChainBreak
from mission_core.events.use_cases import verify_log
from mission_core.key_derivation import derive_key
from mission_core.values import micros
from mission_http.doctor.database import DatabaseState
from mission_http.settings import NEXT_AUTH_SECRET, SECRETS_FILE, SettingsError, read_secrets_file
from mission_http.wiring import database_location, ports_over_database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path
    from typing import IO

    from mission_core.events.model import ChainHead, Entry
    from mission_core.events.ports import EventLog
    from mission_core.ids import OrganizationId
    from mission_core.ports import Ports
    from mission_http.settings import Settings

BATCH_SIZE: Final = 1000


async def verify_logs(settings: Settings, checkpoint_file: Path | None) -> bool:
    """
    Verify the log of every organization, also against the checkpoints in a file, and print the results.

    Returns:
        Whether all logs are sound.

    Raises:
        SettingsError: If there is nothing to verify, or if a checkpoint is not valid.
    """
    sound = True
    async with _opened(settings, "verify") as (ports, organizations):
        known = _checkpoints_in(checkpoint_file, _secrets(settings)) if checkpoint_file else {}
        for organization in organizations:
            found = await verify_log(ports.log, organization, checkpoints=known.pop(organization, ()))
            if isinstance(found, ChainBreak):
                sound = False
                print(f"organization {organization}: entry {found.position} {found.reason}")
            else:
                print(f"organization {organization}: {found.position} entries, digest {found.digest.hex()}: sound")
    for organization in known:
        sound = False
        print(f"organization {organization}: is missing, and has a checkpoint")
    return sound


async def export_logs(settings: Settings, target: Path, *, checkpoints_only: bool) -> list[str]:
    """
    Write the log of every organization to a new file, with a line for each entry and a line for the checkpoint of the
    log's end. The file has this name only once it is complete.

    Returns:
        The lines of the report.

    Raises:
        SettingsError: If there is no log, if one is not sound, if the secret is another one, or if the file exists or
            cannot be written.
    """
    async with _opened(settings, "export") as (ports, organizations):
        key = derive_key(await _secret_of_database(settings), KEY_PURPOSE)
        heads = {each: await _sound_head(ports.log, each) for each in organizations}
        try:
            with write_atomically(target, replace=False) as file:
                for organization, head in heads.items():
                    if not checkpoints_only:
                        await _write_entries(file, ports.log, organization, head)
                    checkpoint = Checkpoint.signed(key, organization, head, at=ports.clock.now())
                    _write_line(file, {"checkpoint": checkpoint.plain()})
        except FileExistsError as e:
            raise SettingsError(f"audit export: {target} exists already; name another file") from e
        except OSError as e:
            raise SettingsError(f"audit export: {target} cannot be written ({e.strerror})") from e
    return [
        f"organization {organization}: {head.position} entries, digest {head.digest.hex()}"
        for organization, head in heads.items()
    ]


async def _sound_head(log: EventLog, organization: OrganizationId) -> ChainHead:
    found = await verify_log(log, organization)
    if isinstance(found, ChainBreak):
        raise SettingsError(f"audit export: organization {organization}: entry {found.position} {found.reason}")
    return found


@asynccontextmanager
async def _opened(settings: Settings, action: str) -> AsyncIterator[tuple[Ports, list[OrganizationId]]]:
    never_served = (
        f"nothing to {action}: {database_location(settings)} was never served; check --data-dir or --database-url"
    )
    if (await DatabaseState.inspect(settings)).is_not_created:
        raise SettingsError(never_served)
    async with ports_over_database(settings, read_only=True) as ports:
        organizations = list(await ports.credentials.organizations())
        if not organizations:
            raise SettingsError(never_served)
        yield ports, organizations


def _secrets(settings: Settings) -> list[str]:
    """
    The secrets that the environment or the file of generated secrets names. None is generated.
    """
    kept = read_secrets_file(settings.data_dir / SECRETS_FILE)
    if "AUTH_SECRET" in settings.given:
        return [each for each in (settings.auth_secret, settings.next_auth_secret) if each]
    return [kept[name] for name in ("AUTH_SECRET", NEXT_AUTH_SECRET) if kept.get(name)]


async def _secret_of_database(settings: Settings) -> str:
    found = (await DatabaseState.inspect(settings)).examined
    for secret in _secrets(settings):
        with suppress(SecretMismatch):
            secret_keys(secret).check(found.fingerprint, found.sealed)
            return secret
    raise SettingsError(
        "AUTH_SECRET: is not the secret of the database, so no checkpoint can be signed",
        "set AUTH_SECRET, or name the directory of the generated secrets by --data-dir",
    )


def _checkpoints_in(file: Path, secrets: list[str]) -> dict[OrganizationId, list[Checkpoint]]:
    found: dict[OrganizationId, list[Checkpoint]] = {}
    keys = [derive_key(secret, KEY_PURPOSE) for secret in secrets]
    try:
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                told = json.loads(line)
                if "checkpoint" in told:
                    checkpoint = Checkpoint.of_plain(told["checkpoint"])
                    if not any(checkpoint.is_signed_by(key) for key in keys):
                        raise SettingsError(
                            f"--checkpoint: line {number} of {file} was changed, or signed under another AUTH_SECRET"
                        )
                    found.setdefault(checkpoint.organization, []).append(checkpoint)
    except OSError as e:
        raise SettingsError(f"--checkpoint: {file} cannot be read ({e.strerror})") from e
    except (TypeError, ValueError) as e:
        raise SettingsError(f"--checkpoint: {file} is no file of `audit export` ({e})") from e
    if not found:
        raise SettingsError(f"--checkpoint: {file} has no checkpoint")
    return found


async def _write_entries(file: IO[bytes], log: EventLog, organization: OrganizationId, head: ChainHead) -> None:
    position = 0
    while position < head.position:
        limit = min(BATCH_SIZE, head.position - position)
        entries = await log.read(organization, after=position, limit=limit)
        if not entries:
            raise SettingsError(f"audit export: organization {organization} was deleted meanwhile; run it again")
        for entry in entries:
            _write_line(file, {"entry": _plain_entry(entry)})
            position = entry.position


def _plain_entry(entry: Entry) -> dict[str, Any]:
    actor = entry.actor
    return {
        "organization": str(entry.organization), "position": entry.position, "kind": entry.kind,
        "at": micros(entry.at),
        "actor": {"kind": actor.kind, "id": str(actor.id) if actor.id else None, "name": actor.name},
        "subject": str(entry.subject), "payload": entry.payload,
        "payload_digest": entry.payload_digest.hex(), "digest": entry.digest.hex(),
    }  # fmt: skip


def _write_line(file: IO[bytes], told: dict[str, Any]) -> None:
    file.write(json.dumps(told, separators=(",", ":")).encode() + b"\n")
