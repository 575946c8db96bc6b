"""
The lock of a SQLite database: processes that use it share it, and a process that replaces it or seals its secrets anew
holds it alone. The operating system frees the lock of a process that ends, however it ends.

SQLite's own locks would not do: an idle server holds none, and every connection is one more holder. So it is a second,
empty database beside the first, of which only the locks are used.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Final

from mission_core.errors import StoreFailed

SUFFIX: Final = ".lock"
READY: Final = ".restore"
"""How the name of the folder ends in which a database lies that is about to replace the present one."""
PATIENCE: Final = 10.0
"""For how many seconds a process waits that wants to use a database which another one replaces."""


class DatabaseInUse(Exception):
    """
    Another process uses the database.
    """


@contextmanager
def shared_lock(path: str, *, patience: float = PATIENCE) -> Iterator[None]:
    """
    Use a database together with others. In a folder in which nothing can be made, nobody can replace it, either.

    Raises:
        StoreFailed: If it is being replaced, or its secrets are being sealed anew.
    """
    with _lock_of(path, patience) as lock:
        try:
            if lock is not None:
                lock.execute("BEGIN")
                lock.execute("SELECT count(*) FROM sqlite_master")
            if os.path.isdir(path + READY):
                raise StoreFailed("SQLite: a restore was interrupted; mission-control serve completes it")
        except sqlite3.OperationalError as error:
            raise StoreFailed("SQLite: a restore or a rotation of its secret is under way; wait for it") from error
        yield


@contextmanager
def exclusive_lock(path: str) -> Iterator[None]:
    """
    Keep everybody else from using a database.

    Raises:
        DatabaseInUse: If somebody does.
        StoreFailed: If no lock can be made beside it.
    """
    with _lock_of(path, 0) as lock:
        if lock is None:
            raise StoreFailed("SQLite: no lock can be made beside it; let this user write to its folder")
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                raise DatabaseInUse from error
            raise StoreFailed(f"SQLite: the lock beside it cannot be taken ({error})") from error
        yield


@contextmanager
def _lock_of(path: str, patience: float) -> Iterator[sqlite3.Connection | None]:
    # The driver's thread of an event loop opens it, and another one may close it.
    name = os.path.realpath(path) + SUFFIX
    try:
        lock = sqlite3.connect(name, isolation_level=None, timeout=patience, check_same_thread=False)
    except sqlite3.OperationalError:
        yield None
    else:
        with closing(lock):
            yield lock
