"""
Agents: who they are, whether they are there, and the keys they show.
"""
