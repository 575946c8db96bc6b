CREATE TABLE onboardings (
    id BLOB NOT NULL,
    organization BLOB NOT NULL,
    board BLOB NOT NULL,
    session_key TEXT NOT NULL,
    stage TEXT NOT NULL,
    messages TEXT NOT NULL,
    draft TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    CONSTRAINT pk_onboardings PRIMARY KEY (id)
) STRICT;

CREATE INDEX ix_onboardings_organization_board_id ON onboardings (organization, board, id);

