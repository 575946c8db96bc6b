"""
Migrations bring an empty database to the tables that the statements are written for.
"""

import asyncio
import io
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import NullPool, create_engine
from sqlalchemy.schema import CreateIndex, CreateTable

from mission_adapters.sql.migrations import HEAD, config, migrate, path_in
from mission_adapters.sql.statements import DIALECTS
from mission_adapters.sql.tables import metadata
from mission_core.errors import StoreFailed
from tests import postgres_server

VERSIONS = "alembic_version"


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """
    A file that is not there yet.
    """
    return f"sqlite:///{tmp_path / 'mission.db'}"


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest) -> str:
    """
    An empty database of either kind.
    """
    return request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "fresh_postgres")


def ddl(dialect: str) -> list[str]:
    """
    What makes the tables of the metadata.
    """
    tables = metadata.sorted_tables
    parts = [*map(CreateTable, tables), *(CreateIndex(index) for table in tables for index in table.indexes)]
    return [str(part.compile(dialect=DIALECTS[dialect])) for part in parts]


def asked(url: str, statement: str, *, script: str = "SELECT 1") -> list[tuple[Any, ...]]:
    """
    The rows that a database answers, after it ran a script.
    """

    async def rows() -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(script)
            return [tuple(row) for row in await connection.fetch(statement)]
        finally:
            await connection.close()

    path = path_in(url)
    if path is None:
        return asyncio.run(rows())
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
        return connection.execute(statement).fetchall()


def shape(url: str) -> set[tuple[Any, ...]]:
    """
    All tables, columns, constraints and indexes, but for Alembic's own.
    """
    if path_in(url) is not None:
        # Not the text of each table: a column that a later revision adds stands behind the constraints there.
        tables = f"(SELECT name FROM sqlite_master WHERE type = 'table' AND name <> '{VERSIONS}') AS t"
        parts = [
            f"SELECT t.name, l.strict, l.wr FROM {tables}, pragma_table_list(t.name) AS l",
            f'SELECT t.name, c.cid, c.name, c.type, c."notnull", c.dflt_value, c.pk FROM {tables}, '
            "pragma_table_xinfo(t.name) AS c",
            f'SELECT t.name, i."unique", i.origin, group_concat(c.name) FROM {tables}, '
            "pragma_index_list(t.name) AS i, pragma_index_info(i.name) AS c GROUP BY t.name, i.name",
            f"SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name <> '{VERSIONS}'",
        ]
        return {
            tuple(re.sub(r"\s+", "", each) if isinstance(each, str) else each for each in row)
            for part in parts
            for row in asked(url, part)
        }
    parts = [
        "SELECT table_name, column_name, data_type, is_nullable, collation_name, ordinal_position, column_default "
        f"FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> '{VERSIONS}'",
        "SELECT tablename, indexname, indexdef FROM pg_indexes "
        f"WHERE schemaname = 'public' AND tablename <> '{VERSIONS}'",
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint "
        f"WHERE contype <> 'n' AND connamespace = 'public'::regnamespace AND conrelid <> '{VERSIONS}'::regclass",
    ]
    return {row for part in parts for row in asked(url, part)}


def test_there_is_one_head() -> None:
    """
    The head that a start compares with is the one that the revisions lead to.
    """
    assert [HEAD] == ScriptDirectory.from_config(config()).get_heads()


def test_an_empty_sqlite_file_gets_the_tables(sqlite_url: str, tmp_path: Path) -> None:
    """
    Exactly those of the metadata.
    """
    with closing(sqlite3.connect(tmp_path / "made.db")) as made:
        made.executescript(";".join(ddl("sqlite")))

    migrate(sqlite_url)

    assert shape(f"sqlite:///{tmp_path / 'made.db'}") == shape(sqlite_url)


def test_an_empty_postgres_gets_the_tables(fresh_postgres: str, postgres_url: str) -> None:
    """
    Exactly those of the metadata.
    """

    async def make(url: str) -> None:
        connection = await asyncpg.connect(url)
        await connection.execute(";".join([*ddl("postgresql"), f"CREATE TABLE {VERSIONS} (version_num text)"]))
        await connection.close()

    migrate(fresh_postgres)
    with postgres_server.empty_database(postgres_url) as url:
        asyncio.run(make(url))

        assert shape(url) == shape(fresh_postgres)


def test_migrating_again_changes_nothing(empty_url: str) -> None:
    """
    A start on a database of this version only asks for its revision.
    """
    migrate(empty_url)
    before = shape(empty_url)

    assert HEAD == migrate(empty_url)
    assert before == shape(empty_url)
    assert [(HEAD,)] == asked(empty_url, f"SELECT version_num FROM {VERSIONS}")


OLDER = "0003"
"""The revision of the first version that was given out."""


def migrate_to_older(url: str) -> None:
    """
    Bring an empty database to an older revision.
    """
    made = config()
    path = path_in(url)
    if path is None:
        made.attributes["script"] = written = io.StringIO()
        command.upgrade(made, OLDER, sql=True)
        asked(url, "SELECT 1", script=written.getvalue())
        return
    engine = create_engine("sqlite://", poolclass=NullPool, creator=lambda: sqlite3.connect(path, isolation_level=None))
    with engine.connect() as lent:
        made.attributes["connection"] = lent
        command.upgrade(made, OLDER)


