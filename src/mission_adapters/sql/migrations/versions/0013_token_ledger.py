"""
The token ledger, and its sums by hour and day.
"""

import sqlalchemy as sa
from alembic import op

from mission_adapters.sql.columns import ID, INTEGER, TEXT

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.create_table(
        "usage_entries",
        sa.Column("id", ID, nullable=False),
        sa.Column("organization", ID, nullable=False),
        sa.Column("reporter", TEXT, nullable=False),
        sa.Column("report_id", TEXT),
        sa.Column("corrects", ID),
        sa.Column("reverses", ID),
        sa.Column("at", INTEGER, nullable=False),
        sa.Column("recorded_at", INTEGER, nullable=False),
        sa.Column("board", ID),
        sa.Column("task", ID),
        sa.Column("task_number", INTEGER),
        sa.Column("run", ID),
        sa.Column("late", INTEGER, nullable=False),
        sa.Column("agent", ID),
        sa.Column("agent_name", TEXT, nullable=False),
        sa.Column("session", TEXT, nullable=False),
        sa.Column("operation", TEXT, nullable=False),
        sa.Column("duration_ms", INTEGER),
        sa.Column("provider", TEXT),
        sa.Column("model", TEXT, nullable=False),
        sa.Column("requests", INTEGER, nullable=False),
        sa.Column("input_tokens", INTEGER, nullable=False),
        sa.Column("output_tokens", INTEGER, nullable=False),
        sa.Column("cache_read_tokens", INTEGER, nullable=False),
        sa.Column("cache_write_tokens", INTEGER, nullable=False),
        sa.Column("reasoning_tokens", INTEGER, nullable=False),
        sa.Column("input_audio_tokens", INTEGER, nullable=False),
        sa.Column("output_audio_tokens", INTEGER, nullable=False),
        sa.Column("unpriced_tokens", INTEGER, nullable=False),
        sa.Column("unpriced_requests", INTEGER, nullable=False),
        sa.Column("list_cost", INTEGER),
        sa.Column("cost", INTEGER),
        sa.Column("reported_cost", INTEGER),
        sa.Column("subscription", INTEGER, nullable=False),
        sa.Column("batch", INTEGER, nullable=False),
        sa.Column("price_source", TEXT),
        sa.Column("price_version", TEXT),
        sa.Column("basis", TEXT, nullable=False),
        sa.Column("version", INTEGER, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_usage_entries"),
        sa.UniqueConstraint("organization", "corrects", name="uq_usage_entries_organization_corrects"),
        sa.UniqueConstraint(
            "organization", "reporter", "report_id", name="uq_usage_entries_organization_reporter_report_id"
        ),
        sa.UniqueConstraint("organization", "reverses", name="uq_usage_entries_organization_reverses"),
        sqlite_strict=True,
    )
    op.create_index("ix_usage_entries_agent_name", "usage_entries", ["organization", "agent_name", "at"])
    op.create_index("ix_usage_entries_at", "usage_entries", ["organization", "at", "id"])
    op.create_table(
        "usage_totals",
        sa.Column("organization", ID, nullable=False),
        sa.Column("hours", INTEGER, nullable=False),
        sa.Column("slot", INTEGER, nullable=False),
        sa.Column("board", ID, nullable=False),
        sa.Column("agent", ID, nullable=False),
        sa.Column("agent_name", TEXT, nullable=False),
        sa.Column("model", TEXT, nullable=False),
        sa.Column("requests", INTEGER, nullable=False),
        sa.Column("input_tokens", INTEGER, nullable=False),
        sa.Column("output_tokens", INTEGER, nullable=False),
        sa.Column("cache_read_tokens", INTEGER, nullable=False),
        sa.Column("cache_write_tokens", INTEGER, nullable=False),
        sa.Column("reasoning_tokens", INTEGER, nullable=False),
        sa.Column("input_audio_tokens", INTEGER, nullable=False),
        sa.Column("output_audio_tokens", INTEGER, nullable=False),
        sa.Column("unpriced_tokens", INTEGER, nullable=False),
        sa.Column("unpriced_requests", INTEGER, nullable=False),
        sa.Column("list_cost", INTEGER, nullable=False),
        sa.Column("cost", INTEGER, nullable=False),
        sa.PrimaryKeyConstraint(
            "organization", "hours", "slot", "board", "agent", "agent_name", "model", name="pk_usage_totals"
        ),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "usage_details",
        sa.Column("organization", ID, nullable=False),
        sa.Column("hours", INTEGER, nullable=False),
        sa.Column("slot", INTEGER, nullable=False),
        sa.Column("board", ID, nullable=False),
        sa.Column("task", ID, nullable=False),
        sa.Column("session", TEXT, nullable=False),
        sa.Column("agent", ID, nullable=False),
        sa.Column("agent_name", TEXT, nullable=False),
        sa.Column("model", TEXT, nullable=False),
        sa.Column("requests", INTEGER, nullable=False),
        sa.Column("input_tokens", INTEGER, nullable=False),
        sa.Column("output_tokens", INTEGER, nullable=False),
        sa.Column("cache_read_tokens", INTEGER, nullable=False),
        sa.Column("cache_write_tokens", INTEGER, nullable=False),
        sa.Column("reasoning_tokens", INTEGER, nullable=False),
        sa.Column("input_audio_tokens", INTEGER, nullable=False),
        sa.Column("output_audio_tokens", INTEGER, nullable=False),
        sa.Column("unpriced_tokens", INTEGER, nullable=False),
        sa.Column("unpriced_requests", INTEGER, nullable=False),
        sa.Column("list_cost", INTEGER, nullable=False),
        sa.Column("cost", INTEGER, nullable=False),
        sa.PrimaryKeyConstraint(
            "organization",
            "hours",
            "slot",
            "board",
            "task",
            "session",
            "agent",
            "agent_name",
            "model",
            name="pk_usage_details",
        ),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
