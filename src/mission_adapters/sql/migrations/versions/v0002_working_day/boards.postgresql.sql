CREATE TABLE board_groups (
    id BYTEA NOT NULL,
    number BIGINT NOT NULL,
    organization BYTEA NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    slug TEXT COLLATE "C" NOT NULL,
    description TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    CONSTRAINT pk_board_groups PRIMARY KEY (id),
    CONSTRAINT uq_board_groups_organization_number UNIQUE (organization, number)
);

CREATE TABLE assignments (
    id BYTEA NOT NULL,
    number BIGINT NOT NULL,
    organization BYTEA NOT NULL,
    board BYTEA NOT NULL,
    agent_name TEXT COLLATE "C" NOT NULL,
    name_key TEXT COLLATE "C" NOT NULL,
    role TEXT COLLATE "C" NOT NULL,
    assigned_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    CONSTRAINT pk_assignments PRIMARY KEY (id),
    CONSTRAINT uq_assignments_organization_board_name_key UNIQUE (organization, board, name_key),
    CONSTRAINT uq_assignments_organization_number UNIQUE (organization, number)
);

CREATE INDEX ix_assignments_organization_board_number ON assignments (organization, board, number);

