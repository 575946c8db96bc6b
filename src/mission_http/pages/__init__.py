"""
The live page at `/`: boards, agents, approvals, activity and cost, for people in a browser.
"""
