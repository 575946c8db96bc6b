"""
Encryption of secrets in a store with AES-256-GCM.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from attrs import field
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mission_core.accounts.ports import DecryptionFailed
from mission_core.lazy_attrs import frozen
from mission_core.values import Encrypted

if TYPE_CHECKING:
    from uuid import UUID

KEY_LENGTH: Final = 32
NONCE_LENGTH: Final = 12
FORMAT_VERSION: Final = b"\x01"
"""The first byte of a ciphertext: the version of the format. The nonce follows, then the text with its tag."""


def _check_key_length(instance: object, attribute: object, value: bytes) -> None:
    if len(value) != KEY_LENGTH:
        raise ValueError(f"an encryption key has {KEY_LENGTH} bytes, not {len(value)}")


@frozen
class AesSecretEncryption:
    """
    Encrypts secrets under a key of 32 bytes. The id of the row that a secret belongs to is authenticated with it, so a
    ciphertext cannot be moved to another row.
    """

    key: bytes = field(repr=False, validator=_check_key_length)
    random: Callable[[int], bytes] = field(default=os.urandom, repr=False)

    def encrypt(self, secret: str, *, about: UUID) -> Encrypted:
        """
        The secret, encrypted under a new nonce.
        """
        nonce = self.random(NONCE_LENGTH)
        return Encrypted(
            FORMAT_VERSION + nonce + AESGCM(self.key).encrypt(nonce, secret.encode(), FORMAT_VERSION + about.bytes)
        )

    def decrypt(self, sealed: bytes, *, about: UUID) -> str:
        """
        Decrypt a secret.

        Raises:
            DecryptionFailed: If it was encrypted under another key or for another row, or is damaged.
        """
        form, nonce, text = sealed[:1], sealed[1 : 1 + NONCE_LENGTH], sealed[1 + NONCE_LENGTH :]
        if form != FORMAT_VERSION or len(nonce) != NONCE_LENGTH:
            raise DecryptionFailed
        try:
            return AESGCM(self.key).decrypt(nonce, text, FORMAT_VERSION + about.bytes).decode()
        except InvalidTag:
            raise DecryptionFailed from None
