"""
What the core asks for, lent by memory, databases and the system.
"""
