ALTER TABLE tasks ADD COLUMN authors BYTEA;

ALTER TABLE tasks ADD COLUMN passed BYTEA;

UPDATE tasks SET authors = known.authors FROM (
    SELECT task, string_agg(agent, CAST('' AS BYTEA)) AS authors FROM (
        SELECT id AS task, submitter AS agent FROM tasks WHERE submitter IS NOT NULL
        UNION
        SELECT task, by_agent FROM runs WHERE by_agent IS NOT NULL
        UNION
        SELECT runs.task, agents.id FROM runs JOIN agents
        ON agents.organization = runs.organization AND agents.name_key = lower(runs.by)
    ) AS worked GROUP BY task
) AS known WHERE known.task = tasks.id;
