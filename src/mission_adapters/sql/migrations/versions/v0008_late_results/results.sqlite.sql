CREATE TABLE late_results (
    id BLOB NOT NULL,
    organization BLOB NOT NULL,
    task BLOB NOT NULL,
    run BLOB NOT NULL,
    fence INTEGER NOT NULL,
    "by" TEXT NOT NULL,
    by_agent BLOB,
    result TEXT,
    resolution TEXT,
    output TEXT,
    failure TEXT,
    message TEXT,
    received_at INTEGER NOT NULL,
    adopted_at INTEGER,
    version INTEGER NOT NULL,
    CONSTRAINT pk_late_results PRIMARY KEY (id)
) STRICT;

CREATE INDEX ix_late_results_organization_task_id ON late_results (organization, task, id);

ALTER TABLE tasks ADD COLUMN late_results INTEGER DEFAULT 0 NOT NULL;

-- The runs of tasks that were deleted stayed behind.
DELETE FROM runs WHERE NOT EXISTS (SELECT 1 FROM tasks WHERE tasks.id = runs.task);
