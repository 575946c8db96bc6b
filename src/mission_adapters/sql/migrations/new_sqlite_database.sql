-- 0029
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE access_requests (
	id BLOB NOT NULL, 
	organization BLOB NOT NULL, 
	number INTEGER NOT NULL, 
	provider TEXT NOT NULL, 
	email TEXT NOT NULL, 
	subject TEXT NOT NULL, 
	name TEXT, 
	picture TEXT, 
	status TEXT NOT NULL, 
	attempts INTEGER NOT NULL, 
	requested_at INTEGER NOT NULL, 
	last_attempt_at INTEGER NOT NULL, 
	reviewed_by TEXT, 
	reviewed_at INTEGER, 
	note TEXT, 
	approved_user INTEGER, 
	version INTEGER NOT NULL, 
	CONSTRAINT pk_access_requests PRIMARY KEY (id), 
	CONSTRAINT uq_access_requests_organization_email UNIQUE (organization, email), 
	CONSTRAINT uq_access_requests_organization_number UNIQUE (organization, number)
)
 STRICT

;
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
)
 STRICT

;
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
)
 STRICT

;
CREATE INDEX ix_api_keys_agent ON api_keys (agent);
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
)
 STRICT

;
CREATE INDEX ix_approval_links_organization_approval_id ON approval_links (organization, approval, id);
CREATE INDEX ix_approval_links_organization_task_id ON approval_links (organization, task, id);
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
)
 STRICT

;
CREATE INDEX ix_approvals_organization_agent_number ON approvals (organization, agent, number);
CREATE INDEX ix_approvals_organization_board_number ON approvals (organization, board, number);
CREATE INDEX ix_approvals_organization_board_status_number ON approvals (organization, board, status, number);
CREATE INDEX ix_approvals_organization_status_number ON approvals (organization, status, number);
CREATE TABLE assignments (
	id BLOB NOT NULL, 
	number INTEGER NOT NULL, 
	organization BLOB NOT NULL, 
	board BLOB NOT NULL, 
	agent_name TEXT NOT NULL, 
	name_key TEXT NOT NULL, 
	role TEXT NOT NULL, 
	assigned_at INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	CONSTRAINT pk_assignments PRIMARY KEY (id), 
	CONSTRAINT uq_assignments_organization_board_name_key UNIQUE (organization, board, name_key), 
	CONSTRAINT uq_assignments_organization_number UNIQUE (organization, number)
)
 STRICT

;
CREATE INDEX ix_assignments_organization_board_number ON assignments (organization, board, number);
CREATE INDEX ix_assignments_organization_name_key_number ON assignments (organization, name_key, number);
CREATE TABLE board_groups (
	id BLOB NOT NULL, 
	number INTEGER NOT NULL, 
	organization BLOB NOT NULL, 
	name TEXT NOT NULL, 
	slug TEXT NOT NULL, 
	description TEXT, 
	created_at INTEGER NOT NULL, 
	updated_at INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	CONSTRAINT pk_board_groups PRIMARY KEY (id), 
	CONSTRAINT uq_board_groups_organization_number UNIQUE (organization, number)
)
 STRICT

;
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
)
 STRICT

;
CREATE INDEX ix_board_memory_organization_board_chat_number ON board_memory (organization, board, chat, number);
CREATE INDEX ix_board_memory_organization_board_number ON board_memory (organization, board, number);
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
)
 STRICT

;
CREATE INDEX ix_board_webhooks_organization_agent_number ON board_webhooks (organization, agent, number);
CREATE INDEX ix_board_webhooks_organization_board_number ON board_webhooks (organization, board, number);
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
	gates_version INTEGER DEFAULT 0 NOT NULL, 
	CONSTRAINT pk_boards PRIMARY KEY (id), 
	CONSTRAINT uq_boards_organization_handle UNIQUE (organization, handle), 
	CONSTRAINT uq_boards_organization_ticket_prefix UNIQUE (organization, ticket_prefix), 
	CONSTRAINT uq_boards_organization_number UNIQUE (organization, number)
)
 STRICT

;
CREATE TABLE comments (
	id BLOB NOT NULL, 
	number INTEGER NOT NULL, 
	organization BLOB NOT NULL, 
	task BLOB NOT NULL, 
	author TEXT NOT NULL, 
	author_kind TEXT NOT NULL, 
	author_id BLOB, 
	content TEXT NOT NULL, 
	parent BLOB, 
	mentions TEXT NOT NULL, 
	assigned TEXT, 
	created_at INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	CONSTRAINT pk_comments PRIMARY KEY (id), 
	CONSTRAINT uq_comments_organization_number UNIQUE (organization, number)
)
 STRICT

;
CREATE INDEX ix_comments_organization_author_id_number ON comments (organization, author_id, number);
CREATE INDEX ix_comments_organization_task_number ON comments (organization, task, number);
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
)
 STRICT

