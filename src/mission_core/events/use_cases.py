"""
Verification of the event log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mission_core.events.model import GENESIS, ChainBreak, ChainHead, verify_chain

if TYPE_CHECKING:
    from mission_core.events.ports import EventLog
    from mission_core.ids import OrganizationId


async def verify_log(log: EventLog, organization: OrganizationId, *, batch: int = 1000) -> ChainHead | ChainBreak:
    """
    Verify the whole chain of *organization*, and compare its end with the stored head.

    Returns:
        The verified end of the chain, or the first entry that does not fit.
    """
    head = await log.head(organization)
    reached = ChainHead(0, GENESIS)
    while entries := await log.read(organization, after=reached.position, limit=batch):
        found = verify_chain(entries, reached)
        if isinstance(found, ChainBreak):
            return found
        reached = found
    if reached.position < head.position:
        return ChainBreak(reached.position + 1, f"is missing; the log should reach {head.position}")
    if reached.position == head.position and reached.digest != head.digest:
        return ChainBreak(reached.position, "its digest differs from that of the log's head")
    return reached
