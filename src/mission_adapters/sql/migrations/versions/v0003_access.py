"""
Who may do what, and what people and agents tell each other: in the scripts of the folder beside this file, in the
order of their names.
"""

from pathlib import Path

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    dialect = op.get_context().dialect.name
    for script in sorted(Path(__file__).with_suffix("").glob(f"*.{dialect}.sql")):
        for statement in script.read_text(encoding="utf-8").split(";\n"):
            if statement.strip():
                op.execute(statement)
