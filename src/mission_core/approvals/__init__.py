"""
Approvals: requests to people for permission, and their decisions.
"""
