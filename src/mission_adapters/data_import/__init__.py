"""
Import of the databases of other systems.
"""
