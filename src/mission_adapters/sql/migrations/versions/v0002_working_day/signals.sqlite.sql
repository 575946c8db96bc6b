ALTER TABLE tasks ADD COLUMN begun_at INTEGER;

ALTER TABLE tasks ADD COLUMN done_at INTEGER;

CREATE INDEX ix_tasks_done ON tasks (organization, done_at, board, begun_at) WHERE done_at IS NOT NULL;

CREATE TABLE pulses (
    organization BLOB NOT NULL,
    place BLOB NOT NULL,
    slot INTEGER NOT NULL,
    what TEXT NOT NULL,
    minute INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    CONSTRAINT pk_pulses PRIMARY KEY (organization, place, slot, what)
) WITHOUT ROWID, STRICT;

UPDATE tasks SET done_at = coalesce(completed_at, moved_at) WHERE status = 'done';

UPDATE tasks SET begun_at = started_at;

UPDATE tasks SET begun_at = began.at
FROM (
    SELECT subject, min(at) AS at FROM events
    WHERE kind = 'task.claimed'
        OR (kind IN ('task.created', 'task.moved') AND payload LIKE '%"status":"in_progress"%')
    GROUP BY subject
) AS began
WHERE began.subject = tasks.id;

INSERT INTO pulses (organization, place, slot, what, minute, amount)
SELECT organization, board, came / 3600000000, status, 0, count(*)
FROM (
    SELECT organization, board, status, CASE
        WHEN done_at IS NOT NULL THEN done_at
        WHEN status IN ('backlog', 'inbox', 'assigned', 'awaiting_owner') THEN created_at
        ELSE moved_at
    END AS came
    FROM tasks
) AS standing
GROUP BY organization, board, came / 3600000000, status;

INSERT INTO pulses (organization, place, slot, what, minute, amount)
SELECT organization, board, done_at / 3600000000, 'cycles', 0, count(*)
FROM tasks WHERE begun_at <= done_at
GROUP BY organization, board, done_at / 3600000000;

INSERT INTO pulses (organization, place, slot, what, minute, amount)
SELECT organization, board, done_at / 3600000000, 'cycle_seconds', 0, sum((done_at - begun_at) / 1000000)
FROM tasks WHERE begun_at <= done_at
GROUP BY organization, board, done_at / 3600000000;

INSERT INTO pulses (organization, place, slot, what, minute, amount)
SELECT events.organization, coalesce(tasks.board, events.organization), events.at / 3600000000, events.kind, 0, count(*)
FROM events LEFT JOIN tasks ON tasks.id = events.subject
GROUP BY events.organization, coalesce(tasks.board, events.organization), events.at / 3600000000, events.kind;

