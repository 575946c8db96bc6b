"""
Approvals: what is asked of people before work goes on, and what they say.
"""
