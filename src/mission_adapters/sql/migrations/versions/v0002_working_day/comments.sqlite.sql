CREATE TABLE comments (
    id BLOB NOT NULL,
    number INTEGER NOT NULL,
    organization BLOB NOT NULL,
    task BLOB NOT NULL,
    author TEXT NOT NULL,
    author_kind TEXT NOT NULL,
    author_id BLOB,
    content TEXT NOT NULL,
    parent BLOB,
    mentions TEXT NOT NULL,
    assigned TEXT,
    created_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    CONSTRAINT pk_comments PRIMARY KEY (id),
    CONSTRAINT uq_comments_organization_number UNIQUE (organization, number)
) STRICT;

CREATE INDEX ix_comments_organization_task_number ON comments (organization, task, number);

