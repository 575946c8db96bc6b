"""
The credential store of each store.
"""

from mission_adapters.testing.contracts import CredentialStoreContract


class TestCredentialStore(CredentialStoreContract):
    """
    On every store.
    """
