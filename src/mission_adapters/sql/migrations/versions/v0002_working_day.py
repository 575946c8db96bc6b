"""
What a working day needs: comments and all that teams keep beside their tasks, in the scripts of the folder beside
this file.
"""

from mission_adapters.sql.migrations.scripts import run_scripts

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    run_scripts(__file__)
