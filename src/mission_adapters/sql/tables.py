"""
The SQLAlchemy tables, for SQLite and PostgreSQL.

Columns use only types that both drivers pass unchanged: 64-bit integers (numbers, booleans as 0 and 1, times and
durations in microseconds), text, bytes (ids, digests) and doubles. Text sorts by code points. A unique constraint is
named after its table and columns. The tables of kinds are generated from their entity classes.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import ColumnElement, Index, UniqueConstraint, literal_column, text

from mission_adapters.sql.columns import DOUBLE, ID, INTEGER, TEXT, may, must, table
from mission_adapters.sql.columns import metadata as metadata
from mission_adapters.sql.plain import SHELVES as SHELVES
from mission_core.accounts.invites import INVITES
from mission_core.accounts.members import MEMBERS
from mission_core.accounts.organizations import ORGANIZATIONS

# The conditions of partial indexes. They are literal text, because a planner must see that a query implies them.
UNBLOCKED: Final = "open_dependencies = 0"
IN_PROGRESS: Final = "status = 'in_progress'"
UNDER_WAY: Final = "status IN ('assigned', 'in_progress')"
UNFINISHED: Final = "status NOT IN ('done', 'failed')"
DONE: Final = "done_at IS NOT NULL"
BY_AGENTS: Final = "actor_kind = 'agent'"
ABOUT_AGENTS: Final = "kind >= 'agent.' AND kind < 'agent/'"
ALIVE: Final = "state IN ('leased', 'suspended')"

organizations = SHELVES[ORGANIZATIONS].table

heads = table(
    "heads",
    must("organization", ID),
    must("position", INTEGER),
    must("digest", ID),
    key=("organization",),
    narrow=True,
)

events = table(
    "events",
    must("organization", ID),
    must("position", INTEGER),
    must("kind", TEXT),
    must("at", INTEGER),
    must("actor_kind", TEXT),
    may("actor_id", ID),
    must("actor_name", TEXT),
    must("subject", ID),
    may("payload", TEXT),
    must("payload_digest", ID),
    must("digest", ID),
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
by_agents: ColumnElement[bool] = literal_column(BY_AGENTS.replace("actor_kind", "events.actor_kind"))
about_agents: ColumnElement[bool] = literal_column(ABOUT_AGENTS.replace("kind", "events.kind"))

secret_fingerprints = table(
    "secret_fingerprints",
    must("name", TEXT),
    must("digest", ID),
    key=("name",),
    narrow=True,
)

numbers = table(
    "numbers",
    must("scope", ID),
    must("kind", TEXT),
    must("value", INTEGER),
    key=("scope", "kind"),
    narrow=True,
)

once = table(
    "once",
    must("principal", TEXT),
    must("operation", TEXT),
    must("key", TEXT),
    must("body_digest", ID),
    may("result", ID),
    must("at", INTEGER),
    Index(None, "at"),
    key=("principal", "operation", "key"),
    narrow=True,
)

boards = table(
    "boards",
    must("id", ID),
    must("number", INTEGER),
    must("organization", ID),
    must("name", TEXT),
    must("name_key", TEXT),
    must("slug", TEXT),
    must("handle", TEXT),
    must("ticket_prefix", TEXT),
    may("description", TEXT),
    must("status", TEXT),
    must("require_approval_for_done", INTEGER),
    must("require_review_before_done", INTEGER),
    must("comment_required_for_review", INTEGER),
    must("block_status_changes_with_pending_approval", INTEGER),
    must("only_lead_can_change_status", INTEGER),
    may("gateway", ID),
    may("group", ID),
    must("board_type", TEXT),
    may("objective", TEXT),
    may("success_metrics", TEXT),
    may("target_date", INTEGER),
    must("goal_confirmed", INTEGER),
    may("goal_source", TEXT),
    must("max_agents", INTEGER),
    may("github_repo", TEXT),
    must("github_sync_enabled", INTEGER),
    must("github_labels_initialized", INTEGER),
    must("github_default_branch", TEXT),
    may("deadline", INTEGER),
    may("color", TEXT),
    must("created_at", INTEGER),
    must("updated_at", INTEGER),
    must("version", INTEGER),
    must("gates_version", INTEGER, at_first="0"),
    UniqueConstraint("organization", "handle"),
    UniqueConstraint("organization", "ticket_prefix"),
    UniqueConstraint("organization", "number"),
)

agents = table(
    "agents",
    must("id", ID),
    must("number", INTEGER),
    must("organization", ID),
    must("name", TEXT),
    must("name_key", TEXT),
    must("role", TEXT),
    may("board", ID),
    must("lead", INTEGER),
    must("main", INTEGER),
    must("config", TEXT),
    may("session_key", TEXT),
    may("soul", TEXT),
    must("working_memory", TEXT),
    may("runtime_type", TEXT),
    must("source", TEXT),
    may("workspace_path", TEXT),
    must("hidden", INTEGER),
    may("heartbeat_config", TEXT),
    may("identity_profile", TEXT),
    may("identity_template", TEXT),
    must("created_at", INTEGER),
    must("updated_at", INTEGER),
    must("reported", TEXT),
    may("last_seen_at", INTEGER),
    may("activity", TEXT),
    must("version", INTEGER),
    UniqueConstraint("organization", "name_key"),
    UniqueConstraint("organization", "number"),
    UniqueConstraint("organization", "session_key"),
    Index(None, "board"),
)

api_keys = table(
    "api_keys",
    must("id", ID),
    must("number", INTEGER),
    must("organization", ID),
    must("agent", ID),
    must("name", TEXT),
    must("digest", ID),
    must("prefix", TEXT),
    must("scopes", TEXT),
    may("created_by", TEXT),
    must("created_at", INTEGER),
    must("updated_at", INTEGER),
    may("expires_at", INTEGER),
    may("revoked_at", INTEGER),
    may("last_used_at", INTEGER),
    must("version", INTEGER),
    UniqueConstraint("digest"),
    UniqueConstraint("organization", "number"),
    Index(None, "agent"),
)

tasks = table(
    "tasks",
    must("id", ID),
    must("number", INTEGER),
    must("organization", ID),
    must("board", ID),
    may("ticket", INTEGER),
    must("title", TEXT),
    may("description", TEXT),
    must("status", TEXT),
    must("priority", TEXT),
    must("rank", INTEGER),
    may("assignee", TEXT),
    may("assignee_key", TEXT),
    must("creator_kind", TEXT),
    may("creator_id", ID),
    must("creator_actor", TEXT),
    must("creator_name", TEXT),
    may("due_at", INTEGER),
    may("not_before", INTEGER),
    may("estimated_hours", DOUBLE),
    may("actual_hours", DOUBLE),
    must("tags", TEXT),
    must("metadata", TEXT),
    must("depends_on", ID),
    may("result", TEXT),
    may("error_message", TEXT),
    may("resolution", TEXT),
    may("output", TEXT),
    may("feedback_rating", INTEGER),
    may("feedback_notes", TEXT),
    must("retry_count", INTEGER),
    must("recorded", INTEGER),
    must("fence", INTEGER),
    must("attempts", INTEGER),
    must("max_attempts", INTEGER),
    may("run", ID),
    may("hand_over", TEXT),
    must("created_at", INTEGER),
    must("updated_at", INTEGER),
    must("moved_at", INTEGER),
    may("started_at", INTEGER),
    may("completed_at", INTEGER),
    must("version", INTEGER),
    may("tag_ids", ID),
    must("field_values", TEXT, at_first="'{}'"),
    may("begun_at", INTEGER),
    may("done_at", INTEGER),
    may("submitter", ID),
    may("github_repo", TEXT),
    may("github_issue", INTEGER),
    may("github_branch", TEXT),
    may("github_pull_request", INTEGER),
    may("github_pull_request_state", TEXT),
    may("github_synced_at", INTEGER),
    must("edits", INTEGER, at_first="0"),
    may("authors", ID),
    may("passed", ID),
    must("late_results", INTEGER, at_first="0"),
    UniqueConstraint("organization", "number"),
    Index(None, "board", "number"),
    Index(None, "board", "status", "number"),
    Index(None, "organization", "status", "number"),
    Index(None, "organization", "assignee_key", "number"),
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

dependencies = table(
    "dependencies",
    must("task", ID),
    must("depends_on", ID),
    Index(None, "depends_on"),
    key=("task", "depends_on"),
    narrow=True,
)

marks = table(
    "marks",
    must("mark", ID),
    must("task", ID),
    key=("mark", "task"),
    narrow=True,
)
"""The links from tags and custom fields to the tasks that use them."""

queue = table(
    "queue",
    must("task", ID),
    must("organization", ID),
    must("board", ID),
    must("assignee_key", TEXT),
    must("rank", INTEGER),
    must("due", INTEGER),
    must("number", INTEGER),
    must("not_before", INTEGER),
    must("open_dependencies", INTEGER),
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

tallies = table(
    "tallies",
    must("organization", ID),
    must("board", ID),
    must("status", TEXT),
    must("priority", TEXT),
    must("assigned", INTEGER),
    must("amount", INTEGER),
    key=("organization", "board", "status", "priority", "assigned"),
    narrow=True,
)

pulses = table(
    "pulses",
    must("organization", ID),
    must("place", ID),
    must("slot", INTEGER),
    must("what", TEXT),
    must("minute", INTEGER),
    must("amount", INTEGER),
    key=("organization", "place", "slot", "what"),
    narrow=True,
)

workloads = table(
    "workloads",
    must("organization", ID),
    must("assignee_key", TEXT),
    must("board", ID),
    must("status", TEXT),
    must("priority", TEXT),
    must("amount", INTEGER),
    key=("organization", "assignee_key", "board", "status", "priority"),
    narrow=True,
)

runs = table(
    "runs",
    must("id", ID),
    must("organization", ID),
    must("board", ID),
    must("task", ID),
    must("fence", INTEGER),
    must("attempt", INTEGER),
    must("by", TEXT),
    may("by_agent", ID),
    must("actor_kind", TEXT),
    may("actor_id", ID),
    must("actor_name", TEXT),
    may("holder_principal", TEXT),
    may("holder_name", TEXT),
    may("holder_instance", TEXT),
    must("from_queue", INTEGER),
    must("state", TEXT),
    must("term", INTEGER),
    must("delay", INTEGER),
    must("claimed_at", INTEGER),
    must("expires_at", INTEGER),
    must("heartbeat_at", INTEGER),
    may("progress", TEXT),
    must("orders", TEXT),
    must("paused", INTEGER),
    may("waiting_for", TEXT),
    may("resumes_at", INTEGER),
    may("ended_at", INTEGER),
    may("result", TEXT),
    may("resolution", TEXT),
    may("output", TEXT),
    may("failure", TEXT),
    may("message", TEXT),
    may("note", TEXT),
    must("version", INTEGER),
    UniqueConstraint("task", "fence"),
)
Index("ix_runs_alive", runs.c.organization, runs.c.expires_at, sqlite_where=text(ALIVE), postgresql_where=text(ALIVE))

alive: ColumnElement[bool] = literal_column(ALIVE.replace("state", "runs.state"))

Index("ix_members_user", SHELVES[MEMBERS].table.c.user)
"""For the memberships of a user in all organizations."""

Index("ix_invites_email", SHELVES[INVITES].table.c.email)
"""For the invites of an e-mail address in all organizations."""
