"""
The log in memory: a list of entries for each organization, chained as everywhere.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from attrs import define, field

from mission_core.events.model import GENESIS, Entry, Verified

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mission_adapters.memory.tables import Journal
    from mission_core.events.model import Actor, Fact
    from mission_core.ids import OrganizationId


@define
class MemoryLog:
    """
    The logs of all organizations.
    """

    journal: Journal
    entries: dict[OrganizationId, list[Entry]] = field(factory=dict)
    waiting: dict[OrganizationId, set[asyncio.Future[None]]] = field(factory=dict)

    def record(self, organization: OrganizationId, actor: Actor, facts: Iterable[Fact]) -> None:
        """
        Write facts at the next positions.
        """
        entries = self.entries.setdefault(organization, [])
        for fact in facts:
            previous = entries[-1].digest if entries else GENESIS
            position = len(entries) + 1
            self.journal.note(entries.pop)
            entries.append(
                Entry.of(fact, organization=organization, actor=actor, position=position, previous=previous)
            )

    async def read(self, organization: OrganizationId, *, after: int = 0, limit: int = 500) -> list[Entry]:
        """
        Up to *limit* entries after the position *after*, in order.
        """
        return self.entries.get(organization, [])[after : after + limit]

    async def head(self, organization: OrganizationId) -> Verified:
        """
        The last position and its digest.
        """
        entries = self.entries.get(organization)
        return Verified(len(entries), entries[-1].digest) if entries else Verified(0, GENESIS)

    async def wait(self, organization: OrganizationId, *, after: int) -> None:
        """
        Return once there is an entry after *after*.
        """
        while len(self.entries.get(organization, ())) <= after:
            woken = asyncio.get_running_loop().create_future()
            waiting = self.waiting.setdefault(organization, set())
            waiting.add(woken)
            try:
                await woken
            finally:
                waiting.discard(woken)

    def wake(self, organization: OrganizationId) -> None:
        """
        Tell all who wait that a flush was kept.
        """
        for woken in self.waiting.get(organization, ()):
            if not woken.done():
                woken.set_result(None)
