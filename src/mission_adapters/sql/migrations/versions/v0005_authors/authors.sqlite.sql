ALTER TABLE tasks ADD COLUMN authors BLOB;

ALTER TABLE tasks ADD COLUMN passed BLOB;

UPDATE tasks SET authors = known.authors FROM (
    SELECT task, CAST(group_concat(agent, '') AS BLOB) AS authors FROM (
        SELECT id AS task, submitter AS agent FROM tasks WHERE submitter IS NOT NULL
        UNION
        SELECT task, by_agent FROM runs WHERE by_agent IS NOT NULL
        UNION
        SELECT runs.task, agents.id FROM runs JOIN agents
        ON agents.organization = runs.organization AND agents.name_key = lower(runs.by)
    ) GROUP BY task
) AS known WHERE known.task = tasks.id;