;
CREATE INDEX ix_connections_organization_agent_number ON connections (organization, agent, number);
CREATE TABLE custom_fields (
	id BLOB NOT NULL, 
	organization BLOB NOT NULL, 
	field_key TEXT NOT NULL, 
	label TEXT NOT NULL, 
	field_type TEXT NOT NULL, 
	ui_visibility TEXT NOT NULL, 
	validation_regex TEXT, 
	description TEXT, 
	required INTEGER NOT NULL, 
	default_value TEXT, 
	boards TEXT NOT NULL, 
	created_at INTEGER NOT NULL, 
	updated_at INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	CONSTRAINT pk_custom_fields PRIMARY KEY (id), 
	CONSTRAINT uq_custom_fields_organization_field_key UNIQUE (organization, field_key)
)
 STRICT

;
CREATE TABLE dependencies (
	task BLOB NOT NULL, 
	depends_on BLOB NOT NULL, 
	CONSTRAINT pk_dependencies PRIMARY KEY (task, depends_on)
)
 WITHOUT ROWID,
 STRICT

;
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
)
 WITHOUT ROWID,
 STRICT

;
CREATE INDEX ix_events_about_agents ON events (organization, subject, at, position) WHERE kind >= 'agent.' AND kind < 'agent/';
CREATE INDEX ix_events_by_agents ON events (organization, actor_id, at, position) WHERE actor_kind = 'agent';
CREATE TABLE grants (
	id BLOB NOT NULL, 
	organization BLOB NOT NULL, 
	member BLOB NOT NULL, 
	on_board BLOB NOT NULL, 
	can_read INTEGER NOT NULL, 
	can_write INTEGER NOT NULL, 
	created_at INTEGER NOT NULL, 
	updated_at INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	CONSTRAINT pk_grants PRIMARY KEY (id)
)
 STRICT

;
CREATE INDEX ix_grants_organization_member_id ON grants (organization, member, id);
CREATE INDEX ix_grants_organization_on_board_id ON grants (organization, on_board, id);
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
)
 STRICT

;
CREATE INDEX ix_group_memory_organization_group_chat_number ON group_memory (organization, "group", chat, number);
CREATE INDEX ix_group_memory_organization_group_number ON group_memory (organization, "group", number);
CREATE TABLE heads (
	organization BLOB NOT NULL, 
	position INTEGER NOT NULL, 
	digest BLOB NOT NULL, has_budgets INTEGER DEFAULT '0' NOT NULL, price_changes INTEGER DEFAULT '0' NOT NULL, 
	CONSTRAINT pk_heads PRIMARY KEY (organization)
)
 WITHOUT ROWID,
 STRICT

;
CREATE TABLE invite_grants (
	id BLOB NOT NULL, 
	organization BLOB NOT NULL, 
	invite BLOB NOT NULL, 
	on_board BLOB NOT NULL, 
	can_read INTEGER NOT NULL, 
	can_write INTEGER NOT NULL, 
	created_at INTEGER NOT NULL, 
	updated_at INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	CONSTRAINT pk_invite_grants PRIMARY KEY (id)
)
 STRICT

;
CREATE INDEX ix_invite_grants_organization_invite_id ON invite_grants (organization, invite, id);
CREATE INDEX ix_invite_grants_organization_on_board_id ON invite_grants (organization, on_board, id);
CREATE TABLE invites (
	id BLOB NOT NULL, 
	organization BLOB NOT NULL, 
	email TEXT NOT NULL, 
	role TEXT NOT NULL, 
	all_boards_read INTEGER NOT NULL, 
	all_boards_write INTEGER NOT NULL, 
	created_by BLOB, 
	accepted_by BLOB, 
	accepted_at INTEGER, 
	created_at INTEGER NOT NULL, 
	updated_at INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	CONSTRAINT pk_invites PRIMARY KEY (id)
)
 STRICT

;
CREATE INDEX ix_invites_email ON invites (email);
CREATE INDEX ix_invites_organization_accepted_at_id ON invites (organization, accepted_at, id);
CREATE TABLE late_results (
	id BLOB NOT NULL, 
	organization BLOB NOT NULL, 
	task BLOB NOT NULL, 
	run BLOB NOT NULL, 
	fence INTEGER NOT NULL, 
	"by" TEXT NOT NULL, 
	by_agent BLOB, 
	result TEXT, 
	resolution TEXT, 
	output TEXT, 
	failure TEXT, 
	message TEXT, 
	received_at INTEGER NOT NULL, 
	adopted_at INTEGER, 
	version INTEGER NOT NULL, 
	CONSTRAINT pk_late_results PRIMARY KEY (id)
)
 STRICT

;
CREATE INDEX ix_late_results_organization_task_id ON late_results (organization, task, id);
CREATE TABLE marks (
	mark BLOB NOT NULL, 
	task BLOB NOT NULL, 
	CONSTRAINT pk_marks PRIMARY KEY (mark, task)
)
 WITHOUT ROWID,
 STRICT

