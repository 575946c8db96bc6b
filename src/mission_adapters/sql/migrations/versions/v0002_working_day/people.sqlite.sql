CREATE TABLE people (
    id BLOB NOT NULL,
    organization BLOB NOT NULL,
    user BLOB NOT NULL,
    login TEXT NOT NULL,
    email TEXT,
    name TEXT,
    preferred_name TEXT,
    pronouns TEXT,
    timezone TEXT,
    notes TEXT,
    context TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    CONSTRAINT pk_people PRIMARY KEY (id)
) STRICT;

