"""
The event log: events, their positions, and the hash chain that proves them.
"""
