CREATE TABLE secret_fingerprints (
    name TEXT NOT NULL,
    digest BLOB NOT NULL,
    CONSTRAINT pk_secret_fingerprints PRIMARY KEY (name)
) WITHOUT ROWID, STRICT;
