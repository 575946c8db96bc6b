CREATE TABLE agents (
    id BLOB NOT NULL,
    number INTEGER NOT NULL,
    organization BLOB NOT NULL,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    role TEXT NOT NULL,
    board BLOB,
    lead INTEGER NOT NULL,
    main INTEGER NOT NULL,
    config TEXT NOT NULL,
    session_key TEXT,
    soul TEXT,
    working_memory TEXT NOT NULL,
    runtime_type TEXT,
    source TEXT NOT NULL,
    workspace_path TEXT,
    hidden INTEGER NOT NULL,
    heartbeat_config TEXT,
    identity_profile TEXT,
    identity_template TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    reported TEXT NOT NULL,
    last_seen_at INTEGER,
    activity TEXT,
    version INTEGER NOT NULL,
    CONSTRAINT pk_agents PRIMARY KEY (id),
    CONSTRAINT uq_agents_organization_name_key UNIQUE (organization, name_key),
    CONSTRAINT uq_agents_organization_number UNIQUE (organization, number),
    CONSTRAINT uq_agents_organization_session_key UNIQUE (organization, session_key)
) STRICT;

CREATE INDEX ix_agents_board ON agents (board);

CREATE TABLE api_keys (
    id BLOB NOT NULL,
    number INTEGER NOT NULL,
    organization BLOB NOT NULL,
    agent BLOB NOT NULL,
    name TEXT NOT NULL,
    digest BLOB NOT NULL,
    prefix TEXT NOT NULL,
    scopes TEXT NOT NULL,
    created_by TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    last_used_at INTEGER,
    version INTEGER NOT NULL,
    CONSTRAINT pk_api_keys PRIMARY KEY (id),
    CONSTRAINT uq_api_keys_digest UNIQUE (digest),
    CONSTRAINT uq_api_keys_organization_number UNIQUE (organization, number)
) STRICT;

CREATE INDEX ix_api_keys_agent ON api_keys (agent);

CREATE TABLE boards (
    id BLOB NOT NULL,
    number INTEGER NOT NULL,
    organization BLOB NOT NULL,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    slug TEXT NOT NULL,
    handle TEXT NOT NULL,
    ticket_prefix TEXT NOT NULL,
    description TEXT,
    status TEXT NOT NULL,
    require_approval_for_done INTEGER NOT NULL,
    require_review_before_done INTEGER NOT NULL,
    comment_required_for_review INTEGER NOT NULL,
    block_status_changes_with_pending_approval INTEGER NOT NULL,
    only_lead_can_change_status INTEGER NOT NULL,
    gateway BLOB,
    "group" BLOB,
    board_type TEXT NOT NULL,
    objective TEXT,
    success_metrics TEXT,
    target_date INTEGER,
    goal_confirmed INTEGER NOT NULL,
    goal_source TEXT,
    max_agents INTEGER NOT NULL,
    github_repo TEXT,
    github_sync_enabled INTEGER NOT NULL,
    github_labels_initialized INTEGER NOT NULL,
    github_default_branch TEXT NOT NULL,
    deadline INTEGER,
    color TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    CONSTRAINT pk_boards PRIMARY KEY (id),
    CONSTRAINT uq_boards_organization_handle UNIQUE (organization, handle),
    CONSTRAINT uq_boards_organization_ticket_prefix UNIQUE (organization, ticket_prefix),
    CONSTRAINT uq_boards_organization_number UNIQUE (organization, number)
) STRICT;

CREATE TABLE dependencies (
    task BLOB NOT NULL,
    depends_on BLOB NOT NULL,
    CONSTRAINT pk_dependencies PRIMARY KEY (task, depends_on)
) WITHOUT ROWID, STRICT;

CREATE INDEX ix_dependencies_depends_on ON dependencies (depends_on);

CREATE TABLE events (
    organization BLOB NOT NULL,
    position INTEGER NOT NULL,
    kind TEXT NOT NULL,
    at INTEGER NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id BLOB,
    actor_name TEXT NOT NULL,
    subject BLOB NOT NULL,
    payload TEXT,
    payload_digest BLOB NOT NULL,
    digest BLOB NOT NULL,
    CONSTRAINT pk_events PRIMARY KEY (organization, position)
) WITHOUT ROWID, STRICT;

CREATE TABLE heads (
    organization BLOB NOT NULL,
    position INTEGER NOT NULL,
    digest BLOB NOT NULL,
    CONSTRAINT pk_heads PRIMARY KEY (organization)
) WITHOUT ROWID, STRICT;

CREATE TABLE numbers (
    scope BLOB NOT NULL,
    kind TEXT NOT NULL,
    value INTEGER NOT NULL,
    CONSTRAINT pk_numbers PRIMARY KEY (scope, kind)
) WITHOUT ROWID, STRICT;

CREATE TABLE once (
    principal TEXT NOT NULL,
    operation TEXT NOT NULL,
    "key" TEXT NOT NULL,
    body_digest BLOB NOT NULL,
    result BLOB,
    at INTEGER NOT NULL,
    CONSTRAINT pk_once PRIMARY KEY (principal, operation, "key")
) WITHOUT ROWID, STRICT;

CREATE INDEX ix_once_at ON once (at);

