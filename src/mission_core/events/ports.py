"""
What the log asks of a store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from mission_core.events.model import Entry, Verified
    from mission_core.ids import OrganizationId


class Log(Protocol):
    """
    Reads the log of one organization. Positions are dense and in the order of commits, so a reader that asks
    again after the last position it saw misses nothing and sees nothing twice.
    """

    async def read(self, organization: OrganizationId, *, after: int = 0, limit: int = 500) -> list[Entry]:
        """
        Up to *limit* entries after the position *after*, in order.
        """

    async def head(self, organization: OrganizationId) -> Verified:
        """
        The last position and its digest, as the store keeps them beside the entries.
        """

    async def wait(self, organization: OrganizationId, *, after: int) -> None:
        """
        Return once there is an entry after *after*. Waiting asks the store nothing.
        """
