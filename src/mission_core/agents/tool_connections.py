"""
Tool connections: a tool that an agent works through reports its presence directly, without a gateway.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from attrs import evolve, field
from attrs.validators import optional

from mission_core.agents.model import Agent
from mission_core.errors import Conflict, NotFound
from mission_core.events.model import Event
from mission_core.field_types import with_type_validators
from mission_core.ids import AgentId, ConnectionId, ConnectionNumber, OrganizationId
from mission_core.kinds import Kind
from mission_core.lazy_attrs import frozen
from mission_core.values import JsonText, storable_json, text, utc_moment


class ConnectionNotFound(NotFound):
    """
    This organization has no such connection.
    """

    says = "Connection not found"


class AlreadyConnected(Conflict):
    """
    The agent is connected through another tool.
    """

    says = "this agent is connected through another tool"


@frozen(kw_only=True, field_transformer=with_type_validators)
class ToolConnection:
    """
    A tool's connection to an agent. While it is open, *live_for* is the agent, and no other connection has that value.
    """

    id: ConnectionId
    number: ConnectionNumber
    organization: OrganizationId
    agent: AgentId
    live_for: AgentId | None
    tool_name: str = field(validator=text(least=1, most=100))
    tool_version: str | None = field(default=None, validator=optional(text(most=50)))
    metadata: JsonText | None = field(default=None, validator=optional(storable_json))
    last_heartbeat_at: datetime | None = field(default=None, validator=optional(utc_moment))
    created_at: datetime = field(validator=utc_moment)
    updated_at: datetime = field(validator=utc_moment)
    version: int = 0

    def with_heartbeat(self, *, at: datetime) -> ToolConnection:
        """
        The connection after a heartbeat of its tool.
        """
        return evolve(self, last_heartbeat_at=at, updated_at=at)

    def close(self, *, agent: Agent, at: datetime) -> tuple[ToolConnection, ToolDisconnected]:
        """
        The closed connection, and the event.
        """
        closed = ToolDisconnected(connection=self.id, agent=agent.id, agent_name=agent.name, at=at)
        return evolve(self, live_for=None, updated_at=at), closed


CONNECTIONS: Final = Kind(
    entity=ToolConnection,
    name="connections",
    missing=ConnectionNotFound,
    unique={("live_for",): AlreadyConnected},
    cascades_from={"agent": Agent},
)


@frozen(kw_only=True, eq=False, repr=False)
class ToolConnected(Event):
    """
    A tool was connected to an agent.
    """

    kind = "connection.created"

    connection: ConnectionId
    agent: AgentId
    agent_name: str
    tool_name: str


@frozen(kw_only=True, eq=False, repr=False)
class ToolDisconnected(Event):
    """
    A tool's connection was closed.
    """

    kind = "connection.disconnected"

    connection: ConnectionId
    agent: AgentId
    agent_name: str
