"""
Reads the PostgreSQL database of a Boards installation in one read-only snapshot.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

import asyncpg

from mission_adapters.data_import.boards_values import Row
from mission_adapters.data_import.import_report import MAX_EXAMPLES, ImportReport
from mission_adapters.sql.postgres_pool import CONNECT_TIMEOUT, DRIVER_ERRORS, close_connection
from mission_core.database_urls import is_readable

RowsByTable = dict[str, list[Row]]
"""The rows of each table. The comments of tasks are in `comments`."""
REQUIRED_TABLES: Final = frozenset({"organizations", "boards", "tasks", "agents"})
IMPORTED_TABLES: Final = (
    "organizations", "users", "board_groups", "tags", "task_custom_field_definitions", "board_task_custom_fields",
    "boards", "agents", "tasks", "task_dependencies", "tag_assignments", "task_custom_field_values",
    "board_onboarding_sessions", "gateways", "board_memory", "board_group_memory", "board_webhooks",
    "board_webhook_payloads", "organization_members", "organization_board_access", "organization_invites",
    "organization_invite_board_access", "approvals", "approval_task_links",
)  # fmt: skip
ROW_ORDER: Final = {"users": "id", "board_webhook_payloads": "received_at, id"}
"""The order of rows in tables without `created_at`."""
TABLES_READ_ONLY: Final = {"gateways": "every organization has its own local gateway here"}
"""Tables that are read because other rows refer to them, and the reason why they are not imported."""
NOUNS: Final = {
    "organizations": "organization", "organization_members": "member", "organization_invites": "invite",
    "boards": "board", "board_groups": "group", "tasks": "task", "approvals": "approval",
    "task_custom_field_definitions": "custom field",
}  # fmt: skip
PARENTS: Final = {
    "gateways": "organizations", "board_groups": "organizations", "tags": "organizations",
    "task_custom_field_definitions": "organizations", "organization_members": "organizations",
    "organization_invites": "organizations", "organization_board_access": "organization_members",
    "organization_invite_board_access": "organization_invites", "boards": "organizations",
    "board_task_custom_fields": "task_custom_field_definitions", "board_onboarding_sessions": "boards",
    "board_memory": "boards", "board_group_memory": "board_groups", "board_webhooks": "boards",
    "board_webhook_payloads": "boards", "tasks": "boards", "task_dependencies": "tasks", "tag_assignments": "tasks",
    "task_custom_field_values": "tasks", "comments": "tasks", "approvals": "boards", "approval_task_links": "approvals",
}  # fmt: skip
"""The table of each row's parent. Parents come before their children."""
EVENTS_NOT_IMPORTED: Final = "the event log here begins with the import; older events stay in the database"
TABLE_NOT_SUPPORTED: Final = "this table is not supported yet"
INTERNAL_TABLES: Final = frozenset({"alembic_version", "task_fingerprints"})
"""Internal tables of the other system."""
URL_HINT: Final = (
    "expected an address such as postgresql://user:password@host:5432/mission_control, with %40 for @ in a password"
)
COMMENT_EVENT: Final = "task.comment"
SELECT_TABLE_NAMES: Final = "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()"
SELECT_COMMENTS: Final = """
    SELECT id, message, agent_id, task_id, created_at FROM activity_events WHERE event_type = $1 ORDER BY created_at, id
"""
IS_NO_COMMENT: Final = f"event_type <> '{COMMENT_EVENT}'"


async def read_tables(url: str, report: ImportReport) -> RowsByTable:
    """
    The rows of all tables that are imported. Other tables are added to the report with the reason.

    Raises:
        ValueError: If there is no such database.
    """
    async with _open_snapshot(url) as (connection, known):
        tables = {name: await _read_table(connection, name) if name in known else [] for name in IMPORTED_TABLES}
        said = await connection.fetch(SELECT_COMMENTS, COMMENT_EVENT) if "activity_events" in known else []
        for name in sorted(known - {*IMPORTED_TABLES, "activity_events"} - INTERNAL_TABLES):
            report.leave(name, TABLE_NOT_SUPPORTED, *await _examples(connection, name))
        if "activity_events" in known:
            report.leave(
                "activity_events", EVENTS_NOT_IMPORTED, *await _examples(connection, "activity_events", IS_NO_COMMENT)
            )
    tables["comments"] = [dict(row) for row in said]
    for name, why in TABLES_READ_ONLY.items():
        for row in tables[name]:
            report.skip(name, row["id"], why, meant=True)
    _leave_out_orphans(tables, report)
    return tables


