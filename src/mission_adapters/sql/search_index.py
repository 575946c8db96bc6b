"""
The trigram indexes of the titles and descriptions of tasks, of the names of their assignees, and of agents.

On SQLite it is an FTS5 table of trigrams without the texts, on PostgreSQL a copy of the texts with a `pg_trgm` index.
It is filled in batches by the housekeeping of the store, because an entry alone costs as much as a whole task, and a
sixth of that in a batch. A search adds the tasks that the index lacks: those with a number above that of the last task
that was indexed, and those whose text has changed since, which triggers note in `search_changes`.

The names are the keys of assignees in `workloads`, each of which has many tasks. On PostgreSQL they have an index of
their own there. On SQLite a trigger copies each new key to `assignee_names`, and the housekeeping indexes it.

Agents have their names, roles and last activities in an index of their table on PostgreSQL. On SQLite they are in the
index of tasks, with their negative numbers. Triggers note each new, changed and deleted agent.

The index only finds candidates. The condition of the search decides about each of them.
"""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from mission_adapters.sql.database_session import BoundStatement, Steps

if TYPE_CHECKING:
    from asyncpg import Connection

    from mission_core.ids import OrganizationId

MAX_CANDIDATES: Final = 1024
"""The largest number of candidates that are looked at one by one. For more, a scan is as fast."""
MAX_TERMS: Final = 16
"""The largest number of trigrams of a search text that are looked up."""
PLACE_BITS: Final = 40
"""The bits of a row id of the SQLite index below those of the organization's place. The number of a task is added to
this, and the number of an agent is subtracted."""
WORD: Final = re.compile(r"[^\W_]{3}")
"""What a search text must contain for `pg_trgm`, which indexes words of letters and digits."""

# A lock tells the lower 32 bits of a transaction id.
_running: Final = "(next.id - (next.id - writes.transactionid::text::bigint & 4294967295))"
OLDEST_WRITER: Final = f"""
SELECT next.id, coalesce(min({_running}), next.id)
FROM (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS id) AS next
LEFT JOIN pg_locks AS changes ON changes.locktype = 'relation' AND changes.relation = 'tasks'::regclass
    AND changes.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND changes.mode = 'RowExclusiveLock'
LEFT JOIN pg_locks AS writes ON writes.virtualtransaction = changes.virtualtransaction
    AND writes.locktype = 'transactionid' AND writes.mode = 'ExclusiveLock'
GROUP BY next.id
"""
"""The next transaction id, and that of the oldest transaction that changes tasks of this database, if there is one.
PostgreSQL's own oldest running transaction may be one of another database, or one that changes other tables."""

TEXT_OF: Final = "{0}.title || char(10) || coalesce({0}.description, '')"
AGENT_TEXT_OF: Final = "{0}.name || char(10) || {0}.role || char(10) || coalesce({0}.activity, '')"
AGENT_TEXT_ON_POSTGRES: Final = AGENT_TEXT_OF.format("agents").replace("char(10)", "chr(10)")
_progress: Final = "SELECT closing FROM search_progress WHERE organization = {0}.organization"
_note_change: Final = """
INSERT INTO search_changes (organization, number, indexed_text) SELECT {0}.organization, {2}{0}.number, {1}
WHERE NOT EXISTS (SELECT 1 FROM search_changes WHERE organization = {0}.organization AND number = {2}{0}.number);
"""
_same_key: Final = "organization = {0}.organization AND assignee_key = {0}.assignee_key"
_changed: Final = "(OLD.title IS NOT NEW.title OR OLD.description IS NOT NEW.description)"

