CREATE INDEX ix_tasks_in_progress ON tasks (organization, assignee_key) WHERE status = 'in_progress';
