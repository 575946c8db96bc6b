"""
Maintenance commands: rotation of `AUTH_SECRET`, backup and restore.
"""

from __future__ import annotations

import asyncio
import getpass
import os
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mission_adapters.backup.archive import (
    DATABASE,
    FILES,
    SECRETS,
    ExtractedArchive,
    InvalidArchive,
    WrongPassphrase,
    extract_archive,
)
from mission_adapters.backup.creation import check_database, create_backup
from mission_adapters.backup.restore import RestoreIncomplete, complete_restore, replace_database, staging_folder
from mission_adapters.database import secret_keys
from mission_adapters.sql.database_lock import DatabaseInUse, exclusive_lock
from mission_adapters.sql.migrations import HEAD, migrate, path_in
from mission_adapters.sql.secret_fingerprint import OtherClientsConnected, SecretMismatch, rotate_secret
from mission_adapters.sql.sqlite_session import SqliteSession
from mission_core.errors import StoreFailed
from mission_core.key_derivation import derive_key
from mission_http.distribution import distribution_version
from mission_http.settings import (
    NEXT_AUTH_SECRET,
    SECRETS_FILE,
    SettingsError,
    parse_secrets,
    read_secrets_file,
    save_auth_secret,
)
from mission_http.wiring import database_errors_as_settings_errors, database_location, is_restore_interrupted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mission_adapters.sql.secret_fingerprint import DerivedKeys, RotationResult
    from mission_http.settings import Settings

POSTGRES_BACKUP_ADVICE: Final = "back up PostgreSQL with pg_dump"
PASSPHRASE_VARIABLE: Final = "MISSION_CONTROL_PASSPHRASE"
MIN_PASSPHRASE_LENGTH: Final = 12
INCOMPLETE_NOTICE: Final = (
    "the restore is not complete; correct that, and run mission-control serve, which completes it"
)
INVALIDATED_NOTICE: Final = (
    "no longer valid: leases (claim again), sessions (sign in again), links of invites, the setup code"
)


async def rotate_auth_secret(settings: Settings, *, lost: bool) -> list[str]:
    """
    Rotate `AUTH_SECRET`: re-encrypt every value in the database under the next secret.

    Args:
        lost: Whether the old secret is lost. Then the database accepts the secret of the settings, and values under the
            old secret stay unreadable.

    Returns:
        The lines of the report.

    Raises:
        SettingsError: If the database is in use or has another secret, or if there is no next secret.
    """
    given = "AUTH_SECRET" in settings.given
    following = settings.auth_secret if lost else _next_secret(settings)
    if not lost and not given:
        save_auth_secret(settings, settings.auth_secret, following=following)
    old = None if lost else secret_keys(settings.auth_secret)
    rotated = await _rotate_database(settings, old, following)
    if not given:
        save_auth_secret(settings, following)
    return _rotation_report(rotated, lost=lost, given=given)


def _next_secret(settings: Settings) -> str:
    following = settings.next_auth_secret
    if following is None and "AUTH_SECRET" in settings.given:
        raise SettingsError(
            f"{NEXT_AUTH_SECRET}: is not set, and AUTH_SECRET is set in the environment; set {NEXT_AUTH_SECRET} to the "
            "new secret, such as `openssl rand -hex 32` prints, and run this again"
        )
    if following == settings.auth_secret:
        raise SettingsError(f"{NEXT_AUTH_SECRET}: is the same as AUTH_SECRET; set it to a new secret, or unset it")
    return following or secrets.token_hex(32)


async def _rotate_database(settings: Settings, old: DerivedKeys | None, following: str) -> RotationResult:
    new = secret_keys(following)
    async with database_errors_as_settings_errors(settings):
        path = path_in(settings.database_url)
        _must_exist(path)
        await asyncio.to_thread(migrate, settings.database_url)
        try:
            if path is None:
                from mission_adapters.sql.postgres_session import PostgresSession

                async with PostgresSession.open(settings.database_url) as session:
                    return await rotate_secret(session, old, new)
            with exclusive_lock(path):
                async with SqliteSession.open(path) as session:
                    return await rotate_secret(session, old, new)
        except DatabaseInUse as e:
            raise SettingsError(f"secret rotate: a server uses {database_location(settings)}; stop it first") from e
        except OtherClientsConnected as e:
            told = f"secret rotate: {e.count} other clients are connected to {database_location(settings)}"
            raise SettingsError(told, "stop every server on it, end other programs, and run this again") from e


def _must_exist(path: str | None) -> None:
    if path is not None and not os.path.exists(path):
        raise StoreFailed("there is no such file")


