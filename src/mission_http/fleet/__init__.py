"""
The Fleet API at `/api/*`, with integers as ids and Unix seconds as times.
"""
