"""
The moment at which the token was issued that told a user's e-mail address.
"""

from mission_adapters.sql.migrations.scripts import run_scripts

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    run_scripts(__file__)
