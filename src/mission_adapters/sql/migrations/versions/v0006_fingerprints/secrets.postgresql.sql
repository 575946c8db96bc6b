CREATE TABLE secret_fingerprints (
    name TEXT COLLATE "C" NOT NULL,
    digest BYTEA NOT NULL,
    CONSTRAINT pk_secret_fingerprints PRIMARY KEY (name)
);