;
CREATE TABLE members (
	id BLOB NOT NULL, 
	organization BLOB NOT NULL, 
	user BLOB NOT NULL, 
	role TEXT NOT NULL, 
	all_boards_read INTEGER NOT NULL, 
	all_boards_write INTEGER NOT NULL, 
	created_at INTEGER NOT NULL, 
	updated_at INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	CONSTRAINT pk_members PRIMARY KEY (id), 
	CONSTRAINT uq_members_organization_user UNIQUE (organization, user)
)
 STRICT

;
CREATE INDEX ix_members_user ON members (user);
CREATE TABLE numbers (
	scope BLOB NOT NULL, 
	kind TEXT NOT NULL, 
	value INTEGER NOT NULL, 
	CONSTRAINT pk_numbers PRIMARY KEY (scope, kind)
)
 WITHOUT ROWID,
 STRICT

;
CREATE TABLE onboardings (
	id BLOB NOT NULL, 
	organization BLOB NOT NULL, 
	board BLOB NOT NULL, 
	session_key TEXT NOT NULL, 
	stage TEXT NOT NULL, 
	messages TEXT NOT NULL, 
	draft TEXT, 
	created_at INTEGER NOT NULL, 
	updated_at INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	CONSTRAINT pk_onboardings PRIMARY KEY (id)
)
 STRICT

;
CREATE INDEX ix_onboardings_organization_board_id ON onboardings (organization, board, id);
CREATE TABLE once (
	principal TEXT NOT NULL, 
	operation TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	body_digest BLOB NOT NULL, 
	result BLOB, 
	at INTEGER NOT NULL, 
	CONSTRAINT pk_once PRIMARY KEY (principal, operation, "key")
)
 WITHOUT ROWID,
 STRICT

;
CREATE INDEX ix_once_at ON once (at);
CREATE TABLE organizations (
	id BLOB NOT NULL, 
	organization BLOB NOT NULL, 
	number INTEGER NOT NULL, 
	slug TEXT NOT NULL, 
	name TEXT NOT NULL, 
	name_key TEXT, 
	gateway BLOB NOT NULL, 
	brand TEXT, 
	isolation TEXT NOT NULL, 
	created_at INTEGER NOT NULL, 
	updated_at INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	CONSTRAINT pk_organizations PRIMARY KEY (id), 
	CONSTRAINT uq_organizations_organization_slug UNIQUE (organization, slug), 
	CONSTRAINT uq_organizations_organization_name_key UNIQUE (organization, name_key), 
	CONSTRAINT uq_organizations_organization_number UNIQUE (organization, number)
)
 STRICT

;
CREATE TABLE pulses (
	organization BLOB NOT NULL, 
	place BLOB NOT NULL, 
	slot INTEGER NOT NULL, 
	what TEXT NOT NULL, 
	minute INTEGER NOT NULL, 
	amount INTEGER NOT NULL, 
	CONSTRAINT pk_pulses PRIMARY KEY (organization, place, slot, what)
)
 WITHOUT ROWID,
 STRICT

;
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
)
 WITHOUT ROWID,
 STRICT

;
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
)
 STRICT

;
CREATE INDEX ix_runs_alive ON runs (organization, expires_at) WHERE state IN ('leased', 'suspended');
CREATE TABLE secret_fingerprints (
	name TEXT NOT NULL, 
	digest BLOB NOT NULL, 
	CONSTRAINT pk_secret_fingerprints PRIMARY KEY (name)
)
 WITHOUT ROWID,
 STRICT

;
CREATE TABLE server_keys (
	id BLOB NOT NULL, 
	organization BLOB NOT NULL, 
	"of" BLOB NOT NULL, 
	number INTEGER NOT NULL, 
	digest BLOB NOT NULL, 
	masked TEXT NOT NULL, 
	created_by TEXT NOT NULL, 
	created_at INTEGER NOT NULL, 
	expires_at INTEGER, 
	version INTEGER NOT NULL, 
	CONSTRAINT pk_server_keys PRIMARY KEY (id), 
	CONSTRAINT uq_server_keys_organization_digest UNIQUE (organization, digest), 
	CONSTRAINT uq_server_keys_organization_number UNIQUE (organization, number)
)
 STRICT

;
CREATE INDEX ix_server_keys_organization_of_number ON server_keys (organization, "of", number);
CREATE TABLE sessions (
	id BLOB NOT NULL, 
	organization BLOB NOT NULL, 
	user BLOB NOT NULL, 
	workspace BLOB NOT NULL, 
	digest BLOB NOT NULL, 
	created_at INTEGER NOT NULL, 
	expires_at INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	CONSTRAINT pk_sessions PRIMARY KEY (id), 
	CONSTRAINT uq_sessions_organization_digest UNIQUE (organization, digest)
)
 STRICT

