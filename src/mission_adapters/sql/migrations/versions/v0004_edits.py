"""
The version of a board's gate set, and how many versions of a task were edits of its details alone.
"""

from mission_adapters.sql.migrations.scripts import run_scripts

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    run_scripts(__file__)
