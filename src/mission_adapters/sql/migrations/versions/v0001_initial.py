"""
The first tables, as written in the two scripts beside this file.
"""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    dialect = op.get_context().dialect.name
    script = Path(__file__).with_name(f"v0001_initial.{dialect}.sql").read_text(encoding="utf-8")
    for statement in script.split(";\n"):
        if statement.strip():
            op.execute(statement)