;
CREATE INDEX ix_sessions_organization_user_id ON sessions (organization, user, id);
CREATE TABLE settings (
	id BLOB NOT NULL, 
	organization BLOB NOT NULL, 
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	updated_by TEXT NOT NULL, 
	updated_at INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	CONSTRAINT pk_settings PRIMARY KEY (id), 
	CONSTRAINT uq_settings_organization_key UNIQUE (organization, "key")
)
 STRICT

;
CREATE TABLE tags (
	id BLOB NOT NULL, 
	organization BLOB NOT NULL, 
	name TEXT NOT NULL, 
	slug TEXT NOT NULL, 
	color TEXT NOT NULL, 
	description TEXT, 
	created_at INTEGER NOT NULL, 
	updated_at INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	CONSTRAINT pk_tags PRIMARY KEY (id), 
	CONSTRAINT uq_tags_organization_slug UNIQUE (organization, slug)
)
 STRICT

;
CREATE TABLE tallies (
	organization BLOB NOT NULL, 
	board BLOB NOT NULL, 
	status TEXT NOT NULL, 
	priority TEXT NOT NULL, 
	assigned INTEGER NOT NULL, 
	amount INTEGER NOT NULL, 
	CONSTRAINT pk_tallies PRIMARY KEY (organization, board, status, priority, assigned)
)
 WITHOUT ROWID,
 STRICT

;
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
	tag_ids BLOB, 
	field_values TEXT DEFAULT '{}' NOT NULL, 
	begun_at INTEGER, 
	done_at INTEGER, 
	submitter BLOB, 
	github_repo TEXT, 
	github_issue INTEGER, 
	github_branch TEXT, 
	github_pull_request INTEGER, 
	github_pull_request_state TEXT, 
	github_synced_at INTEGER, 
	edits INTEGER DEFAULT 0 NOT NULL, 
	authors BLOB, 
	passed BLOB, 
	late_results INTEGER DEFAULT 0 NOT NULL, 
	CONSTRAINT pk_tasks PRIMARY KEY (id), 
	CONSTRAINT uq_tasks_organization_number UNIQUE (organization, number)
)
 STRICT

;
CREATE INDEX ix_tasks_board_number ON tasks (board, number);
CREATE INDEX ix_tasks_board_status_number ON tasks (board, status, number);
CREATE INDEX ix_tasks_done ON tasks (organization, done_at, board, begun_at) WHERE done_at IS NOT NULL;
CREATE INDEX ix_tasks_done_by ON tasks (organization, assignee_key, done_at) WHERE done_at IS NOT NULL;
CREATE INDEX ix_tasks_in_progress ON tasks (organization, assignee_key) WHERE status = 'in_progress';
CREATE INDEX ix_tasks_organization_assignee_key_number ON tasks (organization, assignee_key, number);
CREATE INDEX ix_tasks_organization_status_number ON tasks (organization, status, number);
CREATE INDEX ix_tasks_under_way ON tasks (organization, assignee_key, rank, number) WHERE status IN ('assigned', 'in_progress');
CREATE TABLE users (
	id BLOB NOT NULL, 
	organization BLOB NOT NULL, 
	number INTEGER NOT NULL, 
	username TEXT NOT NULL, 
	username_key TEXT NOT NULL, 
	provider TEXT NOT NULL, 
	subject TEXT, 
	email TEXT, 
	email_verified INTEGER NOT NULL, 
	avatar_url TEXT, 
	password TEXT, 
	approved INTEGER NOT NULL, 
	active BLOB, 
	name TEXT, 
	preferred_name TEXT, 
	pronouns TEXT, 
	timezone TEXT, 
	notes TEXT, 
	context TEXT, 
	created_at INTEGER NOT NULL, 
	updated_at INTEGER NOT NULL, 
	last_login_at INTEGER, 
	version INTEGER NOT NULL, 
	email_issued_at INTEGER, 
	CONSTRAINT pk_users PRIMARY KEY (id), 
	CONSTRAINT uq_users_organization_username_key UNIQUE (organization, username_key), 
	CONSTRAINT uq_users_organization_provider_subject UNIQUE (organization, provider, subject), 
	CONSTRAINT uq_users_organization_number UNIQUE (organization, number)
)
 STRICT

;
CREATE INDEX ix_users_organization_active_number ON users (organization, active, number);
CREATE INDEX ix_users_organization_email_number ON users (organization, email, number);
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
)
 STRICT

;
CREATE INDEX ix_webhook_payloads_organization_webhook_number ON webhook_payloads (organization, webhook, number);
CREATE TABLE workloads (
	organization BLOB NOT NULL, 
	assignee_key TEXT NOT NULL, 
	board BLOB NOT NULL, 
	status TEXT NOT NULL, 
	priority TEXT NOT NULL, 
	amount INTEGER NOT NULL, 
	CONSTRAINT pk_workloads PRIMARY KEY (organization, assignee_key, board, status, priority)
)
 WITHOUT ROWID,
 STRICT

