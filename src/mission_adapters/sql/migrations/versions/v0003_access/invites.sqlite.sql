CREATE TABLE invites (
    id BLOB NOT NULL,
    organization BLOB NOT NULL,
    email TEXT NOT NULL,
    role TEXT NOT NULL,
    all_boards_read INTEGER NOT NULL,
    all_boards_write INTEGER NOT NULL,
    created_by BLOB,
    accepted_by BLOB,
    accepted_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    CONSTRAINT pk_invites PRIMARY KEY (id)
) STRICT;

CREATE INDEX ix_invites_email ON invites (email);

CREATE INDEX ix_invites_organization_accepted_at_id ON invites (organization, accepted_at, id);

CREATE TABLE invite_grants (
    id BLOB NOT NULL,
    organization BLOB NOT NULL,
    invite BLOB NOT NULL,
    on_board BLOB NOT NULL,
    can_read INTEGER NOT NULL,
    can_write INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    CONSTRAINT pk_invite_grants PRIMARY KEY (id)
) STRICT;

CREATE INDEX ix_invite_grants_organization_invite_id ON invite_grants (organization, invite, id);

CREATE INDEX ix_invite_grants_organization_on_board_id ON invite_grants (organization, on_board, id);
