CREATE TABLE tags (
    id BLOB NOT NULL,
    organization BLOB NOT NULL,
    name TEXT NOT NULL,
    slug TEXT NOT NULL,
    color TEXT NOT NULL,
    description TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    CONSTRAINT pk_tags PRIMARY KEY (id),
    CONSTRAINT uq_tags_organization_slug UNIQUE (organization, slug)
) STRICT;

CREATE TABLE custom_fields (
    id BLOB NOT NULL,
    organization BLOB NOT NULL,
    field_key TEXT NOT NULL,
    label TEXT NOT NULL,
    field_type TEXT NOT NULL,
    ui_visibility TEXT NOT NULL,
    validation_regex TEXT,
    description TEXT,
    required INTEGER NOT NULL,
    default_value TEXT,
    boards TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    CONSTRAINT pk_custom_fields PRIMARY KEY (id),
    CONSTRAINT uq_custom_fields_organization_field_key UNIQUE (organization, field_key)
) STRICT;

CREATE TABLE marks (
    mark BLOB NOT NULL,
    task BLOB NOT NULL,
    CONSTRAINT pk_marks PRIMARY KEY (mark, task)
) WITHOUT ROWID, STRICT;

ALTER TABLE tasks ADD COLUMN tag_ids BLOB;

ALTER TABLE tasks ADD COLUMN field_values TEXT DEFAULT '{}' NOT NULL;
