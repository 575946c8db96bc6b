"""
Agents, their presence, their keys and the onboarding of boards.
"""
