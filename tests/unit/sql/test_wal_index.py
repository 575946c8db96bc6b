"""
The header of the WAL index, by which a process sees without a query that something was committed.
"""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from mission_adapters.sql.wal_index import HEADER_SIZE, WalIndex


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """
    Where the database is kept.
    """
    return tmp_path / "it.db"


@pytest.fixture
def connection(path: Path) -> Iterator[sqlite3.Connection]:
    """
    A connection that has read from a database with a write-ahead log.
    """
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript("PRAGMA journal_mode=WAL; CREATE TABLE numbers (value INTEGER);")
    yield connection
    connection.close()


def other(path: Path, *statements: str) -> None:
    """
    Run statements over a connection of their own.
    """
    connection = sqlite3.connect(path, isolation_level=None)
    for each in statements:
        connection.execute(each).fetchall()
    connection.close()


@pytest.mark.parametrize(
    ("statements", "changes"),
    [
        (["INSERT INTO numbers VALUES (1)"], True),
        (["BEGIN IMMEDIATE", "INSERT INTO numbers VALUES (1)", "COMMIT"], True),
        (["CREATE TABLE more (a)"], True),
        (["PRAGMA wal_checkpoint(TRUNCATE)"], True),
        (["SELECT count(*) FROM numbers"], False),
        (["BEGIN IMMEDIATE", "INSERT INTO numbers VALUES (1)", "ROLLBACK"], False),
        (["BEGIN IMMEDIATE", "UPDATE numbers SET value = 7", "COMMIT"], False),
    ],
)
def test_the_header_changes_with_each_commit(
    path: Path, connection: sqlite3.Connection, statements: list[str], changes: bool
) -> None:
    """
    And with a log that begins anew, which costs a query and nothing else.
    """
    index = WalIndex.of(path)
    before = index.header()
    other(path, *statements)

    assert before is not None
    assert changes == (before != index.header())


def test_no_header_comes_back_with_a_log_that_begins_anew(path: Path, connection: sqlite3.Connection) -> None:
    """
    Not even if the same rows are written, so that the log has the same length.
    """
    index, seen = WalIndex.of(path), list[bytes | None]()
    for _ in range(5):
        other(path, "UPDATE numbers SET value = 1", "INSERT INTO numbers VALUES (1)")
        seen.append(index.header())
        other(path, "DELETE FROM numbers", "PRAGMA wal_checkpoint(TRUNCATE)")
        seen.append(index.header())

    assert None not in seen
    assert 10 == len(set(seen))


def test_a_header_that_is_being_changed_is_not_returned(tmp_path: Path) -> None:
    """
    A commit writes one copy after the other. A header that nobody has initialized is none, either.
    """
    header = bytes(range(HEADER_SIZE))
    found = []
    for copies in (header * 2, header + bytes(HEADER_SIZE), bytes(2 * HEADER_SIZE), header, b""):
        file = tmp_path / "copies"
        file.write_bytes(copies)
        descriptor = os.open(file, os.O_RDONLY)
        found.append(WalIndex(descriptor).header())
        os.close(descriptor)

    assert [header, None, None, None, None] == found
    assert WalIndex(descriptor).header() is None


def test_finding_the_index_opens_nothing(path: Path, connection: sqlite3.Connection) -> None:
    """
    For closing it again would drop SQLite's locks: another process could then write into a running transaction.
    """
    before = sorted(os.listdir("/proc/self/fd"))
    connection.execute("BEGIN IMMEDIATE")
    index = WalIndex.of(path)

    assert before == sorted(os.listdir("/proc/self/fd"))
    assert index.header() is not None
    index.close()
    assert index.header() is None
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        sqlite3.connect(path, timeout=0).execute("BEGIN IMMEDIATE")


def test_a_file_that_another_has_open_too_is_left_alone(path: Path, connection: sqlite3.Connection) -> None:
    """
    SQLite's descriptor cannot be told from another one, which may soon be that of another file.
    """
    with open(f"{path}-shm", "rb"):
        assert WalIndex.of(path).descriptor is None


def test_a_database_without_a_log_has_no_index(path: Path, tmp_path: Path) -> None:
    other(path, "CREATE TABLE numbers (value INTEGER)")

    assert WalIndex.of(path).header() is None
    assert WalIndex.of(tmp_path / "nowhere" / "it.db").header() is None
