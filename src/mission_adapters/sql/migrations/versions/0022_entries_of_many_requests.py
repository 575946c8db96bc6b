"""
An index of the entries of the token ledger that do not stand for one request.
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0019"

NOT_ONE_REQUEST = sa.text("requests <> 1")


def upgrade() -> None:
    op.create_index(
        "ix_usage_entries_not_one_request",
        "usage_entries",
        ["organization", "at"],
        sqlite_where=NOT_ONE_REQUEST,
        postgresql_where=NOT_ONE_REQUEST,
    )
