CREATE TABLE people (
    id BYTEA NOT NULL,
    organization BYTEA NOT NULL,
    "user" BYTEA NOT NULL,
    login TEXT COLLATE "C" NOT NULL,
    email TEXT COLLATE "C",
    name TEXT COLLATE "C",
    preferred_name TEXT COLLATE "C",
    pronouns TEXT COLLATE "C",
    timezone TEXT COLLATE "C",
    notes TEXT COLLATE "C",
    context TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    CONSTRAINT pk_people PRIMARY KEY (id)
);

