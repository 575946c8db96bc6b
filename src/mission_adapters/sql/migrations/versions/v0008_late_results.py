"""
Late results of runs, and no runs of tasks that are gone, in the scripts of the folder beside this file.
"""

from mission_adapters.sql.migrations.scripts import run_scripts

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    run_scripts(__file__)
