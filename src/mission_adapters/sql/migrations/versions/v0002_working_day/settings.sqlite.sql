CREATE TABLE settings (
    id BLOB NOT NULL,
    organization BLOB NOT NULL,
    "key" TEXT NOT NULL,
    value TEXT NOT NULL,
    updated_by TEXT NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    CONSTRAINT pk_settings PRIMARY KEY (id),
    CONSTRAINT uq_settings_organization_key UNIQUE (organization, "key")
) STRICT;

