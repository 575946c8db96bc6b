ALTER TABLE tasks ADD COLUMN github_repo TEXT;

ALTER TABLE tasks ADD COLUMN github_issue INTEGER;

ALTER TABLE tasks ADD COLUMN github_branch TEXT;

ALTER TABLE tasks ADD COLUMN github_pull_request INTEGER;

ALTER TABLE tasks ADD COLUMN github_pull_request_state TEXT;

ALTER TABLE tasks ADD COLUMN github_synced_at INTEGER;
