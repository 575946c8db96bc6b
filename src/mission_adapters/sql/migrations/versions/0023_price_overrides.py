"""
The table of price overrides, and the number of their changes in each organization.
"""

import sqlalchemy as sa
from alembic import op

from mission_adapters.sql.columns import ID, INTEGER, TEXT

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    op.add_column("heads", sa.Column("price_changes", INTEGER, nullable=False, server_default="0"))
    op.create_table(
        "price_overrides",
        sa.Column("model", TEXT, nullable=False),
        sa.Column("provider", TEXT),
        sa.Column("since", INTEGER),
        sa.Column("until", INTEGER),
        sa.Column("input", INTEGER, nullable=False),
        sa.Column("output", INTEGER, nullable=False),
        sa.Column("cache_read", INTEGER),
        sa.Column("cache_write", INTEGER),
        sa.Column("reasoning", INTEGER),
        sa.Column("input_audio", INTEGER),
        sa.Column("output_audio", INTEGER),
        sa.Column("batch", INTEGER, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("organization", ID, nullable=False),
        sa.Column("number", INTEGER, nullable=False),
        sa.Column("created_at", INTEGER, nullable=False),
        sa.Column("updated_at", INTEGER, nullable=False),
        sa.Column("version", INTEGER, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_price_overrides"),
        sa.UniqueConstraint("organization", "number", name="uq_price_overrides_organization_number"),
        sqlite_strict=True,
    )
