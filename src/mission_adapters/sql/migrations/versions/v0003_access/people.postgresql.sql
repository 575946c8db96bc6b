CREATE TABLE users (
    id BYTEA NOT NULL,
    organization BYTEA NOT NULL,
    number BIGINT NOT NULL,
    username TEXT COLLATE "C" NOT NULL,
    username_key TEXT COLLATE "C" NOT NULL,
    provider TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C",
    email TEXT COLLATE "C",
    email_verified BIGINT NOT NULL,
    avatar_url TEXT COLLATE "C",
    password TEXT COLLATE "C",
    approved BIGINT NOT NULL,
    active BYTEA,
    name TEXT COLLATE "C",
    preferred_name TEXT COLLATE "C",
    pronouns TEXT COLLATE "C",
    timezone TEXT COLLATE "C",
    notes TEXT COLLATE "C",
    context TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    last_login_at BIGINT,
    version BIGINT NOT NULL,
    CONSTRAINT pk_users PRIMARY KEY (id),
    CONSTRAINT uq_users_organization_username_key UNIQUE (organization, username_key),
    CONSTRAINT uq_users_organization_provider_subject UNIQUE (organization, provider, subject),
    CONSTRAINT uq_users_organization_number UNIQUE (organization, number)
);

CREATE INDEX ix_users_organization_active_number ON users (organization, active, number);

CREATE INDEX ix_users_organization_email_number ON users (organization, email, number);

CREATE TABLE members (
    id BYTEA NOT NULL,
    organization BYTEA NOT NULL,
    "user" BYTEA NOT NULL,
    role TEXT COLLATE "C" NOT NULL,
    all_boards_read BIGINT NOT NULL,
    all_boards_write BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    CONSTRAINT pk_members PRIMARY KEY (id),
    CONSTRAINT uq_members_organization_user UNIQUE (organization, "user")
);

CREATE INDEX ix_members_user ON members ("user");

CREATE TABLE grants (
    id BYTEA NOT NULL,
    organization BYTEA NOT NULL,
    member BYTEA NOT NULL,
    on_board BYTEA NOT NULL,
    can_read BIGINT NOT NULL,
    can_write BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    CONSTRAINT pk_grants PRIMARY KEY (id)
);

CREATE INDEX ix_grants_organization_member_id ON grants (organization, member, id);

CREATE INDEX ix_grants_organization_on_board_id ON grants (organization, on_board, id);

CREATE TABLE sessions (
    id BYTEA NOT NULL,
    organization BYTEA NOT NULL,
    "user" BYTEA NOT NULL,
    workspace BYTEA NOT NULL,
    digest BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    CONSTRAINT pk_sessions PRIMARY KEY (id),
    CONSTRAINT uq_sessions_organization_digest UNIQUE (organization, digest)
);

CREATE INDEX ix_sessions_organization_user_id ON sessions (organization, "user", id);

CREATE TABLE server_keys (
    id BYTEA NOT NULL,
    organization BYTEA NOT NULL,
    "of" BYTEA NOT NULL,
    number BIGINT NOT NULL,
    digest BYTEA NOT NULL,
    masked TEXT COLLATE "C" NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    version BIGINT NOT NULL,
    CONSTRAINT pk_server_keys PRIMARY KEY (id),
    CONSTRAINT uq_server_keys_organization_digest UNIQUE (organization, digest),
    CONSTRAINT uq_server_keys_organization_number UNIQUE (organization, number)
);

CREATE INDEX ix_server_keys_organization_of_number ON server_keys (organization, "of", number);

INSERT INTO users (
    id, organization, number, username, username_key, provider, email, email_verified, approved, active, name, preferred_name,
    pronouns, timezone, notes, context, created_at, updated_at, version
)
SELECT
    "user", '\x00000000000000000000000000000000'::bytea, row_number() OVER (ORDER BY created_at, id), login, lower(login), 'token', email, 0, 1, organization,
    name, preferred_name, pronouns, timezone, notes, context, created_at, updated_at, version
FROM people;

INSERT INTO numbers (scope, kind, value)
SELECT '\x00000000000000000000000000000000'::bytea, 'user', count(*) FROM people HAVING count(*) > 0;

DROP TABLE people;