;
CREATE TABLE search_progress (
	organization BLOB NOT NULL, 
	place INTEGER NOT NULL, 
	"indexed" INTEGER NOT NULL, 
	closing INTEGER NOT NULL, 
	closing_at INTEGER NOT NULL, 
	CONSTRAINT pk_search_progress PRIMARY KEY (organization)
)
 WITHOUT ROWID,
 STRICT

;
CREATE TABLE search_changes (
	organization BLOB NOT NULL, 
	number INTEGER NOT NULL, 
	indexed_text TEXT, 
	CONSTRAINT pk_search_changes PRIMARY KEY (organization, number)
)
 WITHOUT ROWID,
 STRICT

;
CREATE INDEX ix_sessions_expires_at ON sessions (expires_at);
CREATE INDEX ix_agents_organization_hidden ON agents (organization, hidden);
CREATE INDEX ix_agents_organization_board_number_hidden ON agents (organization, board, number, hidden);
CREATE INDEX ix_tasks_organization_priority_number ON tasks (organization, priority, number);
CREATE INDEX ix_agents_dashed_name ON agents (organization, replace(name_key, ' ', '-'));
CREATE INDEX ix_agents_other_handles ON agents (organization) WHERE config GLOB '*openclawId*' OR name_key GLOB ' *' OR name_key GLOB '* ' OR name_key GLOB '*  *' OR name_key GLOB '*[' || char(9, 45, 13, 28, 45, 31, 133, 160, 5760, 8192, 45, 8202, 8232, 8233, 8239, 8287, 12288) || ']*';
CREATE INDEX ix_workloads_not_ascii ON workloads (organization, assignee_key) WHERE length(CAST(assignee_key AS BLOB)) > length(assignee_key);
CREATE TABLE usage_entries (
	id BLOB NOT NULL, 
	organization BLOB NOT NULL, 
	reporter TEXT NOT NULL, 
	report_id TEXT, 
	corrects BLOB, 
	reverses BLOB, 
	at INTEGER NOT NULL, 
	recorded_at INTEGER NOT NULL, 
	board BLOB, 
	task BLOB, 
	task_number INTEGER, 
	run BLOB, 
	late INTEGER NOT NULL, 
	agent BLOB, 
	agent_name TEXT NOT NULL, 
	session TEXT NOT NULL, 
	operation TEXT NOT NULL, 
	duration_ms INTEGER, 
	provider TEXT, 
	model TEXT NOT NULL, 
	requests INTEGER NOT NULL, 
	input_tokens INTEGER NOT NULL, 
	output_tokens INTEGER NOT NULL, 
	cache_read_tokens INTEGER NOT NULL, 
	cache_write_tokens INTEGER NOT NULL, 
	reasoning_tokens INTEGER NOT NULL, 
	input_audio_tokens INTEGER NOT NULL, 
	output_audio_tokens INTEGER NOT NULL, 
	unpriced_tokens INTEGER NOT NULL, 
	unpriced_requests INTEGER NOT NULL, 
	list_cost INTEGER, 
	cost INTEGER, 
	reported_cost INTEGER, 
	subscription INTEGER NOT NULL, 
	batch INTEGER NOT NULL, 
	price_source TEXT, 
	price_version TEXT, 
	basis TEXT NOT NULL, 
	version INTEGER NOT NULL, unconfirmed_subscription INTEGER DEFAULT '0' NOT NULL, 
	CONSTRAINT pk_usage_entries PRIMARY KEY (id), 
	CONSTRAINT uq_usage_entries_organization_corrects UNIQUE (organization, corrects), 
	CONSTRAINT uq_usage_entries_organization_reporter_report_id UNIQUE (organization, reporter, report_id), 
	CONSTRAINT uq_usage_entries_organization_reverses UNIQUE (organization, reverses)
)
 STRICT

;
CREATE INDEX ix_usage_entries_agent_name ON usage_entries (organization, agent_name, at);
CREATE INDEX ix_usage_entries_at ON usage_entries (organization, at, id);
CREATE TABLE usage_totals (
	organization BLOB NOT NULL, 
	hours INTEGER NOT NULL, 
	slot INTEGER NOT NULL, 
	board BLOB NOT NULL, 
	agent BLOB NOT NULL, 
	agent_name TEXT NOT NULL, 
	model TEXT NOT NULL, 
	requests INTEGER NOT NULL, 
	input_tokens INTEGER NOT NULL, 
	output_tokens INTEGER NOT NULL, 
	cache_read_tokens INTEGER NOT NULL, 
	cache_write_tokens INTEGER NOT NULL, 
	reasoning_tokens INTEGER NOT NULL, 
	input_audio_tokens INTEGER NOT NULL, 
	output_audio_tokens INTEGER NOT NULL, 
	unpriced_tokens INTEGER NOT NULL, 
	unpriced_requests INTEGER NOT NULL, 
	list_cost INTEGER NOT NULL, 
	cost INTEGER NOT NULL, 
	CONSTRAINT pk_usage_totals PRIMARY KEY (organization, hours, slot, board, agent, agent_name, model)
)
 WITHOUT ROWID,
 STRICT

