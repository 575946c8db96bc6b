"""
What happens by itself when something comes in from outside.
"""
