"""
Checks of the data directory and of the secrets in it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from shlex import quote
from typing import Final, Self

from attrs import field

from mission_core.lazy_attrs import frozen
from mission_http.doctor.findings import Check, DoctorFinding
from mission_http.settings import SECRETS_FILE, SettingsError, read_secrets_file

DIRECTORY: Final = Check("data directory")
SECRETS: Final = Check("secrets")
DIRECTORY_SETTINGS: Final = ("MISSION_CONTROL_DATA_DIR", "--data-dir")
OTHER_USERS_MODE: Final = stat.S_IRWXG | stat.S_IRWXO


@frozen(kw_only=True)
class DataDirectoryState:
    """
    The state of the data directory, as the doctor inspected it.

    Args:
        nearest: The directory itself if it exists, else its nearest existing parent.
        is_directory: Whether *nearest* is a directory.
        usable: Whether this user may write to *nearest*.
        shared: Whether other users of this machine may access the directory.
        secrets: The secrets stored in it; None if they cannot be read.
        secrets_shared: Whether other users of this machine may access the file with the secrets.
        secrets_error: The reason that the secrets cannot be read.
    """

    path: Path
    nearest: Path
    is_directory: bool = True
    usable: bool = True
    shared: bool = False
    secrets: dict[str, str] | None = field(factory=dict, repr=False)
    secrets_shared: bool = False
    secrets_error: str = ""

    @property
    def exists(self) -> bool:
        return self.path == self.nearest

    @property
    def secrets_file(self) -> Path:
        return self.path / SECRETS_FILE

    @classmethod
    def inspect(cls, path: Path) -> Self:
        """
        Inspect a directory.
        """
        nearest = next(each for each in (path, *path.parents) if os.path.lexists(each))
        folder = os.path.isdir(nearest)
        secrets, why = _secrets(path / SECRETS_FILE) if os.path.isdir(path) else ({}, "")
        return cls(
            path=path,
            nearest=nearest,
            is_directory=folder,
            usable=folder and os.access(nearest, os.R_OK | os.W_OK | os.X_OK),
            shared=_shared(path),
            secrets=secrets,
            secrets_shared=_shared(path / SECRETS_FILE),
            secrets_error=why,
        )


def _secrets(file: Path) -> tuple[dict[str, str] | None, str]:
    try:
        return read_secrets_file(file), ""
    except SettingsError as e:
        return None, (e.__cause__.strerror or "") if isinstance(e.__cause__, OSError) else "it is damaged"


def _shared(path: Path) -> bool:
    try:
        return os.name == "posix" and bool(path.stat().st_mode & OTHER_USERS_MODE)
    except OSError:
        return False


def check_data_directory(directory: DataDirectoryState) -> Iterator[DoctorFinding]:
    """
    Check that the data directory exists or can be created, and that this user alone may access it.
    """
    path = str(directory.path)
    if not directory.usable:
        advice = "choose another with MISSION_CONTROL_DATA_DIR (or --data-dir), or let this user write to it"
        yield DIRECTORY.problem(path, _unusable_reason(directory), advice, *DIRECTORY_SETTINGS)
    elif not directory.exists:
        yield DIRECTORY.ok(path, "will be created at the first start")
    elif directory.shared:
        yield DIRECTORY.warning(path, "other users of this machine may access it", f"chmod 700 {quote(path)}")
    else:
        yield DIRECTORY.ok(path, "this user alone may access it")


def _unusable_reason(directory: DataDirectoryState) -> str:
    match directory.exists, directory.is_directory:
        case True, True:
            return "this user may not write to it"
        case True, False:
            return "is not a directory"
        case False, True:
            return f"does not exist and cannot be created: this user may not write to {directory.nearest}"
    return f"does not exist and cannot be created: {directory.nearest} is not a directory"


def check_secrets(directory: DataDirectoryState) -> Iterator[DoctorFinding]:
    """
    Check that this user alone can read the generated secrets.
    """
    file = str(directory.secrets_file)
    if directory.secrets is None:
        advice = "let this user read it, or restore it; without it new secrets are generated, and existing leases end"
        yield SECRETS.problem(file, f"cannot be read ({directory.secrets_error})", advice)
    elif directory.secrets_shared:
        found = "other users of this machine may read it and sign in as the operator"
        yield SECRETS.problem(
            file, found, f"chmod 600 {quote(file)}, and remove it to generate new secrets if somebody read it"
        )
    elif directory.secrets:
        yield SECRETS.ok(file, "this user alone may read it")
    elif directory.usable:
        yield SECRETS.ok(file, "will be created at the first start")
