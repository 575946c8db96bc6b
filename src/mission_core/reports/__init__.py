"""
Reports over tasks, agents and the log: how work goes, how much of it there is, and what goes wrong.
"""
