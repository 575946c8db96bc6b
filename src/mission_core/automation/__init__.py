"""
Webhooks of boards: their configuration, and the payloads that others send to them.
"""
