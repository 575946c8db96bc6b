"""
Backup of a SQLite database with its secrets and files into one archive, and restore from it.
"""
