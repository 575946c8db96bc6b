"""
Readers of the event log: named readers with durable cursors, and the search of a position by time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mission_core.lazy_attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime
    from uuid import UUID

    from mission_core.events.model import Entry
    from mission_core.events.ports import EventLog
    from mission_core.ids import OrganizationId

BATCH_SIZE: Final = 500
"""The number of entries that are read at once at most."""


@frozen(kw_only=True)
class Reader:
    """
    A named reader of the log: its durable cursor has this name. It handles the entries of some kinds and about some
    subjects, or of all.
    """

    name: str
    kinds: frozenset[str] | None = None
    subjects: frozenset[UUID] | None = None

    def wants(self, entry: Entry) -> bool:
        """
        Whether the reader handles the entry.
        """
        return (self.kinds is None or entry.kind in self.kinds) and (
            self.subjects is None or entry.subject in self.subjects
        )


async def handle_new_entries(
    log: EventLog, organization: OrganizationId, reader: Reader, handle: Callable[[Sequence[Entry]], Awaitable[None]]
) -> int:
    """
    Pass the entries after the reader's cursor to *handle*, in order, and advance the cursor after each batch. Entries
    are passed again if the process ends before the cursor is advanced, so *handle* must bear that. A new reader begins
    with the first entry.

    Returns:
        The position that was reached.
    """
    reached = await log.cursor(organization, reader.name) or 0
    while entries := await log.read(organization, after=reached, limit=BATCH_SIZE):
        wanted = [entry for entry in entries if reader.wants(entry)]
        if wanted:
            await handle(wanted)
        reached = entries[-1].position
        await log.advance(organization, reader.name, reached)
    return reached


async def follow_log(
    log: EventLog, organization: OrganizationId, reader: Reader, handle: Callable[[Sequence[Entry]], Awaitable[None]]
) -> None:
    """
    Pass all entries to *handle* as `handle_new_entries` does, and wait for further ones, without end.
    """
    while True:
        reached = await handle_new_entries(log, organization, reader, handle)
        await log.wait(organization, after=reached)


async def position_before(log: EventLog, organization: OrganizationId, at: datetime) -> int:
    """
    Return the position after which the entries from the time *at* on begin, by a binary search over the positions. The
    search passes over positions whose entries were removed.
    """
    low, high = 0, (await log.head(organization)).position
    before_found = 0
    while low < high:
        middle = (low + high) // 2
        entries = await log.read(organization, after=middle, limit=1)
        if entries and entries[0].at < at:
            low = entries[0].position
        else:
            high = middle
            before_found = entries[0].position - 1 if entries else 0
    return max(low, before_found)
