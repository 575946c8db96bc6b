"""
Derivation of keys from the secret of a deployment.
"""

import hmac


def derive_key(secret: str, purpose: str) -> bytes:
    """
    Derive a 32-byte key for one purpose: HMAC-SHA256 of the purpose under the secret.
    """
    return hmac.digest(secret.encode(), purpose.encode(), "sha256")
