CREATE TABLE users (
    id BLOB NOT NULL,
    organization BLOB NOT NULL,
    number INTEGER NOT NULL,
    username TEXT NOT NULL,
    username_key TEXT NOT NULL,
    provider TEXT NOT NULL,
    subject TEXT,
    email TEXT,
    email_verified INTEGER NOT NULL,
    avatar_url TEXT,
    password TEXT,
    approved INTEGER NOT NULL,
    active BLOB,
    name TEXT,
    preferred_name TEXT,
    pronouns TEXT,
    timezone TEXT,
    notes TEXT,
    context TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    last_login_at INTEGER,
    version INTEGER NOT NULL,
    CONSTRAINT pk_users PRIMARY KEY (id),
    CONSTRAINT uq_users_organization_username_key UNIQUE (organization, username_key),
    CONSTRAINT uq_users_organization_provider_subject UNIQUE (organization, provider, subject),
    CONSTRAINT uq_users_organization_number UNIQUE (organization, number)
) STRICT;

CREATE INDEX ix_users_organization_active_number ON users (organization, active, number);

CREATE INDEX ix_users_organization_email_number ON users (organization, email, number);

CREATE TABLE members (
    id BLOB NOT NULL,
    organization BLOB NOT NULL,
    user BLOB NOT NULL,
    role TEXT NOT NULL,
    all_boards_read INTEGER NOT NULL,
    all_boards_write INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    CONSTRAINT pk_members PRIMARY KEY (id),
    CONSTRAINT uq_members_organization_user UNIQUE (organization, user)
) STRICT;

CREATE INDEX ix_members_user ON members (user);

CREATE TABLE grants (
    id BLOB NOT NULL,
    organization BLOB NOT NULL,
    member BLOB NOT NULL,
    on_board BLOB NOT NULL,
    can_read INTEGER NOT NULL,
    can_write INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    CONSTRAINT pk_grants PRIMARY KEY (id)
) STRICT;

CREATE INDEX ix_grants_organization_member_id ON grants (organization, member, id);

CREATE INDEX ix_grants_organization_on_board_id ON grants (organization, on_board, id);

CREATE TABLE sessions (
    id BLOB NOT NULL,
    organization BLOB NOT NULL,
    user BLOB NOT NULL,
    workspace BLOB NOT NULL,
    digest BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    CONSTRAINT pk_sessions PRIMARY KEY (id),
    CONSTRAINT uq_sessions_organization_digest UNIQUE (organization, digest)
) STRICT;

CREATE INDEX ix_sessions_organization_user_id ON sessions (organization, user, id);

CREATE TABLE server_keys (
    id BLOB NOT NULL,
    organization BLOB NOT NULL,
    "of" BLOB NOT NULL,
    number INTEGER NOT NULL,
    digest BLOB NOT NULL,
    masked TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    version INTEGER NOT NULL,
    CONSTRAINT pk_server_keys PRIMARY KEY (id),
    CONSTRAINT uq_server_keys_organization_digest UNIQUE (organization, digest),
    CONSTRAINT uq_server_keys_organization_number UNIQUE (organization, number)
) STRICT;

CREATE INDEX ix_server_keys_organization_of_number ON server_keys (organization, "of", number);

INSERT INTO users (
    id, organization, number, username, username_key, provider, email, email_verified, approved, active, name, preferred_name,
    pronouns, timezone, notes, context, created_at, updated_at, version
)
SELECT
    user, X'00000000000000000000000000000000', row_number() OVER (ORDER BY created_at, id), login, lower(login), 'token', email, 0, 1, organization,
    name, preferred_name, pronouns, timezone, notes, context, created_at, updated_at, version
FROM people;

INSERT INTO numbers (scope, kind, value)
SELECT X'00000000000000000000000000000000', 'user', count(*) FROM people HAVING count(*) > 0;

DROP TABLE people;
