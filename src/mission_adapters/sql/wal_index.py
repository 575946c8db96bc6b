"""
The header of SQLite's WAL index, the `-shm` file beside a database. It tells without a query whether any process has
committed (https://www.sqlite.org/walformat.html, "WAL-Index Header").
"""

from __future__ import annotations

import os
from os import PathLike
from typing import Final, Self

from mission_core.lazy_attrs import define

HEADER_SIZE: Final = 48
"""The bytes of one of the header's two copies, which stand at the start of the file."""
INITIALIZED: Final = 12
"""The place of the byte `isInit` in the header."""
DESCRIPTORS: Final = "/proc/self/fd"
"""The folder of this process's file descriptors on Linux."""


@define(eq=False)
class WalIndex:
    """
    Reads the header of the WAL index of a database that this process has open.

    It borrows the descriptor that SQLite has of the file. A descriptor of its own would be dangerous: closing any
    descriptor of a file drops all POSIX locks of the process on that file, and SQLite's locks with them.

    Args:
        descriptor: SQLite's descriptor. SQLite has one for each file in a process, and keeps it while any connection is
            open. None if it was not found, as on platforms without `/proc`, or is no longer used.
    """

    descriptor: int | None

    @classmethod
    def of(cls, path: str | PathLike[str]) -> Self:
        """
        Find the WAL index of a database from which a connection of this process has read.
        """
        found = []
        try:
            file = os.stat(os.fspath(path) + "-shm")
            for each in map(int, os.listdir(DESCRIPTORS)):
                try:
                    own = os.fstat(each)
                except OSError:  # the descriptor of the listing itself, or closed by another thread
                    continue
                if (own.st_dev, own.st_ino) == (file.st_dev, file.st_ino):
                    found.append(each)
        except OSError:
            found = []
        # Another descriptor of the file is not SQLite's, and may be closed and used for another file.
        return cls(found[0] if len(found) == 1 else None)

    def header(self) -> bytes | None:
        """
        Return the header, or None if it cannot be read or is being changed.
        """
        if self.descriptor is None:
            return None
        try:
            copies = os.pread(self.descriptor, 2 * HEADER_SIZE, 0)
        except OSError:
            return None
        header = copies[:HEADER_SIZE]
        # A commit writes the second copy before the first, and returns after both.
        return header if copies[HEADER_SIZE:] == header and len(header) == HEADER_SIZE and header[INITIALIZED] else None

    def close(self) -> None:
        """
        Read nothing any more. To be called before the connections close, because SQLite then closes the descriptor.
        """
        self.descriptor = None
