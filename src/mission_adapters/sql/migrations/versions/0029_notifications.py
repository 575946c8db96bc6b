"""
The table of notifications. What happened before causes none, so their reader begins at the end of each log.
"""

import sqlalchemy as sa
from alembic import op

from mission_adapters.sql.columns import ID, INTEGER, TEXT

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    op.create_table(
        "notifications",
        sa.Column("id", ID, nullable=False),
        sa.Column("number", INTEGER, nullable=False),
        sa.Column("organization", ID, nullable=False),
        sa.Column("board", ID, nullable=True),
        sa.Column("recipient", TEXT, nullable=False),
        sa.Column("recipient_key", TEXT, nullable=False),
        sa.Column("type", TEXT, nullable=False),
        sa.Column("title", TEXT, nullable=False),
        sa.Column("message", TEXT, nullable=False),
        sa.Column("source_type", TEXT, nullable=True),
        sa.Column("source", ID, nullable=True),
        sa.Column("source_number", INTEGER, nullable=True),
        sa.Column("position", INTEGER, nullable=True),
        sa.Column("read_at", INTEGER, nullable=True),
        sa.Column("delivered_at", INTEGER, nullable=True),
        sa.Column("created_at", INTEGER, nullable=False),
        sa.Column("version", INTEGER, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_notifications"),
        sa.UniqueConstraint(
            "organization", "position", "recipient_key", "type",
            name="uq_notifications_organization_position_recipient_key_type",
        ),
        sa.UniqueConstraint("organization", "number", name="uq_notifications_organization_number"),
        sqlite_strict=True,
    )  # fmt: skip
    for names in (("recipient_key",), ("recipient_key", "read_at"), ("board",)):
        index = f"ix_notifications_organization_{'_'.join(names)}_number"
        op.create_index(index, "notifications", ["organization", *names, "number"])
    op.execute(
        "INSERT INTO reader_cursors (organization, reader, position) "
        "SELECT organization, 'notifications', position FROM heads"
    )
