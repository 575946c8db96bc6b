"""
The event log in memory: one list of hash-chained entries for each organization.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final
from uuid import UUID

from attrs import field

from mission_core.events.model import GENESIS, ChainHead, Entry
from mission_core.lazy_attrs import define

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Iterable

    from mission_adapters.memory.tables import UndoLog
    from mission_core.events.model import Actor, Event
    from mission_core.ids import OrganizationId

EMPTY_LOG: Final = ChainHead(0, GENESIS)


@define
class MemoryEventLog:
    """
    The event logs of all organizations. *of_agents* indexes the entries by the agents that wrote them or that they
    concern.
    """

    journal: UndoLog
    entries: dict[OrganizationId, list[Entry]] = field(factory=dict)
    of_agents: dict[UUID, list[Entry]] = field(factory=dict)
    heads: dict[OrganizationId, ChainHead] = field(factory=dict)
    cursors: dict[OrganizationId, dict[str, int]] = field(factory=dict)
    waiting: dict[OrganizationId, set[Future[None]]] = field(factory=dict)

    def record(self, organization: OrganizationId, actor: Actor, facts: Iterable[Event]) -> None:
        """
        Append events to the organization's log.
        """
        entries = self.entries.setdefault(organization, [])
        head = self.heads.get(organization, EMPTY_LOG)
        for fact in facts:
            entry = Entry.of(
                fact, organization=organization, actor=actor, position=head.position + 1, previous=head.digest
            )
            self.journal.note(entries.pop)
            entries.append(entry)
            for agent in _agents_of_entry(entry):
                known = self.of_agents.setdefault(agent, [])
                self.journal.note(known.pop)
                known.append(entry)
            head = ChainHead(entry.position, entry.digest)
        self.heads[organization] = head

    def drop(self, organization: OrganizationId) -> None:
        """
        Delete the log of an organization.
        """
        cursors = self.cursors.pop(organization, {})
        self.journal.note(lambda: self.cursors.update({organization: cursors}))
        gone = self.entries.pop(organization, None)
        head = self.heads.pop(organization, None)
        if gone is None or head is None:
            return
        self.journal.note(lambda: self.entries.update({organization: gone}))
        self.journal.note(lambda: self.heads.update({organization: head}))
        for agent in {agent for entry in gone for agent in _agents_of_entry(entry)}:
            known = self.of_agents[agent]
            self.journal.note(partial(self.of_agents.__setitem__, agent, known))
            self.of_agents[agent] = [each for each in known if each.organization != organization]

    async def read(self, organization: OrganizationId, *, after: int = 0, limit: int = 500) -> list[Entry]:
        """
        Up to *limit* entries whose position is greater than *after*, in order.
        """
        return self.entries.get(organization, [])[after : after + limit]

    def position(self, organization: OrganizationId) -> int:
        """
        The position of the last entry, or 0.
        """
        return self.heads.get(organization, EMPTY_LOG).position

    async def head(self, organization: OrganizationId) -> ChainHead:
        """
        The position of the last entry and its digest.
        """
        return self.heads.get(organization, EMPTY_LOG)

    async def wait(self, organization: OrganizationId, *, after: int) -> None:
        """
        Return once the log has an entry whose position is greater than *after*.
        """
        from asyncio import get_running_loop  # a program that never waits need not import asyncio for the log

        while self.heads.get(organization, EMPTY_LOG).position <= after:
            woken = get_running_loop().create_future()
            waiting = self.waiting.setdefault(organization, set())
            waiting.add(woken)
            try:
                await woken
            finally:
                waiting.discard(woken)

    async def cursor(self, organization: OrganizationId, reader: str) -> int | None:
        """
        The position up to which the reader has handled the log, or None.
        """
        return self.cursors.get(organization, {}).get(reader)

    async def advance(self, organization: OrganizationId, reader: str, position: int) -> None:
        """
        Keep the reader's cursor at this position, unless it is further already.
        """
        if organization in self.heads:
            cursors = self.cursors.setdefault(organization, {})
            cursors[reader] = max(position, cursors.get(reader, 0))

    def wake(self, organization: OrganizationId) -> None:
        """
        Wake all readers that wait for new entries of the organization.
        """
        for woken in self.waiting.get(organization, ()):
            if not woken.done():
                woken.set_result(None)


def _agents_of_entry(entry: Entry) -> set[UUID]:
    by = {entry.actor.id} if entry.actor.kind == "agent" and entry.actor.id else set()
    return by | {entry.subject} if entry.kind.startswith("agent.") else by
