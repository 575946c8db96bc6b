"""
Secrets of a store in memory: they stay in the process, and what is kept with a row is only where.
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
    Hands out random tickets, and keeps what each was handed out for.
    """

    kept: dict[tuple[bytes, UUID], str] = field(factory=dict, repr=False)

    def seal(self, secret: str, *, about: UUID) -> Sealed:
        """
        A ticket for the secret.
        """
        ticket = Sealed(os.urandom(16))
        self.kept[ticket, about] = secret
        return ticket

    def open(self, sealed: bytes, *, about: UUID) -> str:
        """
        The secret that this is the ticket for.
        """
        try:
            return self.kept[sealed, about]
        except KeyError:
            raise SealBroken from None
