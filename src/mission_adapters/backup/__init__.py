"""
Backup of a SQLite database with what lives beside it, in one archive, and its restore.
"""
