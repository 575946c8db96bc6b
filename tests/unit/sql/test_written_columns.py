"""
What a statement writes and reads, as SQLite reports it.
"""

import sqlite3
from collections.abc import Iterator

import pytest
from sqlalchemy.schema import CreateTable

from mission_adapters.sql.board_reads import id_columns, select_id
from mission_adapters.sql.credential_store import (
    PRINCIPAL_OF_KEY,
    SERVER_KEY_COUNTS,
    key_columns,
    member_columns,
    server_key_columns,
    session_columns,
)
from mission_adapters.sql.database_session import BoundStatement
from mission_adapters.sql.member_reads import select_member, select_member_of_session
from mission_adapters.sql.read_cache import EVERYTHING
from mission_adapters.sql.sqlite_jobs import execute
from mission_adapters.sql.statements import DIALECTS, Statement
from mission_adapters.sql.tables import metadata
from mission_adapters.sql.written_columns import WrittenColumns

SCHEMA = """
CREATE TABLE owners (id INTEGER PRIMARY KEY, name TEXT UNIQUE, seen INTEGER);
CREATE TABLE pets (id INTEGER PRIMARY KEY, owner INTEGER REFERENCES owners (id) ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE bills (id INTEGER PRIMARY KEY, pet INTEGER REFERENCES pets (id) ON DELETE SET NULL);
CREATE TABLE notes (text TEXT);
CREATE TRIGGER noted AFTER INSERT ON notes BEGIN UPDATE owners SET seen = 1; END;
PRAGMA foreign_keys = ON;
"""


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    """
    A database with tables that depend on each other.
    """
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(SCHEMA)
    yield connection
    connection.close()


def written_by(connection: sqlite3.Connection, *texts: str) -> set[str]:
    written = WrittenColumns()
    connection.set_authorizer(written.authorize)
    for text in texts:
        execute(BoundStatement(text), connection.cursor(), written)
    return written.take() - {""}


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("SELECT name FROM owners", set()),
        ("UPDATE owners SET seen = 2, name = 'Ada'", {"owners.seen", "owners.name"}),
        ("INSERT INTO owners (name) SELECT 'Ada' WHERE NOT EXISTS (SELECT 1 FROM pets)", {"owners"}),
        ("INSERT INTO owners (id) VALUES (1) ON CONFLICT DO UPDATE SET seen = 3", {"owners", "owners.seen"}),
        ("WITH gone AS (SELECT id FROM pets) DELETE FROM bills WHERE pet IN gone RETURNING id", {"bills"}),
        ("DELETE FROM pets WHERE id = 1", {"pets", "bills.pet"}),
        ("DELETE FROM owners", {"owners", "pets", "bills.pet"}),
        ("REPLACE INTO owners (id) VALUES (1)", {"owners", "pets", "bills.pet"}),
        ("UPDATE owners SET id = 7", {"owners.id", "pets.owner"}),
        ("INSERT INTO notes VALUES ('Fed')", {"notes", "owners.seen"}),
    ],
)
def test_rows_that_others_take_with_them_count(connection: sqlite3.Connection, text: str, columns: set[str]) -> None:
    assert columns == written_by(connection, text)


def test_a_statement_that_was_compiled_before_counts_again(connection: sqlite3.Connection) -> None:
    written, text = WrittenColumns(), "UPDATE owners SET seen = 1"
    connection.set_authorizer(written.authorize)
    found = []
    for _ in range(2):
        execute(BoundStatement(text), connection.cursor(), written)
        execute(BoundStatement("SELECT 1"), connection.cursor(), written)
        found.append(written.take() - {""})

    assert [{"owners.seen"}] * 2 == found
    assert set() == written.take()


def test_a_statement_that_failed_counts(connection: sqlite3.Connection) -> None:
    """
    Its text is compiled only once, so what it writes must be learned from the attempt that failed.
    """
    connection.execute("INSERT INTO owners VALUES (1, 'Ada', 0)")
    written, ask = WrittenColumns(), BoundStatement("INSERT INTO owners VALUES (?, 'Ada', 0)", (2,))
    connection.set_authorizer(written.authorize)
    with pytest.raises(sqlite3.IntegrityError):
        execute(ask, connection.cursor(), written)
    written.take()
    with pytest.raises(sqlite3.IntegrityError):
        execute(ask, connection.cursor(), written)

    assert {"owners"} == written.take()


@pytest.mark.parametrize("text", ["DROP TABLE notes", "ALTER TABLE notes ADD COLUMN more", "CREATE TABLE t (a)"])
def test_another_schema_is_as_if_everything_was_written(connection: sqlite3.Connection, text: str) -> None:
    assert EVERYTHING in written_by(connection, text)


def test_what_sqlite_compiled_unheard_may_have_written_everything(connection: sqlite3.Connection) -> None:
    written, ask = WrittenColumns(), BoundStatement("UPDATE owners SET seen = 1")
    execute(ask, connection.cursor(), written)

    assert {EVERYTHING} == written.take()


@pytest.mark.parametrize(
    ("statement", "columns", "without"),
    [
        (PRINCIPAL_OF_KEY, key_columns(), {"agents.last_seen_at"}),
        (SERVER_KEY_COUNTS, server_key_columns(), set()),
        (select_member_of_session(), session_columns(), set()),
        (select_member(True), member_columns(), set()),
        (select_member(False), member_columns(), set()),
        (select_id("id"), id_columns(), set()),
        (select_id("number"), id_columns(), set()),
    ],
)
def test_what_cached_values_are_read_from_is_known(
    statement: Statement, columns: frozenset[str], without: set[str]
) -> None:
    """
    The columns that are derived from a statement are those that SQLite reads for it.
    """
    with sqlite3.connect(":memory:") as connection:
        for table in metadata.sorted_tables:
            connection.execute(str(CreateTable(table).compile(dialect=DIALECTS["sqlite"])))
        read: set[str] = set()

        def note(action: int, table: str | None, column: str | None, *_: str | None) -> int:
            if action == sqlite3.SQLITE_READ:
                read.update({str(table), f"{table}.{column}"} if column else {str(table)})
            return sqlite3.SQLITE_OK

        connection.set_authorizer(note)
        text = statement.compiled_for("sqlite").text
        connection.execute(f"EXPLAIN {text}", [None] * text.count("?"))
    connection.close()

    assert read - without <= columns
    assert without <= read
