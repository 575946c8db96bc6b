"""
The Fleet API: `/api/*`, integers and Unix seconds.
"""
