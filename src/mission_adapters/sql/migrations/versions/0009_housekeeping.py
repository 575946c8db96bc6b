"""
Tables for the trigram index of tasks, which hold its progress and the tasks that changed since they were indexed, and
an index for the deletion of expired sessions.
"""

import sqlalchemy as sa
from alembic import op

from mission_adapters.sql.columns import ID, INTEGER, TEXT

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "search_progress",
        sa.Column("organization", ID, nullable=False),
        sa.Column("place", INTEGER, nullable=False),
        sa.Column("indexed", INTEGER, nullable=False),
        sa.Column("closing", INTEGER, nullable=False),
        sa.Column("closing_at", INTEGER, nullable=False),
        sa.PrimaryKeyConstraint("organization", name="pk_search_progress"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "search_changes",
        sa.Column("organization", ID, nullable=False),
        sa.Column("number", INTEGER, nullable=False),
        sa.Column("indexed_text", TEXT),
        sa.PrimaryKeyConstraint("organization", "number", name="pk_search_changes"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"])
