"""
How Alembic runs the revisions: on a connection it is lent, or as a script. The transaction is whoever's called.
"""

from alembic import context

from mission_adapters.sql.tables import metadata

if context.is_offline_mode():
    context.configure(
        dialect_name="postgresql",
        output_buffer=context.config.attributes.get("script"),
        target_metadata=metadata,
        literal_binds=True,
    )
else:
    context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
