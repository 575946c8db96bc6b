"""
Restore of a backup in place of the current database.

The new files are prepared in a staging folder beside the database, and the current files are kept in another folder.
Renaming the staging folder commits the restore. If the process ends after that, the next command completes it.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Final

from mission_adapters.atomic_files import sync_folder
from mission_adapters.backup.archive import DATABASE, FILES
from mission_adapters.sql.database_lock import RESTORE_SUFFIX, DatabaseInUse, exclusive_lock

if TYPE_CHECKING:
    from mission_adapters.backup.archive import ExtractedArchive

STAGING_SUFFIX: Final = ".restoring-"
PLAN, SECRETS = "plan.json", "secrets"
SQLITE_SUFFIXES: Final = ("-wal", "-shm", "-journal")
"""The suffixes of the files that SQLite keeps beside a database."""


class RestoreIncomplete(Exception):
    """
    A file could not be replaced after the restore was committed. The next start completes it.
    """


@contextmanager
def staging_folder(path: Path) -> Iterator[Path]:
    """
    An empty folder beside the database. It is deleted at the end, unless it was renamed.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = path.with_name(f"{path.name}{STAGING_SUFFIX}{token_hex(4)}")
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def replace_database(
    path: Path, unpacked: ExtractedArchive, *, secrets: bytes | None, secrets_file: Path, files_folder: Path
) -> Path | None:
    """
    Replace the database with the one in a verified archive, together with *secrets* and the files in it.

    Returns:
        The folder that keeps the replaced files, or None if there were none.

    Raises:
        DatabaseInUse: If another process uses the database.
        RestoreIncomplete: If a file could not be replaced.
    """
    staging = unpacked.folder
    plan = {DATABASE: path}
    if secrets is not None:
        _write_file(staging / SECRETS, secrets)
        plan[SECRETS] = secrets_file
    for name in unpacked.manifest.members:
        if name.startswith(FILES):
            plan[name] = files_folder / name.removeprefix(FILES)
    with exclusive_lock(str(path)):
        _checkpoint(path)
        kept = _keep_replaced_files(path, [target for target in plan.values() if target != path], files_folder)
        _write_file(staging / PLAN, json.dumps({name: str(target) for name, target in plan.items()}).encode())
        for folder, _, _ in os.walk(staging):
            sync_folder(Path(folder))
        staging.rename(_committed_folder(path))
        _complete_restore(path)
        for stale in path.parent.glob(f"{path.name}{STAGING_SUFFIX}*"):
            shutil.rmtree(stale, ignore_errors=True)
    return kept


def complete_restore(path: Path) -> None:
    """
    Complete a committed restore that was interrupted, if there is one.

    Raises:
        DatabaseInUse: If another process is completing it.
        RestoreIncomplete: If a file could not be replaced.
    """
    with exclusive_lock(str(path)):
        if _committed_folder(path).is_dir():
            _complete_restore(path)


def _committed_folder(path: Path) -> Path:
    return path.with_name(path.name + RESTORE_SUFFIX)


def _checkpoint(path: Path) -> None:
    """
    Checkpoint the current database, so that it is a single file. A damaged database stays as it is.
    """
    if not path.exists():
        return
    try:
        with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as connection:
            connection.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise DatabaseInUse from error  # a program that does not use our lock file


def _keep_replaced_files(path: Path, others: list[Path], files_folder: Path) -> Path | None:
    """
    Keep the files that will be replaced in a folder beside the database.
    """
    present = [*(path.with_name(path.name + end) for end in ("", *SQLITE_SUFFIXES)), *others]
    present = [each for each in present if each.is_file()]
    if not present:
        return None
    folder = path.with_name(f"replaced-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{token_hex(2)}")
    for each in present:
        inside = each.is_relative_to(files_folder) and each.parent != path.parent
        target = folder / (each.relative_to(files_folder) if inside else each.name)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            os.link(each, target)
        except OSError:  # not every file system has hard links
            shutil.copy2(each, target)
        sync_folder(target.parent)
    return folder


def _complete_restore(path: Path) -> None:
    try:
        sync_folder(path.parent)
        _replace_files(path)
    except OSError as error:
        raise RestoreIncomplete(f"{error.filename or path}: {error.strerror}") from error


def _replace_files(path: Path) -> None:
    ready = _committed_folder(path)
    plan = json.loads((ready / PLAN).read_bytes())
    del plan[DATABASE]  # replaced last: that makes the restore visible
    for name, target in plan.items():
        if (ready / name).exists():
            _replace_file(ready / name, Path(target))
    if (ready / DATABASE).exists():
        for end in SQLITE_SUFFIXES:
            with suppress(FileNotFoundError):
                path.with_name(path.name + end).unlink()
        (ready / DATABASE).replace(path)
        sync_folder(path.parent)
    # Renamed first: a partly deleted folder could not be completed.
    gone = path.with_name(f"{path.name}{STAGING_SUFFIX}{token_hex(4)}")
    ready.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def _replace_file(source: Path, target: Path) -> None:
    """
    Replace a file with a copy of another, which may be on another file system.
    """
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.restored")
    _write_file(draft, source.read_bytes())
    draft.replace(target)
    sync_folder(target.parent)


def _write_file(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
