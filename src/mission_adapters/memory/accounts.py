"""
Organizations, API keys and the used idempotency keys in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import define, evolve, field

from mission_adapters.memory.tables import Groups, Journal, Table, Unique, numbered
from mission_core.accounts.model import AgentPrincipal, ApiKey, ApiKeyNotFound, Organization, identity_of, role_from
from mission_core.errors import Conflict, KeyReused
from mission_core.ports import REMEMBERED, AlreadyDone

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from mission_adapters.memory.agents import AgentTable
    from mission_core.accounts.model import Principal
    from mission_core.ids import AgentId, ApiKeyId, ApiKeyNumber, OrganizationId
    from mission_core.ports import Once


class KeyTable(Table[ApiKey]):
    """
    All API keys.
    """

    def __init__(self, journal: Journal) -> None:
        self.by_digest = Unique[ApiKey](lambda key: key.digest, Conflict)
        self.by_number = Unique[ApiKey](numbered, Conflict)
        self.of_agent = Groups[ApiKey](lambda key: (key.agent,))
        super().__init__("key", journal, (self.by_digest, self.by_number), (self.of_agent,))

    def find(self, principal: Principal, key: ApiKeyId | ApiKeyNumber) -> ApiKey:
        """
        Raises:
            ApiKeyNotFound: If the principal's organization has none.
        """
        id = self.by_number.ids.get((principal.organization, key)) if isinstance(key, int) else key
        found = self.rows.get(id) if id else None
        if found is None or found.organization != principal.organization:
            raise ApiKeyNotFound
        return found

    def use(self, key: UUID, *, at: datetime) -> None:
        """
        Keep when the key was used; the latest wins.
        """
        known = self.rows.get(key)
        if known is not None and (known.last_used_at is None or known.last_used_at <= at):
            self.put(evolve(known, last_used_at=at))

    def list_of(self, principal: Principal, agent: AgentId) -> list[ApiKey]:
        """
        The agent's keys, newest first.
        """
        keys = self.each(self.of_agent.of(agent))
        own = [key for key in keys if key.organization == principal.organization]
        return sorted(own, key=lambda key: key.number, reverse=True)


@define
class MemoryCredentials:
    """
    The only port that reads unscoped: who a secret stands for.
    """

    keys: KeyTable
    agents: AgentTable
    by_slug: dict[str, Organization] = field(factory=dict)

    async def principal_of(self, digest: bytes, *, at: datetime) -> Principal | None:
        """
        The principal of the key with this SHA-256, if it is live at *at* and its agent exists.
        """
        id = self.keys.by_digest.ids.get(digest)
        key = self.keys.rows[id] if id else None
        if key is None or key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= at):
            return None
        agent = self.agents.rows.get(key.agent)
        if agent is None:
            return None
        return AgentPrincipal(
            organization=key.organization,
            agent=agent.id,
            name=agent.name,
            board=agent.board,
            lead=agent.lead,
            role=role_from(key.scopes),
            key=key.id,
            seen_at=agent.presence.last_seen_at,
        )

    async def organization(self, slug: str) -> Organization | None:
        """
        The organization with this slug, if there is one.
        """
        return self.by_slug.get(slug)

    def by_id(self, id: OrganizationId) -> Organization:
        """
        The organization of this id, which must be there.
        """
        return next(organization for organization in self.by_slug.values() if organization.id == id)

    async def found(self, organization: Organization) -> Organization:
        """
        Keep the organization if its slug is free; the answer is the one that is kept.
        """
        return self.by_slug.setdefault(organization.slug, organization)

    async def organizations(self) -> list[OrganizationId]:
        """
        All organizations.
        """
        return [organization.id for organization in self.by_slug.values()]


@define
class UsedKeys:
    """
    The idempotency keys of the last day, the oldest first, with the result of each.
    """

    journal: Journal
    used: dict[tuple[object, ...], tuple[bytes, UUID, datetime]] = field(factory=dict)

    def find(self, principal: Principal, once: Once, *, since: datetime) -> UUID | None:
        """
        The result kept after *since*.

        Raises:
            KeyReused: If the key was used for another body.
        """
        digest, result, at = self.used.get(_name(principal, once), (b"", None, since))
        if at <= since:
            return None
        if digest != once.body_digest:
            raise KeyReused(once.key)
        return result

    def check(self, principal: Principal, once: Once, *, at: datetime) -> None:
        """
        Raises:
            AlreadyDone: If the key was used in the last day.
            KeyReused: If it was used for another body.
        """
        result = self.find(principal, once, since=at - REMEMBERED)
        if result is not None:
            raise AlreadyDone(result)

    def keep(self, principal: Principal, once: Once, result: UUID, *, at: datetime) -> None:
        """
        Keep the result of a key that is free, and forget what is too old.
        """
        name = _name(principal, once)
        self._forget(before=at - REMEMBERED)
        self.journal.note(lambda: self.used.pop(name, None))
        self.used[name] = (once.body_digest, result, at)

    def _forget(self, *, before: datetime) -> None:
        while self.used:
            oldest = next(iter(self.used))
            if self.used[oldest][2] > before:
                return
            del self.used[oldest]


def _name(principal: Principal, once: Once) -> tuple[object, ...]:
    return principal.organization, identity_of(principal), once.operation, once.key
