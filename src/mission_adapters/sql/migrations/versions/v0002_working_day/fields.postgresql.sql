CREATE TABLE tags (
    id BYTEA NOT NULL,
    organization BYTEA NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    slug TEXT COLLATE "C" NOT NULL,
    color TEXT COLLATE "C" NOT NULL,
    description TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    CONSTRAINT pk_tags PRIMARY KEY (id),
    CONSTRAINT uq_tags_organization_slug UNIQUE (organization, slug)
);

CREATE TABLE custom_fields (
    id BYTEA NOT NULL,
    organization BYTEA NOT NULL,
    field_key TEXT COLLATE "C" NOT NULL,
    label TEXT COLLATE "C" NOT NULL,
    field_type TEXT COLLATE "C" NOT NULL,
    ui_visibility TEXT COLLATE "C" NOT NULL,
    validation_regex TEXT COLLATE "C",
    description TEXT COLLATE "C",
    required BIGINT NOT NULL,
    default_value TEXT COLLATE "C",
    boards TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    CONSTRAINT pk_custom_fields PRIMARY KEY (id),
    CONSTRAINT uq_custom_fields_organization_field_key UNIQUE (organization, field_key)
);

CREATE TABLE marks (
    mark BYTEA NOT NULL,
    task BYTEA NOT NULL,
    CONSTRAINT pk_marks PRIMARY KEY (mark, task)
);

ALTER TABLE tasks ADD COLUMN tag_ids BYTEA;

ALTER TABLE tasks ADD COLUMN field_values TEXT COLLATE "C" DEFAULT '{}' NOT NULL;
