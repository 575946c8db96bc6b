"""
Indexes that find the agents of a board, the agents that have a handle, the tasks of a priority and the assignees with a
name beyond ASCII without reading all of the organization.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

OTHER_HANDLES_SQLITE = (
    "config GLOB '*openclawId*' OR name_key GLOB ' *' OR name_key GLOB '* ' OR name_key GLOB '*  *' "
    "OR name_key GLOB '*[' || char(9, 45, 13, 28, 45, 31, 133, 160, 5760, 8192, 45, 8202, 8232, 8233, 8239, 8287, "
    "12288) || ']*'"
)
OTHER_HANDLES_POSTGRESQL = (
    "config ~ 'openclawId' OR name_key ~ '^ | $|  "
    r"|[\u0009-\u000d\u001c-\u001f\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]'"
)


def upgrade() -> None:
    op.create_index(
        "ix_agents_organization_board_number_hidden", "agents", ["organization", "board", "number", "hidden"]
    )
    op.create_index("ix_tasks_organization_priority_number", "tasks", ["organization", "priority", "number"])
    op.create_index("ix_agents_dashed_name", "agents", ["organization", sa.text("replace(name_key, ' ', '-')")])
    op.create_index(
        "ix_agents_other_handles",
        "agents",
        ["organization"],
        sqlite_where=sa.text(OTHER_HANDLES_SQLITE),
        postgresql_where=sa.text(OTHER_HANDLES_POSTGRESQL),
    )
    op.create_index(
        "ix_workloads_not_ascii",
        "workloads",
        ["organization", "assignee_key"],
        sqlite_where=sa.text("length(CAST(assignee_key AS BLOB)) > length(assignee_key)"),
        postgresql_where=sa.text("octet_length(assignee_key) > length(assignee_key)"),
    )
