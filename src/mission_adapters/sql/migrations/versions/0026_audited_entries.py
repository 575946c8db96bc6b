"""
The index of the log entries that are in the audit log.
"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"

AUDITED = sa.text(
    "kind IN ('access.asked', 'access.given', 'access.refused', 'data.exported', 'organization.dissolved', "
    "'organization.founded', 'organization.updated', 'server_key.rotated', 'settings.changed', 'settings.reset', "
    "'user.created', 'user.deleted', 'user.password_changed', 'user.sign_in_failed', 'user.signed_in', "
    "'user.signed_out', 'user.updated')"
)


def upgrade() -> None:
    op.create_index(
        "ix_events_audited",
        "events",
        ["organization", "position"],
        sqlite_where=AUDITED,
        postgresql_where=AUDITED,
    )