def _rotation_report(rotated: RotationResult, *, lost: bool, given: bool) -> list[str]:
    if lost:
        lines = ["AUTH_SECRET as it is set now is the secret of the database"]
        if rotated.undecryptable:
            lines.append(f"webhook secrets that cannot be decrypted with it: {rotated.undecryptable}; set them again")
    else:
        lines = [f"the database uses the new secret; values encrypted again: {rotated.reencrypted}"]
        if given:
            lines.append(
                f"before the next start set AUTH_SECRET to what {NEXT_AUTH_SECRET} is now, and unset {NEXT_AUTH_SECRET}"
            )
    return [*lines, INVALIDATED_NOTICE]


async def backup(settings: Settings, target: Path, passphrase: str | None, *, replace: bool) -> list[str]:
    """
    Write an archive of the database, the generated secrets and the files in the data directory.

    Args:
        passphrase: Encrypts the secrets; without one they are left out.
        replace: Whether an existing archive is replaced.

    Returns:
        The lines of the report.

    Raises:
        SettingsError: If there is no database, if it has another secret, or if the archive cannot be written.
    """
    path = sqlite_path(settings, "backup", POSTGRES_BACKUP_ADVICE)
    kept = settings.data_dir / SECRETS_FILE
    generated = kept.read_bytes() if kept.is_file() else b""
    try:
        async with database_errors_as_settings_errors(settings):
            manifest = create_backup(
                path, target, keys=secret_keys(settings.auth_secret), signing_key=settings.key_for("backup"),
                secrets=(generated, passphrase) if generated and passphrase else None,
                files=_soul_template_files(settings),
                made_by=distribution_version(), replace=replace,
            )  # fmt: skip
    except FileExistsError as e:
        raise SettingsError(f"backup: {target} exists already; name another file, or add --overwrite") from e
    except OSError as e:
        raise SettingsError(f"backup: {target} cannot be written ({e.strerror})") from e
    files = sum(name.startswith(FILES) for name in manifest.members)
    size, _ = manifest.members[DATABASE]
    lines = [f"{target}: the database at revision {manifest.revision} ({size} bytes), files: {files}"]
    if SECRETS in manifest.members:
        lines.append("the archive has the generated secrets, encrypted; keep the passphrase to decrypt them")
    elif generated:
        lines.append(f"the generated secrets are left out, because there is no passphrase; keep a copy of {kept}")
    templates = settings.soul_templates
    if templates is not None and not templates.is_relative_to(settings.data_dir):
        lines.append(f"{templates} is outside the data directory and not in the archive; keep a copy of it")
    if "AUTH_SECRET" in settings.given:
        lines.append("AUTH_SECRET is set in the environment and not in the archive; keep a copy of it, too")
    return lines


def restore(settings: Settings, archive: Path, ask: Callable[[], str | None]) -> list[str]:
    """
    Replace the database, the generated secrets and the files with those in an archive.

    Args:
        ask: Returns the passphrase; called only if the archive has secrets.

    Returns:
        The lines of the report.

    Raises:
        SettingsError: If the database is in use, or if the archive is refused, and nothing is changed. Or if a file
            could not be replaced; then the next start completes the restore.
    """
    path = sqlite_path(settings, "restore", "restore PostgreSQL with pg_restore or psql", must_exist=False)
    kept = settings.data_dir / SECRETS_FILE
    try:
        with staging_folder(Path(path)) as folder:
            unpacked = extract_archive(archive, folder)
            text = _unpacked_secrets(unpacked, ask)
            generated = parse_secrets(text.decode()) if text is not None else read_secrets_file(kept)
            _check_archive(unpacked, settings, generated)
            old = replace_database(
                Path(path), unpacked, secrets=text, secrets_file=kept, files_folder=settings.data_dir
            )
    except InvalidArchive as e:
        raise SettingsError(f"restore: {archive} is refused: {e}; nothing was changed") from e
    except DatabaseInUse as e:
        raise SettingsError(f"restore: a server uses {database_location(settings)}; stop it first") from e
    except StoreFailed as e:
        raise SettingsError(f"restore: {database_location(settings)}: {e.reason}") from e
    except RestoreIncomplete as e:
        raise SettingsError(f"restore: {e}", INCOMPLETE_NOTICE) from e
    except OSError as e:
        raise SettingsError(f"restore: {e.filename or archive}: {e.strerror}; nothing was changed") from e
    manifest = unpacked.manifest
    lines = [f"restored {database_location(settings)}: made at {manifest.made_at}, revision {manifest.revision}"]
    if manifest.revision != HEAD:
        lines.append(f"the next start migrates it to revision {HEAD}")
    return [*lines, f"the replaced data are kept in {old}"] if old else lines


