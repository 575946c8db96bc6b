CREATE TABLE board_groups (
    id BLOB NOT NULL,
    number INTEGER NOT NULL,
    organization BLOB NOT NULL,
    name TEXT NOT NULL,
    slug TEXT NOT NULL,
    description TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    CONSTRAINT pk_board_groups PRIMARY KEY (id),
    CONSTRAINT uq_board_groups_organization_number UNIQUE (organization, number)
) STRICT;

CREATE TABLE assignments (
    id BLOB NOT NULL,
    number INTEGER NOT NULL,
    organization BLOB NOT NULL,
    board BLOB NOT NULL,
    agent_name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    role TEXT NOT NULL,
    assigned_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    CONSTRAINT pk_assignments PRIMARY KEY (id),
    CONSTRAINT uq_assignments_organization_board_name_key UNIQUE (organization, board, name_key),
    CONSTRAINT uq_assignments_organization_number UNIQUE (organization, number)
) STRICT;

CREATE INDEX ix_assignments_organization_board_number ON assignments (organization, board, number);

