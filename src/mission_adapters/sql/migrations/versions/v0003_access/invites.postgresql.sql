CREATE TABLE invites (
    id BYTEA NOT NULL,
    organization BYTEA NOT NULL,
    email TEXT COLLATE "C" NOT NULL,
    role TEXT COLLATE "C" NOT NULL,
    all_boards_read BIGINT NOT NULL,
    all_boards_write BIGINT NOT NULL,
    created_by BYTEA,
    accepted_by BYTEA,
    accepted_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    CONSTRAINT pk_invites PRIMARY KEY (id)
);

CREATE INDEX ix_invites_email ON invites (email);

CREATE INDEX ix_invites_organization_accepted_at_id ON invites (organization, accepted_at, id);

CREATE TABLE invite_grants (
    id BYTEA NOT NULL,
    organization BYTEA NOT NULL,
    invite BYTEA NOT NULL,
    on_board BYTEA NOT NULL,
    can_read BIGINT NOT NULL,
    can_write BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    CONSTRAINT pk_invite_grants PRIMARY KEY (id)
);

CREATE INDEX ix_invite_grants_organization_invite_id ON invite_grants (organization, invite, id);

CREATE INDEX ix_invite_grants_organization_on_board_id ON invite_grants (organization, on_board, id);
