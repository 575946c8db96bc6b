"""
The unit of work of each store.
"""

from mission_adapters.testing.contracts import UnitOfWorkContract


class TestUnitOfWork(UnitOfWorkContract):
    """
    On every store.
    """
