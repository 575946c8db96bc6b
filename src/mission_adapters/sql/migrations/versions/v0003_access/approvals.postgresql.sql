CREATE TABLE approvals (
    id BYTEA NOT NULL,
    number BIGINT NOT NULL,
    organization BYTEA NOT NULL,
    board BYTEA NOT NULL,
    action TEXT COLLATE "C" NOT NULL,
    arguments TEXT COLLATE "C",
    confidence DOUBLE PRECISION NOT NULL,
    scores TEXT COLLATE "C",
    agent BYTEA,
    digest BYTEA NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    asker TEXT COLLATE "C" NOT NULL,
    asker_kind TEXT COLLATE "C" NOT NULL,
    asker_id BYTEA,
    decider TEXT COLLATE "C",
    decider_kind TEXT COLLATE "C",
    decider_id BYTEA,
    decided_through TEXT COLLATE "C",
    reason TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    resolved_at BIGINT,
    version BIGINT NOT NULL,
    CONSTRAINT pk_approvals PRIMARY KEY (id),
    CONSTRAINT uq_approvals_organization_number UNIQUE (organization, number)
);

CREATE INDEX ix_approvals_organization_agent_number ON approvals (organization, agent, number);

CREATE INDEX ix_approvals_organization_board_number ON approvals (organization, board, number);

CREATE INDEX ix_approvals_organization_board_status_number ON approvals (organization, board, status, number);

CREATE INDEX ix_approvals_organization_status_number ON approvals (organization, status, number);

CREATE TABLE approval_links (
    id BYTEA NOT NULL,
    organization BYTEA NOT NULL,
    board BYTEA NOT NULL,
    approval BYTEA NOT NULL,
    task BYTEA NOT NULL,
    place BIGINT NOT NULL,
    fence BIGINT NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    pending_for BYTEA,
    used_at BIGINT,
    version BIGINT NOT NULL,
    CONSTRAINT pk_approval_links PRIMARY KEY (id),
    CONSTRAINT uq_approval_links_organization_board_pending_for UNIQUE (organization, board, pending_for),
    CONSTRAINT uq_approval_links_organization_approval_task UNIQUE (organization, approval, task)
);

CREATE INDEX ix_approval_links_organization_approval_id ON approval_links (organization, approval, id);

CREATE INDEX ix_approval_links_organization_task_id ON approval_links (organization, task, id);
