"""
The SQLAlchemy tables, for SQLite and PostgreSQL.

Columns use only types that both drivers pass unchanged: 64-bit integers (numbers, booleans as 0 and 1, times and
durations in microseconds), text, bytes (ids, digests) and doubles. Text sorts by code points. A unique constraint is
named after its table and columns. The columns of entities are generated from their classes, and those of
counters from their declarations.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import ColumnElement, Index, UniqueConstraint, func, literal_column, text

from mission_adapters.sql.columns import ID, INTEGER, TEXT, columns_of, optional, required, table
from mission_adapters.sql.columns import metadata as metadata
from mission_adapters.sql.counters import COUNTER_TABLES
from mission_adapters.sql.kind_tables import MAPPINGS as MAPPINGS
from mission_adapters.sql.kind_tables import whole_metadata as whole_metadata
from mission_core.accounts.organizations import ORGANIZATIONS
from mission_core.accounts.rows import API_KEY_ROWS
from mission_core.agents.counters import AGENT_COUNTS
from mission_core.agents.rows import AGENT_ROWS
from mission_core.boards.rows import BOARD_ROWS
from mission_core.reports.activity_feed import AUDITED_KINDS
from mission_core.reports.hourly_counters import HOURLY_COUNTS
from mission_core.tasks.counters import TASK_COUNTS, WORKLOADS
from mission_core.tasks.mentions import IDENTIFIER_IN_CONFIG
from mission_core.tasks.rows import RUN_ROWS, TASK_ROWS
from mission_core.usage.counters import USAGE_DETAILS, USAGE_SESSIONS, USAGE_TASKS

# The conditions of partial indexes. They are literal text, because a planner must see that a query implies them.
UNBLOCKED: Final = "open_dependencies = 0"
IN_PROGRESS: Final = "status = 'in_progress'"
UNDER_WAY: Final = "status IN ('assigned', 'in_progress')"
UNFINISHED: Final = "status NOT IN ('done', 'failed')"
DONE: Final = "done_at IS NOT NULL"
BY_AGENTS: Final = "actor_kind = 'agent'"
ABOUT_AGENTS: Final = "kind >= 'agent.' AND kind < 'agent/'"
AUDITED: Final = f"kind IN ({', '.join(map(repr, AUDITED_KINDS))})"
ALIVE: Final = "state IN ('leased', 'suspended')"
OTHER_HANDLES: Final = {
    "sqlite": (
        f"config GLOB '*{IDENTIFIER_IN_CONFIG}*' OR name_key GLOB ' *' OR name_key GLOB '* ' OR name_key GLOB '*  *' "
        "OR name_key GLOB '*[' || char(9, 45, 13, 28, 45, 31, 133, 160, 5760, 8192, 45, 8202, 8232, 8233, 8239, 8287, "
        "12288) || ']*'"
    ),
    "postgresql": (
        f"config ~ '{IDENTIFIER_IN_CONFIG}' OR name_key ~ '^ | $|  "
        r"|[\u0009-\u000d\u001c-\u001f\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]'"
    ),
}
"""The conditions, by dialect, of agents that may have another handle than their name and `DASHED_NAME`: those with an
identifier in their configuration, or with other blanks in their name than single spaces between words."""
DASHED_NAME: Final = "replace(name_key, ' ', '-')"
NOT_ASCII: Final = {
    "sqlite": "length(CAST(assignee_key AS BLOB)) > length(assignee_key)",
    "postgresql": "octet_length(assignee_key) > length(assignee_key)",
}
"""The conditions, by dialect, of assignees whose key has letters beyond ASCII."""

LAST_TASK_COLUMNS: Final = (
    "tag_ids", "field_values", "begun_at", "done_at", "submitter", "github_repo", "github_issue", "github_branch",
    "github_pull_request", "github_pull_request_state", "github_synced_at", "edits", "authors", "passed",
    "late_results",
)  # fmt: skip
"""The task columns that are last, in the order of the migration that made them."""

organizations = MAPPINGS[ORGANIZATIONS].table

heads = table(
    "heads",
    required("organization", ID),
    required("position", INTEGER),
    required("digest", ID),
    required("has_budgets", INTEGER),
    required("price_changes", INTEGER),
    key=("organization",),
    narrow=True,
)

reader_cursors = table(
    "reader_cursors",
    required("organization", ID),
    required("reader", TEXT),
    required("position", INTEGER),
    key=("organization", "reader"),
    narrow=True,
)

events = table(
    "events",
    required("organization", ID),
    required("position", INTEGER),
    required("kind", TEXT),
    required("at", INTEGER),
    required("actor_kind", TEXT),
    optional("actor_id", ID),
    required("actor_name", TEXT),
    required("subject", ID),
    optional("payload", TEXT),
    required("payload_digest", ID),
    required("digest", ID),
    key=("organization", "position"),
    narrow=True,
)

Index(
    "ix_events_by_agents",
    *(events.c[name] for name in ("organization", "actor_id", "at", "position")),
    sqlite_where=text(BY_AGENTS),
    postgresql_where=text(BY_AGENTS),
)
Index(
    "ix_events_about_agents",
    *(events.c[name] for name in ("organization", "subject", "at", "position")),
    sqlite_where=text(ABOUT_AGENTS),
    postgresql_where=text(ABOUT_AGENTS),
)
Index(
    "ix_events_audited",
    events.c.organization,
    events.c.position,
    sqlite_where=text(AUDITED),
    postgresql_where=text(AUDITED),
)
by_agents: ColumnElement[bool] = literal_column(BY_AGENTS.replace("actor_kind", "events.actor_kind"))
about_agents: ColumnElement[bool] = literal_column(ABOUT_AGENTS.replace("kind", "events.kind"))
audited: ColumnElement[bool] = literal_column(AUDITED.replace("kind", "events.kind"))

secret_fingerprints = table(
    "secret_fingerprints",
    required("name", TEXT),
    required("digest", ID),
    key=("name",),
    narrow=True,
)

numbers = table(
    "numbers",
    required("scope", ID),
    required("kind", TEXT),
    required("value", INTEGER),
    key=("scope", "kind"),
    narrow=True,
)

once = table(
    "once",
    required("principal", TEXT),
    required("operation", TEXT),
    required("key", TEXT),
    required("body_digest", ID),
    optional("result", ID),
    required("at", INTEGER),
    Index(None, "at"),
    key=("principal", "operation", "key"),
    narrow=True,
)

search_progress = table(
    "search_progress",
    required("organization", ID),
    required("place", INTEGER),
    required("indexed", INTEGER),
    required("closing", INTEGER),
    required("closing_at", INTEGER),
    key=("organization",),
    narrow=True,
)
"""The number up to which an organization's tasks are in the trigram index (*indexed*). Triggers note the changes of
tasks up to *closing*, which is the same but for the time in which PostgreSQL indexes more: all transactions below
*closing_at* that change tasks must have ended before. On SQLite *place* stands for the organization in the index, and
*closing_at* is 1 when triggers note the changes of its agents, too."""

search_changes = table(
    "search_changes",
    required("organization", ID),
    required("number", INTEGER),
    optional("indexed_text", TEXT),
    key=("organization", "number"),
    narrow=True,
)
"""The tasks that have changed since they were indexed; on SQLite with the text that is in the index, if any, and also
agents, by their negative numbers."""

boards = table(
    "boards",
    *columns_of(BOARD_ROWS),
    UniqueConstraint("organization", "handle"),
    UniqueConstraint("organization", "ticket_prefix"),
    UniqueConstraint("organization", "number"),
)

agents = table(
    "agents",
    *columns_of(AGENT_ROWS),
    UniqueConstraint("organization", "name_key"),
    UniqueConstraint("organization", "number"),
    UniqueConstraint("organization", "session_key"),
    Index(None, "board"),
    Index(None, "organization", "hidden"),
    Index(None, "organization", "board", "number", "hidden"),
)
Index("ix_agents_dashed_name", agents.c.organization, text(DASHED_NAME))
Index(
    "ix_agents_other_handles",
    agents.c.organization,
    sqlite_where=text(OTHER_HANDLES["sqlite"]),
    postgresql_where=text(OTHER_HANDLES["postgresql"]),
)

api_keys = table(
    "api_keys",
    *columns_of(API_KEY_ROWS),
    UniqueConstraint("digest"),
    UniqueConstraint("organization", "number"),
    Index(None, "agent"),
)

tasks = table(
    "tasks",
    *columns_of(TASK_ROWS, last=LAST_TASK_COLUMNS),
    UniqueConstraint("organization", "number"),
    Index(None, "board", "number"),
    Index(None, "board", "status", "number"),
    Index(None, "organization", "status", "number"),
    Index(None, "organization", "assignee_key", "number"),
    Index(None, "organization", "priority", "number"),
)
Index(
    "ix_tasks_under_way",
    *(tasks.c[name] for name in ("organization", "assignee_key", "rank", "number")),
    sqlite_where=text(UNDER_WAY),
    postgresql_where=text(UNDER_WAY),
)
Index(
    "ix_tasks_done",
    *(tasks.c[name] for name in ("organization", "done_at", "board", "begun_at")),
    sqlite_where=text(DONE),
    postgresql_where=text(DONE),
)
Index(
    "ix_tasks_in_progress",
    *(tasks.c[name] for name in ("organization", "assignee_key")),
    sqlite_where=text(IN_PROGRESS),
    postgresql_where=text(IN_PROGRESS),
)
Index(
    "ix_tasks_done_by",
    *(tasks.c[name] for name in ("organization", "assignee_key", "done_at")),
    sqlite_where=text(DONE),
    postgresql_where=text(DONE),
)
done: ColumnElement[bool] = literal_column(DONE.replace("done_at", "tasks.done_at"))
in_progress: ColumnElement[bool] = literal_column(IN_PROGRESS.replace("status", "tasks.status"))
under_way: ColumnElement[bool] = literal_column(UNDER_WAY.replace("status", "tasks.status"))
unfinished: ColumnElement[bool] = literal_column(UNFINISHED.replace("status", "tasks.status"))

lock_order: ColumnElement[Any] = func.coalesce(tasks.c.id, tasks.c.id)
"""The order in which a transaction locks several tasks. It is no plain column, because PostgreSQL, which sorts nothing
that it can read in order, would read all tasks by their primary key."""

dependencies = table(
    "dependencies",
    required("task", ID),
    required("depends_on", ID),
    Index(None, "depends_on"),
    key=("task", "depends_on"),
    narrow=True,
)

marks = table(
    "marks",
    required("mark", ID),
    required("task", ID),
    key=("mark", "task"),
    narrow=True,
)
"""The links from tags and custom fields to the tasks that use them."""

queue = table(
    "queue",
    required("task", ID),
    required("organization", ID),
    required("board", ID),
    required("assignee_key", TEXT),
    required("rank", INTEGER),
    required("due", INTEGER),
    required("number", INTEGER),
    required("not_before", INTEGER),
    required("open_dependencies", INTEGER),
    key=("task",),
    narrow=True,
)
for _column in ("organization", "board"):
    Index(
        f"ix_queue_open_{_column}",
        *(queue.c[name] for name in (_column, "assignee_key", "rank", "due", "number")),
        sqlite_where=text(UNBLOCKED),
        postgresql_where=text(UNBLOCKED),
    )
unblocked: ColumnElement[bool] = literal_column(UNBLOCKED.replace("open", "queue.open", 1))

tallies, workloads, pulses = (COUNTER_TABLES[each] for each in (TASK_COUNTS, WORKLOADS, HOURLY_COUNTS))
agent_counts = COUNTER_TABLES[AGENT_COUNTS]
Index(
    "ix_workloads_not_ascii",
    *(workloads.c[name] for name in ("organization", "assignee_key")),
    sqlite_where=text(NOT_ASCII["sqlite"]),
    postgresql_where=text(NOT_ASCII["postgresql"]),
)
usage_details, usage_sessions = COUNTER_TABLES[USAGE_DETAILS], COUNTER_TABLES[USAGE_SESSIONS]
for _table, _column in ((COUNTER_TABLES[USAGE_TASKS], "task"), (usage_details, "task"), (usage_details, "session")):
    Index(None, *(_table.c[name] for name in ("organization", _column, "hours", "slot")))
Index(
    "ix_usage_sessions_tokens",
    usage_sessions.c.organization,
    text("(input_tokens + output_tokens) DESC"),
    usage_sessions.c.session,
)

runs = table(
    "runs",
    *columns_of(RUN_ROWS),
    UniqueConstraint("task", "fence"),
)
Index("ix_runs_alive", runs.c.organization, runs.c.expires_at, sqlite_where=text(ALIVE), postgresql_where=text(ALIVE))

alive: ColumnElement[bool] = literal_column(ALIVE.replace("state", "runs.state"))
