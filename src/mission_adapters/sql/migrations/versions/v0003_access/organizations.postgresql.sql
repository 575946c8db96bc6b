CREATE TABLE organizations_before AS SELECT * FROM organizations;

DROP TABLE organizations;

CREATE TABLE organizations (
    id BYTEA NOT NULL,
    organization BYTEA NOT NULL,
    number BIGINT NOT NULL,
    slug TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    name_key TEXT COLLATE "C",
    gateway BYTEA NOT NULL,
    brand TEXT COLLATE "C",
    isolation TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    CONSTRAINT pk_organizations PRIMARY KEY (id),
    CONSTRAINT uq_organizations_organization_slug UNIQUE (organization, slug),
    CONSTRAINT uq_organizations_organization_name_key UNIQUE (organization, name_key),
    CONSTRAINT uq_organizations_organization_number UNIQUE (organization, number)
);

-- Of several with one name the first has it as its own. A key made here folds ASCII letters only, until a renaming.
INSERT INTO organizations (
    id, organization, number, slug, name, name_key, gateway, isolation, created_at, updated_at, version
)
SELECT
    id, '\x00000000000000000000000000000000'::bytea, number, slug, name,
    CASE WHEN row_number() OVER (PARTITION BY lower(name) ORDER BY number) = 1 THEN lower(name) END,
    gateway, 'shared', created_at, created_at, 1
FROM organizations_before;

DROP TABLE organizations_before;
