CREATE TABLE board_webhooks (
    id BYTEA NOT NULL,
    number BIGINT NOT NULL,
    organization BYTEA NOT NULL,
    board BYTEA NOT NULL,
    agent BYTEA,
    description TEXT COLLATE "C" NOT NULL,
    enabled BIGINT NOT NULL,
    secret BYTEA,
    signature_header TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    CONSTRAINT pk_board_webhooks PRIMARY KEY (id),
    CONSTRAINT uq_board_webhooks_organization_number UNIQUE (organization, number)
);

CREATE INDEX ix_board_webhooks_organization_agent_number ON board_webhooks (organization, agent, number);

CREATE INDEX ix_board_webhooks_organization_board_number ON board_webhooks (organization, board, number);

CREATE TABLE webhook_payloads (
    id BYTEA NOT NULL,
    number BIGINT NOT NULL,
    organization BYTEA NOT NULL,
    board BYTEA NOT NULL,
    webhook BYTEA NOT NULL,
    payload TEXT COLLATE "C" NOT NULL,
    headers TEXT COLLATE "C",
    source_ip TEXT COLLATE "C",
    content_type TEXT COLLATE "C",
    received_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    CONSTRAINT pk_webhook_payloads PRIMARY KEY (id),
    CONSTRAINT uq_webhook_payloads_organization_number UNIQUE (organization, number)
);

CREATE INDEX ix_webhook_payloads_organization_webhook_number ON webhook_payloads (organization, webhook, number);
