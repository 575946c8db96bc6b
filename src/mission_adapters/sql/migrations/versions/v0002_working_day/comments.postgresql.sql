CREATE TABLE comments (
    id BYTEA NOT NULL,
    number BIGINT NOT NULL,
    organization BYTEA NOT NULL,
    task BYTEA NOT NULL,
    author TEXT COLLATE "C" NOT NULL,
    author_kind TEXT COLLATE "C" NOT NULL,
    author_id BYTEA,
    content TEXT COLLATE "C" NOT NULL,
    parent BYTEA,
    mentions TEXT COLLATE "C" NOT NULL,
    assigned TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    CONSTRAINT pk_comments PRIMARY KEY (id),
    CONSTRAINT uq_comments_organization_number UNIQUE (organization, number)
);

CREATE INDEX ix_comments_organization_task_number ON comments (organization, task, number);

