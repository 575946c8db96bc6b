"""
Use cases that connect a tool to an agent and disconnect it.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from mission_core.accounts.model import (
    AgentPrincipal,
    KeyOfAnotherAgent,
    Principal,
    Role,
    board_of,
    require_own_agent,
    require_role,
)
from mission_core.agents.model import ONLINE, Agent, AgentNameTaken
from mission_core.agents.tool_connections import (
    CONNECTIONS,
    AlreadyConnected,
    ToolConnected,
    ToolConnection,
)
from mission_core.agents.use_cases import add_agent
from mission_core.errors import StaleWrite
from mission_core.ids import ConnectionId, ConnectionNumber
from mission_core.lazy_attrs import frozen
from mission_core.use_case import use_case
from mission_core.values import JsonText

if TYPE_CHECKING:
    from mission_core.ports import Ports, UnitOfWork


@frozen(kw_only=True)
class ConnectTool:
    """
    Record that an agent works through a tool. An agent of a new name is created with this *role*.
    """

    agent: str
    tool_name: str
    tool_version: str | None = None
    role: str = "cli"
    metadata: JsonText | None = None


@frozen(kw_only=True)
class DisconnectTool:
    """
    End a tool's connection.
    """

    connection: ConnectionId


@frozen
class ConnectedTool:
    """
    The result of connecting: the connection, its agent and, for a new agent, the secret of its key. The secret is
    returned only here.
    """

    connection: ToolConnection
    agent: Agent
    token: str | None = None


@use_case
async def connect_tool(ports: Ports, principal: Principal, cmd: ConnectTool) -> ConnectedTool:
    """
    Connect a tool to an agent. The agent is online from now on, and its earlier connection ends.

    Raises:
        KeyOfAnotherAgent: If an agent key below admin names another agent.
        StaleWrite: If a concurrent request connected or created the agent; the repetition comes after it.
    """
    require_role(principal, Role.OPERATOR)
    now = ports.clock.now()
    (number,) = await ports.numbers.next((principal.organization, "connection"))
    async with ports.unit(principal) as unit:
        agent, token = await _bring_online(ports, unit, principal, cmd, at=now)
        rows = unit.repository(CONNECTIONS)
        before = await rows.find(live_for=agent.id) if token is None else None
        if before is not None:
            ended, closed = before.close(agent=agent, at=now)
            rows.save(ended)
            unit.record(closed)
        made = rows.add(
            ToolConnection(
                id=ConnectionId(ports.ids.new()),
                number=ConnectionNumber(number),
                organization=principal.organization,
                agent=agent.id,
                live_for=agent.id,
                tool_name=cmd.tool_name,
                tool_version=cmd.tool_version,
                metadata=cmd.metadata,
                created_at=now,
                updated_at=now,
            )
        )
        unit.record(
            ToolConnected(connection=made.id, agent=agent.id, agent_name=agent.name, tool_name=made.tool_name, at=now)
        )
        unit.result(made.id)
        try:
            await unit.commit()
        except (AlreadyConnected, AgentNameTaken):
            raise StaleWrite("connection", made.id) from None  # by a concurrent request
    return ConnectedTool(made, agent, token)


async def _bring_online(
    ports: Ports, unit: UnitOfWork, principal: Principal, cmd: ConnectTool, *, at: datetime
) -> tuple[Agent, str | None]:
    """
    The agent with the status online, and its secret if it was created.
    """
    known = await unit.agents.find(cmd.agent)
    if known is not None:
        require_own_agent(principal, known.id)
        agent, changed = (await unit.agents.get(known.id)).after_heartbeat(at=at, status=ONLINE)
        unit.rely_on(agent)  # the agent must not be deleted meanwhile
        unit.agents.save_presence(agent)
        if changed:
            unit.record(changed)
        return agent, None
    if isinstance(principal, AgentPrincipal) and principal.role is not Role.ADMIN:
        raise KeyOfAnotherAgent
    board = board_of(principal)
    if board is not None:
        unit.rely_on(await unit.boards.get(board))
    given: dict[str, Any] = {"name": cmd.agent, "role": cmd.role, "status": ONLINE, "board": board}
    made = await add_agent(ports, unit, principal, given, at=at, registered=True)
    return made.agent, made.token


@use_case
async def disconnect_tool(ports: Ports, principal: Principal, cmd: DisconnectTool) -> ToolConnection:
    """
    End a connection. Its agent goes offline, unless it is connected through another tool. A connection that has already
    ended stays as it is.

    Raises:
        ConnectionNotFound: If this organization has none.
        KeyOfAnotherAgent: If an agent key below admin names a connection of another agent.
    """
    require_role(principal, Role.OPERATOR)
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        connection = await unit.without_grants.repository(CONNECTIONS).get(cmd.connection)
        require_own_agent(principal, connection.agent)
        if connection.live_for is None:
            return connection
        agent = await unit.agents.get(connection.agent)
        gone, changed = agent.after_disconnect(at=now)
        connection, closed = connection.close(agent=agent, at=now)
        connection = unit.repository(CONNECTIONS).save(connection)
        unit.agents.save_presence(gone)
        unit.record(closed)
        if changed:
            unit.record(changed)
        await unit.commit()
    return connection
