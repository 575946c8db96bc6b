"""
Indexes that find the agents of a board and the tasks of a priority without reading all of the organization.
"""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_index(
        "ix_agents_organization_board_number_hidden", "agents", ["organization", "board", "number", "hidden"]
    )
    op.create_index("ix_tasks_organization_priority_number", "tasks", ["organization", "priority", "number"])
