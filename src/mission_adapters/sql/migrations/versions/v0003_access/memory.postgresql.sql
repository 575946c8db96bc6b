CREATE TABLE board_memory (
    id BYTEA NOT NULL,
    number BIGINT NOT NULL,
    organization BYTEA NOT NULL,
    board BYTEA NOT NULL,
    content TEXT COLLATE "C" NOT NULL,
    tags TEXT COLLATE "C",
    source TEXT COLLATE "C",
    chat BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    CONSTRAINT pk_board_memory PRIMARY KEY (id),
    CONSTRAINT uq_board_memory_organization_number UNIQUE (organization, number)
);

CREATE INDEX ix_board_memory_organization_board_chat_number ON board_memory (organization, board, chat, number);

CREATE INDEX ix_board_memory_organization_board_number ON board_memory (organization, board, number);

CREATE TABLE group_memory (
    id BYTEA NOT NULL,
    number BIGINT NOT NULL,
    organization BYTEA NOT NULL,
    "group" BYTEA NOT NULL,
    content TEXT COLLATE "C" NOT NULL,
    tags TEXT COLLATE "C",
    source TEXT COLLATE "C",
    chat BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    CONSTRAINT pk_group_memory PRIMARY KEY (id),
    CONSTRAINT uq_group_memory_organization_number UNIQUE (organization, number)
);

CREATE INDEX ix_group_memory_organization_group_chat_number ON group_memory (organization, "group", chat, number);

CREATE INDEX ix_group_memory_organization_group_number ON group_memory (organization, "group", number);
