"""
The fingerprint of the secret that a database is served with, in the scripts of the folder beside this file.
"""

from mission_adapters.sql.migrations.scripts import run_scripts

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    run_scripts(__file__)
