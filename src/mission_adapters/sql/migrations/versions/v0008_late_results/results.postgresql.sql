CREATE TABLE late_results (
    id BYTEA NOT NULL,
    organization BYTEA NOT NULL,
    task BYTEA NOT NULL,
    run BYTEA NOT NULL,
    fence BIGINT NOT NULL,
    by TEXT COLLATE "C" NOT NULL,
    by_agent BYTEA,
    result TEXT COLLATE "C",
    resolution TEXT COLLATE "C",
    output TEXT COLLATE "C",
    failure TEXT COLLATE "C",
    message TEXT COLLATE "C",
    received_at BIGINT NOT NULL,
    adopted_at BIGINT,
    version BIGINT NOT NULL,
    CONSTRAINT pk_late_results PRIMARY KEY (id)
);

CREATE INDEX ix_late_results_organization_task_id ON late_results (organization, task, id);

ALTER TABLE tasks ADD COLUMN late_results BIGINT DEFAULT 0 NOT NULL;

-- The runs of tasks that were deleted stayed behind.
DELETE FROM runs WHERE NOT EXISTS (SELECT 1 FROM tasks WHERE tasks.id = runs.task);
