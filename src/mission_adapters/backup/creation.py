"""
Creation of a backup while servers use the database.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from mission_adapters.backup.archive import (
    DATABASE,
    FILES,
    SECRETS,
    Manifest,
    encrypt_secrets,
    size_and_digest_of,
    write_archive,
)
from mission_adapters.sql.database_lock import shared_lock
from mission_adapters.sql.migrations import lacking, revision_in
from mission_adapters.sql.secret_fingerprint import SELECT_ENCRYPTED, SELECT_FINGERPRINT
from mission_core.errors import StoreFailed

if TYPE_CHECKING:
    from mission_adapters.sql.secret_fingerprint import DerivedKeys

LOCK_TIMEOUT: Final = 10.0
"""The time to wait for a locked database, in seconds."""


def create_backup(
    path: str,
    target: Path,
    *,
    keys: DerivedKeys,
    signing_key: bytes,
    secrets: tuple[bytes, str] | None,
    files: Mapping[str, Path],
    made_by: str,
    replace: bool,
) -> Manifest:
    """
    Write an archive with a snapshot of the database. It contains every write that was acknowledged before the call.

    Args:
        keys: The keys derived from the `AUTH_SECRET` of the database.
        secrets: The generated secrets, and the passphrase to encrypt them with.
        files: Other files of the installation, by their path in the archive.
        replace: Whether an existing archive may be replaced.

    Raises:
        FileExistsError: If the archive exists and must not be replaced.
        SecretMismatch: If the database belongs to another `AUTH_SECRET`.
        StoreFailed: If it cannot be read, or is no database of Mission Control.
    """
    if target.exists() and not replace:
        raise FileExistsError(target)
    with TemporaryDirectory(prefix=".backup-", dir=target.parent) as name:
        members = {DATABASE: Path(name) / DATABASE}
        with shared_lock(path):
            _copy_database(path, members[DATABASE])
        revision = check_database(members[DATABASE], keys)
        if secrets is not None:
            members[SECRETS] = Path(name) / SECRETS
            members[SECRETS].write_bytes(encrypt_secrets(*secrets, about=keys.fingerprint))
        members |= {f"{FILES}{place}": file for place, file in files.items()}
        manifest = Manifest(
            made_at=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", made_by=made_by, revision=revision,
            fingerprint=keys.fingerprint, members={place: size_and_digest_of(file) for place, file in members.items()},
        )  # fmt: skip
        write_archive(target, manifest, members, signing_key, replace=replace)
    return manifest


def _copy_database(path: str, copy: Path) -> None:
    try:
        uri = f"{Path(path).absolute().as_uri()}?mode=ro"
        source = sqlite3.connect(uri, uri=True, timeout=LOCK_TIMEOUT)
        with closing(source), closing(sqlite3.connect(copy)) as made:
            copy.chmod(0o600)
            source.backup(made)  # in one step: a consistent snapshot that no write restarts
            made.execute("PRAGMA journal_mode=DELETE")  # a single file, without a WAL file
    except sqlite3.Error as e:
        raise StoreFailed(f"SQLite: {e}") from e


def check_database(path: Path, keys: DerivedKeys) -> str:
    """
    Check that a database copy is intact, has a known revision, and belongs to this `AUTH_SECRET`.

    Returns:
        The revision.

    Raises:
        SecretMismatch: If it belongs to another `AUTH_SECRET`.
        StoreFailed: If it is damaged, or is no database of Mission Control.
    """
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?immutable=1", uri=True)) as connection:
            ((sound,),) = connection.execute("PRAGMA quick_check(1)").fetchall()
            if sound != "ok":
                raise StoreFailed(f"SQLite: the database is damaged ({sound})")
            revision = revision_in(connection)
            if revision is None:
                raise StoreFailed("it is not a database of Mission Control")
            lacking(revision)
            fingerprints = _select_if_present(connection, SELECT_FINGERPRINT)
            sealed = [row for each in SELECT_ENCRYPTED for row in _select_if_present(connection, each)]
    except sqlite3.Error as e:
        raise StoreFailed(f"SQLite: {e}") from e
    keys.check(fingerprints[0][0] if fingerprints else None, sealed)
    return revision


def _select_if_present(connection: sqlite3.Connection, statement: str) -> list[Any]:
    try:
        return connection.execute(statement).fetchall()
    except sqlite3.OperationalError as e:
        if "no such table" in str(e) or "no such column" in str(e):  # it is at an earlier revision
            return []
        raise