_create_tasks: Final = (
    "CREATE VIRTUAL TABLE task_trigrams USING fts5(text, content='', columnsize=0, detail='none', tokenize='trigram')",
    f"""
CREATE TRIGGER search_task_inserted AFTER INSERT ON tasks WHEN NEW.number <= ({_progress.format("NEW")}) BEGIN
{_note_change.format("NEW", "NULL", "")} END
""",
    f"""
CREATE TRIGGER search_task_updated AFTER UPDATE OF title, description ON tasks
WHEN {_changed} AND OLD.number <= ({_progress.format("OLD")}) BEGIN
{_note_change.format("OLD", TEXT_OF.format("OLD"), "")} END
""",
    f"""
CREATE TRIGGER search_task_deleted AFTER DELETE ON tasks WHEN OLD.number <= ({_progress.format("OLD")}) BEGIN
{_note_change.format("OLD", TEXT_OF.format("OLD"), "")} END
""",
)
_create_assignees: Final = (
    """
CREATE TABLE assignee_names (
    id INTEGER PRIMARY KEY, organization BLOB NOT NULL, assignee_key TEXT NOT NULL, indexed INTEGER NOT NULL DEFAULT 0,
    CONSTRAINT uq_assignee_names UNIQUE (organization, assignee_key)
) STRICT
""",
    "CREATE INDEX assignee_names_lacking ON assignee_names (organization, assignee_key) WHERE indexed = 0",
    "INSERT INTO assignee_names (organization, assignee_key) SELECT DISTINCT organization, assignee_key FROM workloads",
    f"""
CREATE TRIGGER search_assignee_inserted AFTER INSERT ON workloads
WHEN NOT EXISTS (SELECT 1 FROM assignee_names WHERE {_same_key.format("NEW")}) BEGIN
INSERT INTO assignee_names (organization, assignee_key) VALUES (NEW.organization, NEW.assignee_key); END
""",
    f"""
CREATE TRIGGER search_assignee_deleted AFTER DELETE ON workloads
WHEN NOT EXISTS (SELECT 1 FROM workloads WHERE {_same_key.format("OLD")}) BEGIN
DELETE FROM assignee_names WHERE {_same_key.format("OLD")}; END
""",
    # Its row ids are those of the names. That of a name that is gone finds nothing, or another name that took the id.
    "CREATE VIRTUAL TABLE assignee_trigrams USING "
    "fts5(name, content='', columnsize=0, detail='none', tokenize='trigram')",
)
_notes_agents: Final = "EXISTS (SELECT 1 FROM search_progress WHERE organization = {0}.organization AND closing_at > 0)"
_agent_changed: Final = "(OLD.name IS NOT NEW.name OR OLD.role IS NOT NEW.role OR OLD.activity IS NOT NEW.activity)"
_note_old_agent: Final = _note_change.format("OLD", AGENT_TEXT_OF.format("OLD"), "-")
_create_agents: Final = (
    f"""
CREATE TRIGGER search_agent_inserted AFTER INSERT ON agents WHEN {_notes_agents.format("NEW")} BEGIN
{_note_change.format("NEW", "NULL", "-")} END
""",
    f"""
CREATE TRIGGER search_agent_updated AFTER UPDATE OF name, role, activity ON agents
WHEN {_agent_changed} AND {_notes_agents.format("OLD")} BEGIN
{_note_old_agent} END
""",
    f"""
CREATE TRIGGER search_agent_deleted AFTER DELETE ON agents WHEN {_notes_agents.format("OLD")} BEGIN
{_note_old_agent} END
""",
    "DROP TRIGGER IF EXISTS search_organization_deleted",
    # The trigrams of the deleted organization must not stay, and without the texts they cannot be taken out singly.
    """
CREATE TRIGGER search_organization_deleted AFTER DELETE ON search_progress BEGIN
UPDATE search_progress SET indexed = 0, closing = 0, closing_at = 0; DELETE FROM search_changes; END
""",
)
CREATE_ON_SQLITE: Final = {
    "task_trigrams": _create_tasks,
    "assignee_trigrams": _create_assignees,
    "search_agent_inserted": _create_agents,
}
"""Indexes that are not filled yet, and the triggers that note what they lack. No trigger touches an index itself, so a
SQLite library without FTS5 can still write to the database."""
_created: Final = "SELECT 1 FROM sqlite_master WHERE name = '{}'"
CREATED_ON_SQLITE: Final = " INTERSECT ".join(map(_created.format, CREATE_ON_SQLITE))
NEEDED_ON_SQLITE: Final = f"{_created.format('search_progress')} AND NOT EXISTS ({CREATED_ON_SQLITE})"

