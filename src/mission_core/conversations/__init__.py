"""
What is told to a board or a group, to be remembered or answered.
"""
