"""
Agents: edited field by field, and heard of, on every store.
"""

import asyncio

import pytest
from attrs import evolve

from mission_core.accounts.model import AgentPrincipal, Role
from mission_core.agents.model import AgentNotFound, SessionKeyTaken
from mission_core.agents.update import UpdateAgent, update_agent
from mission_core.agents.use_cases import (
    CreateAgent,
    RecordAgentHeartbeat,
    RevokeKey,
    create_agent,
    record_agent_heartbeat,
    revoke_key,
)
from mission_core.boards.model import BoardDenied, BoardNotFound
from mission_core.boards.use_cases import CreateBoard, UpdateBoard, create_board, update_board
from mission_core.errors import RoleTooLow, VersionMismatch
from mission_core.values import micros


async def edited(world, agent, **fields):
    return await update_agent(world.ports, world.me, UpdateAgent(agent=agent.id, **fields))


async def test_an_update_changes_the_fields_it_names_and_no_other(world):
    """
    Absent leaves, null clears, a value sets.
    """
    agent = await world.agent(soul="calm", role="coder", session_key=f"key-{world.board.id}")
    after = await edited(world, agent, soul=None, role="tester")

    assert evolve(agent, soul=None, role="tester", updated_at=after.updated_at, version=1) == after
    assert "agent.updated" in await world.event_kinds()


async def test_an_update_may_say_how_an_agent_is(world):
    """
    A status is a sign of life; what it does is none. Neither makes a new version.
    """
    ada = await world.agent()
    doing = await edited(world, ada, activity="reads")
    busy = await edited(world, ada, status="busy")
    both = await edited(world, ada, status="busy", activity="writes", role="tester")
    row = await world.ports.reads.agents.get(world.me, ada.id)

    assert ("provisioning", "reads", None) == (
        doing.presence.reported, doing.presence.activity, doing.presence.last_seen_at,
    )  # fmt: skip
    assert (busy.presence.last_seen_at, "busy", 0) == (world.clock.now(), busy.presence.reported, busy.version)
    assert ("busy", "writes", "tester", 1) == (row.reported, row.activity, row.role, row.version)
    assert 1 == (await world.event_kinds()).count("agent.status_changed")
    assert 1 == both.version


async def test_changing_nothing_is_no_change(world):
    """
    The version stands and the log says nothing.
    """
    agent = await world.agent(role="coder")
    after = await edited(world, agent, role="coder")

    assert agent == after
    assert "agent.updated" not in await world.event_kinds()


async def test_an_expected_version_must_stand(world):
    """
    Whoever read an older one is told so.
    """
    agent = await world.agent()
    await edited(world, agent, role="tester")

    with pytest.raises(VersionMismatch):
        await edited(world, agent, role="coder", expects=0)


async def test_what_is_named_must_be_there(world, elsewhere):
    """
    A board of another organization and a session key of another agent are refused.
    """
    agent = await world.agent(session_key=f"mine-{world.board.id}")
    other = await world.agent("bob")

    with pytest.raises(BoardNotFound):
        await edited(world, agent, board=elsewhere.board.id)
    with pytest.raises(SessionKeyTaken):
        await edited(world, other, session_key=f"mine-{world.board.id}")
    with pytest.raises(AgentNotFound):
        await edited(elsewhere, agent, role="spy")


async def test_an_edit_and_a_heartbeat_do_not_meet(world):
    """
    Presence is a record beside the agent: neither undoes the other, and neither is repeated.
    """
    agent = await world.agent()
    await asyncio.gather(
        edited(world, agent, role="tester"),
        record_agent_heartbeat(world.ports, world.me, RecordAgentHeartbeat(agent=agent.id, status="busy")),
    )
    async with world.ports.unit(world.me) as unit:
        after = await unit.agents.get(agent.id)

    assert ("tester", "busy", 1) == (after.role, after.status(at=world.clock.now()), after.version)


async def test_an_agent_that_falls_silent_is_offline_and_comes_back(world):
    """
    The log tells of the change, not of every sign of life.
    """
    agent = await world.agent()
    for _ in range(3):
        await record_agent_heartbeat(world.ports, world.me, RecordAgentHeartbeat(agent=agent.id))
        world.clock.advance(minutes=1)
    world.clock.advance(minutes=11)
    async with world.ports.unit(world.me) as unit:
        silent = await unit.agents.get(agent.id)
    back = await record_agent_heartbeat(world.ports, world.me, RecordAgentHeartbeat(agent=agent.id))

    assert ("offline", "online") == (silent.status(at=world.clock.now()), back.status(at=world.clock.now()))
    assert 2 == (await world.event_kinds()).count("agent.status_changed")


async def test_an_agent_does_not_leave_its_board_by_itself(world):
    """
    Neither itself nor another one, and it makes none elsewhere, nor a board of its own.
    """
    ada = await world.principal(board=world.board.id)
    other = await world.another_board()

    for board in (None, other.id):
        with pytest.raises(BoardDenied):
            await update_agent(world.ports, ada, UpdateAgent(agent=ada.agent, board=board))
        with pytest.raises(BoardDenied):
            await create_agent(world.ports, ada, CreateAgent(name="bob", board=board))
    with pytest.raises(BoardDenied):
        await create_board(world.ports, ada, CreateBoard(name="Mine"))


async def test_an_agent_does_not_promote_anybody(world):
    """
    Who leads, and which rules work meets, is for people and admins to say.
    """
    ada = await world.principal(board=world.board.id)
    gates = {"require_review_before_done": True}

    with pytest.raises(RoleTooLow):
        await update_agent(world.ports, ada, UpdateAgent(agent=ada.agent, lead=True))
    with pytest.raises(RoleTooLow):
        await create_agent(world.ports, ada, CreateAgent(name="bob", board=world.board.id, lead=True))
    with pytest.raises(RoleTooLow):
        await update_board(world.ports, ada, UpdateBoard(board=world.board.id, gates=gates))
    admin = evolve(ada, role=Role.ADMIN)
    board = await update_board(world.ports, admin, UpdateBoard(board=world.board.id, gates=gates))

    assert board.gates.require_review_before_done


async def test_a_key_tells_when_it_was_used(world):
    """
    As often as a sign of life counts; a change of the key does not undo it.
    """
    agent = await world.agent()
    (row,) = await world.ports.reads.agents.keys(world.me, agent.id)
    async with world.ports.unit(world.me) as unit:
        (key,) = await unit.keys.list_of(agent.id)
    shown = AgentPrincipal(organization=agent.organization, agent=agent.id, name=agent.name, key=key.id)
    await record_agent_heartbeat(world.ports, shown, RecordAgentHeartbeat(agent=agent.id))
    used = micros(world.clock.now())
    world.clock.advance(seconds=5)
    again = evolve(shown, seen_at=world.clock.now())
    await record_agent_heartbeat(world.ports, again, RecordAgentHeartbeat(agent=agent.id))
    await revoke_key(world.ports, world.me, RevokeKey(agent=agent.id, key=key.number))
    (after,) = await world.ports.reads.agents.keys(world.me, agent.id)

    assert (None, used) == (row.last_used_at, after.last_used_at)
    assert after.revoked_at is not None
