"""
Connections of tools, on every store.
"""

import asyncio
from typing import Any

import pytest
from attrs import evolve

from mission_core.accounts.model import KeyOfAnotherAgent, Role
from mission_core.agents.connect import ConnectedTool, ConnectTool, DisconnectTool, connect_tool, disconnect_tool
from mission_core.agents.model import Agent
from mission_core.agents.tool_connections import CONNECTIONS, ConnectionNotFound, ToolConnection
from mission_core.agents.use_cases import RecordAgentHeartbeat, record_agent_heartbeat, secret_digest
from mission_core.errors import RoleTooLow
from mission_core.tasks.agent_deletion import DeleteAgent, delete_agent
from mission_core.values import PageRequest, micros
from tests.contract.conftest import World, viewer


async def connected(world: World, agent: str = "ada", *, by: Any = None, **fields: Any) -> ConnectedTool:
    """
    A new connection.
    """
    command = ConnectTool(agent=agent, tool_name="shell", **fields)
    return await connect_tool(world.ports, by or world.me, command)


async def agent_of(world: World, made: ConnectedTool) -> Agent:
    """
    The agent as it is committed now.
    """
    async with world.ports.unit(world.me) as unit:
        return await unit.agents.get(made.agent.id)


async def fresh(world: World, made: ConnectedTool) -> ToolConnection:
    """
    The connection as it is committed now.
    """
    return await world.ports.reads.entities.get(world.me, CONNECTIONS, made.connection.id)


async def test_an_unknown_agent_is_made_and_online(world: World) -> None:
    """
    With a key, which is told once; and the facts say so.
    """
    made = await connected(world, role="coder", tool_version="1.2")
    agent, now = await agent_of(world, made), world.clock.now()

    assert ("ada", "coder", "online") == (agent.name, agent.role, agent.status(at=now))
    assert now == agent.presence.last_seen_at
    assert (agent.id, "1.2", None) == (
        made.connection.live_for, made.connection.tool_version, made.connection.last_heartbeat_at,
    )  # fmt: skip
    assert made.token is not None
    who = await world.ports.credentials.principal_of(secret_digest(made.token), at=now)
    assert who is not None
    assert "ada" == who.name
    assert ["agent.created", "key.made", "connection.created"] == (await world.event_kinds())[-3:]


async def test_an_agent_has_one_connection_that_lives(world: World) -> None:
    """
    Connecting ends the one before; it is online by it, and has no other key.
    """
    first = await connected(world)
    world.clock.advance(hours=1)
    second = await connected(world, "ADA")
    agent = await agent_of(world, second)

    assert (None, agent.id) == ((await fresh(world, first)).live_for, (await fresh(world, second)).live_for)
    assert (first.agent.id, None, "online") == (agent.id, second.token, agent.status(at=world.clock.now()))
    assert ["connection.disconnected", "connection.created"] == [
        kind for kind in (await world.event_kinds())[-3:] if kind.startswith("connection")
    ]


async def test_connected_by_two_at_once_it_is_connected_once(world: World) -> None:
    """
    Whether its name is new or not, and nobody is refused.
    """
    for _ in range(2):
        made = await asyncio.gather(*(connected(world) for _ in range(3)))
        living = [each for each in made if (await fresh(world, each)).live_for]

        assert 1 == len(living)
        assert 1 == len({each.agent.id for each in made})


async def test_who_is_disconnected_is_offline(world: World) -> None:
    """
    At once; a second time nothing happens.
    """
    made = await connected(world)
    command = DisconnectTool(connection=made.connection.id)
    await disconnect_tool(world.ports, world.me, command)
    facts = await world.event_kinds()
    again = await disconnect_tool(world.ports, world.me, command)
    agent = await agent_of(world, made)

    assert again.live_for is None
    assert ("offline", made.agent.presence.last_seen_at) == (
        agent.status(at=world.clock.now()), agent.presence.last_seen_at,
    )  # fmt: skip
    assert ["connection.disconnected", "agent.status_changed"] == facts[-2:]
    assert facts == await world.event_kinds()


