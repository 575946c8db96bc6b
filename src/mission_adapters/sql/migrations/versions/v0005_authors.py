"""
The authors of tasks, and the boards on which they passed their gates.

Authors are ids one after the other, 16 bytes each. Known of the tasks that are there already are the agents that held
their runs or brought them to review.
"""

from mission_adapters.sql.migrations.scripts import run_scripts

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    run_scripts(__file__)
