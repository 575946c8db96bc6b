ALTER TABLE tasks ADD COLUMN github_repo TEXT COLLATE "C";

ALTER TABLE tasks ADD COLUMN github_issue BIGINT;

ALTER TABLE tasks ADD COLUMN github_branch TEXT COLLATE "C";

ALTER TABLE tasks ADD COLUMN github_pull_request BIGINT;

ALTER TABLE tasks ADD COLUMN github_pull_request_state TEXT COLLATE "C";

ALTER TABLE tasks ADD COLUMN github_synced_at BIGINT;
