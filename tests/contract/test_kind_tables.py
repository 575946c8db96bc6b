"""
Entities of every kind on each store.
"""

from mission_adapters.testing.contracts import EntityKindsContract


class TestEntityKinds(EntityKindsContract):
    """
    On every store.
    """
