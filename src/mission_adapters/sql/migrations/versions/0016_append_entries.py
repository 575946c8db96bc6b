"""
A function of PostgreSQL that appends entries to the log of an organization.
"""

from alembic import op

revision = "0016"
down_revision = "0015"

# The head row is locked and moved by a statement of the function. It sees what was committed while it waited for the
# lock, where the statement that calls the function would be evaluated again. If there is no head row, no `log`, or one
# with budgets although there shall be none, the caller is told of an entry without a position, so that all is undone.
FUNCTION = """
CREATE FUNCTION append_entries(
    log bytea, without_budgets boolean, by_kind text, by_id bytea, by_name text, kinds text[], ats bigint[],
    subjects bytea[], payloads text[], payload_digests bytea[], envelopes text[]
) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    last_position bigint;
    last_digest bytea;
BEGIN
    FOR nth IN 1 .. cardinality(kinds) LOOP
        UPDATE heads SET position = heads.position + 1, digest = sha256(
            heads.digest || convert_to('[' || (heads.position + 1) || ',' || envelopes[nth], 'UTF8')
            || payload_digests[nth]
        )
        WHERE heads.organization = log AND (heads.has_budgets = 0 OR NOT without_budgets)
        RETURNING heads.position, heads.digest INTO last_position, last_digest;
        IF NOT FOUND THEN
            RAISE not_null_violation USING TABLE = 'events', COLUMN = 'position';
        END IF;
        INSERT INTO events (
            organization, position, digest, kind, at, actor_kind, actor_id, actor_name, subject, payload, payload_digest
        ) VALUES (
            log, last_position, last_digest, kinds[nth], ats[nth], by_kind, by_id, by_name, subjects[nth],
            payloads[nth], payload_digests[nth]
        );
    END LOOP;
    RETURN last_position;
END
$$
"""


def upgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.execute(FUNCTION)
