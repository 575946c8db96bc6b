"""
The tables of budgets and of what is spent of them, a mark of the organizations that have some, and of the reports whose
subscription nobody has confirmed.
"""

import sqlalchemy as sa
from alembic import op

from mission_adapters.sql.columns import ID, INTEGER, TEXT

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.add_column("heads", sa.Column("has_budgets", INTEGER, nullable=False, server_default="0"))
    op.add_column("usage_entries", sa.Column("unconfirmed_subscription", INTEGER, nullable=False, server_default="0"))
    op.create_table(
        "budgets",
        sa.Column("id", ID, nullable=False),
        sa.Column("organization", ID, nullable=False),
        sa.Column("number", INTEGER, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("scope", TEXT, nullable=False),
        sa.Column("board", ID),
        sa.Column("agent", ID),
        sa.Column("task", ID),
        sa.Column("run", ID),
        sa.Column("measure", TEXT, nullable=False),
        sa.Column("limit", INTEGER, nullable=False),
        sa.Column("per_run", INTEGER, nullable=False),
        sa.Column("hard", INTEGER, nullable=False),
        sa.Column("period", TEXT, nullable=False),
        sa.Column("time_zone", TEXT, nullable=False),
        sa.Column("unknown_prices", TEXT),
        sa.Column("ceiling_price", INTEGER),
        sa.Column("list_price", INTEGER, nullable=False),
        sa.Column("created_at", INTEGER, nullable=False),
        sa.Column("updated_at", INTEGER, nullable=False),
        sa.Column("version", INTEGER, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_budgets"),
        sa.UniqueConstraint("organization", "number", name="uq_budgets_organization_number"),
        sqlite_strict=True,
    )
    for name in ("board", "agent", "task"):
        op.create_index(f"ix_budgets_organization_{name}_number", "budgets", ["organization", name, "number"])
    amounts = (
        "cost", "list_cost", "tokens", "unpriced_tokens", "unpriced_requests", "runs", "seconds", "announced",
        "reserved", "used",
    )  # fmt: skip
    op.create_table(
        "budget_amounts",
        sa.Column("organization", ID, nullable=False),
        sa.Column("budget", ID, nullable=False),
        sa.Column("run", ID, nullable=False),
        sa.Column("ends_at", INTEGER, nullable=False),
        sa.Column("starts_at", INTEGER, nullable=False),
        *(sa.Column(name, INTEGER, nullable=False) for name in amounts),
        sa.PrimaryKeyConstraint("organization", "budget", "run", "ends_at", "starts_at", name="pk_budget_amounts"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
