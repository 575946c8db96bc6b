CREATE TABLE board_memory (
    id BLOB NOT NULL,
    number INTEGER NOT NULL,
    organization BLOB NOT NULL,
    board BLOB NOT NULL,
    content TEXT NOT NULL,
    tags TEXT,
    source TEXT,
    chat INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    CONSTRAINT pk_board_memory PRIMARY KEY (id),
    CONSTRAINT uq_board_memory_organization_number UNIQUE (organization, number)
) STRICT;

CREATE INDEX ix_board_memory_organization_board_chat_number ON board_memory (organization, board, chat, number);

CREATE INDEX ix_board_memory_organization_board_number ON board_memory (organization, board, number);

CREATE TABLE group_memory (
    id BLOB NOT NULL,
    number INTEGER NOT NULL,
    organization BLOB NOT NULL,
    "group" BLOB NOT NULL,
    content TEXT NOT NULL,
    tags TEXT,
    source TEXT,
    chat INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    CONSTRAINT pk_group_memory PRIMARY KEY (id),
    CONSTRAINT uq_group_memory_organization_number UNIQUE (organization, number)
) STRICT;

CREATE INDEX ix_group_memory_organization_group_chat_number ON group_memory (organization, "group", chat, number);

CREATE INDEX ix_group_memory_organization_group_number ON group_memory (organization, "group", number);
