"""
Checks for `mission-control doctor`: each finds problems of an installation and advises how to solve them.

`rounds.py` inspects the installation and runs every check. Each of the other modules checks one part. No check changes
anything.
"""
