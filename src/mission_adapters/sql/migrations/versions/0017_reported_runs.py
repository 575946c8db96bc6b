"""
The table of reported runs.
"""

import sqlalchemy as sa
from alembic import op

from mission_adapters.sql.columns import DOUBLE, ID, INTEGER, TEXT

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.create_table(
        "reported_runs",
        sa.Column("id", ID, nullable=False),
        sa.Column("number", INTEGER, nullable=False),
        sa.Column("organization", ID, nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("reporter", TEXT, nullable=False),
        sa.Column("board", ID, nullable=True),
        sa.Column("task", ID, nullable=True),
        sa.Column("task_label", TEXT, nullable=True),
        sa.Column("agent", ID, nullable=True),
        sa.Column("agent_label", TEXT, nullable=False),
        sa.Column("agent_name", TEXT, nullable=False),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("outcome", TEXT, nullable=True),
        sa.Column("model", TEXT, nullable=True),
        sa.Column("provider", TEXT, nullable=True),
        sa.Column("runtime", TEXT, nullable=False),
        sa.Column("runtime_version", TEXT, nullable=True),
        sa.Column("trigger", TEXT, nullable=True),
        sa.Column("parent", TEXT, nullable=True),
        sa.Column("started_at", INTEGER, nullable=False),
        sa.Column("started_text", TEXT, nullable=False),
        sa.Column("ended_at", INTEGER, nullable=True),
        sa.Column("ended_text", TEXT, nullable=True),
        sa.Column("duration_ms", INTEGER, nullable=True),
        sa.Column("steps", TEXT, nullable=False),
        sa.Column("tools", TEXT, nullable=False),
        sa.Column("input_tokens", INTEGER, nullable=False),
        sa.Column("output_tokens", INTEGER, nullable=False),
        sa.Column("cache_read_tokens", INTEGER, nullable=True),
        sa.Column("cache_write_tokens", INTEGER, nullable=True),
        sa.Column("tokens_model", TEXT, nullable=True),
        sa.Column("reported_cost", INTEGER, nullable=True),
        sa.Column("usage", ID, nullable=True),
        sa.Column("cost", INTEGER, nullable=True),
        sa.Column("unpriced_tokens", INTEGER, nullable=False),
        sa.Column("provenance_run_hash", TEXT, nullable=False),
        sa.Column("provenance_parent_run_hash", TEXT, nullable=True),
        sa.Column("provenance_lineage", TEXT, nullable=False),
        sa.Column("provenance_model_version", TEXT, nullable=True),
        sa.Column("provenance_config_hash", TEXT, nullable=True),
        sa.Column("provenance_runtime", TEXT, nullable=True),
        sa.Column("provenance_signed_by", TEXT, nullable=True),
        sa.Column("provenance_signature", TEXT, nullable=True),
        sa.Column("provenance_created_at", TEXT, nullable=True),
        sa.Column("evaluation_score", DOUBLE, nullable=True),
        sa.Column("evaluation_passed", INTEGER, nullable=True),
        sa.Column("evaluation_task_type", TEXT, nullable=True),
        sa.Column("evaluation_layer", TEXT, nullable=True),
        sa.Column("evaluation_detail", TEXT, nullable=True),
        sa.Column("evaluation_metrics", TEXT, nullable=True),
        sa.Column("evaluation_benchmark", TEXT, nullable=True),
        sa.Column("error", TEXT, nullable=True),
        sa.Column("git_branch", TEXT, nullable=True),
        sa.Column("git_commit", TEXT, nullable=True),
        sa.Column("tags", TEXT, nullable=False),
        sa.Column("metadata", TEXT, nullable=False),
        sa.Column("created_at", INTEGER, nullable=False),
        sa.Column("updated_at", INTEGER, nullable=False),
        sa.Column("version", INTEGER, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_reported_runs"),
        sa.UniqueConstraint("organization", "key", name="uq_reported_runs_organization_key"),
        sa.UniqueConstraint("organization", "number", name="uq_reported_runs_organization_number"),
        sa.UniqueConstraint("organization", "usage", name="uq_reported_runs_organization_usage"),
        sqlite_strict=True,
    )
    op.create_index("ix_reported_runs_evaluation_score", "reported_runs", ["organization", "evaluation_score"])
    for name in ("agent_label", "status", "task_label"):
        index = f"ix_reported_runs_organization_{name}_number"
        op.create_index(index, "reported_runs", ["organization", name, "number"])
