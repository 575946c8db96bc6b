CREATE TABLE agents (
    id BYTEA NOT NULL,
    number BIGINT NOT NULL,
    organization BYTEA NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    name_key TEXT COLLATE "C" NOT NULL,
    role TEXT COLLATE "C" NOT NULL,
    board BYTEA,
    lead BIGINT NOT NULL,
    main BIGINT NOT NULL,
    config TEXT COLLATE "C" NOT NULL,
    session_key TEXT COLLATE "C",
    soul TEXT COLLATE "C",
    working_memory TEXT COLLATE "C" NOT NULL,
    runtime_type TEXT COLLATE "C",
    source TEXT COLLATE "C" NOT NULL,
    workspace_path TEXT COLLATE "C",
    hidden BIGINT NOT NULL,
    heartbeat_config TEXT COLLATE "C",
    identity_profile TEXT COLLATE "C",
    identity_template TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    reported TEXT COLLATE "C" NOT NULL,
    last_seen_at BIGINT,
    activity TEXT COLLATE "C",
    version BIGINT NOT NULL,
    CONSTRAINT pk_agents PRIMARY KEY (id),
    CONSTRAINT uq_agents_organization_name_key UNIQUE (organization, name_key),
    CONSTRAINT uq_agents_organization_number UNIQUE (organization, number),
    CONSTRAINT uq_agents_organization_session_key UNIQUE (organization, session_key)
);

CREATE INDEX ix_agents_board ON agents (board);

CREATE TABLE api_keys (
    id BYTEA NOT NULL,
    number BIGINT NOT NULL,
    organization BYTEA NOT NULL,
    agent BYTEA NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    digest BYTEA NOT NULL,
    prefix TEXT COLLATE "C" NOT NULL,
    scopes TEXT COLLATE "C" NOT NULL,
    created_by TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    last_used_at BIGINT,
    version BIGINT NOT NULL,
    CONSTRAINT pk_api_keys PRIMARY KEY (id),
    CONSTRAINT uq_api_keys_digest UNIQUE (digest),
    CONSTRAINT uq_api_keys_organization_number UNIQUE (organization, number)
);

CREATE INDEX ix_api_keys_agent ON api_keys (agent);

CREATE TABLE boards (
    id BYTEA NOT NULL,
    number BIGINT NOT NULL,
    organization BYTEA NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    name_key TEXT COLLATE "C" NOT NULL,
    slug TEXT COLLATE "C" NOT NULL,
    handle TEXT COLLATE "C" NOT NULL,
    ticket_prefix TEXT COLLATE "C" NOT NULL,
    description TEXT COLLATE "C",
    status TEXT COLLATE "C" NOT NULL,
    require_approval_for_done BIGINT NOT NULL,
    require_review_before_done BIGINT NOT NULL,
    comment_required_for_review BIGINT NOT NULL,
    block_status_changes_with_pending_approval BIGINT NOT NULL,
    only_lead_can_change_status BIGINT NOT NULL,
    gateway BYTEA,
    "group" BYTEA,
    board_type TEXT COLLATE "C" NOT NULL,
    objective TEXT COLLATE "C",
    success_metrics TEXT COLLATE "C",
    target_date BIGINT,
    goal_confirmed BIGINT NOT NULL,
    goal_source TEXT COLLATE "C",
    max_agents BIGINT NOT NULL,
    github_repo TEXT COLLATE "C",
    github_sync_enabled BIGINT NOT NULL,
    github_labels_initialized BIGINT NOT NULL,
    github_default_branch TEXT COLLATE "C" NOT NULL,
    deadline BIGINT,
    color TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    CONSTRAINT pk_boards PRIMARY KEY (id),
    CONSTRAINT uq_boards_organization_handle UNIQUE (organization, handle),
    CONSTRAINT uq_boards_organization_ticket_prefix UNIQUE (organization, ticket_prefix),
    CONSTRAINT uq_boards_organization_number UNIQUE (organization, number)
);

CREATE TABLE dependencies (
    task BYTEA NOT NULL,
    depends_on BYTEA NOT NULL,
    CONSTRAINT pk_dependencies PRIMARY KEY (task, depends_on)
);

CREATE INDEX ix_dependencies_depends_on ON dependencies (depends_on);

CREATE TABLE events (
    organization BYTEA NOT NULL,
    position BIGINT NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    actor_kind TEXT COLLATE "C" NOT NULL,
    actor_id BYTEA,
    actor_name TEXT COLLATE "C" NOT NULL,
    subject BYTEA NOT NULL,
    payload TEXT COLLATE "C",
    payload_digest BYTEA NOT NULL,
    digest BYTEA NOT NULL,
    CONSTRAINT pk_events PRIMARY KEY (organization, position)
);

CREATE TABLE heads (
    organization BYTEA NOT NULL,
    position BIGINT NOT NULL,
    digest BYTEA NOT NULL,
    CONSTRAINT pk_heads PRIMARY KEY (organization)
);

CREATE TABLE numbers (
    scope BYTEA NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    value BIGINT NOT NULL,
    CONSTRAINT pk_numbers PRIMARY KEY (scope, kind)
);

CREATE TABLE once (
    principal TEXT COLLATE "C" NOT NULL,
    operation TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    body_digest BYTEA NOT NULL,
    result BYTEA,
    at BIGINT NOT NULL,
    CONSTRAINT pk_once PRIMARY KEY (principal, operation, key)
);

CREATE INDEX ix_once_at ON once (at);

