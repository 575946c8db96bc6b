"""
An index that finds and counts the agents of a board without reading those of the whole organization.
"""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_index(
        "ix_agents_organization_board_number_hidden", "agents", ["organization", "board", "number", "hidden"]
    )
