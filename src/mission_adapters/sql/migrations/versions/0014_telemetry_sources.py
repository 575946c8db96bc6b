"""
The table of telemetry sources.
"""

import sqlalchemy as sa
from alembic import op

from mission_adapters.sql.columns import ID, INTEGER, TEXT

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.create_table(
        "telemetry_sources",
        sa.Column("id", ID, nullable=False),
        sa.Column("organization", ID, nullable=False),
        sa.Column("reporter", TEXT, nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("kind", INTEGER, nullable=False),
        sa.Column("readings", TEXT, nullable=False),
        sa.Column("updated_at", INTEGER, nullable=False),
        sa.Column("version", INTEGER, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_telemetry_sources"),
        sa.UniqueConstraint("organization", "reporter", "key", name="uq_telemetry_sources_organization_reporter_key"),
        sqlite_strict=True,
    )
