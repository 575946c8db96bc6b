"""
Files that are complete or absent, whenever the process or the machine stops.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from secrets import token_hex
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def write_atomically(target: Path, *, replace: bool) -> Iterator[IO[bytes]]:
    """
    Context manager of the draft of a file, which becomes the file if everything is written. Only the owner may read it.

    Raises:
        FileExistsError: If the target exists and must not be replaced.
    """
    draft = target.with_name(f".{target.name}.{token_hex(4)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if replace:
            draft.replace(target)
        else:
            _rename_to_new(draft, target)
        sync_folder(target.parent)
    finally:
        with suppress(FileNotFoundError):
            draft.unlink()


def _rename_to_new(draft: Path, target: Path) -> None:
    try:
        os.link(draft, target)  # a link fails if the target exists, a rename replaces it
    except FileExistsError:
        raise
    except OSError as e:  # not every file system has hard links
        if target.exists():
            raise FileExistsError(target) from e
        draft.rename(target)


def sync_folder(folder: Path) -> None:
    """
    Flush a folder's new and renamed entries to disk.
    """
    if os.name == "posix":  # a folder cannot be opened on other systems
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