CREATE_ON_POSTGRES: Final = f"""
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE TABLE IF NOT EXISTS task_texts (
    organization BYTEA NOT NULL, number BIGINT NOT NULL, text TEXT COLLATE "C" NOT NULL,
    CONSTRAINT pk_task_texts PRIMARY KEY (organization, number)
);
CREATE INDEX IF NOT EXISTS ix_task_texts_trigrams ON task_texts USING gin (lower(text) gin_trgm_ops)
    WITH (gin_pending_list_limit = 512);
CREATE INDEX IF NOT EXISTS ix_workloads_trigrams ON workloads USING gin (assignee_key gin_trgm_ops)
    WITH (gin_pending_list_limit = 64);
CREATE INDEX IF NOT EXISTS ix_agents_trigrams ON agents USING gin (lower({AGENT_TEXT_ON_POSTGRES}) gin_trgm_ops)
    WITH (gin_pending_list_limit = 64);
CREATE OR REPLACE FUNCTION search_task_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    changed tasks := CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
BEGIN
    -- The update locks the row until this transaction ends, so that it is not indexed with the text from before.
    INSERT INTO search_changes (organization, number)
    SELECT organization, changed.number FROM search_progress
    WHERE organization = changed.organization AND changed.number <= closing
    ON CONFLICT (organization, number) DO UPDATE SET number = excluded.number;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER search_task_inserted AFTER INSERT OR DELETE ON tasks
    FOR EACH ROW EXECUTE FUNCTION search_task_changed();
CREATE OR REPLACE TRIGGER search_task_updated AFTER UPDATE OF title, description ON tasks
    FOR EACH ROW WHEN (OLD.title IS DISTINCT FROM NEW.title OR OLD.description IS DISTINCT FROM NEW.description)
    EXECUTE FUNCTION search_task_changed();
CREATE OR REPLACE FUNCTION search_organization_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM task_texts WHERE organization = OLD.organization;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER search_organization_deleted AFTER DELETE ON search_progress
    FOR EACH ROW EXECUTE FUNCTION search_organization_deleted();
"""
CREATED_ON_POSTGRES: Final = "SELECT to_regclass('ix_agents_trigrams') IS NOT NULL"

NEEDED_ON_POSTGRES: Final = f"SELECT to_regclass('search_progress') IS NOT NULL AND NOT ({CREATED_ON_POSTGRES})"

TRIGRAMS_ON_POSTGRES: Final = f"""
{CREATED_ON_POSTGRES}, EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_trgm'),
EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_trgm')
"""
"""Whether the index is there, whether its extension is installed, and whether it could be."""


@cache
def has_fts5() -> bool:
    """
    Whether this Python's SQLite library has FTS5.
    """
    with closing(sqlite3.connect(":memory:")) as connection:
        return bool(connection.execute("SELECT sqlite_compileoption_used('ENABLE_FTS5')").fetchone()[0])


def needs_index_on_sqlite(connection: Any) -> bool:
    """
    Whether the database has the tables of the index, but not the index itself, and this library can create it.
    """
    return has_fts5() and connection.execute(NEEDED_ON_SQLITE).fetchone() is not None


def create_on_sqlite(connection: Any) -> None:
    """
    Create the indexes that the database lacks, in the connection's transaction, if it needs them.
    """
    if needs_index_on_sqlite(connection):
        for name, statements in CREATE_ON_SQLITE.items():
            if connection.execute(_created.format(name)).fetchone() is None:
                for statement in statements:
                    connection.execute(statement)


async def needs_index_on_postgres(connection: Connection) -> bool:
    """
    Whether the database has the tables of the index, but not the index itself.
    """
    found: bool = await connection.fetchval(NEEDED_ON_POSTGRES)
    return found


async def create_on_postgres(connection: Connection) -> None:
    """
    Create the index, if the database needs it, and the server and the rights of this role allow it.
    """
    from asyncpg import PostgresError

    if not await needs_index_on_postgres(connection):
        return
    try:
        async with connection.transaction():
            await connection.execute(CREATE_ON_POSTGRES)
    except PostgresError as error:
        # No right, no such extension, one in a schema that is not on the search path, or a server that takes no
        # changes. `doctor` tells which.
        if error.sqlstate is None or not error.sqlstate.startswith(("42", "0A", "58", "25006")):
            raise


