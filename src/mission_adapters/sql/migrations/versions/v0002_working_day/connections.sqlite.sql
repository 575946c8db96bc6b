CREATE TABLE connections (
    id BLOB NOT NULL,
    number INTEGER NOT NULL,
    organization BLOB NOT NULL,
    agent BLOB NOT NULL,
    live_for BLOB,
    tool_name TEXT NOT NULL,
    tool_version TEXT,
    metadata TEXT,
    last_heartbeat_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    CONSTRAINT pk_connections PRIMARY KEY (id),
    CONSTRAINT uq_connections_organization_live_for UNIQUE (organization, live_for),
    CONSTRAINT uq_connections_organization_number UNIQUE (organization, number)
) STRICT;

CREATE INDEX ix_connections_organization_agent_number ON connections (organization, agent, number);

