"""
Tasks, runs, boards, agents and keys are read back from each store as they were written.
"""

from mission_adapters.testing.contracts import EntityRoundTripContract


class TestEntityRoundTrips(EntityRoundTripContract):
    """
    On every store.
    """
