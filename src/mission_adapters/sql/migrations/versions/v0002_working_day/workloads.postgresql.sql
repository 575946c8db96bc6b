DROP TABLE workloads;

CREATE TABLE workloads (
    organization BYTEA NOT NULL,
    assignee_key TEXT COLLATE "C" NOT NULL,
    board BYTEA NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    priority TEXT COLLATE "C" NOT NULL,
    amount BIGINT NOT NULL,
    CONSTRAINT pk_workloads PRIMARY KEY (organization, assignee_key, board, status, priority)
);

INSERT INTO workloads (organization, assignee_key, board, status, priority, amount)
SELECT organization, assignee_key, board, status, priority, count(*)
FROM tasks WHERE assignee_key IS NOT NULL
GROUP BY organization, assignee_key, board, status, priority;

CREATE INDEX ix_tasks_done_by ON tasks (organization, assignee_key, done_at) WHERE done_at IS NOT NULL;

CREATE INDEX ix_comments_organization_author_id_number ON comments (organization, author_id, number);

CREATE INDEX ix_assignments_organization_name_key_number ON assignments (organization, name_key, number);

CREATE INDEX ix_events_by_agents ON events (organization, actor_id, at, position) WHERE actor_kind = 'agent';

CREATE INDEX ix_events_about_agents ON events (organization, subject, at, position)
WHERE kind >= 'agent.' AND kind < 'agent/';
