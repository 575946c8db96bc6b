"""
The token ledger of each store.
"""

from mission_adapters.testing.contracts import TokenLedgerContract


class TestTokenLedger(TokenLedgerContract):
    """
    On every store.
    """
