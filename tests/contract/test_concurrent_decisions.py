"""
Concurrent decisions on each store, and on the memory store with pauses.
"""

import pytest

from mission_adapters.testing.contracts import ConcurrentDecisionsContract
from tests.contract.conftest import INTERLEAVED, STORES


@pytest.mark.parametrize("store_url", [*STORES, INTERLEAVED], indirect=True, scope="session")
class TestConcurrentDecisions(ConcurrentDecisionsContract):
    """
    On every store.
    """
