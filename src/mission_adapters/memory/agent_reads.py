"""
The read model of agents in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mission_core.accounts.model import may_read_board
from mission_core.agents.model import Agent, AgentNotFound
from mission_core.agents.queries import (
    STORED_AGENTS,
    AgentNameRow,
    AgentRow,
    AgentTaskCounts,
    ApiKeyRow,
    ToolConnectionRow,
    boards_of_nameable_agents,
)
from mission_core.agents.rows import agent_row, api_key_row
from mission_core.agents.tool_connections import ToolConnection
from mission_core.lazy_attrs import frozen
from mission_core.row_mapping import row_mapping
from mission_core.tasks.counters import WORKLOADS
from mission_core.values import PageOfRows, name_key

if TYPE_CHECKING:
    from collections.abc import Collection

    from mission_adapters.memory.agents import AgentTable
    from mission_adapters.memory.api_keys import ApiKeyTable
    from mission_adapters.memory.counters import MemoryCounters
    from mission_adapters.memory.kind_tables import KindTable
    from mission_core.accounts.model import Principal
    from mission_core.agents.queries import AgentFilter
    from mission_core.ids import AgentId, AgentNumber, BoardId
    from mission_core.projections import Projection
    from mission_core.values import PageRequest

tool_connection_row: Final = row_mapping(ToolConnection).builder(ToolConnectionRow)


@frozen
class MemoryAgentReads:
    """
    Reads the agents that a principal may see.
    """

    agents: AgentTable
    counters: MemoryCounters
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

    async def several(self, principal: Principal, agents: Collection[AgentId]) -> list[AgentRow]:
        """
        The agents with these ids that the principal may see.
        """
        return [agent_row(self.agents.rows[id]) for id in agents if self.agents.is_seen(principal, id)]

    async def page(
        self, principal: Principal, wanted: AgentFilter, page: PageRequest, shown: Projection = STORED_AGENTS
    ) -> PageOfRows:
        """
        Agent rows, newest first, rendered by the projection.
        """
        places = reversed(self.agents.in_order.of(principal.organization))
        agents = self.agents.each(id for _, id in places)
        found = [agent for agent in agents if may_read_board(principal, agent.board) and _matches_filter(agent, wanted)]
        rest = [agent for agent in found if page.after is None or agent.number < page.after]
        some = rest[page.offset : page.offset + page.limit]
        rows = [
            agent_row(
                agent,
                status=agent.status(at=wanted.at, as_made=wanted.as_made),
                tasks=self._task_counts(principal, agent),
            )
            for agent in some
        ]
        return PageOfRows(list(map(shown.render, rows)), len(found))

    def _task_counts(self, principal: Principal, agent: Agent) -> AgentTaskCounts:
        found = self.counters.totals(WORKLOADS, principal, "status", assignee_key={agent.name_key})
        by_status = {status: amount for (status,), amount in found.items()}
        some = (by_status.get(status, 0) for status in AgentTaskCounts._fields[1:])
        return AgentTaskCounts(sum(by_status.values()), *some)

    async def names(
        self, principal: Principal, *, board: BoardId | None = None, handles: Collection[str] | None = None
    ) -> list[AgentNameRow]:
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

    async def session_keys(self, principal: Principal, names: Collection[str]) -> dict[str, str]:
        """
        The session keys of the agents with these names, by the keys of their names.
        """
        found = (self.agents.named(principal.organization, name_key(name)) for name in names)
        return {
            name_key(agent.name): agent.session_key
            for agent in found
            if agent is not None and agent.session_key is not None and may_read_board(principal, agent.board)
        }

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
