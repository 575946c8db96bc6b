"""
The schema and the rows of a SQLite or PostgreSQL database, asked of the database itself.
"""

import asyncio
import re
import sqlite3
from collections import Counter, defaultdict
from contextlib import closing
from typing import Any

import asyncpg

from mission_adapters.sql.migrations import path_in

Rows = list[tuple[Any, ...]]

VERSIONS = "alembic_version"
SEARCH_INDEX = ("task_trigrams", "task_texts", "assignee_names", "assignee_trigrams", "ix_workloads_trigrams",
                "ix_agents_trigrams")  # fmt: skip
"""What the names of the tables of the search index, and of its index of another table, begin with. Only databases that
can have it do."""
COLUMNS = {
    "sqlite": f"""
SELECT t.name, c.name FROM sqlite_master AS t, pragma_table_info(t.name) AS c
WHERE t.type = 'table' AND t.name <> '{VERSIONS}'
""",
    "postgresql": f"""
SELECT table_name, column_name FROM information_schema.columns
WHERE table_schema = 'public' AND table_name <> '{VERSIONS}'
""",
}
SQLITE_SCHEMA = (
    "SELECT name, strict, wr FROM pragma_table_list WHERE schema = 'main' AND type = 'table'",
    """
SELECT t.name, c.name, c.type, c."notnull", c.pk, c.cid, c.dflt_value
FROM sqlite_master AS t, pragma_table_xinfo(t.name) AS c WHERE t.type = 'table'
""",
    "SELECT tbl_name, name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL",
)
POSTGRES_SCHEMA = (
    "SELECT tablename FROM pg_tables WHERE schemaname = 'public'",
    """
SELECT table_name, column_name, data_type, is_nullable, collation_name, ordinal_position, column_default
FROM information_schema.columns WHERE table_schema = 'public'
""",
    "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    """
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
FROM pg_constraint WHERE contype <> 'n' AND connamespace = 'public'::regnamespace
""",
)
CONSTRAINT = re.compile(r"CONSTRAINT (\w+) (PRIMARY KEY|UNIQUE) (\([^)]*\))")


def dialect_of(url: str) -> str:
    """
    The name of the database's dialect.
    """
    return "postgresql" if path_in(url) is None else "sqlite"


def asked(url: str, *statements: str, script: str = "SELECT 1") -> list[Rows]:
    """
    The rows that a database answers to each statement, after it ran a script.
    """

    async def rows() -> list[Rows]:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(script)
            return [[tuple(row) for row in await connection.fetch(each)] for each in statements]
        finally:
            await connection.close()

    path = path_in(url)
    if path is None:
        return asyncio.run(rows())
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"BEGIN; {script}; COMMIT")
        return [connection.execute(each).fetchall() for each in statements]


def revision_of(url: str) -> str:
    """
    The revision that a database is at.
    """
    (((revision,),),) = asked(url, f"SELECT version_num FROM {VERSIONS}")
    return str(revision)


def schema_of(url: str, *, exact: bool = False) -> set[tuple[Any, ...]]:
    """
    All tables, columns, constraints and indexes, but for Alembic's own and the search index; *exact* with the order of
    the columns and with their defaults, which a migration needs for the rows that are there already.
    """
    if dialect_of(url) == "postgresql":
        tables, columns, *others = asked(url, *POSTGRES_SCHEMA)
    else:
        tables, columns, *others, texts = asked(
            url, *SQLITE_SCHEMA, "SELECT name, sql FROM sqlite_master WHERE type = 'table'"
        )
        others += [[(table, *found) for found in CONSTRAINT.findall(text)] for table, text in texts]
    columns = columns if exact else [row[:-2] for row in columns]
    return {
        tuple(" ".join(each.split()) if isinstance(each, str) else each for each in row)
        for part in (tables, columns, *others)
        for row in part
        if row[0] != VERSIONS and not any(str(each).startswith(SEARCH_INDEX) for each in row[:2])
    }


def selects(url: str) -> list[str]:
    """
    A statement for each table that answers all its rows, in the columns that are there now.
    """
    names = defaultdict(list)
    for table, column in asked(url, COLUMNS[dialect_of(url)])[0]:
        names[table].append(f'"{column}"')
    return [
        f"SELECT {', '.join(columns)} FROM {table}"
        for table, columns in sorted(names.items())
        if not table.startswith(SEARCH_INDEX)
    ]


def contents(url: str, statements: list[str]) -> list[Counter[tuple[Any, ...]]]:
    """
    The rows that the database answers to each statement, in no order.
    """
    return [Counter(rows) for rows in asked(url, *statements)]


async def executed(url: str, statement: str) -> list[tuple[Any, ...]]:
    """
    The rows that a statement returns; what it changes is committed.
    """
    path = path_in(url)
    if path is not None:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            return connection.execute(statement).fetchall()
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(statement)]
    finally:
        await connection.close()