;
CREATE TABLE usage_details (
	organization BLOB NOT NULL, 
	hours INTEGER NOT NULL, 
	slot INTEGER NOT NULL, 
	board BLOB NOT NULL, 
	task BLOB NOT NULL, 
	session TEXT NOT NULL, 
	agent BLOB NOT NULL, 
	agent_name TEXT NOT NULL, 
	model TEXT NOT NULL, 
	requests INTEGER NOT NULL, 
	input_tokens INTEGER NOT NULL, 
	output_tokens INTEGER NOT NULL, 
	cache_read_tokens INTEGER NOT NULL, 
	cache_write_tokens INTEGER NOT NULL, 
	reasoning_tokens INTEGER NOT NULL, 
	input_audio_tokens INTEGER NOT NULL, 
	output_audio_tokens INTEGER NOT NULL, 
	unpriced_tokens INTEGER NOT NULL, 
	unpriced_requests INTEGER NOT NULL, 
	list_cost INTEGER NOT NULL, 
	cost INTEGER NOT NULL, 
	CONSTRAINT pk_usage_details PRIMARY KEY (organization, hours, slot, board, task, session, agent, agent_name, model)
)
 WITHOUT ROWID,
 STRICT

;
CREATE TABLE telemetry_sources (
	id BLOB NOT NULL, 
	organization BLOB NOT NULL, 
	reporter TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	kind INTEGER NOT NULL, 
	readings TEXT NOT NULL, 
	updated_at INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	CONSTRAINT pk_telemetry_sources PRIMARY KEY (id), 
	CONSTRAINT uq_telemetry_sources_organization_reporter_key UNIQUE (organization, reporter, "key")
)
 STRICT

;
CREATE TABLE budgets (
	id BLOB NOT NULL, 
	organization BLOB NOT NULL, 
	number INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	scope TEXT NOT NULL, 
	board BLOB, 
	agent BLOB, 
	task BLOB, 
	run BLOB, 
	measure TEXT NOT NULL, 
	"limit" INTEGER NOT NULL, 
	per_run INTEGER NOT NULL, 
	hard INTEGER NOT NULL, 
	period TEXT NOT NULL, 
	time_zone TEXT NOT NULL, 
	unknown_prices TEXT, 
	ceiling_price INTEGER, 
	list_price INTEGER NOT NULL, 
	created_at INTEGER NOT NULL, 
	updated_at INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	CONSTRAINT pk_budgets PRIMARY KEY (id), 
	CONSTRAINT uq_budgets_organization_number UNIQUE (organization, number)
)
 STRICT

;
CREATE INDEX ix_budgets_organization_board_number ON budgets (organization, board, number);
CREATE INDEX ix_budgets_organization_agent_number ON budgets (organization, agent, number);
CREATE INDEX ix_budgets_organization_task_number ON budgets (organization, task, number);
CREATE TABLE budget_amounts (
	organization BLOB NOT NULL, 
	budget BLOB NOT NULL, 
	run BLOB NOT NULL, 
	ends_at INTEGER NOT NULL, 
	starts_at INTEGER NOT NULL, 
	cost INTEGER NOT NULL, 
	list_cost INTEGER NOT NULL, 
	tokens INTEGER NOT NULL, 
	unpriced_tokens INTEGER NOT NULL, 
	unpriced_requests INTEGER NOT NULL, 
	runs INTEGER NOT NULL, 
	seconds INTEGER NOT NULL, 
	announced INTEGER NOT NULL, 
	reserved INTEGER NOT NULL, 
	used INTEGER NOT NULL, 
	CONSTRAINT pk_budget_amounts PRIMARY KEY (organization, budget, run, ends_at, starts_at)
)
 WITHOUT ROWID,
 STRICT

