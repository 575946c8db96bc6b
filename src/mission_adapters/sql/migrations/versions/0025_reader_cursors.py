"""
The durable cursors of the readers of the log.
"""

import sqlalchemy as sa
from alembic import op

from mission_adapters.sql.columns import ID, INTEGER, TEXT

revision = "0025"
down_revision = "0023"


def upgrade() -> None:
    op.create_table(
        "reader_cursors",
        sa.Column("organization", ID, nullable=False),
        sa.Column("reader", TEXT, nullable=False),
        sa.Column("position", INTEGER, nullable=False),
        sa.PrimaryKeyConstraint("organization", "reader", name="pk_reader_cursors"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