async def test_an_older_connections_end_leaves_the_agent_online(world: World) -> None:
    """
    It is connected through another tool by now.
    """
    first, second = await connected(world), await connected(world)
    await disconnect_tool(world.ports, world.me, DisconnectTool(connection=first.connection.id))

    assert "online" == (await agent_of(world, second)).status(at=world.clock.now())
    assert (await fresh(world, second)).live_for is not None


async def test_a_heartbeat_is_noted_with_the_connection_it_came_through(world: World) -> None:
    """
    If that is the agent's own, and lives.
    """
    ended, made, other = await connected(world), await connected(world), await connected(world, "bob")
    world.clock.advance(minutes=1)
    for each in (ended, made, other):
        await record_agent_heartbeat(
            world.ports, world.me, RecordAgentHeartbeat(agent="ada", connection=each.connection.id)
        )
    await record_agent_heartbeat(
        world.ports, world.me, RecordAgentHeartbeat(agent="ada", connection=world.ports.ids.new())
    )

    beats = [(await fresh(world, each)).last_heartbeat_at for each in (ended, made, other)]
    assert [None, world.clock.now(), None] == beats


async def test_connections_are_listed_newest_first_with_their_agents(world: World, elsewhere: World) -> None:
    """
    All there ever were, or a part; who is confined to a board sees that board's agents'.
    """
    await connected(elsewhere)
    await world.agent("bob", board=world.board.id)
    made = [await connected(world), await connected(world), await connected(world, "bob")]
    reads, bob = world.ports.reads.agents, await world.principal("eve", board=world.board.id)
    rows, total = await reads.connections(world.me, PageRequest())

    assert ([each.connection.id.bytes for each in made[::-1]], 3) == ([row.id for row in rows], total)
    assert [("bob", "agent", 1), ("ada", "cli", 1), ("ada", "cli", 0)] == [
        (row.agent_name, row.agent_role, row.live) for row in rows
    ]
    assert ("shell", "online", micros(world.clock.now()), made[2].agent.number) == (
        rows[0].tool_name, rows[0].reported, rows[0].last_seen_at, rows[0].agent_number,
    )  # fmt: skip
    part = await reads.connections(world.me, PageRequest(limit=1, after=made[2].connection.number))
    assert ([made[1].connection.number], 3) == ([row.number for row in part.rows], part.total)
    skipped = await reads.connections(world.me, PageRequest(limit=1, offset=2))
    assert ([made[0].connection.number], 3) == ([row.number for row in skipped.rows], skipped.total)
    confined = await reads.connections(bob, PageRequest())
    assert (["bob"], 1) == ([row.agent_name for row in confined.rows], confined.total)


async def test_a_deleted_agent_takes_its_connections_along(world: World) -> None:
    """
    And no other's.
    """
    made, other = await connected(world), await connected(world, "bob")
    await delete_agent(world.ports, world.me, DeleteAgent(agent="ada"))

    with pytest.raises(ConnectionNotFound):
        await fresh(world, made)
    assert other.connection == await fresh(world, other)


async def test_an_agents_key_speaks_for_itself_alone(world: World) -> None:
    """
    It connects and disconnects nobody else, known or not; an admin's does.
    """
    ada, other = await world.principal("ada"), await connected(world, "bob")
    end = DisconnectTool(connection=other.connection.id)
    for name in ("bob", "nobody"):
        with pytest.raises(KeyOfAnotherAgent):
            await connected(world, name, by=ada)
    with pytest.raises(KeyOfAnotherAgent):
        await disconnect_tool(world.ports, ada, end)
    own = await connected(world, "Ada", by=ada)
    admin = evolve(ada, role=Role.ADMIN)

    assert own.agent.id == ada.agent
    assert (await connected(world, "new", by=admin)).token is not None
    assert (await disconnect_tool(world.ports, admin, end)).live_for is None


async def test_who_only_looks_connects_nobody(world: World, elsewhere: World) -> None:
    """
    And another organization has its own connections.
    """
    made = await connected(world)
    end = DisconnectTool(connection=made.connection.id)
    with pytest.raises(RoleTooLow):
        await connected(world, by=viewer(world))
    with pytest.raises(RoleTooLow):
        await disconnect_tool(world.ports, viewer(world), end)
    with pytest.raises(ConnectionNotFound):
        await disconnect_tool(world.ports, elsewhere.me, end)