def match_of(text: str) -> str:
    """
    Return the FTS5 query for documents that contain the trigrams of a text of three characters or more. Those of a
    long text are looked up in part.
    """
    last = len(text) - 3
    starts = range(last + 1) if last < MAX_TERMS else {at * last // (MAX_TERMS - 1) for at in range(MAX_TERMS)}
    found = dict.fromkeys(text[at : at + 3] for at in starts)
    return " AND ".join('"' + each.replace('"', '""') + '"' for each in found)


def is_searchable(dialect: str, text: str) -> bool:
    """
    Whether the index can find a text: FTS5 has no shorter keys than three characters and stops at NUL, and `pg_trgm`
    has only keys of words.
    """
    if dialect == "postgresql":
        return WORD.search(text) is not None
    return len(text) >= 3 and "\0" not in text and has_fts5()


def index_tasks(dialect: str, organization: OrganizationId, limit: int) -> Steps[bool]:
    """
    Add up to *limit* of an organization's tasks to the index, and of its agents. It runs in a transaction of its own.

    Returns:
        Whether the next ones can follow at once.
    """
    steps = _index_on_postgres if dialect == "postgresql" else _index_on_sqlite
    return (yield from steps(organization.bytes, limit))


def lacks_tasks(dialect: str, organization: OrganizationId, limit: int) -> Steps[bool]:
    """
    Whether there is an index, and it lacks at least *limit* tasks or agents of an organization, or of the names of
    assignees, or waits for its next step.
    """
    mark = "$1" if dialect == "postgresql" else "?"
    exists = yield BoundStatement(CREATED_ON_POSTGRES if dialect == "postgresql" else CREATED_ON_SQLITE)
    if not (exists and exists[0][0]) or (dialect == "sqlite" and not has_fts5()):
        return False
    found = yield BoundStatement(
        f"SELECT indexed, closing, closing_at FROM search_progress WHERE organization = {mark}", (organization.bytes,)
    )
    indexed, closing, closing_at = found[0] if found else (0, 0, 0)
    if indexed < closing:
        return True
    lists = [f"tasks WHERE number > {closing} AND", "search_changes WHERE"]
    if dialect == "sqlite":
        lists.append("assignee_names WHERE indexed = 0 AND")
        if not closing_at:
            lists.append("agents WHERE")
    for each in lists:
        ((count,),) = yield BoundStatement(
            f"SELECT count(*) FROM (SELECT 1 FROM {each} organization = {mark} LIMIT {limit}) AS lacking",
            (organization.bytes,),
        )
        if count == limit:
            return True
    return False


def _index_on_sqlite(organization: bytes, limit: int) -> Steps[bool]:
    own = (organization,)
    if not (yield BoundStatement("SELECT 1 FROM search_progress WHERE indexed > 0 OR closing_at > 0 LIMIT 1")):
        for statement in (
            "INSERT INTO task_trigrams (task_trigrams) VALUES ('delete-all')",
            "INSERT INTO assignee_trigrams (assignee_trigrams) VALUES ('delete-all')",
            "UPDATE assignee_names SET indexed = 0 WHERE indexed = 1",
        ):
            yield BoundStatement(statement, returns_rows=False)
    yield BoundStatement(
        "INSERT INTO search_progress (organization, place, indexed, closing, closing_at) "
        "SELECT ?, coalesce(max(place), 0) + 1, 0, 0, 0 FROM search_progress "
        "WHERE TRUE ON CONFLICT (organization) DO NOTHING",
        own, returns_rows=False,
    )  # fmt: skip
    ((place, indexed, notes_agents),) = yield BoundStatement(
        "SELECT place, indexed, closing_at FROM search_progress WHERE organization = ?", own
    )
    if not notes_agents:
        for statement in (
            "INSERT INTO search_changes (organization, number) SELECT organization, -number FROM agents "
            "WHERE organization = ?",
            "UPDATE search_progress SET closing_at = 1 WHERE organization = ?",
        ):
            yield BoundStatement(statement, own, returns_rows=False)
    has_more_changes = yield from _apply_changes_on_sqlite(organization, place << PLACE_BITS, limit)
    has_more_names = yield from _index_assignees_on_sqlite(organization, limit)
    new = yield BoundStatement(
        "SELECT number FROM tasks WHERE organization = ? AND number > ? ORDER BY number LIMIT ?",
        (organization, indexed, limit),
    )
    if new:
        yield BoundStatement(
            f"INSERT INTO task_trigrams (rowid, text) SELECT ? + number, {TEXT_OF.format('tasks')} FROM tasks "
            "WHERE organization = ? AND number > ? AND number <= ?",
            (place << PLACE_BITS, organization, indexed, new[-1][0]), returns_rows=False,
        )  # fmt: skip
        yield BoundStatement(
            "UPDATE search_progress SET indexed = ?1, closing = ?1 WHERE organization = ?2",
            (new[-1][0], organization), returns_rows=False,
        )  # fmt: skip
    return len(new) == limit or has_more_names or has_more_changes


def _index_assignees_on_sqlite(organization: bytes, limit: int) -> Steps[bool]:
    """
    Add up to *limit* names of assignees to the index.

    Returns:
        Whether there may be more.
    """
    names = yield BoundStatement(
        "SELECT id, assignee_key FROM assignee_names WHERE organization = ? AND indexed = 0 LIMIT ?",
        (organization, limit),
    )
    if names:
        for statement, rows in (
            ("INSERT INTO assignee_trigrams (rowid, name) VALUES (?, ?)", names),
            ("UPDATE assignee_names SET indexed = 1 WHERE id = ?", [(each,) for each, _ in names]),
        ):
            yield BoundStatement(statement, rows, returns_rows=False, many=True)
    return len(names) == limit


def _apply_changes_on_sqlite(organization: bytes, base: int, limit: int) -> Steps[bool]:
    """
    Take the old texts of changed and deleted tasks and agents out of the index, and add the new ones.

    Returns:
        Whether there may be more.
    """
    changes = yield BoundStatement(
        "SELECT number FROM search_changes WHERE organization = ? ORDER BY number LIMIT ?", (organization, limit)
    )
    if not changes:
        return False
    for statement in (
        "INSERT INTO task_trigrams (task_trigrams, rowid, text) SELECT 'delete', ?3 + number, indexed_text "
        "FROM search_changes WHERE organization = ?1 AND number <= ?2 AND indexed_text IS NOT NULL",
        f"INSERT INTO task_trigrams (rowid, text) SELECT ?3 + c.number, {TEXT_OF.format('t')} FROM search_changes AS c "
        "CROSS JOIN tasks AS t ON t.organization = c.organization AND t.number = c.number "
        "WHERE c.organization = ?1 AND c.number <= ?2",
        f"INSERT INTO task_trigrams (rowid, text) SELECT ?3 + c.number, {AGENT_TEXT_OF.format('a')} "
        "FROM search_changes AS c CROSS JOIN agents AS a ON a.organization = c.organization AND a.number = -c.number "
        "WHERE c.organization = ?1 AND c.number <= ?2",
        "DELETE FROM search_changes WHERE organization = ?1 AND number <= ?2 AND ?3 IS NOT NULL",
    ):
        yield BoundStatement(statement, (organization, changes[-1][0], base), returns_rows=False)
    return len(changes) == limit


def _index_on_postgres(organization: bytes, limit: int) -> Steps[bool]:
    yield BoundStatement(
        "INSERT INTO search_progress (organization, place, indexed, closing, closing_at) VALUES ($1, 0, 0, 0, 0) "
        "ON CONFLICT (organization) DO NOTHING",
        (organization,), returns_rows=False,
    )  # fmt: skip
    found = yield BoundStatement(
        "SELECT indexed, closing, closing_at FROM search_progress WHERE organization = $1 FOR UPDATE SKIP LOCKED",
        (organization,),
    )
    if not found:  # another process is at it
        return False
    yield from _apply_changes_on_postgres(organization, limit)
    ((indexed, closing, closing_at),) = found
    ((next_transaction, oldest),) = yield BoundStatement(OLDEST_WRITER)
    if indexed == closing:
        # From the commit of this on, the triggers note every change of a task up to the new number.
        ((newest,),) = yield BoundStatement("SELECT max(number) FROM tasks WHERE organization = $1", (organization,))
        change, goes_on = {"closing": max(newest or 0, closing), "closing_at": 0}, (newest or 0) > closing
    elif not closing_at or closing_at > next_transaction:  # those of a restored dump are from another server
        # Writers that had not seen that yet have lower transaction ids than this.
        change, goes_on = {"closing_at": next_transaction}, True
    elif oldest >= closing_at:
        new = yield BoundStatement(
            "SELECT number FROM tasks WHERE organization = $1 AND number > $2 AND number <= $3 "
            "ORDER BY number LIMIT $4",
            (organization, indexed, closing, limit),
        )
        upto = new[-1][0] if len(new) == limit else closing
        yield from _copy_texts(organization, "number > $2 AND number <= $3", indexed, upto)
        change, goes_on = {"indexed": upto}, upto < closing
    else:
        return False
    yield BoundStatement(
        f"UPDATE search_progress SET {', '.join(f'{name} = {each}' for name, each in change.items())} "
        "WHERE organization = $1",
        (organization,), returns_rows=False,
    )  # fmt: skip
    return bool(goes_on)


def _apply_changes_on_postgres(organization: bytes, limit: int) -> Steps[None]:
    changes = yield BoundStatement(
        "DELETE FROM search_changes WHERE organization = $1 AND number IN (SELECT number FROM search_changes "
        "WHERE organization = $1 ORDER BY number LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING number",
        (organization, limit),
    )
    if changes:
        numbers = [number for (number,) in changes]
        yield BoundStatement(
            "DELETE FROM task_texts WHERE organization = $1 AND number = ANY($2)",
            (organization, numbers), returns_rows=False,
        )  # fmt: skip
        yield from _copy_texts(organization, "number = ANY($2)", numbers)


def _copy_texts(organization: bytes, condition: str, *values: Any) -> Steps[None]:
    text = TEXT_OF.format("tasks").replace("char(10)", "chr(10)")
    yield BoundStatement(
        f"INSERT INTO task_texts (organization, number, text) SELECT organization, number, {text} FROM tasks "
        f"WHERE organization = $1 AND {condition} "
        "ON CONFLICT (organization, number) DO UPDATE SET text = excluded.text",
        (organization, *values), returns_rows=False,
    )  # fmt: skip
