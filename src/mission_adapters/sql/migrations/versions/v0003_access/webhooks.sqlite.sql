CREATE TABLE board_webhooks (
    id BLOB NOT NULL,
    number INTEGER NOT NULL,
    organization BLOB NOT NULL,
    board BLOB NOT NULL,
    agent BLOB,
    description TEXT NOT NULL,
    enabled INTEGER NOT NULL,
    secret BLOB,
    signature_header TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    CONSTRAINT pk_board_webhooks PRIMARY KEY (id),
    CONSTRAINT uq_board_webhooks_organization_number UNIQUE (organization, number)
) STRICT;

CREATE INDEX ix_board_webhooks_organization_agent_number ON board_webhooks (organization, agent, number);

CREATE INDEX ix_board_webhooks_organization_board_number ON board_webhooks (organization, board, number);

CREATE TABLE webhook_payloads (
    id BLOB NOT NULL,
    number INTEGER NOT NULL,
    organization BLOB NOT NULL,
    board BLOB NOT NULL,
    webhook BLOB NOT NULL,
    payload TEXT NOT NULL,
    headers TEXT,
    source_ip TEXT,
    content_type TEXT,
    received_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    CONSTRAINT pk_webhook_payloads PRIMARY KEY (id),
    CONSTRAINT uq_webhook_payloads_organization_number UNIQUE (organization, number)
) STRICT;

CREATE INDEX ix_webhook_payloads_organization_webhook_number ON webhook_payloads (organization, webhook, number);
