"""
What is wrong with a set-up, and what to do about it.

`rounds.py` looks around; each of the other files judges one part of what there is to see. Nothing is ever changed.
"""
