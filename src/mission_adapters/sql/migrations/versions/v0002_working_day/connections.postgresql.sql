CREATE TABLE connections (
    id BYTEA NOT NULL,
    number BIGINT NOT NULL,
    organization BYTEA NOT NULL,
    agent BYTEA NOT NULL,
    live_for BYTEA,
    tool_name TEXT COLLATE "C" NOT NULL,
    tool_version TEXT COLLATE "C",
    metadata TEXT COLLATE "C",
    last_heartbeat_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    CONSTRAINT pk_connections PRIMARY KEY (id),
    CONSTRAINT uq_connections_organization_live_for UNIQUE (organization, live_for),
    CONSTRAINT uq_connections_organization_number UNIQUE (organization, number)
);

CREATE INDEX ix_connections_organization_agent_number ON connections (organization, agent, number);