def complete_interrupted_restore(settings: Settings) -> None:
    """
    Complete an interrupted restore, if there is one.

    Raises:
        SettingsError: If another process is completing it, or if a file cannot be replaced.
    """
    if not is_restore_interrupted(settings):
        return
    try:
        complete_restore(Path(sqlite_path(settings, "restore", "", must_exist=False)))
    except DatabaseInUse as e:
        raise SettingsError("restore: another process is completing one; try again") from e
    except RestoreIncomplete as e:
        raise SettingsError(f"restore: {e}", INCOMPLETE_NOTICE) from e


def passphrase_from(file: Path | None, *, twice: bool) -> str | None:
    """
    Read the passphrase from a file, from the environment, or from the terminal; None if there is none.

    Args:
        twice: Whether it is a new passphrase, which must be long enough and is typed twice.

    Raises:
        SettingsError: If the passphrase is too short or cannot be read.
    """
    if file is not None:
        try:
            given = file.read_text().partition("\n")[0].rstrip("\r")
        except (OSError, UnicodeDecodeError) as e:
            raise SettingsError(f"--passphrase-file: {file} cannot be read; name a text file with it") from e
        source = "--passphrase-file"
    elif given := os.environ.get(PASSPHRASE_VARIABLE, ""):
        source = PASSPHRASE_VARIABLE
    elif sys.stdin.isatty():
        source = "passphrase"
        given = getpass.getpass("Passphrase of the secrets (empty for none): ")
        if twice and given and getpass.getpass("Once more: ") != given:
            raise SettingsError("passphrase: the two are not the same; type it again")
    else:
        return None
    if not given and file is None:
        return None
    if twice and len(given) < MIN_PASSPHRASE_LENGTH:
        raise SettingsError(f"{source}: a passphrase has at least {MIN_PASSPHRASE_LENGTH} characters")
    return given


def sqlite_path(settings: Settings, command: str, instead: str, *, must_exist: bool = True) -> str:
    """
    The path of the SQLite database of the settings.

    Raises:
        SettingsError: If the file is missing, or if the database is PostgreSQL; then with the advice in *instead*.
    """
    try:
        path = path_in(settings.database_url)
    except ValueError as e:
        raise SettingsError(f"DATABASE_URL (or --database-url): {e}") from e
    if path is None:
        raise SettingsError(f"{command}: works on SQLite alone; {instead}, and keep AUTH_SECRET with it")
    if must_exist and not os.path.exists(path):
        raise SettingsError(f"{command}: there is no database {path}; name it by --data-dir or --database-url")
    return os.path.abspath(path)


def _soul_template_files(settings: Settings) -> dict[str, Path]:
    """
    The soul templates, if their directory is inside the data directory.
    """
    folder = settings.soul_templates
    if folder is None or not folder.is_relative_to(settings.data_dir):
        return {}
    files = (each for each in sorted(folder.rglob("*")) if each.is_file() and not each.is_symlink())
    return {each.relative_to(settings.data_dir).as_posix(): each for each in files}


def _unpacked_secrets(unpacked: ExtractedArchive, ask: Callable[[], str | None]) -> bytes | None:
    if SECRETS not in unpacked.manifest.members:
        return None
    passphrase = ask()
    if not passphrase:
        raise SettingsError(
            f"restore: the secrets in the archive are encrypted; name --passphrase-file, or set {PASSPHRASE_VARIABLE}"
        )
    try:
        return unpacked.secrets(passphrase)
    except WrongPassphrase:
        raise SettingsError("restore: the passphrase does not open the secrets in the archive; try another") from None


def _check_archive(unpacked: ExtractedArchive, settings: Settings, generated: Mapping[str, str]) -> None:
    """
    Check that the secret after the restore is that of the archive, and that the archive is signed with it.
    """
    given = "AUTH_SECRET" in settings.given
    secret = settings.auth_secret if given else generated.get("AUTH_SECRET")
    following = settings.next_auth_secret if given else generated.get(NEXT_AUTH_SECRET)
    known = [each for each in (secret, following) if each]
    secret = next((each for each in known if secret_keys(each).has_fingerprint(unpacked.manifest.fingerprint)), None)
    if secret is None:
        where = "the secret in the environment is not" if given else "none of the known secrets is"
        raise SettingsError(
            f"AUTH_SECRET: {where} that of this backup; set AUTH_SECRET to the secret in use when the backup was made, "
            "or unset it if the archive has it"
        )
    if not unpacked.is_signed_by(derive_key(secret, "backup")):
        raise InvalidArchive("its manifest was changed")
    try:
        check_database(unpacked.folder / DATABASE, secret_keys(secret))
    except (StoreFailed, SecretMismatch) as e:
        raise InvalidArchive(e.reason if isinstance(e, StoreFailed) else str(e)) from e
