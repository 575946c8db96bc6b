"""
Secret storage in memory. A row holds only a random reference to its secret.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from attrs import field, frozen

from mission_core.accounts.ports import SealBroken
from mission_core.values import Sealed

if TYPE_CHECKING:
    from uuid import UUID


@frozen
class MemoryVault:
    """
    Keeps secrets in the process and gives out random references to them.
    """

    kept: dict[tuple[bytes, UUID], str] = field(factory=dict, repr=False)

    def seal(self, secret: str, *, about: UUID) -> Sealed:
        """
        Store the secret and return a reference to it.
        """
        ticket = Sealed(os.urandom(16))
        self.kept[ticket, about] = secret
        return ticket

    def open(self, sealed: bytes, *, about: UUID) -> str:
        """
        The secret for a reference.

        Raises:
            SealBroken: If the reference is unknown, or was given out for another row.
        """
        try:
            return self.kept[sealed, about]
        except KeyError:
            raise SealBroken from None
