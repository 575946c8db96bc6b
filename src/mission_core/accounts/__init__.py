"""
Accounts: organizations, users, members, sessions and API keys.
"""
