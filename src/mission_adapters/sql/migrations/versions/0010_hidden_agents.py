"""
An index that counts the agents of a list, of which most leave out the hidden ones, without reading their rows.
"""

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_index("ix_agents_organization_hidden", "agents", ["organization", "hidden"])
