"""
The store in a SQL database: one set of tables and statements for SQLite and PostgreSQL.
"""
