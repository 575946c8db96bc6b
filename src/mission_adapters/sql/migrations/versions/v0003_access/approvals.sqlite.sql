CREATE TABLE approvals (
    id BLOB NOT NULL,
    number INTEGER NOT NULL,
    organization BLOB NOT NULL,
    board BLOB NOT NULL,
    action TEXT NOT NULL,
    arguments TEXT,
    confidence REAL NOT NULL,
    scores TEXT,
    agent BLOB,
    digest BLOB NOT NULL,
    status TEXT NOT NULL,
    asker TEXT NOT NULL,
    asker_kind TEXT NOT NULL,
    asker_id BLOB,
    decider TEXT,
    decider_kind TEXT,
    decider_id BLOB,
    decided_through TEXT,
    reason TEXT,
    created_at INTEGER NOT NULL,
    resolved_at INTEGER,
    version INTEGER NOT NULL,
    CONSTRAINT pk_approvals PRIMARY KEY (id),
    CONSTRAINT uq_approvals_organization_number UNIQUE (organization, number)
) STRICT;

CREATE INDEX ix_approvals_organization_agent_number ON approvals (organization, agent, number);

CREATE INDEX ix_approvals_organization_board_number ON approvals (organization, board, number);

CREATE INDEX ix_approvals_organization_board_status_number ON approvals (organization, board, status, number);

CREATE INDEX ix_approvals_organization_status_number ON approvals (organization, status, number);

CREATE TABLE approval_links (
    id BLOB NOT NULL,
    organization BLOB NOT NULL,
    board BLOB NOT NULL,
    approval BLOB NOT NULL,
    task BLOB NOT NULL,
    place INTEGER NOT NULL,
    fence INTEGER NOT NULL,
    status TEXT NOT NULL,
    pending_for BLOB,
    used_at INTEGER,
    version INTEGER NOT NULL,
    CONSTRAINT pk_approval_links PRIMARY KEY (id),
    CONSTRAINT uq_approval_links_organization_board_pending_for UNIQUE (organization, board, pending_for),
    CONSTRAINT uq_approval_links_organization_approval_task UNIQUE (organization, approval, task)
) STRICT;

CREATE INDEX ix_approval_links_organization_approval_id ON approval_links (organization, approval, id);

CREATE INDEX ix_approval_links_organization_task_id ON approval_links (organization, task, id);
