"""
Logging of the server: one structured line for each event, as text or JSON, without secrets.
"""
