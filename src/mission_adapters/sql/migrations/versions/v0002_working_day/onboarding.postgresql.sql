CREATE TABLE onboardings (
    id BYTEA NOT NULL,
    organization BYTEA NOT NULL,
    board BYTEA NOT NULL,
    session_key TEXT COLLATE "C" NOT NULL,
    stage TEXT COLLATE "C" NOT NULL,
    messages TEXT COLLATE "C" NOT NULL,
    draft TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    CONSTRAINT pk_onboardings PRIMARY KEY (id)
);

CREATE INDEX ix_onboardings_organization_board_id ON onboardings (organization, board, id);

