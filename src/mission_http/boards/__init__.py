"""
The Boards dialect: `/api/v1/*`, with UUIDs, ISO times and bearer tokens.
"""
