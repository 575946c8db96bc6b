"""
Migrations whose statements stand in scripts: one file for each area and dialect, in a folder named like the migration.
"""

from pathlib import Path

from alembic import op


def run_scripts(migration: str) -> None:
    """
    Run the scripts of the folder beside the file *migration*, in the order of their names.
    """
    dialect = op.get_context().dialect.name
    for script in sorted(Path(migration).with_suffix("").glob(f"*.{dialect}.sql")):
        for statement in script.read_text(encoding="utf-8").split(";\n"):
            if statement.strip():
                op.execute(statement)
