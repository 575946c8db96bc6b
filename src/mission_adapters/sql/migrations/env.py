"""
Alembic's environment: it runs the migrations on a given connection, in the connection's transaction, or renders them as
a script for PostgreSQL.
"""

from alembic import context

given = context.config.attributes
if context.is_offline_mode():
    context.configure(dialect_name="postgresql", output_buffer=given["script"], literal_binds=True)
else:
    context.configure(connection=given["connection"])
context.run_migrations()
