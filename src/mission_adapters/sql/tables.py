"""
The SQLAlchemy tables, for SQLite and PostgreSQL.

Columns use only types that both drivers pass unchanged: 64-bit integers (numbers, booleans as 0 and 1, times and
durations in microseconds), text, bytes (ids, digests) and doubles. Text sorts by code points. A unique constraint is
named after its table and columns. The tables of kinds are generated from their entity classes.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import ColumnElement, Index, UniqueConstraint, literal_column, text

from mission_adapters.sql.columns import DOUBLE, ID, INTEGER, TEXT, optional, required, table
from mission_adapters.sql.columns import metadata as metadata
from mission_adapters.sql.kind_tables import MAPPINGS as MAPPINGS
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

organizations = MAPPINGS[ORGANIZATIONS].table

heads = table(
    "heads",
    required("organization", ID),
    required("position", INTEGER),
    required("digest", ID),
    key=("organization",),
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
by_agents: ColumnElement[bool] = literal_column(BY_AGENTS.replace("actor_kind", "events.actor_kind"))
about_agents: ColumnElement[bool] = literal_column(ABOUT_AGENTS.replace("kind", "events.kind"))

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

boards = table(
    "boards",
    required("id", ID),
    required("number", INTEGER),
    required("organization", ID),
    required("name", TEXT),
    required("name_key", TEXT),
    required("slug", TEXT),
    required("handle", TEXT),
    required("ticket_prefix", TEXT),
    optional("description", TEXT),
    required("status", TEXT),
    required("require_approval_for_done", INTEGER),
    required("require_review_before_done", INTEGER),
    required("comment_required_for_review", INTEGER),
    required("block_status_changes_with_pending_approval", INTEGER),
    required("only_lead_can_change_status", INTEGER),
    optional("gateway", ID),
    optional("group", ID),
    required("board_type", TEXT),
    optional("objective", TEXT),
    optional("success_metrics", TEXT),
    optional("target_date", INTEGER),
    required("goal_confirmed", INTEGER),
    optional("goal_source", TEXT),
    required("max_agents", INTEGER),
    optional("github_repo", TEXT),
    required("github_sync_enabled", INTEGER),
    required("github_labels_initialized", INTEGER),
    required("github_default_branch", TEXT),
    optional("deadline", INTEGER),
    optional("color", TEXT),
    required("created_at", INTEGER),
    required("updated_at", INTEGER),
    required("version", INTEGER),
    required("gates_version", INTEGER),
    UniqueConstraint("organization", "handle"),
    UniqueConstraint("organization", "ticket_prefix"),
    UniqueConstraint("organization", "number"),
)

agents = table(
    "agents",
    required("id", ID),
    required("number", INTEGER),
    required("organization", ID),
    required("name", TEXT),
    required("name_key", TEXT),
    required("role", TEXT),
    optional("board", ID),
    required("lead", INTEGER),
    required("main", INTEGER),
    required("config", TEXT),
    optional("session_key", TEXT),
    optional("soul", TEXT),
    required("working_memory", TEXT),
    optional("runtime_type", TEXT),
    required("source", TEXT),
    optional("workspace_path", TEXT),
    required("hidden", INTEGER),
    optional("heartbeat_config", TEXT),
    optional("identity_profile", TEXT),
    optional("identity_template", TEXT),
    required("created_at", INTEGER),
    required("updated_at", INTEGER),
    required("reported", TEXT),
    optional("last_seen_at", INTEGER),
    optional("activity", TEXT),
    required("version", INTEGER),
    UniqueConstraint("organization", "name_key"),
    UniqueConstraint("organization", "number"),
    UniqueConstraint("organization", "session_key"),
    Index(None, "board"),
)

api_keys = table(
    "api_keys",
    required("id", ID),
    required("number", INTEGER),
    required("organization", ID),
    required("agent", ID),
    required("name", TEXT),
    required("digest", ID),
    required("prefix", TEXT),
    required("scopes", TEXT),
    optional("created_by", TEXT),
    required("created_at", INTEGER),
    required("updated_at", INTEGER),
    optional("expires_at", INTEGER),
    optional("revoked_at", INTEGER),
    optional("last_used_at", INTEGER),
    required("version", INTEGER),
    UniqueConstraint("digest"),
    UniqueConstraint("organization", "number"),
    Index(None, "agent"),
)

tasks = table(
    "tasks",
    required("id", ID),
    required("number", INTEGER),
    required("organization", ID),
    required("board", ID),
    optional("ticket", INTEGER),
    required("title", TEXT),
    optional("description", TEXT),
    required("status", TEXT),
    required("priority", TEXT),
    required("rank", INTEGER),
    optional("assignee", TEXT),
    optional("assignee_key", TEXT),
    required("creator_kind", TEXT),
    optional("creator_id", ID),
    required("creator_actor", TEXT),
    required("creator_name", TEXT),
    optional("due_at", INTEGER),
    optional("not_before", INTEGER),
    optional("estimated_hours", DOUBLE),
    optional("actual_hours", DOUBLE),
    required("tags", TEXT),
    required("metadata", TEXT),
    required("depends_on", ID),
    optional("result", TEXT),
    optional("error_message", TEXT),
    optional("resolution", TEXT),
    optional("output", TEXT),
    optional("feedback_rating", INTEGER),
    optional("feedback_notes", TEXT),
    required("retry_count", INTEGER),
    required("recorded", INTEGER),
    required("fence", INTEGER),
    required("attempts", INTEGER),
    required("max_attempts", INTEGER),
    optional("run", ID),
    optional("hand_over", TEXT),
    required("created_at", INTEGER),
    required("updated_at", INTEGER),
    required("moved_at", INTEGER),
    optional("started_at", INTEGER),
    optional("completed_at", INTEGER),
    required("version", INTEGER),
    optional("tag_ids", ID),
    required("field_values", TEXT),
    optional("begun_at", INTEGER),
    optional("done_at", INTEGER),
    optional("submitter", ID),
    optional("github_repo", TEXT),
    optional("github_issue", INTEGER),
    optional("github_branch", TEXT),
    optional("github_pull_request", INTEGER),
    optional("github_pull_request_state", TEXT),
    optional("github_synced_at", INTEGER),
    required("edits", INTEGER),
    optional("authors", ID),
    optional("passed", ID),
    required("late_results", INTEGER),
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

tallies = table(
    "tallies",
    required("organization", ID),
    required("board", ID),
    required("status", TEXT),
    required("priority", TEXT),
    required("assigned", INTEGER),
    required("amount", INTEGER),
    key=("organization", "board", "status", "priority", "assigned"),
    narrow=True,
)

pulses = table(
    "pulses",
    required("organization", ID),
    required("place", ID),
    required("slot", INTEGER),
    required("what", TEXT),
    required("minute", INTEGER),
    required("amount", INTEGER),
    key=("organization", "place", "slot", "what"),
    narrow=True,
)

workloads = table(
    "workloads",
    required("organization", ID),
    required("assignee_key", TEXT),
    required("board", ID),
    required("status", TEXT),
    required("priority", TEXT),
    required("amount", INTEGER),
    key=("organization", "assignee_key", "board", "status", "priority"),
    narrow=True,
)

runs = table(
    "runs",
    required("id", ID),
    required("organization", ID),
    required("board", ID),
    required("task", ID),
    required("fence", INTEGER),
    required("attempt", INTEGER),
    required("by", TEXT),
    optional("by_agent", ID),
    required("actor_kind", TEXT),
    optional("actor_id", ID),
    required("actor_name", TEXT),
    optional("holder_principal", TEXT),
    optional("holder_name", TEXT),
    optional("holder_instance", TEXT),
    required("from_queue", INTEGER),
    required("state", TEXT),
    required("term", INTEGER),
    required("delay", INTEGER),
    required("claimed_at", INTEGER),
    required("expires_at", INTEGER),
    required("heartbeat_at", INTEGER),
    optional("progress", TEXT),
    required("orders", TEXT),
    required("paused", INTEGER),
    optional("waiting_for", TEXT),
    optional("resumes_at", INTEGER),
    optional("ended_at", INTEGER),
    optional("result", TEXT),
    optional("resolution", TEXT),
    optional("output", TEXT),
    optional("failure", TEXT),
    optional("message", TEXT),
    optional("note", TEXT),
    required("version", INTEGER),
    UniqueConstraint("task", "fence"),
)
Index("ix_runs_alive", runs.c.organization, runs.c.expires_at, sqlite_where=text(ALIVE), postgresql_where=text(ALIVE))

alive: ColumnElement[bool] = literal_column(ALIVE.replace("state", "runs.state"))

Index("ix_members_user", MAPPINGS[MEMBERS].table.c.user)
"""For the memberships of a user in all organizations."""

Index("ix_invites_email", MAPPINGS[INVITES].table.c.email)
"""For the invites of an e-mail address in all organizations."""
