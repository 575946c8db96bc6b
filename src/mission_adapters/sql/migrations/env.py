"""
Alembic's environment: the migrations run on the connection that it is lent, in its transaction, or become a script.
"""

from alembic import context

given = context.config.attributes
if context.is_offline_mode():
    context.configure(dialect_name="postgresql", output_buffer=given["script"], literal_binds=True)
else:
    context.configure(connection=given["connection"])
context.run_migrations()
