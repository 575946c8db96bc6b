"""
Adapters of the core's ports: stores in memory and in SQL databases, clocks, rate limiters, and clients of other
servers.
"""
