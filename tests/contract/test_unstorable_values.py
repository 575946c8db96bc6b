"""
Values that some store cannot hold: refused with a reason on every store, whether they are to be kept or looked for.
"""

from contextlib import suppress
from datetime import timedelta

import pytest

from mission_core.agents.queries import AgentFilter
from mission_core.agents.update import UpdateAgent, update_agent
from mission_core.agents.use_cases import (
    CreateAgent,
    RecordAgentHeartbeat,
    RegisterAgent,
    create_agent,
    record_agent_heartbeat,
    register_agent,
)
from mission_core.automation.board_webhooks import CreateBoardWebhook, create_board_webhook
from mission_core.boards.use_cases import CreateBoard, create_board
from mission_core.conversations.use_cases import WriteBoardMemory, write_board_memory
from mission_core.errors import InvalidField, Refusal
from mission_core.ports import IdempotencyKey, perform
from mission_core.tasks.explanations import explain_task
from mission_core.tasks.heartbeats import Heartbeat, heartbeat
from mission_core.tasks.leases import ClaimNext, claim_next
from mission_core.tasks.queries import TaskFilter
from mission_core.tasks.runs import LeaseTerms, Outcome
from mission_core.tasks.use_cases import CreateTask, create_task
from mission_core.values import JsonText, PageRequest

TEXTS = pytest.mark.parametrize("text", ["a\0b", "a\ud800b"])


@TEXTS
async def test_text_that_cannot_be_kept_is_refused(world, text):
    """
    In names as in JSON that nobody checked.
    """
    ports, me, board = world.ports, world.me, world.board.id
    agent, held, json = await world.agent(), await world.claim(await world.task()), JsonText(f'"{text}"')

    for use_case, command in (
        (create_agent, CreateAgent(name=text)),
        (create_agent, CreateAgent(name="bob", config=json)),
        (update_agent, UpdateAgent(agent=agent.id, identity_profile=json)),
        (register_agent, RegisterAgent(name=text)),
        (create_board, CreateBoard(name="x", success_metrics=json)),
        (create_task, CreateTask(title="x", board=board, metadata=json)),
        (claim_next, ClaimNext(agent=text)),
        (heartbeat, Heartbeat(task=held.task.id, lease=held.lease, progress=json)),
        (write_board_memory, WriteBoardMemory(board=board, content=text)),
        (write_board_memory, WriteBoardMemory(board=board, content="x", tags=(text,))),
        (write_board_memory, WriteBoardMemory(board=board, content="x", source=text)),
        (create_board_webhook, CreateBoardWebhook(board=board, description=text)),
        (create_board_webhook, CreateBoardWebhook(board=board, description="x", secret=text)),
    ):
        with pytest.raises(InvalidField):
            await use_case(ports, me, command)
    with pytest.raises(InvalidField):
        Outcome(output=json)


@TEXTS
async def test_looking_for_text_that_cannot_be_kept_finds_nothing(world, text):
    """
    A store may say so with a refusal, but never fails.
    """
    ports, me, now = world.ports, world.me, world.clock.now()

    async def again(ports, principal, result):
        return result

    once = IdempotencyKey(key=text, operation="create", body_digest=bytes(32))
    for looking in (
        record_agent_heartbeat(ports, me, RecordAgentHeartbeat(agent=text)),
        ports.reads.agents.get(me, text),
        ports.reads.agents.page(me, AgentFilter(role=text, at=now), PageRequest()),
        ports.reads.tasks.page(me, TaskFilter(assignee=text), PageRequest()),
        ports.reads.tasks.page(me, TaskFilter(priority=text), PageRequest()),
        ports.reads.tasks.open_of_assignee(me, text, limit=1),
        ports.reads.tasks.count_by_status(me, (text,)),
        ports.credentials.organization(text),
        perform(create_task, ports, me, CreateTask(title="x", board=world.board.id), once=once, again=again),
    ):
        await answered_or_refused(looking)


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**30])
async def test_looking_for_a_number_beyond_64_bits_finds_nothing(world, number):
    """
    As little as for any other that was never drawn.
    """
    ports, me = world.ports, world.me
    async with ports.unit(me) as unit:
        for rows in (unit.tasks, unit.boards, unit.agents, unit.keys):
            await answered_or_refused(rows.get(number))
    for looking in (
        ports.reads.tasks.get(me, number),
        ports.reads.tasks.runs(me, number),
        explain_task(ports, me, number),
        ports.reads.boards.get(me, number),
        ports.reads.agents.get(me, number),
        ports.reads.tasks.page(me, TaskFilter(board=number), PageRequest()),
    ):
        await answered_or_refused(looking)


async def answered_or_refused(looking):
    with suppress(Refusal):
        await looking


@pytest.mark.parametrize("fields", [{"retry_count": 1.5}, {"feedback_rating": 1.5}, {"max_attempts": 2.0}])
async def test_what_is_counted_is_whole(world, fields):
    """
    Half a retry is none.
    """
    with pytest.raises(InvalidField):
        await world.task(**fields)


@pytest.mark.parametrize("delay", [timedelta(seconds=-1), timedelta(days=10**8)])
async def test_a_delay_is_a_time_to_wait(world, delay):
    """
    One that no calendar holds would keep every later claim from noticing that the lease ran out.
    """
    await world.task()
    with pytest.raises(InvalidField):
        await world.claim(terms=LeaseTerms(delay=delay, longest_delay=max(delay, timedelta(0))))
