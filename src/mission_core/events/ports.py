"""
The port of the event log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from mission_core.events.model import ChainHead, Entry
    from mission_core.ids import OrganizationId


class EventLog(Protocol):
    """
    Reads the log of one organization. Positions are dense and in commit order, so a reader that continues after its
    last position misses nothing and sees nothing twice.
    """

    async def read(self, organization: OrganizationId, *, after: int = 0, limit: int = 500) -> list[Entry]:
        """
        Return up to *limit* entries after the position *after*, in order.
        """

    async def head(self, organization: OrganizationId) -> ChainHead:
        """
        Return the last position and its digest, which the store keeps beside the entries.
        """

    async def wait(self, organization: OrganizationId, *, after: int) -> None:
        """
        Return once there is an entry after *after*. Waiting runs no queries.
        """

    async def cursor(self, organization: OrganizationId, reader: str) -> int | None:
        """
        Return the position up to which the reader with this name has handled the log, or None if it has no cursor.
        """

    async def advance(self, organization: OrganizationId, reader: str, position: int) -> None:
        """
        Keep the reader's cursor durably at this position, unless it is there or further already. The cursors of an
        organization are deleted with it.
        """
