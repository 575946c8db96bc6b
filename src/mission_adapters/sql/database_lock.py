"""
The lock file of a SQLite database.

Processes that use the database hold the lock shared. A process that restores a backup or rotates the secret holds it
exclusively. The operating system frees the lock when a process ends, however it ends.

SQLite's locks on the database itself do not serve: an idle server holds none, and each connection is a holder of its
own. The lock file is therefore a second, empty database of which only the locks are used.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Final

from mission_core.errors import StoreFailed

LOCK_SUFFIX: Final = ".lock"
RESTORE_SUFFIX: Final = ".restore"
"""The suffix of the folder with a restored database that is about to replace the present one."""
LOCK_TIMEOUT: Final = 10.0
"""The seconds that a process waits for the lock while another process holds it exclusively."""


class DatabaseInUse(Exception):
    """
    Another process uses the database.
    """


@contextmanager
def shared_lock(path: str, *, patience: float = LOCK_TIMEOUT) -> Iterator[None]:
    """
    Hold the lock of a database together with other processes. No lock is taken in a read-only folder, where the
    database cannot be replaced either.

    Raises:
        StoreFailed: If a restore or a secret rotation is under way.
    """
    with _open_lock_file(path, patience) as lock:
        try:
            if lock is not None:
                lock.execute("BEGIN")
                lock.execute("SELECT count(*) FROM sqlite_master")
            if os.path.isdir(path + RESTORE_SUFFIX):
                raise StoreFailed("SQLite: a restore was interrupted; mission-control serve completes it")
        except sqlite3.OperationalError as error:
            raise StoreFailed("SQLite: a restore or a secret rotation is under way; wait until it has ended") from error
        yield


@contextmanager
def exclusive_lock(path: str) -> Iterator[None]:
    """
    Hold the lock of a database so that no other process can use it.

    Raises:
        DatabaseInUse: If another process uses the database.
        StoreFailed: If the lock file cannot be created.
    """
    with _open_lock_file(path, 0) as lock:
        if lock is None:
            raise StoreFailed("SQLite: the lock file cannot be created; let this user write to the database's folder")
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                raise DatabaseInUse from error
            raise StoreFailed(f"SQLite: the lock file cannot be locked ({error})") from error
        yield


@contextmanager
def _open_lock_file(path: str, patience: float) -> Iterator[sqlite3.Connection | None]:
    # One thread opens the connection and another may close it, hence check_same_thread=False.
    name = os.path.realpath(path) + LOCK_SUFFIX
    try:
        lock = sqlite3.connect(name, isolation_level=None, timeout=patience, check_same_thread=False)
    except sqlite3.OperationalError:
        yield None
    else:
        with closing(lock):
            yield lock