CREATE TABLE organizations (
    id BYTEA NOT NULL,
    number BIGINT NOT NULL,
    slug TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    gateway BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT pk_organizations PRIMARY KEY (id),
    CONSTRAINT uq_organizations_number UNIQUE (number),
    CONSTRAINT uq_organizations_slug UNIQUE (slug)
);

CREATE TABLE queue (
    task BYTEA NOT NULL,
    organization BYTEA NOT NULL,
    board BYTEA NOT NULL,
    assignee_key TEXT COLLATE "C" NOT NULL,
    rank BIGINT NOT NULL,
    due BIGINT NOT NULL,
    number BIGINT NOT NULL,
    not_before BIGINT NOT NULL,
    open_dependencies BIGINT NOT NULL,
    CONSTRAINT pk_queue PRIMARY KEY (task)
);

CREATE INDEX ix_queue_open_board ON queue (board, assignee_key, rank, due, number) WHERE open_dependencies = 0;

CREATE INDEX ix_queue_open_organization ON queue (organization, assignee_key, rank, due, number) WHERE open_dependencies = 0;

CREATE TABLE runs (
    id BYTEA NOT NULL,
    organization BYTEA NOT NULL,
    board BYTEA NOT NULL,
    task BYTEA NOT NULL,
    fence BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    by TEXT COLLATE "C" NOT NULL,
    by_agent BYTEA,
    actor_kind TEXT COLLATE "C" NOT NULL,
    actor_id BYTEA,
    actor_name TEXT COLLATE "C" NOT NULL,
    holder_principal TEXT COLLATE "C",
    holder_name TEXT COLLATE "C",
    holder_instance TEXT COLLATE "C",
    from_queue BIGINT NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    term BIGINT NOT NULL,
    delay BIGINT NOT NULL,
    claimed_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    heartbeat_at BIGINT NOT NULL,
    progress TEXT COLLATE "C",
    orders TEXT COLLATE "C" NOT NULL,
    paused BIGINT NOT NULL,
    waiting_for TEXT COLLATE "C",
    resumes_at BIGINT,
    ended_at BIGINT,
    result TEXT COLLATE "C",
    resolution TEXT COLLATE "C",
    output TEXT COLLATE "C",
    failure TEXT COLLATE "C",
    message TEXT COLLATE "C",
    note TEXT COLLATE "C",
    version BIGINT NOT NULL,
    CONSTRAINT pk_runs PRIMARY KEY (id),
    CONSTRAINT uq_runs_task_fence UNIQUE (task, fence)
);

CREATE INDEX ix_runs_alive ON runs (organization, expires_at) WHERE state IN ('leased', 'suspended');

CREATE TABLE tallies (
    organization BYTEA NOT NULL,
    board BYTEA NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    priority TEXT COLLATE "C" NOT NULL,
    assigned BIGINT NOT NULL,
    amount BIGINT NOT NULL,
    CONSTRAINT pk_tallies PRIMARY KEY (organization, board, status, priority, assigned)
);

CREATE TABLE tasks (
    id BYTEA NOT NULL,
    number BIGINT NOT NULL,
    organization BYTEA NOT NULL,
    board BYTEA NOT NULL,
    ticket BIGINT,
    title TEXT COLLATE "C" NOT NULL,
    description TEXT COLLATE "C",
    status TEXT COLLATE "C" NOT NULL,
    priority TEXT COLLATE "C" NOT NULL,
    rank BIGINT NOT NULL,
    assignee TEXT COLLATE "C",
    assignee_key TEXT COLLATE "C",
    creator_kind TEXT COLLATE "C" NOT NULL,
    creator_id BYTEA,
    creator_actor TEXT COLLATE "C" NOT NULL,
    creator_name TEXT COLLATE "C" NOT NULL,
    due_at BIGINT,
    not_before BIGINT,
    estimated_hours DOUBLE PRECISION,
    actual_hours DOUBLE PRECISION,
    tags TEXT COLLATE "C" NOT NULL,
    metadata TEXT COLLATE "C" NOT NULL,
    depends_on BYTEA NOT NULL,
    result TEXT COLLATE "C",
    error_message TEXT COLLATE "C",
    resolution TEXT COLLATE "C",
    output TEXT COLLATE "C",
    feedback_rating BIGINT,
    feedback_notes TEXT COLLATE "C",
    retry_count BIGINT NOT NULL,
    recorded BIGINT NOT NULL,
    fence BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    max_attempts BIGINT NOT NULL,
    run BYTEA,
    hand_over TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    moved_at BIGINT NOT NULL,
    started_at BIGINT,
    completed_at BIGINT,
    version BIGINT NOT NULL,
    CONSTRAINT pk_tasks PRIMARY KEY (id),
    CONSTRAINT uq_tasks_organization_number UNIQUE (organization, number)
);

CREATE INDEX ix_tasks_board_number ON tasks (board, number);

CREATE INDEX ix_tasks_board_status_number ON tasks (board, status, number);

CREATE INDEX ix_tasks_organization_assignee_key_number ON tasks (organization, assignee_key, number);

CREATE INDEX ix_tasks_organization_status_number ON tasks (organization, status, number);

CREATE INDEX ix_tasks_under_way ON tasks (organization, assignee_key, rank, number) WHERE status IN ('assigned', 'in_progress');

CREATE TABLE workloads (
    organization BYTEA NOT NULL,
    assignee_key TEXT COLLATE "C" NOT NULL,
    board BYTEA NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    amount BIGINT NOT NULL,
    CONSTRAINT pk_workloads PRIMARY KEY (organization, assignee_key, board, status)
);
