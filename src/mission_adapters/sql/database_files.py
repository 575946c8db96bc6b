"""
The files of an open SQLite database, and whether its path still leads to them.

SQLite goes on with the files that it opened, whatever becomes of their names. What it writes to a file that was moved,
deleted or replaced is gone with the process.
"""

from __future__ import annotations

import os
from os import PathLike
from typing import Final, Self

from attrs import frozen

SUFFIXES: Final = ("", "-wal")
"""The database itself, and its write-ahead log, which holds the newest commits."""


@frozen
class DatabaseFiles:
    """
    The database's files by name, each with the device and inode that it had when the database was opened.
    """

    path: str
    opened: tuple[tuple[str, tuple[int, int] | None], ...]

    @classmethod
    def at(cls, path: str | PathLike[str]) -> Self:
        """
        The files of the database that is open at this path.
        """
        names = [os.fspath(path) + suffix for suffix in SUFFIXES]
        return cls(names[0], tuple((name, _identity(name)) for name in names))

    def in_place(self) -> bool:
        """
        Whether each name still leads to the file that was opened.
        """
        return all(_identity(name) == identity for name, identity in self.opened)


def _identity(name: str) -> tuple[int, int] | None:
    try:
        found = os.stat(name)
    except OSError:
        return None
    return found.st_dev, found.st_ino
