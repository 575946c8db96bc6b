"""
The table of chat messages.
"""

import sqlalchemy as sa
from alembic import op

from mission_adapters.sql.columns import ID, INTEGER, TEXT

revision = "0028"
down_revision = "0026"


def upgrade() -> None:
    op.create_table(
        "chat_messages",
        sa.Column("id", ID, nullable=False),
        sa.Column("number", INTEGER, nullable=False),
        sa.Column("organization", ID, nullable=False),
        sa.Column("conversation", TEXT, nullable=False),
        sa.Column("sender", TEXT, nullable=False),
        sa.Column("sender_name", TEXT, nullable=False),
        sa.Column("sender_key", TEXT, nullable=False),
        sa.Column("recipient", TEXT, nullable=True),
        sa.Column("recipient_key", TEXT, nullable=True),
        sa.Column("content", TEXT, nullable=False),
        sa.Column("message_type", TEXT, nullable=False),
        sa.Column("metadata", TEXT, nullable=True),
        sa.Column("between_agents", INTEGER, nullable=False),
        sa.Column("read_at", INTEGER, nullable=True),
        sa.Column("created_at", INTEGER, nullable=False),
        sa.Column("version", INTEGER, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_chat_messages"),
        sa.UniqueConstraint("organization", "number", name="uq_chat_messages_organization_number"),
        sqlite_strict=True,
    )
    for name in ("conversation", "recipient_key", "between_agents"):
        index = f"ix_chat_messages_organization_{name}_number"
        op.create_index(index, "chat_messages", ["organization", name, "number"])
