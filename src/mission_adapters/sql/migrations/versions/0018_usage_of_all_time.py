"""
The sums of the token ledger by task, by session and over all time, and indexes for its lists of one board, task, agent
or model.
"""

import sqlalchemy as sa
from alembic import op

from mission_adapters.sql.columns import ID, INTEGER, TEXT

revision = "0018"
down_revision = "0017"

SUMMED = (
    "requests", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens",
    "input_audio_tokens", "output_audio_tokens", "unpriced_tokens", "unpriced_requests", "list_cost", "cost",
)  # fmt: skip
TOTALS = ("board", "agent", "agent_name", "model")
TASKS = ("board", "task", "agent", "agent_name", "model")
DETAILS = ("board", "task", "session", "agent", "agent_name", "model")


def upgrade() -> None:
    op.create_table(
        "usage_sessions",
        sa.Column("organization", ID, nullable=False),
        sa.Column("session", TEXT, nullable=False),
        *(sa.Column(name, INTEGER, nullable=False) for name in SUMMED),
        sa.PrimaryKeyConstraint("organization", "session", name="pk_usage_sessions"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "usage_tasks",
        sa.Column("organization", ID, nullable=False),
        sa.Column("hours", INTEGER, nullable=False),
        sa.Column("slot", INTEGER, nullable=False),
        sa.Column("board", ID, nullable=False),
        sa.Column("task", ID, nullable=False),
        sa.Column("agent", ID, nullable=False),
        sa.Column("agent_name", TEXT, nullable=False),
        sa.Column("model", TEXT, nullable=False),
        *(sa.Column(name, INTEGER, nullable=False) for name in SUMMED),
        sa.PrimaryKeyConstraint("organization", "hours", "slot", *TASKS, name="pk_usage_tasks"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    for table, keys in (("usage_totals", TOTALS), ("usage_details", DETAILS)):
        add_sums(table, ("0", "0", *keys), f"{table} WHERE hours = 24", ("hours", "slot", *keys))
    add_sums("usage_tasks", ("hours", "slot", *TASKS), "usage_details")
    add_sums("usage_sessions", ("session",), "usage_details WHERE hours = 0")
    op.create_index(
        "ix_usage_sessions_tokens",
        "usage_sessions",
        ["organization", sa.text("(input_tokens + output_tokens) DESC"), "session"],
    )
    for table, name in (("usage_tasks", "task"), ("usage_details", "task"), ("usage_details", "session")):
        op.create_index(f"ix_{table}_organization_{name}_hours_slot", table, ["organization", name, "hours", "slot"])
    for name in ("board", "task", "agent", "model"):
        op.create_index(f"ix_usage_entries_{name}_at", "usage_entries", ["organization", name, "at", "id"])


def add_sums(table: str, values: tuple[str, ...], source: str, columns: tuple[str, ...] | None = None) -> None:
    sums = ", ".join(f"CAST(sum({name}) AS BIGINT)" for name in SUMMED)
    by = ", ".join(each for each in values if each != "0")
    op.execute(
        f"INSERT INTO {table} (organization, {', '.join(columns or values)}, {', '.join(SUMMED)}) "
        f"SELECT organization, {', '.join(values)}, {sums} FROM {source} GROUP BY organization, {by}"
    )
