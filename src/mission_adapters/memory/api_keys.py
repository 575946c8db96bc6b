"""
The table of API keys in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from mission_adapters.memory.tables import GroupIndex, Table, UndoLog, UniqueConstraint, number_key
from mission_core.accounts.model import ApiKey, ApiKeyNotFound
from mission_core.errors import Conflict

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from mission_core.accounts.model import Principal
    from mission_core.ids import AgentId, ApiKeyId, ApiKeyNumber


class ApiKeyTable(Table[ApiKey]):
    """
    The API keys of all agents.
    """

    def __init__(self, journal: UndoLog) -> None:
        self.by_digest = UniqueConstraint[ApiKey](lambda key: key.digest, Conflict)
        self.by_number = UniqueConstraint[ApiKey](number_key, Conflict)
        self.of_agent = GroupIndex[ApiKey](lambda key: (key.agent,))
        super().__init__("key", journal, (self.by_digest, self.by_number), (self.of_agent,))

    def find(self, principal: Principal, key: ApiKeyId | ApiKeyNumber) -> ApiKey:
        """
        An API key of the principal's organization, by id or number.

        Raises:
            ApiKeyNotFound: If the principal's organization has none.
        """
        id = self.by_number.ids.get((principal.organization, key)) if isinstance(key, int) else key
        found = self.rows.get(id) if id else None
        if found is None or found.organization != principal.organization:
            raise ApiKeyNotFound
        return found

    def record_use(self, key: UUID, *, at: datetime) -> None:
        """
        Set the time at which the key was last used, unless a later time is known.
        """
        known = self.rows.get(key)
        if known is not None and (known.last_used_at is None or known.last_used_at <= at):
            self.put(evolve(known, last_used_at=at))

    def list_of(self, principal: Principal, agent: AgentId) -> list[ApiKey]:
        """
        The agent's API keys, newest first.
        """
        keys = self.each(self.of_agent.of(agent))
        own = [key for key in keys if key.organization == principal.organization]
        return sorted(own, key=lambda key: key.number, reverse=True)
