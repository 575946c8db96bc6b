"""
What fleets of agents work by: tasks, leases, approvals and accounts, without any I/O.
"""
