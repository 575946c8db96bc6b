"""
Secret storage in memory. A row holds only a random reference to its secret.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from attrs import field

from mission_core.accounts.ports import DecryptionFailed
from mission_core.lazy_attrs import frozen
from mission_core.values import Encrypted

if TYPE_CHECKING:
    from uuid import UUID


@frozen
class MemorySecretEncryption:
    """
    Keeps secrets in the process and gives out random references to them.
    """

    secrets: dict[tuple[bytes, UUID], str] = field(factory=dict, repr=False)

    def encrypt(self, secret: str, *, about: UUID) -> Encrypted:
        """
        Store the secret and return a reference to it.
        """
        ticket = Encrypted(os.urandom(16))
        self.secrets[ticket, about] = secret
        return ticket

    def decrypt(self, sealed: bytes, *, about: UUID) -> str:
        """
        The secret for a reference.

        Raises:
            DecryptionFailed: If the reference is unknown, or was given out for another row.
        """
        try:
            return self.secrets[sealed, about]
        except KeyError:
            raise DecryptionFailed from None
