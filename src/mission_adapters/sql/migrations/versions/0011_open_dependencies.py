"""
A function of PostgreSQL that changes the counts of open dependencies of the tasks that depend on one.
"""

from alembic import op

revision = "0011"
down_revision = "0010"

# A statement inside a volatile function sees what was committed before it began, and not only what was committed before
# the statement that calls the function. So it finds all dependents if the caller has locked the head row.
FUNCTION = """
CREATE FUNCTION change_open_dependencies(dependency bytea, amount bigint) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    UPDATE queue SET open_dependencies = open_dependencies + amount
    WHERE task IN (SELECT dependencies.task FROM dependencies WHERE dependencies.depends_on = dependency);
END
$$
"""


def upgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.execute(FUNCTION)