;
CREATE TABLE reported_runs (
	id BLOB NOT NULL, 
	number INTEGER NOT NULL, 
	organization BLOB NOT NULL, 
	"key" TEXT NOT NULL, 
	reporter TEXT NOT NULL, 
	board BLOB, 
	task BLOB, 
	task_label TEXT, 
	agent BLOB, 
	agent_label TEXT NOT NULL, 
	agent_name TEXT NOT NULL, 
	status TEXT NOT NULL, 
	outcome TEXT, 
	model TEXT, 
	provider TEXT, 
	runtime TEXT NOT NULL, 
	runtime_version TEXT, 
	"trigger" TEXT, 
	parent TEXT, 
	started_at INTEGER NOT NULL, 
	started_text TEXT NOT NULL, 
	ended_at INTEGER, 
	ended_text TEXT, 
	duration_ms INTEGER, 
	steps TEXT NOT NULL, 
	tools TEXT NOT NULL, 
	input_tokens INTEGER NOT NULL, 
	output_tokens INTEGER NOT NULL, 
	cache_read_tokens INTEGER, 
	cache_write_tokens INTEGER, 
	tokens_model TEXT, 
	reported_cost INTEGER, 
	usage BLOB, 
	cost INTEGER, 
	unpriced_tokens INTEGER NOT NULL, 
	provenance_run_hash TEXT NOT NULL, 
	provenance_parent_run_hash TEXT, 
	provenance_lineage TEXT NOT NULL, 
	provenance_model_version TEXT, 
	provenance_config_hash TEXT, 
	provenance_runtime TEXT, 
	provenance_signed_by TEXT, 
	provenance_signature TEXT, 
	provenance_created_at TEXT, 
	evaluation_score REAL, 
	evaluation_passed INTEGER, 
	evaluation_task_type TEXT, 
	evaluation_layer TEXT, 
	evaluation_detail TEXT, 
	evaluation_metrics TEXT, 
	evaluation_benchmark TEXT, 
	error TEXT, 
	git_branch TEXT, 
	git_commit TEXT, 
	tags TEXT NOT NULL, 
	metadata TEXT NOT NULL, 
	created_at INTEGER NOT NULL, 
	updated_at INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	CONSTRAINT pk_reported_runs PRIMARY KEY (id), 
	CONSTRAINT uq_reported_runs_organization_key UNIQUE (organization, "key"), 
	CONSTRAINT uq_reported_runs_organization_number UNIQUE (organization, number), 
	CONSTRAINT uq_reported_runs_organization_usage UNIQUE (organization, usage)
)
 STRICT

;
CREATE INDEX ix_reported_runs_evaluation_score ON reported_runs (organization, evaluation_score);
CREATE INDEX ix_reported_runs_organization_agent_label_number ON reported_runs (organization, agent_label, number);
CREATE INDEX ix_reported_runs_organization_status_number ON reported_runs (organization, status, number);
CREATE INDEX ix_reported_runs_organization_task_label_number ON reported_runs (organization, task_label, number);
CREATE TABLE usage_sessions (
	organization BLOB NOT NULL, 
	session TEXT NOT NULL, 
	requests INTEGER NOT NULL, 
	input_tokens INTEGER NOT NULL, 
	output_tokens INTEGER NOT NULL, 
	cache_read_tokens INTEGER NOT NULL, 
	cache_write_tokens INTEGER NOT NULL, 
	reasoning_tokens INTEGER NOT NULL, 
	input_audio_tokens INTEGER NOT NULL, 
	output_audio_tokens INTEGER NOT NULL, 
	unpriced_tokens INTEGER NOT NULL, 
	unpriced_requests INTEGER NOT NULL, 
	list_cost INTEGER NOT NULL, 
	cost INTEGER NOT NULL, 
	CONSTRAINT pk_usage_sessions PRIMARY KEY (organization, session)
)
 WITHOUT ROWID,
 STRICT

;
CREATE TABLE usage_tasks (
	organization BLOB NOT NULL, 
	hours INTEGER NOT NULL, 
	slot INTEGER NOT NULL, 
	board BLOB NOT NULL, 
	task BLOB NOT NULL, 
	agent BLOB NOT NULL, 
	agent_name TEXT NOT NULL, 
	model TEXT NOT NULL, 
	requests INTEGER NOT NULL, 
	input_tokens INTEGER NOT NULL, 
	output_tokens INTEGER NOT NULL, 
	cache_read_tokens INTEGER NOT NULL, 
	cache_write_tokens INTEGER NOT NULL, 
	reasoning_tokens INTEGER NOT NULL, 
	input_audio_tokens INTEGER NOT NULL, 
	output_audio_tokens INTEGER NOT NULL, 
	unpriced_tokens INTEGER NOT NULL, 
	unpriced_requests INTEGER NOT NULL, 
	list_cost INTEGER NOT NULL, 
	cost INTEGER NOT NULL, 
	CONSTRAINT pk_usage_tasks PRIMARY KEY (organization, hours, slot, board, task, agent, agent_name, model)
)
 WITHOUT ROWID,
 STRICT

