"""
The table of agents in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from mission_adapters.memory.tables import (
    GroupIndex,
    SortedIndex,
    Table,
    UndoLog,
    UniqueConstraint,
    number_key,
    require_visible,
)
from mission_core.accounts.model import may_read_board
from mission_core.agents.model import Agent, AgentNameTaken, AgentNotFound, SessionKeyTaken
from mission_core.errors import Conflict
from mission_core.ids import AgentId, AgentNumber

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.ids import BoardId, OrganizationId


class AgentTable(Table[Agent]):
    """
    The agents of all organizations, with their presence.
    """

    def __init__(self, journal: UndoLog) -> None:
        self.by_number = UniqueConstraint[Agent](number_key, Conflict)
        self.by_name = UniqueConstraint[Agent](lambda agent: (agent.organization, agent.name_key), AgentNameTaken)
        self.by_session = UniqueConstraint[Agent](_session_key_of, SessionKeyTaken)
        self.on_board = GroupIndex[Agent](lambda agent: (agent.board,) if agent.board else ())
        self.mains = GroupIndex[Agent](lambda agent: (agent.organization,) if agent.main else ())
        self.in_order = SortedIndex[Agent](lambda agent: [(agent.organization, (agent.number, agent.id))])
        uniques = (self.by_number, self.by_name, self.by_session)
        super().__init__("agent", journal, uniques, (self.on_board, self.mains, self.in_order))

    def find(self, principal: Principal, agent: AgentId | AgentNumber) -> Agent:
        """
        An agent that the principal may see, by id or number.

        Raises:
            AgentNotFound: If the principal's organization has none.
            BoardDenied: If its board is not granted to the principal.
        """
        id = self.by_number.ids.get((principal.organization, agent)) if isinstance(agent, int) else agent
        found = self.rows.get(id) if id else None
        return require_visible(principal, found, found.board if found else None, AgentNotFound)

    def is_seen(self, principal: Principal, agent: AgentId) -> bool:
        """
        Whether the agent exists and the principal may see it.
        """
        found = self.rows.get(agent)
        return (
            found is not None
            and found.organization == principal.organization
            and may_read_board(principal, found.board)
        )

    def named(self, organization: OrganizationId, name_key: str) -> Agent | None:
        """
        The organization's agent with this name key, or None.
        """
        id = self.by_name.ids.get((organization, name_key))
        return self.rows[id] if id else None

    def main_of(self, organization: OrganizationId) -> Agent | None:
        """
        The organization's main agent, or None.
        """
        return next(self.each(self.mains.of(organization)), None)

    def agents_on(self, organization: OrganizationId, board: BoardId) -> list[Agent]:
        """
        The agents of a board.
        """
        return [agent for agent in self.each(self.on_board.of(board)) if agent.organization == organization]

    def save_presence(self, agent: Agent) -> None:
        """
        Update an agent's presence, unless a later one is stored.
        """
        known = self.rows.get(agent.id)
        if known is None:
            return
        was, now = known.presence.last_seen_at, agent.presence.last_seen_at
        if was is None or (now is not None and now >= was):
            self.put(evolve(known, presence=agent.presence))


def _session_key_of(agent: Agent) -> object:
    return None if agent.session_key is None else (agent.organization, agent.session_key)
