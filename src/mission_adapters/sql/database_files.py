"""
Detection of SQLite database files that were moved, deleted or replaced while the database is open.

SQLite keeps writing to the files it opened, even if their paths lead to other files by now. Such writes are lost when
the process ends.
"""

from __future__ import annotations

import os
from os import PathLike
from typing import Final, Self

from mission_core.lazy_attrs import frozen

SUFFIXES: Final = ("", "-wal")
"""The suffixes of the database file and its write-ahead log, which holds the newest commits."""


@frozen
class DatabaseFiles:
    """
    The paths of a database's files, and the device and inode of each at the time the database was opened.
    """

    path: str
    names: tuple[str, ...]
    opened: tuple[tuple[int, int] | None, ...]

    @classmethod
    def at(cls, path: str | PathLike[str]) -> Self:
        """
        Record the files of the database that is open at this path.
        """
        names = tuple(os.fspath(path) + suffix for suffix in SUFFIXES)
        return cls(names[0], names, tuple(map(_identity, names)))

    def in_place(self) -> bool:
        """
        Whether each path still leads to the file that was opened.
        """
        return tuple(map(_identity, self.names)) == self.opened


def _identity(name: str) -> tuple[int, int] | None:
    try:
        found = os.stat(name)
    except OSError:
        return None
    return found.st_dev, found.st_ino