;
CREATE INDEX ix_usage_sessions_tokens ON usage_sessions (organization, (input_tokens + output_tokens) DESC, session);
CREATE INDEX ix_usage_tasks_organization_task_hours_slot ON usage_tasks (organization, task, hours, slot);
CREATE INDEX ix_usage_details_organization_task_hours_slot ON usage_details (organization, task, hours, slot);
CREATE INDEX ix_usage_details_organization_session_hours_slot ON usage_details (organization, session, hours, slot);
CREATE INDEX ix_usage_entries_board_at ON usage_entries (organization, board, at, id);
CREATE INDEX ix_usage_entries_task_at ON usage_entries (organization, task, at, id);
CREATE INDEX ix_usage_entries_agent_at ON usage_entries (organization, agent, at, id);
CREATE INDEX ix_usage_entries_model_at ON usage_entries (organization, model, at, id);
CREATE TABLE agent_counts (
	organization BLOB NOT NULL, 
	board BLOB NOT NULL, 
	hidden INTEGER NOT NULL, 
	role TEXT NOT NULL, 
	amount INTEGER NOT NULL, 
	CONSTRAINT pk_agent_counts PRIMARY KEY (organization, board, hidden, role)
)
 WITHOUT ROWID,
 STRICT

;
CREATE INDEX ix_usage_entries_not_one_request ON usage_entries (organization, at) WHERE requests <> 1;
CREATE TABLE price_overrides (
	model TEXT NOT NULL, 
	provider TEXT, 
	since INTEGER, 
	until INTEGER, 
	input INTEGER NOT NULL, 
	output INTEGER NOT NULL, 
	cache_read INTEGER, 
	cache_write INTEGER, 
	reasoning INTEGER, 
	input_audio INTEGER, 
	output_audio INTEGER, 
	batch INTEGER NOT NULL, 
	id BLOB NOT NULL, 
	organization BLOB NOT NULL, 
	number INTEGER NOT NULL, 
	created_at INTEGER NOT NULL, 
	updated_at INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	CONSTRAINT pk_price_overrides PRIMARY KEY (id), 
	CONSTRAINT uq_price_overrides_organization_number UNIQUE (organization, number)
)
 STRICT

;
CREATE TABLE reader_cursors (
	organization BLOB NOT NULL, 
	reader TEXT NOT NULL, 
	position INTEGER NOT NULL, 
	CONSTRAINT pk_reader_cursors PRIMARY KEY (organization, reader)
)
 WITHOUT ROWID,
 STRICT

;
CREATE INDEX ix_events_audited ON events (organization, position) WHERE kind IN ('access.asked', 'access.given', 'access.refused', 'data.exported', 'organization.dissolved', 'organization.founded', 'organization.updated', 'server_key.rotated', 'settings.changed', 'settings.reset', 'user.created', 'user.deleted', 'user.password_changed', 'user.sign_in_failed', 'user.signed_in', 'user.signed_out', 'user.updated');
CREATE TABLE chat_messages (
	id BLOB NOT NULL, 
	number INTEGER NOT NULL, 
	organization BLOB NOT NULL, 
	conversation TEXT NOT NULL, 
	sender TEXT NOT NULL, 
	sender_name TEXT NOT NULL, 
	sender_key TEXT NOT NULL, 
	recipient TEXT, 
	recipient_key TEXT, 
	content TEXT NOT NULL, 
	message_type TEXT NOT NULL, 
	metadata TEXT, 
	between_agents INTEGER NOT NULL, 
	read_at INTEGER, 
	created_at INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	CONSTRAINT pk_chat_messages PRIMARY KEY (id), 
	CONSTRAINT uq_chat_messages_organization_number UNIQUE (organization, number)
)
 STRICT

;
CREATE INDEX ix_chat_messages_organization_conversation_number ON chat_messages (organization, conversation, number);
CREATE INDEX ix_chat_messages_organization_recipient_key_number ON chat_messages (organization, recipient_key, number);
CREATE INDEX ix_chat_messages_organization_between_agents_number ON chat_messages (organization, between_agents, number);
CREATE TABLE notifications (
	id BLOB NOT NULL, 
	number INTEGER NOT NULL, 
	organization BLOB NOT NULL, 
	board BLOB, 
	recipient TEXT NOT NULL, 
	recipient_key TEXT NOT NULL, 
	type TEXT NOT NULL, 
	title TEXT NOT NULL, 
	message TEXT NOT NULL, 
	source_type TEXT, 
	source BLOB, 
	source_number INTEGER, 
	position INTEGER, 
	read_at INTEGER, 
	delivered_at INTEGER, 
	created_at INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	CONSTRAINT pk_notifications PRIMARY KEY (id), 
	CONSTRAINT uq_notifications_organization_position_recipient_key_type UNIQUE (organization, position, recipient_key, type), 
	CONSTRAINT uq_notifications_organization_number UNIQUE (organization, number)
)
 STRICT

;
CREATE INDEX ix_notifications_organization_recipient_key_number ON notifications (organization, recipient_key, number);
CREATE INDEX ix_notifications_organization_recipient_key_read_at_number ON notifications (organization, recipient_key, read_at, number);
CREATE INDEX ix_notifications_organization_board_number ON notifications (organization, board, number);
INSERT INTO alembic_version VALUES ('0029');