CREATE TABLE organizations (
    id BLOB NOT NULL,
    number INTEGER NOT NULL,
    slug TEXT NOT NULL,
    name TEXT NOT NULL,
    gateway BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    CONSTRAINT pk_organizations PRIMARY KEY (id),
    CONSTRAINT uq_organizations_number UNIQUE (number),
    CONSTRAINT uq_organizations_slug UNIQUE (slug)
) STRICT;

CREATE TABLE queue (
    task BLOB NOT NULL,
    organization BLOB NOT NULL,
    board BLOB NOT NULL,
    assignee_key TEXT NOT NULL,
    rank INTEGER NOT NULL,
    due INTEGER NOT NULL,
    number INTEGER NOT NULL,
    not_before INTEGER NOT NULL,
    open_dependencies INTEGER NOT NULL,
    CONSTRAINT pk_queue PRIMARY KEY (task)
) WITHOUT ROWID, STRICT;

CREATE INDEX ix_queue_open_board ON queue (board, assignee_key, rank, due, number) WHERE open_dependencies = 0;

CREATE INDEX ix_queue_open_organization ON queue (organization, assignee_key, rank, due, number) WHERE open_dependencies = 0;

CREATE TABLE runs (
    id BLOB NOT NULL,
    organization BLOB NOT NULL,
    board BLOB NOT NULL,
    task BLOB NOT NULL,
    fence INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    "by" TEXT NOT NULL,
    by_agent BLOB,
    actor_kind TEXT NOT NULL,
    actor_id BLOB,
    actor_name TEXT NOT NULL,
    holder_principal TEXT,
    holder_name TEXT,
    holder_instance TEXT,
    from_queue INTEGER NOT NULL,
    state TEXT NOT NULL,
    term INTEGER NOT NULL,
    delay INTEGER NOT NULL,
    claimed_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    heartbeat_at INTEGER NOT NULL,
    progress TEXT,
    orders TEXT NOT NULL,
    paused INTEGER NOT NULL,
    waiting_for TEXT,
    resumes_at INTEGER,
    ended_at INTEGER,
    result TEXT,
    resolution TEXT,
    output TEXT,
    failure TEXT,
    message TEXT,
    note TEXT,
    version INTEGER NOT NULL,
    CONSTRAINT pk_runs PRIMARY KEY (id),
    CONSTRAINT uq_runs_task_fence UNIQUE (task, fence)
) STRICT;

CREATE INDEX ix_runs_alive ON runs (organization, expires_at) WHERE state IN ('leased', 'suspended');

CREATE TABLE tallies (
    organization BLOB NOT NULL,
    board BLOB NOT NULL,
    status TEXT NOT NULL,
    priority TEXT NOT NULL,
    assigned INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    CONSTRAINT pk_tallies PRIMARY KEY (organization, board, status, priority, assigned)
) WITHOUT ROWID, STRICT;

CREATE TABLE tasks (
    id BLOB NOT NULL,
    number INTEGER NOT NULL,
    organization BLOB NOT NULL,
    board BLOB NOT NULL,
    ticket INTEGER,
    title TEXT NOT NULL,
    description TEXT,
    status TEXT NOT NULL,
    priority TEXT NOT NULL,
    rank INTEGER NOT NULL,
    assignee TEXT,
    assignee_key TEXT,
    creator_kind TEXT NOT NULL,
    creator_id BLOB,
    creator_actor TEXT NOT NULL,
    creator_name TEXT NOT NULL,
    due_at INTEGER,
    not_before INTEGER,
    estimated_hours REAL,
    actual_hours REAL,
    tags TEXT NOT NULL,
    metadata TEXT NOT NULL,
    depends_on BLOB NOT NULL,
    result TEXT,
    error_message TEXT,
    resolution TEXT,
    output TEXT,
    feedback_rating INTEGER,
    feedback_notes TEXT,
    retry_count INTEGER NOT NULL,
    recorded INTEGER NOT NULL,
    fence INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    max_attempts INTEGER NOT NULL,
    run BLOB,
    hand_over TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    moved_at INTEGER NOT NULL,
    started_at INTEGER,
    completed_at INTEGER,
    version INTEGER NOT NULL,
    CONSTRAINT pk_tasks PRIMARY KEY (id),
    CONSTRAINT uq_tasks_organization_number UNIQUE (organization, number)
) STRICT;

CREATE INDEX ix_tasks_board_number ON tasks (board, number);

CREATE INDEX ix_tasks_board_status_number ON tasks (board, status, number);

CREATE INDEX ix_tasks_organization_assignee_key_number ON tasks (organization, assignee_key, number);

CREATE INDEX ix_tasks_organization_status_number ON tasks (organization, status, number);

CREATE INDEX ix_tasks_under_way ON tasks (organization, assignee_key, rank, number) WHERE status IN ('assigned', 'in_progress');

CREATE TABLE workloads (
    organization BLOB NOT NULL,
    assignee_key TEXT NOT NULL,
    board BLOB NOT NULL,
    status TEXT NOT NULL,
    amount INTEGER NOT NULL,
    CONSTRAINT pk_workloads PRIMARY KEY (organization, assignee_key, board, status)
) WITHOUT ROWID, STRICT;
