"""
Work: tasks and their dependencies, runs and leases, the queue.
"""
