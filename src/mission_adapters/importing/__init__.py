"""
Bringing the data of other systems into ours.
"""
