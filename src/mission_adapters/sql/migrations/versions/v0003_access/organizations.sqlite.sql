CREATE TABLE organizations_before AS SELECT * FROM organizations;

DROP TABLE organizations;

CREATE TABLE organizations (
    id BLOB NOT NULL,
    organization BLOB NOT NULL,
    number INTEGER NOT NULL,
    slug TEXT NOT NULL,
    name TEXT NOT NULL,
    name_key TEXT,
    gateway BLOB NOT NULL,
    brand TEXT,
    isolation TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    CONSTRAINT pk_organizations PRIMARY KEY (id),
    CONSTRAINT uq_organizations_organization_slug UNIQUE (organization, slug),
    CONSTRAINT uq_organizations_organization_name_key UNIQUE (organization, name_key),
    CONSTRAINT uq_organizations_organization_number UNIQUE (organization, number)
) STRICT;

-- Of several with one name the first has it as its own. A key made here folds ASCII letters only, until a renaming.
INSERT INTO organizations (
    id, organization, number, slug, name, name_key, gateway, isolation, created_at, updated_at, version
)
SELECT
    id, X'00000000000000000000000000000000', number, slug, name,
    CASE WHEN row_number() OVER (PARTITION BY lower(name) ORDER BY number) = 1 THEN lower(name) END,
    gateway, 'shared', created_at, created_at, 1
FROM organizations_before;

DROP TABLE organizations_before;
