"""
The idempotency keys of each store.
"""

from mission_adapters.testing.contracts import IdempotencyContract


class TestIdempotency(IdempotencyContract):
    """
    On every store.
    """
