"""
Tasks: their dependencies, comments, runs, leases, gates and the queue.
"""
