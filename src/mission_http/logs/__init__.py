"""
The log of a server: structured lines, one for each event, for people or for programs, and without secrets.
"""
