"""
The numbers of agents by board, visibility and role.
"""

import sqlalchemy as sa
from alembic import op

from mission_adapters.sql.columns import ID, INTEGER, TEXT

revision = "0019"
down_revision = "0018"

NO_BOARD = {"sqlite": "zeroblob(16)", "postgresql": "decode(repeat('00', 16), 'hex')"}


def upgrade() -> None:
    op.create_table(
        "agent_counts",
        sa.Column("organization", ID, nullable=False),
        sa.Column("board", ID, nullable=False),
        sa.Column("hidden", INTEGER, nullable=False),
        sa.Column("role", TEXT, nullable=False),
        sa.Column("amount", INTEGER, nullable=False),
        sa.PrimaryKeyConstraint("organization", "board", "hidden", "role", name="pk_agent_counts"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    no_board = NO_BOARD[op.get_context().dialect.name]
    op.execute(
        "INSERT INTO agent_counts (organization, board, hidden, role, amount) "
        f"SELECT organization, coalesce(board, {no_board}) AS place, hidden, role, count(*) FROM agents "
        "GROUP BY organization, place, hidden, role"
    )
