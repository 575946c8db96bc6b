"""
Verification of the event log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mission_core.events.model import GENESIS, ChainBreak, ChainHead, verify_chain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mission_core.events.checkpoints import Checkpoint
    from mission_core.events.model import Entry
    from mission_core.events.ports import EventLog
    from mission_core.ids import OrganizationId


async def verify_log(
    log: EventLog, organization: OrganizationId, *, checkpoints: Sequence[Checkpoint] = (), batch: int = 1000
) -> ChainHead | ChainBreak:
    """
    Verify the whole chain of *organization*, and compare its end with the stored head and *checkpoints* of the log.

    Returns:
        The verified end of the chain, or the first entry that does not fit.
    """
    head = await log.head(organization)
    reached = ChainHead(0, GENESIS)
    expected = sorted(checkpoints, key=lambda each: each.head.position)
    while entries := await log.read(organization, after=reached.position, limit=batch):
        found = verify_chain(entries, reached)
        if isinstance(found, ChainBreak):
            return found
        reached = found
        while expected and expected[0].head.position <= reached.position:
            known = expected.pop(0)
            if known.head.position > 0 and known.head != _end_at(known.head.position, entries):
                return ChainBreak(known.head.position, f"differs from its checkpoint of {known.at.isoformat()}")
    if expected and expected[-1].head.position > reached.position:
        missing = (
            f"is missing; the checkpoint of {expected[-1].at.isoformat()} has {expected[-1].head.position} entries"
        )
        return ChainBreak(reached.position + 1, missing)
    if reached.position < head.position:
        return ChainBreak(reached.position + 1, f"is missing; the log should reach {head.position}")
    if reached.position == head.position and reached.digest != head.digest:
        return ChainBreak(reached.position, "its digest differs from that of the log's head")
    return reached


def _end_at(position: int, entries: Sequence[Entry]) -> ChainHead:
    entry = entries[position - entries[0].position]
    return ChainHead(entry.position, entry.digest)
