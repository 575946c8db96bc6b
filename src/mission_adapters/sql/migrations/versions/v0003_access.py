"""
Who may do what, and what people and agents tell each other, in the scripts of the folder beside this file.
"""

from mission_adapters.sql.migrations.scripts import run_scripts

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    run_scripts(__file__)