def columns_of(url: str, table: str) -> list[tuple[str, str, bool]]:
    """
    The name and type of each column of a table, and whether a row must have it.
    """
    if path_in(url) is not None:
        statement = f"SELECT name, type, \"notnull\" AND dflt_value IS NULL FROM pragma_table_xinfo('{table}')"
    else:
        statement = (
            "SELECT column_name, data_type, is_nullable = 'NO' AND column_default IS NULL "
            f"FROM information_schema.columns WHERE table_name = '{table}' ORDER BY ordinal_position"
        )
    return [(name, kind.upper(), bool(must)) for name, kind, must in asked(url, statement)]


def insert(url: str, table: str, **given: Any) -> None:
    """
    Insert a row of these values, with some value in each other column that must have one.
    """
    values: dict[str, str] = {}
    for name, kind, must in columns_of(url, table):
        if name in given:
            value = given[name]
        elif must:
            value = bytes(16) if kind in {"BLOB", "BYTEA"} else "{}" if kind == "TEXT" else 0
            if name in {"number", "fence"}:  # unique in its organization or task
                value = int.from_bytes(given["id"][:1])
        else:
            continue
        if isinstance(value, bytes):
            value = f"X'{value.hex()}'" if path_in(url) is not None else f"'\\x{value.hex()}'"
        elif isinstance(value, str):
            value = f"'{value}'"
        values[f'"{name}"'] = str(value if kind != "BOOLEAN" else "false")
    statement = f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join(values.values())})"
    asked(url, "SELECT 1", script=statement)


def test_rows_of_an_older_database_are_kept_and_their_authors_found(empty_url: str) -> None:
    """
    Every column of every row stays as it was, but for the runs of tasks that are gone.
    """
    team, ada, bob, cyd, one, two, gone = [bytes([n]) * 16 for n in range(1, 8)]
    migrate_to_older(empty_url)
    for agent, name in ((ada, "ada"), (bob, "bob"), (cyd, "cyd")):
        insert(empty_url, "agents", id=agent, organization=team, name=name, name_key=name)
    insert(empty_url, "boards", id=team, organization=team)
    insert(empty_url, "tasks", id=one, organization=team, submitter=cyd)
    insert(empty_url, "tasks", id=two, organization=team)
    insert(empty_url, "runs", id=one, organization=team, task=one, by="Bob")
    insert(empty_url, "runs", id=two, organization=team, task=one, by="key", by_agent=ada)
    kept = []
    for table in ("agents", "boards", "tasks", "runs"):
        names = ", ".join(f'"{name}"' for name, _, _ in columns_of(empty_url, table))
        kept.append(f"SELECT {names} FROM {table} ORDER BY id")
    before = [asked(empty_url, statement) for statement in kept]
    insert(empty_url, "runs", id=gone, organization=team, task=gone, by="ada")

    migrate(empty_url)

    assert before == [asked(empty_url, statement) for statement in kept]
    assert [ada + bob + cyd, None] == [
        authors and b"".join(sorted(authors[n : n + 16] for n in range(0, len(authors), 16)))
        for (authors,) in asked(empty_url, "SELECT authors FROM tasks ORDER BY id")
    ]
    assert [(0,)] == asked(empty_url, "SELECT gates_version FROM boards")


def test_a_file_is_found_again_by_the_name_that_its_url_had(tmp_path: Path) -> None:
    """
    An earlier version took it literally; what it made stands as long as there is no file with the decoded name.
    """
    literal, decoded = tmp_path / "a%20b.db", tmp_path / "a b.db"
    url = f"sqlite:///{literal}"
    literal.touch()
    first = path_in(url)
    decoded.touch()

    assert (str(literal), str(decoded)) == (first, path_in(url))


def test_two_processes_that_start_at_once_migrate_once(empty_url: str) -> None:
    """
    One of them waits for the other.
    """
    command = f"from mission_adapters.sql.migrations import migrate; migrate({empty_url!r})"
    both = [subprocess.Popen([sys.executable, "-c", command], stderr=subprocess.PIPE) for _ in range(2)]
    errors = [each.communicate()[1].decode() for each in both]

    assert ["", ""] == errors
    assert [(HEAD,)] == asked(empty_url, f"SELECT version_num FROM {VERSIONS}")


def test_a_database_of_a_later_version_is_refused(sqlite_url: str) -> None:
    """
    Rather than written to by a program that does not know its tables.
    """
    migrate(sqlite_url)
    with closing(sqlite3.connect(str(path_in(sqlite_url)))) as connection:
        connection.execute(f"UPDATE {VERSIONS} SET version_num = '9999'")
        connection.commit()

    with pytest.raises(StoreFailed, match="9999"):
        migrate(sqlite_url)


def test_a_start_on_a_migrated_file_loads_no_alembic(sqlite_url: str) -> None:
    """
    Nor SQLAlchemy's ORM, ever.
    """
    command = (
        "import sys; from mission_adapters.sql.store import SqlStore, migrate; "
        f"migrate({sqlite_url!r}); print(*sorted({{'alembic', 'sqlalchemy.orm'}} & set(sys.modules)))"
    )
    migrate(sqlite_url)
    loaded = subprocess.run([sys.executable, "-c", command], stdout=subprocess.PIPE, text=True, check=True)

    assert "\n" == loaded.stdout


@pytest.mark.parametrize("url", ["mysql://x/y", "sqlite://", "sqlite:///", "mission.db"])
def test_other_urls_are_refused(url: str) -> None:
    """
    With what they should look like.
    """
    with pytest.raises(ValueError, match="sqlite:///path"):
        migrate(url)
