"""
The HTTP adapter: serves the core through two APIs, the Fleet API and the Boards API.
"""
