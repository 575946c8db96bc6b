"""
The store in a database: SQLite or PostgreSQL, over one set of tables and statements.
"""
