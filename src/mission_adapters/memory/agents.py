"""
Agents in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve, frozen

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
from mission_core.agents.queries import AgentNameRow, AgentRow, ApiKeyRow, ToolConnectionRow, boards_of_nameable_agents
from mission_core.agents.rows import agent_row, api_key_row, tool_connection_row
from mission_core.errors import Conflict
from mission_core.ids import AgentId, AgentNumber
from mission_core.values import PageOfRows, name_key

if TYPE_CHECKING:
    from mission_adapters.memory.api_keys import ApiKeyTable
    from mission_adapters.memory.kind_tables import KindTable
    from mission_core.accounts.model import Principal
    from mission_core.agents.queries import AgentFilter
    from mission_core.agents.tool_connections import ToolConnection
    from mission_core.ids import BoardId, OrganizationId
    from mission_core.values import PageRequest


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


@frozen
class MemoryAgentReads:
    """
    Reads the agents that a principal may see.
    """

    agents: AgentTable
    api_keys: ApiKeyTable
    tool_connections: KindTable[ToolConnection]

    async def get(self, principal: Principal, agent: AgentId | AgentNumber | str) -> AgentRow:
        """
        The row of an agent, found by id, number or name.
        """
        if isinstance(agent, str):
            named = self.agents.named(principal.organization, name_key(agent))
            if named is None:
                raise AgentNotFound
            agent = named.id
        return agent_row(self.agents.find(principal, agent))

    async def page(self, principal: Principal, wanted: AgentFilter, page: PageRequest) -> PageOfRows:
        """
        Agent rows, newest first.
        """
        places = reversed(self.agents.in_order.of(principal.organization))
        agents = self.agents.each(id for _, id in places)
        found = [agent for agent in agents if may_read_board(principal, agent.board) and _matches_filter(agent, wanted)]
        rest = [agent for agent in found if page.after is None or agent.number < page.after]
        return PageOfRows([agent_row(agent) for agent in rest[page.offset : page.offset + page.limit]], len(found))

    async def names(self, principal: Principal, *, board: BoardId | None = None) -> list[AgentNameRow]:
        """
        The names of the agents, of all boards or of one, by number. The list covers the boards whose agents the
        principal may address by name.
        """
        known = boards_of_nameable_agents(principal)
        agents = self.agents.each(id for _, id in self.agents.in_order.of(principal.organization))
        return [
            AgentNameRow(agent.name, agent.role, int(agent.lead), agent.config, agent.board)
            for agent in agents
            if board in (None, agent.board) and (known is None or agent.board in known)
        ]

    async def keys(self, principal: Principal, agent: AgentId) -> list[ApiKeyRow]:
        """
        The agent's API keys, newest first. The list is empty if the principal may not see the agent.
        """
        if not self.agents.is_seen(principal, agent):
            return []
        return [api_key_row(key) for key in self.api_keys.list_of(principal, agent)]

    async def connections(self, principal: Principal, page: PageRequest) -> PageOfRows:
        """
        The direct connections of tools with their agents, newest first.
        """
        rows = [(row, self.agents.rows[row.agent]) for row in reversed(self.tool_connections.matching(principal, {}))]
        found = [_connection_row(row, agent) for row, agent in rows if may_read_board(principal, agent.board)]
        rest = [row for row in found if page.after is None or row.number < page.after]
        return PageOfRows(rest[page.offset : page.offset + page.limit], len(found))


def _matches_filter(agent: Agent, wanted: AgentFilter) -> bool:
    return (
        (wanted.hidden or not agent.hidden)
        and wanted.role in (None, agent.role)
        and wanted.board in (None, agent.board)
        and wanted.status in (None, agent.status(at=wanted.at, as_made=wanted.as_made))
    )


def _connection_row(connection: ToolConnection, agent: Agent) -> ToolConnectionRow:
    shown = agent_row(agent)
    return tool_connection_row(
        connection,
        live=int(connection.live_for is not None),
        agent_number=agent.number,
        agent_name=agent.name,
        agent_role=agent.role,
        reported=shown.reported,
        last_seen_at=shown.last_seen_at,
    )