async def check_boards_database(url: str) -> None:
    """
    Check that the URL leads to a database that can be imported.

    Raises:
        ValueError: If there is no such database.
    """
    async with _open_snapshot(url):
        pass


@asynccontextmanager
async def _open_snapshot(url: str) -> AsyncIterator[tuple[Any, set[str]]]:
    """
    A connection with a snapshot of the database, and the names of its tables.
    """
    try:
        if not is_readable(url):
            raise ValueError(url)
        connection = await asyncpg.connect(url.replace("postgresql+psycopg", "postgresql", 1), timeout=CONNECT_TIMEOUT)
    except (asyncpg.ClientConfigurationError, OverflowError, ValueError):  # its text may contain a part of the password
        raise ValueError(f"URL: the database cannot be opened; {URL_HINT}") from None
    except DRIVER_ERRORS as e:
        raise ValueError(f"URL: the database cannot be opened ({e or type(e).__name__})") from e
    try:
        for kind in ("timestamp", "timestamptz"):
            await connection.set_type_codec(
                kind, schema="pg_catalog", encoder=lambda value: value, decoder=_datetime_or_text, format="tuple"
            )
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            known = {row[0] for row in await connection.fetch(SELECT_TABLE_NAMES)}
            if not known >= REQUIRED_TABLES:
                lacks = ", ".join(sorted(REQUIRED_TABLES - known))
                raise ValueError(f"URL: the database has no tables {lacks}; is it that of a Boards installation?")
            yield connection, known
    except DRIVER_ERRORS as e:
        raise ValueError(f"URL: the database cannot be read ({e or type(e).__name__})") from e
    finally:
        await close_connection(connection)


def _datetime_or_text(sent: tuple[int]) -> datetime | str:
    """
    A datetime, or the text "out of range" for a value that Python's datetime cannot hold, such as infinity.
    """
    try:
        return datetime(2000, 1, 1) + timedelta(microseconds=sent[0])
    except OverflowError:
        return "out of range"


async def _read_table(connection: Any, table: str) -> list[Row]:
    order = ROW_ORDER.get(table, "created_at, id")
    return [dict(row) for row in await connection.fetch(f"SELECT * FROM {table} ORDER BY {order}")]


async def _examples(connection: Any, table: str, where: str = "true") -> tuple[int, list[object]]:
    """
    The number of a table's rows, and the ids of the first ones.
    """
    count = await connection.fetchval(f'SELECT count(*) FROM "{table}" WHERE {where}')
    rows = await connection.fetch(f'SELECT * FROM "{table}" WHERE {where} LIMIT {MAX_EXAMPLES}')
    return count, [row.get("id", "?") for row in rows]


def _leave_out_orphans(tables: RowsByTable, report: ImportReport) -> None:
    """
    Leave out and report the rows whose parent does not exist or is left out itself.
    """
    there = {name: {row.get("id") for row in rows} for name, rows in tables.items()}
    kept = dict(there)

    def leave_out(table: str, why_not: Callable[[Row], str | None]) -> None:
        left = []
        for row in tables[table]:
            if (why := why_not(row)) is None:
                left.append(row)
            elif table not in TABLES_READ_ONLY:
                report.skip(table, row.get("id", "?"), why)
        tables[table] = left
        kept[table] = {row.get("id") for row in left}

    def lacks(row: Row, parent: str) -> str | None:
        id = row[f"{parent.removesuffix('s')}_id"]
        if id in kept[parent]:
            return None
        return f"its {NOUNS[parent]} {'was not imported' if id in there[parent] else 'does not exist'}"

    for table, parent in PARENTS.items():
        leave_out(table, partial(lacks, parent=parent))
    leave_out("agents", lambda row: _homeless(row, kept))


def _homeless(agent: Row, kept: Mapping[str, set[Any]]) -> str | None:
    if agent["board_id"] in kept["boards"]:
        return None
    if agent["board_id"] is None and agent.get("gateway_id") in kept["gateways"]:
        return None
    return "it has neither a board nor a gateway"
