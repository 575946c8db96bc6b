"""
The log of what happened: facts, positions and the chain that proves them.
"""
